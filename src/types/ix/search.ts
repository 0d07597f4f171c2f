// The search for the least value of a polynomial. It eliminates one atom after another, the youngest first, by its
// symbolic bounds, on plain lists of terms: nothing that it makes on the way is interned.
import { INF, sub } from './arith.ts'
import { atomInterval, divisorOf, interval, lower, range } from './bounds.ts'
import { atomIx, con, constant, core, isExact, memo } from './core.ts'
import { IxOverflow, type Atom, type DivMod, type Ix, type MinMax, type Sym, type Term, type Value } from './records.ts'
import { rebuildTerms } from './rewrite.ts'
import { addTerms, mulTerms, negated } from './terms.ts'

type Terms = readonly Term[]
type Holder = DivMod | MinMax

/** Steps of one search. Proofs about index maps need fewer than twenty. */
const BUDGET = 80

interface Fuel {
  steps: number
}

/** A lower bound of the terms, which may have mods; -Infinity if none is found. */
export function leastOf(terms: Terms): number {
  try {
    return search(terms, { steps: BUDGET })
  } catch (e) {
    if (e instanceof IxOverflow) return -Infinity
    throw e
  }
}

/** Symbols with numeric bounds, each in one term and once: intervals are exact. */
export function independent(terms: Terms): boolean {
  for (let i = 0; i < terms.length; i++) {
    const atoms = terms[i].atoms
    for (let j = 0; j < atoms.length; j++) {
      const a = atoms[j]
      if (a.k !== 'sym' || a === atoms[j - 1] || constant(a.lo) === undefined) return false
      if (a.hi !== INF && constant(a.hi) === undefined) return false
      for (let k = 0; k < i; k++) if (terms[k].atoms.includes(a)) return false
    }
  }
  return true
}

function numeric(terms: Terms): number | undefined {
  if (terms.length === 0) return 0
  return terms.length === 1 && terms[0].atoms.length === 0 ? terms[0].coef : undefined
}

function search(terms: Terms, fuel: Fuel): number {
  const n = numeric(terms)
  if (n !== undefined) return n
  if (independent(terms) || --fuel.steps < 0) return interval(terms).lo
  const found = eliminate(terms, fuel)
  return found === -Infinity ? interval(terms).lo : found
}

function notNegative(terms: Terms, fuel: Fuel): boolean {
  return search(terms, fuel) >= 0
}

function eliminate(terms: Terms, fuel: Fuel): number {
  let free: Sym | Value | undefined
  for (const t of terms) {
    for (const a of t.atoms) {
      const f = a.k === 'sym' || a.k === 'value' ? a : youngestOf(a)
      if (f && (!free || f.id > free.id)) free = f
    }
  }
  if (!free) return -Infinity
  const holder = holderOf(terms, free)
  if (!holder) return bySymbol(terms, free, fuel)
  const sign = free.k === 'sym' ? dependence(terms, free) : undefined
  if (sign === undefined) return byHolder(terms, holder, fuel)
  const end = sign === 1 ? free.lo : free.hi
  return end === INF
    ? -Infinity
    : search(
        rebuildTerms(terms, (a) => (a === free ? end : undefined)),
        fuel,
      )
}

/** The youngest atom around s; before others a min or max that must be split, as others may fall with either part. */
function holderOf(terms: Terms, s: Sym | Value): Holder | undefined {
  let holder: Holder | undefined
  let splits = false
  for (const t of terms) {
    for (const a of t.atoms) {
      if (a.k === 'sym' || a.k === 'value') continue
      const must = t.coef > 0 ? a.k === 'min' : a.k === 'max'
      if (holder && (must === splits ? a.id <= holder.id : splits)) continue
      if (!mentions(a, s)) continue
      holder = a
      splits = must
    }
  }
  return holder
}

function youngestOf(a: Holder): Sym | undefined {
  const x = youngestSym(a.a)
  const y = youngestSym(a.b)
  return !x || (y && y.id > x.id) ? y : x
}

function youngestSym(x: Ix): Sym | undefined {
  const m = memo(x)
  if (m.youngest === undefined) {
    let out: Sym | undefined
    for (const t of core(x)) {
      for (const a of t.atoms) {
        const s = a.k === 'sym' ? a : a.k === 'value' ? undefined : youngestOf(a)
        if (s && (!out || s.id > out.id)) out = s
      }
    }
    m.youngest = out ?? null
  }
  return m.youngest ?? undefined
}

function mentions(a: Atom, s: Atom): boolean {
  if (a === s) return true
  if (a.k === 'sym' || a.k === 'value' || a.id < s.id) return false
  return contains(a.a, s) || contains(a.b, s)
}

function contains(x: Ix, s: Atom): boolean {
  if (x.id < s.id) return false
  for (const t of core(x)) for (const a of t.atoms) if (mentions(a, s)) return true
  return false
}

