/** Scalar expressions at four neighbouring values of a symbol, as vectors. */
import { offsetOf } from '../../../src/kernel/address.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { Expr } from '../../../src/kernel/expr.ts'
import { bin, cast, load, select, splat, un, vec } from '../../../src/kernel/expr.ts'
import type { LoadExpr } from '../../../src/kernel/structure.ts'
import type { Mapper } from '../../../src/kernel/walk.ts'
import { loadsOf, symbolsOfExpr } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, coefficientOf, con, dependsOn, of } from '../../../src/types/ix.ts'

export const LANES = 4
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** An expression at four values of a symbol, as lanes; a scalar where it is the same for all. `wide` has vectors instead of loads. */
export function lanesOf(e: Expr, v: Sym, wide: ReadonlyMap<Buffer, Expr>, at: readonly Mapper[]): Expr {
  const go = (e: Expr): Expr => {
    const found = e.k === 'load' ? wide.get(e.buf) : undefined
    if (found !== undefined) return found
    if (!symbolsOfExpr(e).has(v) && !loadsOf(e).some((l) => wide.has(l.buf))) return at[0].expr(e)
    switch (e.k) {
      case 'un':
        return un(e.f, go(e.x))
      case 'cast':
        return cast(e.of, go(e.x))
      case 'bin': {
        const [a, b] = [go(e.a), go(e.b)]
        return bin(e.f, splat(a, LANES), splat(b, LANES))
      }
      case 'select':
        return select(go(e.c), splat(go(e.x), LANES), splat(go(e.y), LANES))
      default:
        return vec(at.map((m) => m.expr(e)))
    }
  }
  return go(e)
}

/** The axis along which four neighbours in `v` lie side by side in storage, if they do. */
export function neighbours(buf: Buffer, at: readonly Ix[], v: Sym): number | undefined {
  const axis = at.findIndex((x) => x === of(v) || (dependsOn(x, v) && coefficientOf(x, v)?.coef === con(1)))
  const others = at.some((x, d) => d !== axis && dependsOn(x, v))
  return axis < 0 || others || coefficientOf(offsetOf(buf, at), v)?.coef !== con(1) ? undefined : axis
}

/** A load at four neighbours in `v`, from `x` on. `m` places its other symbols. */
export function fourOf(e: LoadExpr, v: Sym, x: Ix, m: (x: Ix) => Mapper): Expr {
  const axis = neighbours(e.buf, e.at, v)
  if (axis === undefined) return vec(range(LANES).map((k) => m(add(x, k)).expr(e)))
  const { ix } = m(x)
  return load(e.buf, e.at.map(ix), { lanes: LANES, axis })
}
