// Numeric bounds of polynomials, and through them proofs: `a <= b` when the least value of `b - a` is not negative.
// Sound, not complete. A search eliminates one atom after another, the youngest first, by its symbolic bounds.
import { add, INF, mul, neg, of, sub } from './arith.ts'
import { atomIx, con, constant, core, expansionOf, intern, isExact, memo } from './core.ts'
import type { Atom, DivMod, Ix, IxLike, MinMax, Sym, Term, Value } from './records.ts'
import { substitute, symbolsOf } from './rewrite.ts'

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
export function interval(x: Ix): Interval {
  const m = memo(x)
  if (m.interval) return m.interval
  let lo = 0
  let hi = 0
  for (const t of x.terms) {
    let p: Interval = { lo: t.coef, hi: t.coef }
    for (const a of t.atoms) p = times(p, atomInterval(a))
    lo = lowest(lo + p.lo)
    hi = highest(hi + p.hi)
  }
  return (m.interval = { lo, hi })
}

function times(p: Interval, q: Interval): Interval {
  const all = [product(p.lo, q.lo), product(p.lo, q.hi), product(p.hi, q.lo), product(p.hi, q.hi)]
  return { lo: lowest(Math.min(...all)), hi: highest(Math.max(...all)) }
}

function product(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : a * b
}

