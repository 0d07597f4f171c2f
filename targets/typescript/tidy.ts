/** For the reader: no copies, no dead names, loads of a loop at its head, short names for what a register tile reads. */
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { Expr, Local } from '../../src/kernel/expr.ts'
import { local, newLocal } from '../../src/kernel/expr.ts'
import type { NestKernel, Stmt } from '../../src/kernel/nest.ts'
import { effectsOf, exprsOf, localsOf, mapExprs, mapper, mapStmts, ownIndices, visitStmts } from '../../src/kernel/walk.ts'
import { valuesOf } from '../../src/types/ix.ts'

export const tidy = (nest: NestKernel): NestKernel => renameLoads(loadsFirst(withoutDead(withoutCopies(nest))))

/** `let a = b`, where neither changes, is `b` itself. */
function withoutCopies(nest: NestKernel): NestKernel {
  const assigned = effectsOf(nest.body).assigns
  const variables = new Set<Local>()
  const same = new Map<Local, Expr>()
  visitStmts(nest.body, (s) => {
    if (s.k === 'var') variables.add(s.v)
    if (s.k !== 'let' || assigned.has(s.v)) return
    let e = s.e
    while (e.k === 'local' && same.has(e.v)) e = same.get(e.v)!
    if (e.k === 'const' || (e.k === 'local' && !variables.has(e.v) && !assigned.has(e.v))) same.set(s.v, e)
  })
  if (same.size === 0) return nest
  const body = mapStmts(nest.body, (s) => (s.k === 'let' && same.has(s.v) ? [] : [s]))
  return { ...nest, body: mapExprs(body, mapper({ locals: same })) }
}

function withoutDead(nest: NestKernel): NestKernel {
  const used = new Set<Local>()
  const use = (e: Expr): void => {
    for (const v of localsOf(e)) used.add(v)
  }
  visitStmts(nest.body, (s) => {
    exprsOf(s).forEach(use)
    for (const x of ownIndices(s)) for (const v of valuesOf(x)) use(v.value as Expr)
  })
  const body = mapStmts(nest.body, (s) => (s.k === 'let' && !used.has(s.v) ? [] : [s]))
  return body === nest.body ? nest : withoutDead({ ...nest, body })
}

/** In a body of loads and sums only, the loads come first. */
const isLoad = (s: Stmt): s is Stmt & { k: 'let' } => s.k === 'let' && bare(s.e).k === 'load'
const bare = (e: Expr): Expr => (e.k === 'cast' ? bare(e.x) : e)
function loadsFirst(nest: NestKernel): NestKernel {
  const body = mapStmts(nest.body, (s) => {
    if (s.k !== 'for' || !s.body.every((t) => isLoad(t) || t.k === 'assign')) return [s]
    if (s.body.some((t) => isLoad(t) && localsOf(t.e).size > 0)) return [s]
    const loads = s.body.filter(isLoad)
    const buffers = [...new Set(loads.map((t) => bufferOf(t.e)))]
    const sorted = buffers.flatMap((b) => loads.filter((t) => bufferOf(t.e) === b))
    return [{ ...s, body: [...sorted, ...s.body.filter((t) => !isLoad(t))] }]
  })
  return { ...nest, body }
}
const bufferOf = (e: Expr): Buffer | undefined => {
  const l = bare(e)
  return l.k === 'load' ? l.buf : undefined
}

/** Several elements of one array read side by side: `w0, w1, w2, w3` for `c_attn_weight`. */
function renameLoads(nest: NestKernel): NestKernel {
  const names = new Map<Local, Expr>()
  const locals = new Map<Local, Local>()
  const letters = new Map<Buffer | undefined, string>()
  visitStmts(nest.body, (s) => {
    if (s.k !== 'for') return
    const byBuffer = new Map<Buffer | undefined, Local[]>()
    for (const t of s.body) if (isLoad(t)) byBuffer.set(bufferOf(t.e), [...(byBuffer.get(bufferOf(t.e)) ?? []), t.v])
    for (const [b, list] of byBuffer) {
      if (list.length < 2 || b === undefined) continue
      const letter = letters.get(b) ?? letterFor(b.name, [...letters.values()])
      letters.set(b, letter)
      list.forEach((v, i) => {
        const made = newLocal(`${letter}${i}`, v.of, v.lanes)
        locals.set(v, made)
        names.set(v, local(made))
      })
    }
  })
  if (names.size === 0) return nest
  const body = mapStmts(mapExprs(nest.body, mapper({ locals: names })), (s) =>
    s.k === 'let' && locals.has(s.v) ? [{ ...s, v: locals.get(s.v)! }] : [s],
  )
  return { ...nest, body }
}
function letterFor(name: string, taken: readonly string[]): string {
  const words = name.split('_').filter((w) => /^[A-Za-z]/.test(w))
  const wishes = [...words.reverse().map((w) => w[0]), 'a', 'b', 'c', 'd', 'u']
  return wishes.find((w) => !taken.includes(w) && w !== 's') ?? name
}
