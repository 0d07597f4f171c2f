/** What was just stored is not loaded again: the value is at hand. */
import type { Ix } from '../../types/ix.ts'
import { valuesOf } from '../../types/ix.ts'
import type { Buffer } from '../buffer.ts'
import type { Expr, Local } from '../expr.ts'
import { local, newLocal } from '../expr.ts'
import type { NestKernel, Stmt } from '../nest.ts'
import { effectsOf, exprsOf, loadsOf, mapExprs, mapper, ownIndices, visitStmts } from '../walk.ts'
import { mapBlocks } from './edit.ts'

/** Loads of an element that a statement before them in the same block stored, with no other store to the buffer in between. Always legal. */
export function forward(nest: NestKernel): NestKernel {
  const { assigns } = effectsOf(nest.body)
  return { ...nest, body: mapBlocks(nest.body, (block) => inBlock(block, assigns)) }
}

function inBlock(block: readonly Stmt[], variables: ReadonlySet<Local>): readonly Stmt[] {
  let body = block
  for (let i = 0; i < body.length; i++) {
    const s = body[i]
    if (s.k !== 'store' || s.axis !== undefined || s.e.of !== s.buf.of) continue
    let end = i + 1
    while (end < body.length && !changes(body[end], s.buf)) end++
    if (!body.slice(i + 1, end).some((t) => loads(t, s.buf, s.at))) continue
    const known = (s.e.k === 'local' && !variables.has(s.e.v)) || s.e.k === 'const'
    const v = newLocal(s.buf.name, s.e.of)
    const value = known ? s.e : local(v)
    const m = mapper({
      load: (b, at, vector) => (vector === undefined && b === s.buf && same(at, s.at) ? value : undefined),
    })
    const named: readonly Stmt[] = known
      ? [s]
      : [
          { k: 'let', v, e: s.e },
          { ...s, e: value },
        ]
    body = [...body.slice(0, i), ...named, ...mapExprs(body.slice(i + 1, end), m), ...body.slice(end)]
    if (!known) i++
  }
  return body
}

const same = (a: readonly Ix[], b: readonly Ix[]): boolean => a.every((x, d) => x === b[d])

/** Whether a statement may give an element of the buffer another value. */
function changes(s: Stmt, b: Buffer): boolean {
  const effects = effectsOf([s])
  return effects.barrier || effects.writes.has(b)
}

function loads(s: Stmt, b: Buffer, at: readonly Ix[]): boolean {
  let found = false
  const look = (e: Expr): void => {
    found ||= loadsOf(e).some((l) => l.buf === b && l.axis === undefined && same(l.at, at))
  }
  visitStmts([s], (t) => {
    exprsOf(t).forEach(look)
    for (const x of ownIndices(t)) for (const v of valuesOf(x)) look(v.value as Expr)
  })
  return found
}