function atomInterval(a: Atom): Interval {
  switch (a.k) {
    case 'sym':
    case 'value':
      return { lo: lower(a.lo), hi: a.hi === INF ? Infinity : upper(a.hi) }
    case 'mod': {
      const b = upper(a.b) - 1
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

/** Steps of one search. Proofs about index maps need fewer than twenty. */
const BUDGET = 80

export function lower(x: Ix): number {
  const n = constant(x)
  if (n !== undefined) return n
  const m = memo(x)
  if (m.lower !== undefined) return m.lower
  m.lower = interval(x).lo // what a search that comes back here sees
  if (!independent(x.terms)) m.lower = search(x, { steps: BUDGET })
  return m.lower
}

export function upper(x: Ix): number {
  return x === INF ? Infinity : -lower(neg(x))
}

/** Symbols with numeric bounds, each in one term and once: intervals are exact. */
function independent(terms: readonly Term[]): boolean {
  const seen = new Set<Atom>()
  for (const t of terms) {
    for (const a of t.atoms) {
      if (a.k !== 'sym' || seen.has(a) || constant(a.lo) === undefined) return false
      if (a.hi !== INF && constant(a.hi) === undefined) return false
      seen.add(a)
    }
  }
  return true
}

type Holder = DivMod | MinMax

interface Fuel {
  steps: number
}

function search(d: Ix, fuel: Fuel): number {
  const best = interval(d).lo
  if (constant(d) !== undefined || independent(d.terms) || --fuel.steps < 0) return best
  const terms = d.terms
  const free = youngest([...symbolsOf(d), ...terms.flatMap((t) => t.atoms.filter((a): a is Value => a.k === 'value'))])
  if (!free) return best
  const holders = terms.flatMap((t) => t.atoms.filter((a) => a.k !== 'sym' && a.k !== 'value' && mentions(a, free)))
  if (holders.length === 0) return Math.max(best, bySymbol(d, free as Sym | Value, fuel))
  if (free.k === 'sym') {
    const sign = dependence(terms, free)
    const at = sign === 1 ? free.lo : free.hi
    if (sign !== undefined)
      return at === INF ? best : Math.max(best, search(substitute(d, new Map([[free, at]])), fuel))
  }
  return Math.max(best, byHolder(d, youngest(holders) as Holder, fuel))
}

function youngest(atoms: readonly Atom[]): Atom | undefined {
  return atoms.reduce<Atom | undefined>((y, a) => (!y || a.id > y.id ? a : y), undefined)
}

function mentions(a: Atom, s: Atom): boolean {
  if (a === s) return true
  if (a.k === 'sym' || a.k === 'value') return false
  return s.k === 'sym' ? symbolsOf(a.a).has(s) || symbolsOf(a.b).has(s) : contains(a.a, s) || contains(a.b, s)
}

function contains(x: Ix, s: Atom): boolean {
  return core(x).some((t) => t.atoms.some((a) => mentions(a, s)))
}

/** The coefficients of s in x, lowest power first. */
function powers(x: Ix, s: Atom): Ix[] {
  const parts: Term[][] = []
  for (const t of x.terms) {
    const atoms = t.atoms.filter((a) => a !== s)
    const n = t.atoms.length - atoms.length
    while (parts.length <= n) parts.push([])
    parts[n].push({ coef: t.coef, atoms })
  }
  return parts.map((p) => add(...p.map(termIx)))
}

/** Also of a term with mods. */
function termIx(t: Term): Ix {
  return t.atoms.some((a) => a.k === 'mod')
    ? mul(t.coef, ...t.atoms.map((a) => expansionOf(a) ?? atomIx(a)))
    : intern([t])
}

/** d is least at an end of s when it is linear in s; a square needs coefficients of one sign. */
function bySymbol(d: Ix, s: Sym | Value, fuel: Fuel): number {
  const c = powers(d, s)
  const at = (x: Ix) => c.reduceRight((sum, p) => add(mul(sum, x), p), con(0))
  if (c.length > 2) {
    // p(lo + y) for y >= 0 is least at y = 0 when its other coefficients are not negative; y - hi likewise.
    if (risesFrom(c, s.lo, 1, fuel)) return search(at(s.lo), fuel)
    return s.hi !== INF && risesFrom(c, s.hi, -1, fuel) ? search(at(s.hi), fuel) : -Infinity
  }
  if (search(c[1], fuel) >= 0) return search(at(s.lo), fuel)
  if (s.hi === INF) return -Infinity
  if (search(neg(c[1]), fuel) >= 0) return search(at(s.hi), fuel)
  const low = search(at(s.lo), fuel)
  return low === -Infinity ? low : Math.min(low, search(at(s.hi), fuel))
}

/** Whether the polynomial with coefficients c, written in `y` with `s = at + way*y`, only grows with y >= 0. */
function risesFrom(c: readonly Ix[], at: Ix, way: 1 | -1, fuel: Fuel): boolean {
  const shifted = [...c]
  for (let i = 0; i < c.length; i++) {
    for (let j = c.length - 2; j >= i; j--) shifted[j] = add(shifted[j], mul(at, shifted[j + 1]))
  }
  return shifted.every((p, i) => i === 0 || search(way < 0 && i % 2 === 1 ? neg(p) : p, fuel) >= 0)
}

/** 1 or -1 when no term falls (rises) with s. Values count as fixed: they are bounded for themselves. */
function dependence(terms: readonly Term[], s: Sym): 1 | -1 | 0 | undefined {
  let sign: 1 | -1 | 0 = 0
  for (const t of terms) {
    const d = ofProduct(t, s)
    if (d === undefined || (sign !== 0 && d !== 0 && d !== sign)) return undefined
    if (d !== 0) sign = d
  }
  return sign
}

function ofProduct(t: Term, s: Sym): 1 | -1 | 0 | undefined {
  const signs = t.atoms.map((a) => ofAtom(a, s))
  const moving = signs.filter((d) => d !== 0)
  if (moving.length === 0) return 0
  let sign = moving[0]
  if (sign === undefined || moving.some((d) => d !== sign)) return undefined
  if (t.coef < 0) sign = -sign as 1 | -1
  for (let i = 0; i < t.atoms.length; i++) {
    if (moving.length === 1 && signs[i] !== 0) continue
    const p = atomInterval(t.atoms[i])
    if (p.lo >= 0) continue
    if (p.hi > 0 || moving.length > 1) return undefined
    sign = -sign as 1 | -1
  }
  return sign
}

function ofAtom(a: Atom, s: Sym): 1 | -1 | 0 | undefined {
  if (a === s) return 1
  if (!mentions(a, s)) return 0
  if (a.k === 'div') return symbolsOf(a.b).has(s) ? undefined : dependence(a.a.terms, s)
  if (a.k !== 'min' && a.k !== 'max') return undefined
  const x = dependence(a.a.terms, s)
  const y = dependence(a.b.terms, s)
  return x === 0 ? y : y === 0 || x === y ? x : undefined
}

/** Bounds one div, mod, min or max of d. */
function byHolder(d: Ix, a: Holder, fuel: Fuel): number {
  const c = powers(d, a)
  if (c.length !== 2) return -Infinity
  const up = search(c[1], fuel) >= 0
  const down = !up && search(neg(c[1]), fuel) >= 0
  const at = (x: Ix) => search(add(mul(c[1], x), c[0]), fuel)
  if (a.k === 'min' || a.k === 'max') {
    const p = at(a.a)
    const q = at(a.b)
    // d falls with a min: being below either argument is enough.
    return (a.k === 'min' ? down : up) ? Math.max(p, q) : Math.min(p, q)
  }
  if (a.k === 'mod') {
    if (up) return at(con(0))
    const high = at(sub(a.b, 1))
    if (!down) return Math.min(high, at(con(0)))
    return lower(a.a) >= 0 ? Math.max(high, at(a.a)) : high
  }
  return up || down ? byQuotient(a, c[0], c[1], up, at, fuel) : -Infinity
}

/** rest + c*(x div b), by `x - b + 1 <= b*(x div b) <= x`. */
function byQuotient(a: DivMod, rest: Ix, c: Ix, up: boolean, at: (x: Ix) => number, fuel: Fuel): number {
  const end = up && !isExact(a) ? add(sub(a.a, a.b), 1) : a.a
  const scaled = search(add(mul(a.b, rest), mul(c, end)), fuel)
  const n = constant(a.b)
  // b*d >= 1 - b is enough for d >= 0.
  let best = n !== undefined ? Math.ceil(scaled / n) : scaled >= 0 ? 0 : -Infinity
  if (lower(a.a) >= 0) best = Math.max(best, at(up ? con(0) : a.a))
  const q = range(atomIx(a))
  const end2 = up ? q.lo : q.hi
  return Number.isFinite(end2) ? Math.max(best, at(con(end2))) : best
}
