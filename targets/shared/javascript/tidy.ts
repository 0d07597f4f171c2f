/** For the reader: no copies, no dead names, loads of a loop at its head, short names for what a register tile reads. */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { binaryFunctions, local, newLocal, operands, unaryFunctions } from '../../../src/kernel/expr.ts'
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import { withoutCopies } from '../../../src/kernel/schedule/index.ts'
import {
  effectsOf,
  exprsOf,
  indicesOf,
  loadsOf,
  localsOf,
  mapExprs,
  mapper,
  mapStmts,
  ownIndices,
  visitStmts,
} from '../../../src/kernel/walk.ts'
import { valuesOf } from '../../../src/types/ix.ts'

export const tidy = (nest: NestKernel): NestKernel =>
  renameLoads(loadsFirst(inlineOnce(withoutDead(withoutCopies(nest)))))

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

/** Names that only say what was computed; a name from the source stays. */
const plainNames: ReadonlySet<string> = new Set([...unaryFunctions, ...binaryFunctions, 't'])
/** A value without loads that is used once, in the block where it is made, is written where it is used. */
function inlineOnce(nest: NestKernel): NestKernel {
  const uses = new Map<Local, number>()
  const assigned = effectsOf(nest.body).assigns
  const use = (e: Expr): void => {
    // Once for each mention, since expressions are shared objects.
    if (e.k === 'local') uses.set(e.v, (uses.get(e.v) ?? 0) + 1)
    for (const x of operands(e)) use(x)
    for (const x of indicesOf(e)) for (const v of valuesOf(x)) use(v.value as Expr)
  }
  visitStmts(nest.body, (s) => {
    exprsOf(s).forEach(use)
    for (const x of ownIndices(s)) for (const v of valuesOf(x)) use(v.value as Expr)
  })
  const inBlock = (body: readonly Stmt[]): readonly Stmt[] => {
    const made = new Map<Local, Expr>()
    const out: Stmt[] = []
    body.forEach((s, i) => {
      const t = made.size === 0 || s.k === 'for' || s.k === 'if' ? s : mapExprs([s], mapper({ locals: made }))[0]
      const here = (): boolean =>
        body
          .slice(i + 1)
          .some((u) => u.k !== 'for' && u.k !== 'if' && exprsOf(u).some((e) => localsOf(e).has((s as { v: Local }).v)))
      const plain = s.k === 'let' && uses.get(s.v) === 1 && plainNames.has(s.v.name) && here()
      if (
        t.k === 'let' &&
        plain &&
        loadsOf(t.e).length === 0 &&
        size(t.e) < 24 &&
        [...localsOf(t.e)].every((v) => !assigned.has(v))
      )
        made.set(t.v, t.e)
      else out.push(t.k === 'for' || t.k === 'if' ? { ...t, body: inBlock(t.body) } : t)
    })
    return out
  }
  return { ...nest, body: inBlock(nest.body) }
}
const size = (e: Expr): number => operands(e).reduce((n, x) => n + size(x), 1)

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
