// Construction: coercion, ring operations, floor division, remainder, min and max. Everything simplifies here.
import * as core from './core.ts'
import { cached } from './cache.ts'
import { con, constant, intern, isIx } from './core.ts'
import { fail, type DivMod, type Ix, type IxLike, type Sym, type Term } from './records.ts'
import { addTerms, compareAtoms, floorMod, mulTerms } from './terms.ts'
import { digits, fromDigits } from './digits.ts'
import { lower, upper } from './bounds.ts'
import { commonTerm, divideByTerms } from './divide.ts'

/** No upper bound; only ever a bound. */
export const INF: Ix = core.atomIx(core.newSym('∞', con(0), con(0), 1, 'param'))

const ONE: readonly Term[] = [{ coef: 1, atoms: [] }]

export function of(x: IxLike): Ix {
  if (typeof x === 'number') return con(x)
  return isIx(x) ? x : (core.onlyValue(x as Sym) ?? core.atomIx(x as Sym))
}

export interface SymOptions {
  /** Inclusive; default 1 for a dim, else 0. */
  readonly lo?: IxLike
  /** Inclusive; default INF. */
  readonly hi?: IxLike
  /** Default 1. */
  readonly multipleOf?: number
  /** Default 'dim'. */
  readonly role?: Sym['role']
}

/** Always a fresh symbol, also for a name seen before. */
export function sym(name: string, opts: SymOptions = {}): Sym {
  const { role = 'dim', multipleOf = 1 } = opts
  if (!Number.isSafeInteger(multipleOf) || multipleOf < 1) fail(`symbol ${name} is a multiple of ${multipleOf}`)
  return core.newSym(name, finite(of(opts.lo ?? (role === 'dim' ? 1 : 0))), of(opts.hi ?? INF), multipleOf, role)
}

/** A data-dependent index within `lo..hi`. The same key with the same bounds is the same atom. */
export function valueIx(key: string, value: unknown, lo: IxLike, hi: IxLike): Ix {
  return core.atomIx(core.valueAtom(key, value, finite(of(lo)), of(hi)))
}

/** The number, if x is one. */
export function isConst(x: IxLike): number | undefined {
  return typeof x === 'number' ? x : constant(of(x))
}

function finite(x: Ix): Ix {
  return x === INF ? fail('arithmetic on an infinite bound') : x
}

function add2(a: Ix, b: Ix): Ix {
  const m = constant(a)
  const n = constant(b)
  if (m !== undefined && n !== undefined) return con(m + n)
  if (m === 0) return finite(b)
  if (n === 0) return finite(a)
  finite(a)
  finite(b)
  return cached('add', a, b, (x, y) => intern(addTerms(core.core(x), core.core(y))))
}

function mul2(a: Ix, b: Ix): Ix {
  const m = constant(a)
  const n = constant(b)
  if (m !== undefined && n !== undefined) return con(m * n)
  if (m === 0 || n === 0) return con(0)
  finite(a)
  finite(b)
  if (m === 1) return b
  if (n === 1) return a
  return cached('mul', a, b, (x, y) => intern(mulTerms(core.core(x), core.core(y))))
}

export function add(...xs: IxLike[]): Ix {
  if (xs.length === 2) return add2(of(xs[0]), of(xs[1]))
  return intern(xs.reduce<readonly Term[]>((sum, x) => addTerms(sum, core.core(finite(of(x)))), []))
}

export function mul(...xs: IxLike[]): Ix {
  if (xs.length === 2) return mul2(of(xs[0]), of(xs[1]))
  return intern(xs.reduce<readonly Term[]>((product, x) => mulTerms(product, core.core(finite(of(x)))), ONE))
}

export function neg(a: IxLike): Ix {
  return mul2(con(-1), of(a))
}

export function sub(a: IxLike, b: IxLike): Ix {
  const x = of(a)
  const y = of(b)
  if (x === y) return con(0)
  const n = constant(y)
  if (n !== undefined) return add2(x, con(-n))
  return cached('sub', x, y, (p, q) => add2(p, mul2(con(-1), q)))
}

