// The nodes behind Ix and Atom, and what they keep to themselves.
import type { Atom, DivMod, Ix, MinMax, Sym, Term, Value } from './records.ts'

let nextId = 1

/** What an Ix keeps to itself: its core, its place in a table, and what the other files found out about it. */
export interface Memo {
  readonly core: readonly Term[]
  readonly hash: number
  /** The next polynomial of its atom, or of its atom and hash. */
  next: Ix | undefined
  view: readonly Term[] | undefined
  interval: { readonly lo: number; readonly hi: number } | undefined
  lower: number | undefined
  upper: number | undefined
  symbols: ReadonlySet<Sym> | undefined
  values: ReadonlySet<Value> | undefined
  /** The symbol made last among those in it, or null. */
  youngest: Sym | null | undefined
  /** Interned atoms of which it is an operand, by kind and other operand. */
  atoms: Map<number, DivMod | MinMax> | undefined
}

/** Private fields, hence classes: tables and memos must stay out of deep equality and printed diffs. */
export class IxNode implements Ix {
  readonly id: number
  readonly #memo: Memo
  constructor(core: readonly Term[], hash: number, next: Ix | undefined) {
    this.id = nextId++
    this.#memo = {
      core,
      hash,
      next,
      view: undefined,
      interval: undefined,
      lower: undefined,
      upper: undefined,
      symbols: undefined,
      values: undefined,
      youngest: undefined,
      atoms: undefined,
    }
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
  static memo(x: IxNode): Memo {
    return x.#memo
  }
}

/** Set by `print.ts`; spares this file the imports. */
export const hooks = {
  view: (x: Ix): readonly Term[] => core(x),
  print: (x: Ix): string => `Ix#${x.id}`,
}

export interface Owned {
  /** The polynomials in which the atom is the youngest: when a compile's symbols go, so do these. A chain of few, */
  first: Ix | undefined
  count: number
  /** or many by hash. */
  table: Map<number, Ix> | undefined
  /** The atom as a polynomial. */
  self: Ix | undefined
  /** Of a mod atom: what it stands for. */
  expansion: Ix | undefined
}

class AtomNode {
  readonly id = nextId++
  readonly #owned: Owned = { first: undefined, count: 0, table: undefined, self: undefined, expansion: undefined }
  static owned(a: AtomNode): Owned {
    return a.#owned
  }
}

export function owned(a: Atom): Owned {
  return AtomNode.owned(a as Atom & AtomNode)
}

export class SymNode extends AtomNode implements Sym {
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

export class PairNode<K extends 'div' | 'mod' | 'min' | 'max'> extends AtomNode {
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

export class ValueNode extends AtomNode implements Value {
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

export function memo(x: Ix): Memo {
  return IxNode.memo(x as IxNode)
}

/** The terms over which Ix are interned: no mod atoms. */
export function core(x: Ix): readonly Term[] {
  return IxNode.memo(x as IxNode).core
}

/** What a mod atom stands for in the core: `a - b*(a div b)`. */
export function expansionOf(a: Atom): Ix | undefined {
  return a.k === 'mod' ? owned(a).expansion : undefined
}
