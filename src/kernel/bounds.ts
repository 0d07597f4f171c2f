/** Loop bounds from conditions: `where index(j) <= f` with f free of j becomes the upper bound f + 1 of the loop over j. */
import type { Ix, Sym } from '../types/ix.ts'
import { add, coefficientOf, con, max, min, neg, sub, valuesOf } from '../types/ix.ts'
import type { BinaryFn, Expr } from './expr.ts'
import { asIx, bin, constant, un } from './expr.ts'
import { symbolsOfIx } from './walk.ts'

const opposite: Partial<Record<BinaryFn, BinaryFn>> = { lt: 'ge', le: 'gt', gt: 'le', ge: 'lt', ne: 'eq', eq: 'ne' }

/** The parts of a condition that must all hold; `not` is resolved into comparisons. */
export function conjuncts(e: Expr | undefined): readonly Expr[] {
  if (e === undefined || (e.k === 'const' && e.value !== 0)) return []
  if (e.k === 'bin' && e.f === 'and') return [...conjuncts(e.a), ...conjuncts(e.b)]
  if (e.k !== 'un' || e.f !== 'not') return [e]
  const x = e.x
  if (x.k === 'un' && x.f === 'not') return conjuncts(x.x)
  if (x.k === 'const') return x.value === 0 ? [] : [truth(false)]
  if (x.k !== 'bin') return [e]
  if (x.f === 'or') return [...conjuncts(un('not', x.a)), ...conjuncts(un('not', x.b))]
  // Floats may be unordered; positions are not.
  const f = asIx(x.a) && asIx(x.b) ? opposite[x.f] : undefined
  return f === undefined ? [e] : [bin(f, x.a, x.b)]
}
export const conjunction = (es: readonly Expr[]): Expr | undefined =>
  es.length === 0 ? undefined : es.reduce((a, b) => bin('and', a, b))
export const both = (a: Expr | undefined, b: Expr | undefined): Expr | undefined =>
  conjunction([...conjuncts(a), ...conjuncts(b)])
export const truth = (b: boolean): Expr => constant(b ? 1 : 0, 'bool')

export interface Bounds {
  readonly lo: Ix
  /** Exclusive. */
  readonly hi: Ix
  /** Conjuncts that the bounds do not express. */
  readonly rest: readonly Expr[]
}

/** A comparison of two indices as `d >= 0`. */
export function asNonNegative(e: Expr): Ix | undefined {
  if (e.k !== 'bin') return undefined
  const a = asIx(e.a)
  const b = asIx(e.b)
  if (a === undefined || b === undefined) return undefined
  switch (e.f) {
    case 'le':
      return sub(b, a)
    case 'lt':
      return sub(b, add(a, 1))
    case 'ge':
      return sub(a, b)
    case 'gt':
      return sub(a, add(b, 1))
    default:
      return undefined
  }
}

/** Bounds of `v` within [lo, hi) under conditions; a bound may mention any symbol but `v` and those in `later`. */
export function tightenBounds(
  v: Sym,
  lo: Ix,
  hi: Ix,
  conditions: readonly Expr[],
  later: ReadonlySet<Sym> = new Set(),
): Bounds {
  const rest: Expr[] = []
  for (const c of conditions) {
    const parts = c.k === 'bin' && c.f === 'eq' ? [bin('le', c.a, c.b), bin('ge', c.a, c.b)] : [c]
    const limits = parts.map((p) => limitOf(v, p, later))
    if (limits.some((l) => l === undefined)) {
      rest.push(c)
      continue
    }
    for (const l of limits) {
      if (l!.upper !== undefined) hi = min(hi, l!.upper)
      if (l!.lower !== undefined) lo = max(lo, l!.lower)
    }
  }
  return { lo, hi, rest }
}

function limitOf(v: Sym, c: Expr, later: ReadonlySet<Sym>): { readonly lower?: Ix; readonly upper?: Ix } | undefined {
  const d = asNonNegative(c)
  if (d === undefined) return undefined
  const linear = coefficientOf(d, v)
  if (linear === undefined || (linear.coef !== con(1) && linear.coef !== con(-1))) return undefined
  const f = linear.rest
  if (valuesOf(f).size > 0) return undefined
  for (const s of symbolsOfIx(f)) if (later.has(s)) return undefined
  // v + f >= 0, or f - v >= 0.
  return linear.coef === con(1) ? { lower: neg(f) } : { upper: add(f, 1) }
}