/** Towards minus infinity; `b > 0` is the caller's word unless b is a number. */
export function floorDiv(a: IxLike, b: IxLike): Ix {
  const x = finite(of(a))
  const y = finite(of(b))
  const n = constant(y)
  if (n === 1) return x
  if (n !== undefined && n <= 0) fail(`index division by ${n}`)
  const m = constant(x)
  if (m === 0) return x
  if (m !== undefined && n !== undefined) return con((m - floorMod(m, n)) / n)
  if (x === y) return con(1)
  return cached('div', x, y, divide)
}

/** `a - b*(a div b)`, in 0..b-1. */
export function mod(a: IxLike, b: IxLike): Ix {
  const x = of(a)
  const y = of(b)
  const m = constant(x)
  const n = constant(y)
  if (m !== undefined && n !== undefined && n > 0) return con(floorMod(m, n))
  return cached('mod', x, y, (p, q) => sub(p, mul2(q, floorDiv(p, q))))
}

export function ceilDiv(a: IxLike, b: IxLike): Ix {
  return floorDiv(add(a, b, -1), b)
}

/** x = q*b + r with the r that all x of one residue class share, so what is found about r holds for the class. */
function divide(x: Ix, b: Ix): Ix {
  const terms = core.unfoldExact(core.core(x))
  const by = core.unfoldExact(core.core(b))
  const split = divideByTerms(terms, by)
  if (split.quotient.length > 0) return add2(intern(split.quotient), floorDiv(intern(split.rest), b))
  const small = smallQuotient(x, b)
  if (small) return small
  // r again as q*b + s, by the digits of its quotients: `3*x + 4*(x div 4)` is `3*(x mod 4) + 16*(x div 4)`.
  const byDigits = divideByTerms(digits(terms, true), by)
  const q = fromDigits(byDigits.quotient)
  const s = fromDigits(byDigits.rest)
  const found =
    (s === x ? undefined : smallQuotient(s, b)) ?? balanced(byDigits.rest, b) ?? divideByFactor(byDigits.rest, b)
  if (found) return add2(q, found)
  const other = s === x ? undefined : divideByFactor(terms, b)
  if (other) return other
  return add2(q, divideNested(s, b) ?? core.atomIx(core.pairAtom('div', s, b)))
}

/** The quotient, when `k*b <= r < (k+1)*b` is provable for a number k. */
function smallQuotient(r: Ix, b: Ix): Ix | undefined {
  const n = constant(b)
  if (n !== undefined) {
    const k = Math.floor(lower(r) / n)
    return Number.isFinite(k) && Math.floor(upper(r) / n) === k ? con(k) : undefined
  }
  if (constant(r) === 0) return con(0)
  if (lower(r) >= 0) return lower(sub(b, r)) >= 1 ? con(0) : undefined
  if (upper(r) < 0 && lower(add2(r, b)) >= 0) return con(-1)
  return undefined
}

/** The same with coefficients in -n/2..n/2, which finds `(i - j) div n = 0`. */
function balanced(view: readonly Term[], b: Ix): Ix | undefined {
  const n = constant(b)
  if (n === undefined) return undefined
  const high = view.filter((t) => t.coef * 2 > n && t.atoms.length > 0).map((t) => ({ coef: 1, atoms: t.atoms }))
  if (high.length === 0) return undefined
  const t = fromDigits(high)
  const k = smallQuotient(sub(fromDigits(view), mul2(b, t)), b)
  return k && add2(t, k)
}

