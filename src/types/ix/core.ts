// Interning, and the atoms.
//
// An Ix is interned by its *core*: a polynomial over sym, div, min, max and value atoms. `x mod a` is the core
// `x - a*(x div a)`, so the laws between div and mod hold by construction. `terms` is a view of the core in which the
// mods are found again (`digits.ts`); it is what readers, emitters and the bounds use.
import { core, IxNode, memo, owned, PairNode, SymNode, ValueNode } from './nodes.ts'
import {
  fail,
  IxOverflow,
  type Atom,
  type DivMod,
  type Ix,
  type MinMax,
  type Sym,
  type Term,
  type Value,
} from './records.ts'
import { addTerms, compareAtoms, floorMod, mulTerms } from './terms.ts'

export { core, expansionOf, hooks, isIx, memo } from './nodes.ts'

const constants = new Map<number, Ix>()

function sameTerms(x: readonly Term[], y: readonly Term[]): boolean {
  if (x.length !== y.length) return false
  for (let i = 0; i < x.length; i++)
    if (x[i].coef !== y[i].coef || compareAtoms(x[i].atoms, y[i].atoms) !== 0) return false
  return true
}

export function con(n: number): Ix {
  let x = constants.get(n)
  if (x) return x
  if (!Number.isInteger(n)) fail(`index constant ${n} is not an integer`)
  if (!Number.isSafeInteger(n)) throw new IxOverflow(String(n))
  n += 0 // -0
  x = new IxNode(n === 0 ? [] : [{ coef: n, atoms: [] }], 0, undefined)
  constants.set(n, x)
  return x
}

/** The one polynomial of a sorted, merged list of terms without zeros and without mod atoms. */
export function intern(terms: readonly Term[]): Ix {
  if (terms.length === 0) return con(0)
  if (terms[0].atoms.length === 0) return con(terms[0].coef)
  let hash = 0
  let owner: Atom | undefined
  let exact = false
  for (const t of terms) {
    if (!Number.isSafeInteger(t.coef)) throw new IxOverflow(`coefficient ${t.coef}`)
    hash = (Math.imul(hash, 31) + t.coef) | 0
    for (const a of t.atoms) {
      hash = (Math.imul(hash, 0x9e3779b1) + a.id) | 0
      if (!owner || a.id > owner.id) owner = a
      if (a.k === 'div' && isExact(a)) exact = true
    }
  }
  if (exact) {
    const folded = foldExact(terms)
    if (folded) return intern(folded)
  }
  const own = owned(owner!)
  for (let x = own.table ? own.table.get(hash) : own.first; x; x = memo(x).next) {
    if (memo(x).hash === hash && sameTerms(core(x), terms)) return x
  }
  const x = new IxNode(terms, hash, own.table ? own.table.get(hash) : own.first)
  if (own.table) own.table.set(hash, x)
  else {
    own.first = x
    if (++own.count > 12) own.table = tableOf(x)
  }
  return x
}

function tableOf(first: Ix): Map<number, Ix> {
  const table = new Map<number, Ix>()
  for (let x: Ix | undefined = first; x;) {
    const m = memo(x)
    const next: Ix | undefined = m.next
    m.next = table.get(m.hash)
    table.set(m.hash, x)
    x = next
  }
  return table
}

export function atomIx(a: Atom): Ix {
  return (owned(a).self ??= intern([{ coef: 1, atoms: [a] }]))
}

/** The number that a loop of one iteration stands for. A dim stays a symbol, whatever its bounds. */
export function onlyValue(s: Sym): Ix | undefined {
  return s.role === 'loop' && s.lo === s.hi && constant(s.lo) !== undefined ? s.lo : undefined
}

/** `T div m` of a symbol known to be a multiple of m; `m*(T div m)` is then `T`. */
export function isExact(a: DivMod): boolean {
  const t = core(a.a)
  if (a.k !== 'div' || t.length !== 1 || t[0].coef !== 1 || t[0].atoms.length !== 1) return false
  const s = t[0].atoms[0]
  return s.k === 'sym' && s.multipleOf > 1 && constant(a.b) === s.multipleOf
}

