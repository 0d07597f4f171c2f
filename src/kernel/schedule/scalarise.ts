/** Private buffers that are only accessed at constant coordinates become locals, one per element or per vector. */
import type { Ix } from '../../types/ix.ts'
import { evaluate, isConst } from '../../types/ix.ts'
import type { Buffer } from '../buffer.ts'
import type { Expr, Lanes, Local, Vector } from '../expr.ts'
import { constant, local, newLocal, splat, vectorOf } from '../expr.ts'
import type { NestKernel, Stmt } from '../nest.ts'
import { exprsOf, loadsOf, mapExprs, mapper, mapStmts, ownIndices, visitStmts } from '../walk.ts'
import { valuesOf } from '../../types/ix.ts'

/** Elements above this stay an array. */
const LIMIT = 64

export function scalarise(nest: NestKernel): NestKernel {
  const candidates = new Map<Buffer, Cells>()
  visitStmts(nest.body, (s) => {
    if (s.k === 'alloc' && s.buf.space === 'private' && sizeOf(s.buf) <= LIMIT)
      candidates.set(s.buf, { locals: new Map() })
  })
  /** All accesses are at constant coordinates and of the same lanes, which do not overlap. */
  const use = (b: Buffer, at: readonly Ix[], vector: Vector | undefined): void => {
    const cells = candidates.get(b)
    if (cells === undefined) return
    const kind = vector === undefined ? 'scalars' : `${vector.lanes} along ${vector.axis}`
    cells.kind ??= kind
    const whole = vector === undefined || (isConst(at[vector.axis]) ?? 1) % vector.lanes === 0
    if (cells.kind !== kind || !whole || at.some((x) => isConst(x) === undefined)) candidates.delete(b)
  }
  const visit = (e: Expr): void => loadsOf(e).forEach((l) => use(l.buf, l.at, vectorOf(l)))
  visitStmts(nest.body, (s) => {
    exprsOf(s).forEach(visit)
    for (const x of ownIndices(s)) for (const v of valuesOf(x)) visit(v.value as Expr)
    if (s.k === 'store') use(s.buf, s.at, s.axis === undefined ? undefined : { lanes: s.e.lanes, axis: s.axis })
  })
  if (candidates.size === 0) return nest
  const cell = (b: Buffer, at: readonly Ix[], lanes: Lanes): Local | undefined => {
    const cells = candidates.get(b)?.locals
    if (cells === undefined) return undefined
    const flat = at.reduce((n, x, d) => n * isConst(b.shape[d])! + isConst(x)!, 0)
    let v = cells.get(flat)
    if (v === undefined) cells.set(flat, (v = newLocal(`${b.name}${at.map((x) => isConst(x)).join('_')}`, b.of, lanes)))
    return v
  }
  const m = mapper({
    load: (b, at, vector) => {
      const v = cell(b, at, vector?.lanes ?? 1)
      return v && local(v)
    },
  })
  const replaced = mapStmts(mapExprs(nest.body, m), (s) => {
    const v = s.k === 'store' ? cell(s.buf, s.at, s.e.lanes) : undefined
    return s.k === 'store' && v !== undefined ? [{ k: 'assign', v, e: s.e } as Stmt] : [s]
  })
  const body = mapStmts(replaced, (s) => {
    const cells = s.k === 'alloc' ? candidates.get(s.buf) : undefined
    if (cells === undefined) return [s]
    return [...cells.locals.values()].map((v): Stmt => ({ k: 'var', v, e: splat(constant(0, v.of), v.lanes) }))
  })
  return { ...nest, body }
}

interface Cells {
  readonly locals: Map<number, Local>
  kind?: string
}

const sizeOf = (b: Buffer): number =>
  b.shape.reduce(
    (n, x) =>
      n *
      evaluate(x, (s) => {
        throw new Error(`internal: private extent depends on ${s.name}`)
      }),
    1,
  )
