// The nodes behind Ix and Atom, and their interning.
//
// An Ix is interned by its *core*: a polynomial over sym, div, min, max and value atoms. `x mod a` is the core
// `x - a*(x div a)`, so the laws between div and mod hold by construction. `terms` is a view of the core in which the
// mods are found again (`digits.ts`); it is what readers, emitters and the bounds use.
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

let nextId = 1

/** What the other files of this folder keep on an Ix. */
export interface Memo {
  view?: readonly Term[]
  interval?: { readonly lo: number; readonly hi: number }
  lower?: number
  symbols?: ReadonlySet<Sym>
  /** Results of binary operations, by operation and other operand (`memoKey`). */
  ops?: Map<number, Ix>
  /** Interned atoms, by kind and other operand. */
  atoms?: Map<number, DivMod | MinMax>
}

/** Private fields, hence classes: tables and memos must stay out of deep equality and printed diffs. */
class IxNode implements Ix {
  readonly id = nextId++
  readonly #core: readonly Term[]
  readonly #memo: Memo = {}
  readonly #hash: number
  #next: IxNode | undefined
  constructor(core: readonly Term[], hash: number, next: IxNode | undefined) {
    this.#core = core
    this.#hash = hash
    this.#next = next
  }
  get terms(): readonly Term[] {
    return (this.#memo.view ??= hooks.view(this))
  }
  toString(): string {
    return hooks.print(this)
  }
  toJSON(): string {
    return hooks.print(this)
  }
  static core(x: IxNode): readonly Term[] {
    return x.#core
  }
  static memo(x: IxNode): Memo {
    return x.#memo
  }
  static find(x: IxNode | undefined, hash: number, core: readonly Term[]): IxNode | undefined {
    for (let n = x; n; n = n.#next) if (n.#hash === hash && sameTerms(n.#core, core)) return n
    return undefined
  }
}

/** Set by `view.ts`; keeps this file free of imports. */
export const hooks = {
  view: (x: Ix): readonly Term[] => core(x),
  print: (x: Ix): string => `Ix#${x.id}`,
}

/** An atom owns the polynomials in which it is the youngest atom: when a compile's symbols go, so do their tables. */
class AtomNode {
  readonly id = nextId++
  readonly #table = new Map<number, IxNode>()
  #self: Ix | undefined
  #expansion: Ix | undefined
  static table(a: AtomNode): Map<number, IxNode> {
    return a.#table
  }
  static self(a: AtomNode & Atom): Ix {
    return (a.#self ??= intern([{ coef: 1, atoms: [a] }]))
  }
  static expansion(a: AtomNode): Ix | undefined {
    return a.#expansion
  }
  static expand(a: AtomNode, x: Ix): void {
    a.#expansion = x
  }
}

class SymNode extends AtomNode implements Sym {
  readonly k = 'sym'
  readonly name: string
  readonly lo: Ix
  readonly hi: Ix
  readonly multipleOf: number
  readonly role: Sym['role']
  constructor(name: string, lo: Ix, hi: Ix, multipleOf: number, role: Sym['role']) {
    super()
    this.name = name
    this.lo = lo
    this.hi = hi
    this.multipleOf = multipleOf
    this.role = role
  }
}

class PairNode<K extends 'div' | 'mod' | 'min' | 'max'> extends AtomNode {
  readonly k: K
  readonly a: Ix
  readonly b: Ix
  constructor(k: K, a: Ix, b: Ix) {
    super()
    this.k = k
    this.a = a
    this.b = b
  }
}

class ValueNode extends AtomNode implements Value {
  readonly k = 'value'
  readonly key: string
  readonly value: unknown
  readonly lo: Ix
  readonly hi: Ix
  constructor(key: string, value: unknown, lo: Ix, hi: Ix) {
    super()
    this.key = key
    this.value = value
    this.lo = lo
    this.hi = hi
  }
}

export function isIx(x: unknown): x is Ix {
  return x instanceof IxNode
}

/** The terms over which Ix are interned: no mod atoms. */
export function core(x: Ix): readonly Term[] {
  return IxNode.core(x as IxNode)
}

export function memo(x: Ix): Memo {
  return IxNode.memo(x as IxNode)
}

export function atomIx(a: Atom): Ix {
  return AtomNode.self(a as AtomNode & Atom)
}

/** What a mod atom stands for in the core: `a - b*(a div b)`. */
export function expansionOf(a: Atom): Ix | undefined {
  return a.k === 'mod' ? AtomNode.expansion(a as DivMod & AtomNode) : undefined
}

// ---- interning ----

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
  const table = AtomNode.table(owner as Atom & AtomNode)
  const head = table.get(hash)
  const found = IxNode.find(head, hash, terms)
  if (found) return found
  const x = new IxNode(terms, hash, head)
  table.set(hash, x)
  return x
}

/** `T div m` of a symbol known to be a multiple of m; `m*(T div m)` is then `T`. */
export function isExact(a: DivMod): boolean {
  const t = core(a.a)
  if (a.k !== 'div' || t.length !== 1 || t[0].coef !== 1 || t[0].atoms.length !== 1) return false
  const s = t[0].atoms[0]
  return s.k === 'sym' && s.multipleOf > 1 && constant(a.b) === s.multipleOf
}

/** Keeps the coefficient of an exact `T div m` in 0..m-1. */
function foldExact(terms: readonly Term[]): Term[] | undefined {
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
    let part: Term[] = [{ coef: t.coef, atoms: [] }]
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
  if (!AtomNode.expansion(m)) {
    AtomNode.expand(m, intern(addTerms(core(a), mulTerms([{ coef: -1, atoms: [d] }], core(b)))))
  }
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