/** Keeps the coefficient of an exact `T div m` in 0..m-1. */
function foldExact(terms: readonly Term[]): readonly Term[] | undefined {
  for (const t of terms) {
    const at = t.atoms.findIndex((a) => a.k === 'div' && isExact(a))
    if (at < 0) continue
    const d = t.atoms[at] as DivMod
    const m = constant(d.b)!
    const r = floorMod(t.coef, m)
    if (r === t.coef) continue
    const rest = t.atoms.filter((_, i) => i !== at)
    const kept = terms.filter((u) => u !== t)
    const whole = mulTerms([{ coef: (t.coef - r) / m, atoms: rest }], core(d.a))
    return addTerms(addTerms(kept, whole), r === 0 ? [] : [{ coef: r, atoms: t.atoms }])
  }
  return undefined
}

/** The other way: `T` as `m*(T div m)`. Only for a list that is not interned as it is. */
export function unfoldExact(terms: readonly Term[]): readonly Term[] {
  const at = terms.findIndex((t) => t.atoms.some(isMultiple))
  if (at < 0) return terms
  let out: readonly Term[] = terms.filter((t) => !t.atoms.some(isMultiple))
  for (const t of terms) {
    if (!t.atoms.some(isMultiple)) continue
    let part: readonly Term[] = [{ coef: t.coef, atoms: [] }]
    for (const a of t.atoms) {
      const d = isMultiple(a) ? pairAtom('div', atomIx(a), con(a.multipleOf)) : a
      part = mulTerms(part, [{ coef: isMultiple(a) ? a.multipleOf : 1, atoms: [d] }])
    }
    out = addTerms(out, part)
  }
  return out
}

function isMultiple(a: Atom): a is Sym {
  return a.k === 'sym' && a.multipleOf > 1
}

export function constant(x: Ix): number | undefined {
  const t = core(x)
  if (t.length === 0) return 0
  return t.length === 1 && t[0].atoms.length === 0 ? t[0].coef : undefined
}

export function newSym(name: string, lo: Ix, hi: Ix, multipleOf: number, role: Sym['role']): Sym {
  return new SymNode(name, lo, hi, multipleOf, role)
}

const KINDS = { div: 0, mod: 1, min: 2, max: 3 } as const

/** Tables of pairs hang on the younger operand, never on a constant: constants outlive compiles. */
export function keeper(a: Ix, b: Ix): boolean {
  return constant(b) !== undefined || (constant(a) === undefined && a.id > b.id)
}

export function pairAtom<K extends 'div' | 'mod' | 'min' | 'max'>(k: K, a: Ix, b: Ix): PairNode<K> {
  const first = keeper(a, b)
  const at = memo(first ? a : b)
  const key = ((first ? b : a).id * 4 + KINDS[k]) * 2 + (first ? 1 : 0)
  const table = (at.atoms ??= new Map())
  let atom = table.get(key) as PairNode<K> | undefined
  if (!atom) {
    atom = new PairNode(k, a, b)
    table.set(key, atom as DivMod | MinMax)
  }
  return atom
}

/** The mod atom that stands for `a - b*d`, where `d = a div b`. */
export function modAtom(a: Ix, b: Ix, d: Atom): DivMod {
  const m = pairAtom('mod', a, b)
  const own = owned(m as DivMod & PairNode<'mod'>)
  own.expansion ??= intern(addTerms(core(a), mulTerms([{ coef: -1, atoms: [d] }], core(b))))
  return m
}

/** By key, weakly: nothing else keeps a payload alive. */
const values = new Map<string, WeakRef<ValueNode>>()
const dropped = new FinalizationRegistry<string>((key) => {
  if (!values.get(key)?.deref()) values.delete(key)
})

export function valueAtom(key: string, value: unknown, lo: Ix, hi: Ix): Value {
  const full = `${lo.id}:${hi.id}:${key}`
  const known = values.get(full)?.deref()
  if (known) return known
  const atom = new ValueNode(key, value, lo, hi)
  values.set(full, new WeakRef(atom))
  dropped.register(atom, full)
  return atom
}