/** `(g*y + z) div (g*c) = y div c` when `0 <= z < g`. */
function divideByFactor(view: readonly Term[], b: Ix): Ix | undefined {
  const bTerms = core.unfoldExact(core.core(b))
  const content = commonTerm(bTerms)
  const tried: Term[] = []
  for (const t of view) {
    const g = commonTerm([t, content])
    if ((g.coef === 1 && g.atoms.length === 0) || (bTerms.length === 1 && sameTerm(g, content))) continue
    if (!tried.some((u) => sameTerm(u, g))) tried.push(g)
  }
  tried.sort((s, t) => t.atoms.length - s.atoms.length || t.coef - s.coef || compareAtoms(s.atoms, t.atoms))
  for (const g of tried) {
    const split = divideByTerms(view, [g])
    const q = fromDigits(split.quotient)
    const factor = intern([g])
    const undone = split.rest.length === 0 && core.core(q).some((u) => quotientAlone(u)?.b === factor)
    if (undone) continue // by divideNested
    const k = smallQuotient(fromDigits(split.rest), factor)
    if (k) return floorDiv(add2(q, k), fromDigits(divideByTerms(bTerms, [g]).quotient))
  }
  return undefined
}

function sameTerm(s: Term, t: Term): boolean {
  return s.coef === t.coef && compareAtoms(s.atoms, t.atoms) === 0
}

/** `(y div a + z) div b = (y + a*z) div (a*b)`. */
function divideNested(r: Ix, b: Ix): Ix | undefined {
  for (const t of core.core(r)) {
    const d = quotientAlone(t)
    if (d) return floorDiv(add2(d.a, mul2(d.b, sub(r, core.atomIx(d)))), mul2(d.b, b))
  }
  return undefined
}

function quotientAlone(t: Term): DivMod | undefined {
  const a = t.coef === 1 && t.atoms.length === 1 ? t.atoms[0] : undefined
  return a?.k === 'div' ? a : undefined
}

export function min(a: IxLike, b: IxLike): Ix {
  return extreme('min', of(a), of(b))
}

export function max(a: IxLike, b: IxLike): Ix {
  return extreme('max', of(a), of(b))
}

function extreme(k: 'min' | 'max', a: Ix, b: Ix): Ix {
  if (a === b) return a
  if (a === INF || b === INF) return k === 'max' ? INF : a === INF ? b : a
  return cached(k, a, b, (x, y) => {
    const kept: Ix[] = []
    // The plainest of equal arguments stays.
    const args = [...parts(k, x), ...parts(k, y)].sort(
      (u, v) => core.core(u).length - core.core(v).length || u.id - v.id,
    )
    for (const arg of args) {
      if (kept.some((u) => u === arg || beats(k, u, arg))) continue
      for (let i = kept.length - 1; i >= 0; i--) if (beats(k, arg, kept[i])) kept.splice(i, 1)
      kept.push(arg)
    }
    kept.sort((u, v) => u.id - v.id)
    return kept.reduceRight((rest, u) => core.atomIx(core.pairAtom(k, u, rest)))
  })
}

/** `u` makes `v` redundant. */
function beats(k: 'min' | 'max', u: Ix, v: Ix): boolean {
  return lower(k === 'min' ? sub(v, u) : sub(u, v)) >= 0
}

function parts(k: 'min' | 'max', x: Ix): Ix[] {
  const t = core.core(x)
  const a = t.length === 1 && t[0].coef === 1 && t[0].atoms.length === 1 ? t[0].atoms[0] : undefined
  return a?.k === k ? [...parts(k, a.a), ...parts(k, a.b)] : [x]
}

/** The polynomial q with `q*b = a`, if there provably is one. */
export function exactDiv(a: IxLike, b: IxLike): Ix | undefined {
  const x = of(a)
  const y = of(b)
  if (constant(y) === 0) return undefined
  if (constant(x) === 0) return x
  const n = constant(y)
  if (n !== undefined && n < 0) {
    const q = exactDiv(x, -n)
    return q && neg(q)
  }
  const split = divideByTerms(core.core(x), core.core(y))
  if (split.rest.length === 0) return intern(split.quotient)
  if (lower(y) < 1) return undefined
  const q = floorDiv(x, y)
  return sub(x, mul2(q, y)) === con(0) ? q : undefined
}
