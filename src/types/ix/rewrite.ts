// Looking into polynomials and rebuilding them.
import { floorDiv, INF, max, min, of } from './arith.ts'
import { atomIx, con, core, intern, memo } from './core.ts'
import { fail, IxOverflow, type Atom, type Ix, type IxLike, type Sym, type Term, type Value } from './records.ts'
import { addTerms, mulTerm, mulTerms } from './terms.ts'

const NONE: ReadonlySet<Sym> = new Set()
const NO_VALUES: ReadonlySet<Value> = new Set()

/** The symbols in x, also inside div, min and max; not those in bounds, nor in the payloads of values. */
export function symbolsOf(x: IxLike): ReadonlySet<Sym> {
  const ix = of(x)
  if (ix === INF) return NONE
  const m = memo(ix)
  if (m.symbols) return m.symbols
  const out = new Set<Sym>()
  for (const t of core(ix)) {
    for (const a of t.atoms) {
      if (a.k === 'sym') out.add(a)
      else if (a.k !== 'value') for (const y of [a.a, a.b]) for (const s of symbolsOf(y)) out.add(s)
    }
  }
  return (m.symbols = out.size === 0 ? NONE : out)
}

export function dependsOn(x: IxLike, s: Sym): boolean {
  return symbolsOf(x).has(s)
}

/** The data-dependent atoms in x, also nested ones. */
export function valuesOf(x: IxLike): ReadonlySet<Value> {
  const ix = of(x)
  const m = memo(ix)
  if (m.values) return m.values
  let out: Set<Value> | undefined
  for (const t of core(ix)) {
    for (const a of t.atoms) {
      if (a.k === 'value') (out ??= new Set()).add(a)
      else if (a.k !== 'sym') for (const y of [a.a, a.b]) for (const v of valuesOf(y)) (out ??= new Set()).add(v)
    }
  }
  return (m.values = out ?? NO_VALUES)
}

/** All symbols at once. Payloads of values are left alone: those are `mapValues`' to rewrite. */
export function substitute(x: Ix, map: ReadonlyMap<Sym, Ix>): Ix {
  return rebuild(of(x), (a) => (a.k === 'sym' ? map.get(a) : undefined))
}

/** Each value atom replaced by f of it. */
export function mapValues(x: Ix, f: (atom: Value) => Ix): Ix {
  return rebuild(of(x), (a) => (a.k === 'value' ? f(a) : undefined))
}

type Leaf = (a: Sym | Value) => Ix | undefined

/** The terms with leaves replaced; the same list when none is. */
export function rebuildTerms(terms: readonly Term[], leaf: Leaf, seen = new Map<Ix, Ix>()): readonly Term[] {
  let out: readonly Term[] | undefined
  for (let i = 0; i < terms.length; i++) {
    const t = terms[i]
    let moved: readonly Term[] | undefined
    for (let j = 0; j < t.atoms.length; j++) {
      const a = t.atoms[j]
      const y = a.k === 'sym' || a.k === 'value' ? leaf(a) : pair(a.k, a.a, a.b, seen, leaf)
      if (y !== undefined) moved = mulTerms(moved ?? [{ coef: t.coef, atoms: t.atoms.slice(0, j) }], core(y))
      else if (moved) moved = mulTerm(moved, 1, [a])
    }
    if (moved) out = addTerms(out ?? terms.slice(0, i), moved)
    else if (out) out = addTerms(out, [t])
  }
  return out ?? terms
}

function rebuild(ix: Ix, leaf: Leaf, seen = new Map<Ix, Ix>()): Ix {
  const known = seen.get(ix)
  if (known) return known
  const terms = core(ix)
  const out = rebuildTerms(terms, leaf, seen)
  const result = out === terms ? ix : intern(out)
  seen.set(ix, result)
  return result
}

function pair(k: 'div' | 'mod' | 'min' | 'max', a: Ix, b: Ix, seen: Map<Ix, Ix>, leaf: Leaf): Ix | undefined {
  const x = rebuild(a, leaf, seen)
  const y = rebuild(b, leaf, seen)
  if (x === a && y === b) return undefined
  if (k === 'div') return floorDiv(x, y)
  return k === 'min' ? min(x, y) : k === 'max' ? max(x, y) : fail('a mod in a core')
}

/** x = coef*s + rest, when x is linear in s and s is in no div, mod, min or max. */
export function coefficientOf(x: IxLike, s: Sym): { coef: Ix; rest: Ix } | undefined {
  const ix = of(x)
  if (!dependsOn(ix, s)) return { coef: con(0), rest: ix }
  const coef: Term[] = []
  const rest: Term[] = []
  for (const t of core(ix)) {
    const atoms = t.atoms.filter((a) => a !== s)
    if (atoms.some((a) => a.k !== 'sym' && dependsOn(atomIx(a), s))) return undefined
    if (t.atoms.length - atoms.length > 1) return undefined
    if (atoms.length === t.atoms.length) rest.push(t)
    else coef.push({ coef: t.coef, atoms })
  }
  return { coef: intern(coef), rest: intern(rest) }
}

/** The number that x is where `env` gives the symbols. Exact; overflow and a divisor below 1 throw. */
export function evaluate(x: IxLike, env: (s: Sym) => number, value?: (payload: unknown) => number): number {
  const ix = of(x)
  if (ix === INF) return Infinity
  let sum = 0
  for (const t of core(ix)) {
    let p = t.coef
    for (const a of t.atoms) p = safe(p * evaluateAtom(a, env, value))
    sum = safe(sum + p)
  }
  return sum
}

function safe(n: number): number {
  if (!Number.isSafeInteger(n)) throw new IxOverflow(`a value of ${n}`)
  return n + 0
}

function evaluateAtom(a: Atom, env: (s: Sym) => number, value?: (payload: unknown) => number): number {
  if (a.k === 'sym') return bound(env(a), a.name)
  if (a.k === 'value') return bound(value?.(a.value), a.key)
  const x = evaluate(a.a, env, value)
  const y = evaluate(a.b, env, value)
  if (a.k === 'min') return Math.min(x, y)
  if (a.k === 'max') return Math.max(x, y)
  if (y < 1) fail(`index division by ${y}`)
  const r = x % y
  return (x - (r < 0 ? r + y : r)) / y
}

function bound(n: number | undefined, name: string): number {
  return n === undefined || !Number.isInteger(n)
    ? fail(`index symbol ${name} is ${n === undefined ? 'unbound' : n}`)
    : n
}