/** The coefficients of s, lowest power first. */
function powers(terms: Terms, s: Atom): Terms[] {
  const parts: Term[][] = [[], []]
  for (const t of terms) {
    if (!t.atoms.includes(s)) parts[0].push(t)
    else {
      const atoms = t.atoms.filter((a) => a !== s)
      const n = t.atoms.length - atoms.length
      while (parts.length <= n) parts.push([])
      parts[n].push({ coef: t.coef, atoms })
    }
  }
  return parts
}

/** `c*x + rest`. */
function linear(c: Terms, x: Terms, rest: Terms): Terms {
  return addTerms(mulTerms(c, x), rest)
}

/** Least at an end of s where s is linear; a square needs coefficients of one sign. */
function bySymbol(terms: Terms, s: Sym | Value, fuel: Fuel): number {
  const c = powers(terms, s)
  const lo = core(s.lo)
  const hi = s.hi === INF ? undefined : core(s.hi)
  if (c.length > 2) {
    const at = (x: Terms) => c.reduceRight((sum, p) => linear(sum, x, p), [])
    const atHi = () => (hi ? search(at(hi), fuel) : -Infinity)
    const up = growth(c, lo, 1, fuel)
    if (up !== undefined) return up > 0 ? search(at(lo), fuel) : atHi()
    const back = hi && growth(c, hi, -1, fuel)
    return back === undefined ? -Infinity : back > 0 ? atHi() : search(at(lo), fuel)
  }
  if (notNegative(c[1], fuel)) return search(linear(c[1], lo, c[0]), fuel)
  if (!hi) return -Infinity
  const high = search(linear(c[1], hi, c[0]), fuel)
  if (high === -Infinity || notNegative(negated(c[1]), fuel)) return high
  return Math.min(high, search(linear(c[1], lo, c[0]), fuel))
}

/** Whether the polynomial with coefficients c, written in y with `s = at + way*y`, only grows or only falls with y >= 0. */
function growth(c: readonly Terms[], at: Terms, way: 1 | -1, fuel: Fuel): 1 | -1 | undefined {
  const shifted = [...c]
  for (let i = 0; i < c.length; i++) {
    for (let j = c.length - 2; j >= i; j--) shifted[j] = linear(at, shifted[j + 1], shifted[j])
  }
  const moving = shifted.map((p, i) => (way < 0 && i % 2 === 1 ? negated(p) : p)).slice(1)
  if (moving.every((p) => notNegative(p, fuel))) return 1
  return moving.every((p) => notNegative(negated(p), fuel)) ? -1 : undefined
}

/** 1 or -1 when no term falls (rises) with s. Values count as fixed: they are bounded for themselves. */
function dependence(terms: Terms, s: Sym): 1 | -1 | 0 | undefined {
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
  if (a.k === 'div') return contains(a.b, s) ? undefined : dependence(a.a.terms, s)
  if (a.k !== 'min' && a.k !== 'max') return undefined
  const x = dependence(a.a.terms, s)
  const y = dependence(a.b.terms, s)
  return x === 0 ? y : y === 0 || x === y ? x : undefined
}

/** Bounds one div, mod, min or max. */
function byHolder(terms: Terms, a: Holder, fuel: Fuel): number {
  const c = powers(terms, a)
  if (c.length !== 2) return -Infinity
  const up = notNegative(c[1], fuel)
  const down = !up && notNegative(negated(c[1]), fuel)
  const at = (x: Terms) => search(linear(c[1], x, c[0]), fuel)
  switch (a.k) {
    case 'min':
    case 'max': {
      const p = at(a.a.terms)
      const q = at(a.b.terms)
      // What falls with a min may take either argument for it.
      return (a.k === 'min' ? down : up) ? Math.max(p, q) : Math.min(p, q)
    }
    case 'mod': {
      if (up) return at([])
      const high = at(sub(a.b, divisorOf(a.a.terms, divisorOf(a.b.terms, 0))).terms)
      if (!down) return Math.min(high, at([]))
      return lower(a.a) >= 0 ? Math.max(high, at(a.a.terms)) : high
    }
    case 'div':
      return up || down ? byQuotient(a, c[0], c[1], up, at, fuel) : -Infinity
  }
}

/** rest + c*(x div b), by `x - b + g <= b*(x div b) <= x`, where g divides x and b. */
function byQuotient(a: Holder, rest: Terms, c: Terms, up: boolean, at: (x: Terms) => number, fuel: Fuel): number {
  const whole = a.k === 'div' && isExact(a)
  const g = divisorOf(a.a.terms, divisorOf(a.b.terms, 0))
  const end = up && !whole ? addTerms(addTerms(a.a.terms, negated(a.b.terms)), [{ coef: g, atoms: [] }]) : a.a.terms
  const scaled = search(linear(c, end, mulTerms(a.b.terms, rest)), fuel)
  const n = constant(a.b)
  // b*d >= 1 - b is enough for d >= 0.
  let best = n !== undefined ? Math.ceil(scaled / n) : scaled >= 0 ? 0 : -Infinity
  if (lower(a.a) >= 0) best = Math.max(best, at(up ? [] : a.a.terms))
  const q = range(atomIx(a))
  const limit = up ? q.lo : q.hi
  return Number.isFinite(limit) ? Math.max(best, at(core(con(limit)))) : best
}
