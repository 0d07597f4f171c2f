/** Inlining of stages: a load of a buffer that a map stage defines becomes that stage's body at the load's coordinates. */
import type { Buffer } from '../kernel/buffer.ts'
import type { Expr } from '../kernel/expr.ts'
import { dataIndex, rewrite } from '../kernel/expr.ts'
import type { Body, Carry, Stage } from '../kernel/stage.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { mapValues, substitute } from '../types/ix.ts'

/** Rewrites symbols, also inside data-dependent indices. */
export function substituteIx(x: Ix, map: ReadonlyMap<Sym, Ix>): Ix {
  return mapValues(substitute(x, map), (v) => dataIndex(substituteExpr(v.value as Expr, map), substitute(v.lo, map), substitute(v.hi, map)))
}
export function substituteExpr(e: Expr, map: ReadonlyMap<Sym, Ix>): Expr {
  return map.size === 0 ? e : rewrite(e, (x) => x, (x) => substituteIx(x, map))
}

/** What a virtual buffer stands for: a map stage, whose body replaces each load. */
export type Definitions = ReadonlyMap<Buffer, Stage>

/** A function that replaces every load of a defined buffer by its body, to any depth. Memoised. */
export function inliner(defs: Definitions): (e: Expr) => Expr {
  const memo = new Map<Expr, Expr>()
  const inIx = (x: Ix): Ix => mapValues(x, (v) => dataIndex(go(v.value as Expr), v.lo, v.hi))
  const replace = (e: Expr): Expr => {
    if (e.k !== 'load') return e
    const stage = defs.get(e.buf)
    if (stage === undefined || stage.body.k !== 'map') return e
    return go(substituteExpr(stage.body.e, new Map(stage.domain.map((s, i) => [s, e.at[i]]))))
  }
  const go = (e: Expr): Expr => {
    let out = memo.get(e)
    if (out === undefined) memo.set(e, (out = rewrite(e, replace, inIx)))
    return out
  }
  return go
}

/** Applies `f` to every expression of a body. */
export function mapBody(body: Body, f: (e: Expr) => Expr): Body {
  switch (body.k) {
    case 'map':
      return { k: 'map', e: f(body.e) }
    case 'reduce':
      return { ...body, e: f(body.e), ...(body.where ? { where: f(body.where) } : {}) }
    case 'carried':
      return {
        ...body,
        ...(body.where ? { where: f(body.where) } : {}),
        chunk: body.chunk.map((s) => ({ ...s, body: mapBody(s.body, f) })),
        carries: body.carries.map((c): Carry => ({ ...c, merge: f(c.merge) })),
        finish: f(body.finish),
      }
  }
}
