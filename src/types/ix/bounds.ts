// Numeric bounds of polynomials, and through them proofs: `a <= b` when the least value of `b - a` is not negative.
// Sound, not complete. A search eliminates one atom after another, the youngest first, by its symbolic bounds.
import { INF, of, sub } from './arith.ts'
import { constant, core, memo } from './core.ts'
import { gcd } from './divide.ts'
import type { Atom, Ix, IxLike, Term } from './records.ts'
import { independent, leastOf } from './search.ts'
import { negated } from './terms.ts'

export interface Interval {
  readonly lo: number
  readonly hi: number
}

const SAFE = Number.MAX_SAFE_INTEGER
const lowest = (n: number) => (n > SAFE ? SAFE : n < -SAFE ? -Infinity : n)
const highest = (n: number) => (n < -SAFE ? -SAFE : n > SAFE ? Infinity : n)

/** The least and the greatest value that x can be shown to keep to; infinite when none is known. */
export function range(x: IxLike): Interval {
  const ix = of(x)
  return ix === INF ? { lo: Infinity, hi: Infinity } : { lo: lower(ix), hi: upper(ix) }
}

export function proveLe(a: IxLike, b: IxLike): boolean {
  const x = of(a)
  const y = of(b)
  if (x === y || y === INF) return true
  return x !== INF && lower(sub(y, x)) >= 0
}

export function proveLt(a: IxLike, b: IxLike): boolean {
  const x = of(a)
  const y = of(b)
  if (x === INF || x === y) return false
  return y === INF || lower(sub(y, x)) >= 1
}

export function proveGe(a: IxLike, b: IxLike): boolean {
  return proveLe(b, a)
}

export function proveEq(a: IxLike, b: IxLike): boolean {
  return of(a) === of(b) || (proveLe(a, b) && proveLe(b, a))
}

/** The terms by interval arithmetic, each atom by itself. */
export function interval(terms: readonly Term[]): Interval {
  let lo = 0
  let hi = 0
  for (const t of terms) {
    let p: Interval = { lo: t.coef, hi: t.coef }
    for (const a of t.atoms) p = times(p, atomInterval(a))
    lo = lowest(lo + p.lo)
    hi = highest(hi + p.hi)
  }
  return { lo, hi }
}

function times(p: Interval, q: Interval): Interval {
  if (p.lo >= 0 && q.lo >= 0) return { lo: lowest(p.lo * q.lo), hi: highest(product(p.hi, q.hi)) }
  const all = [product(p.lo, q.lo), product(p.lo, q.hi), product(p.hi, q.lo), product(p.hi, q.hi)]
  return { lo: lowest(Math.min(...all)), hi: highest(Math.max(...all)) }
}

function product(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : a * b
}

/** A number that divides every value of the terms and `of`, as far as symbols say so. */
export function divisorOf(terms: readonly Term[], of: number): number {
  for (const t of terms) {
    let n = Math.abs(t.coef)
    for (const a of t.atoms) if (a.k === 'sym' && n * a.multipleOf <= SAFE) n *= a.multipleOf
    of = gcd(n, of)
  }
  return of
}

export function atomInterval(a: Atom): Interval {
  switch (a.k) {
    case 'sym':
    case 'value':
      return { lo: lower(a.lo), hi: a.hi === INF ? Infinity : upper(a.hi) }
    case 'mod': {
      // A multiple of 4 leaves a multiple of 4 when divided by 8.
      const b = upper(a.b) - divisorOf(a.a.terms, divisorOf(a.b.terms, 0))
      return { lo: 0, hi: Math.max(0, lower(a.a) >= 0 ? Math.min(b, upper(a.a)) : b) }
    }
    case 'div':
      return quotients(range(a.a), range(a.b))
    case 'min':
      return { lo: Math.min(lower(a.a), lower(a.b)), hi: Math.min(upper(a.a), upper(a.b)) }
    case 'max':
      return { lo: Math.max(lower(a.a), lower(a.b)), hi: Math.max(upper(a.a), upper(a.b)) }
  }
}

function quotients(x: Interval, b: Interval): Interval {
  const least = Math.max(1, b.lo)
  const over = (n: number, d: number) => (d === Infinity ? (n < 0 ? -1 : 0) : Math.floor(n / d))
  return { lo: over(x.lo, x.lo >= 0 ? b.hi : least), hi: over(x.hi, x.hi >= 0 ? least : b.hi) }
}

export function lower(x: Ix): number {
  const n = constant(x)
  if (n !== undefined) return n
  const m = memo(x)
  if (m.lower === undefined) {
    const terms = x.terms
    m.lower = interval(terms).lo // what a search that comes back here sees
    // Where the value at one point is the bound, no search finds a better one.
    const tight = independent(terms) || (m.lower > -Infinity && m.lower >= sample(x))
    if (!tight) m.lower = Math.max(m.lower, leastOf(terms))
  }
  return m.lower
}

export function upper(x: Ix): number {
  const n = constant(x)
  if (n !== undefined) return n
  if (x === INF) return Infinity
  const m = memo(x)
  if (m.upper === undefined) {
    const terms = x.terms
    m.upper = interval(terms).hi
    if (!independent(terms)) m.upper = Math.min(m.upper, -leastOf(negated(terms)))
  }
  return m.upper
}

/** The value of x where each symbol is least. */
function sample(x: Ix): number {
  let sum = 0
  for (const t of core(x)) {
    let p = t.coef
    for (const a of t.atoms) {
      if (a.k === 'sym' || a.k === 'value') p *= constant(a.lo) ?? sample(a.lo)
      else {
        const l = sample(a.a)
        const r = sample(a.b)
        p *= a.k === 'div' ? Math.floor(l / Math.max(1, r)) : a.k === 'min' ? Math.min(l, r) : Math.max(l, r)
      }
    }
    sum += p
  }
  return sum
}
