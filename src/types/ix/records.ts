// What an index polynomial is made of.

export interface Sym {
  readonly k: 'sym'
  readonly id: number
  readonly name: string
  /** Inclusive bounds. They may mention older symbols (`T - 1`); `hi` may be `INF`. */
  readonly lo: Ix
  readonly hi: Ix
  /** The value is always a multiple of this number. */
  readonly multipleOf: number
  readonly role: 'dim' | 'loop' | 'param'
}

interface Pair<K extends string> {
  readonly k: K
  readonly id: number
  readonly a: Ix
  readonly b: Ix
}

/** Floor division and its remainder; `b > 0` always. */
export type DivMod = Pair<'div'> | Pair<'mod'>

export type MinMax = Pair<'min'> | Pair<'max'>

/** A data-dependent index: an opaque payload, known only to lie in `lo..hi`. */
export interface Value {
  readonly k: 'value'
  readonly id: number
  readonly key: string
  readonly value: unknown
  readonly lo: Ix
  readonly hi: Ix
}

export type Atom = Sym | DivMod | MinMax | Value

/** `coef * product(atoms)`; atoms sorted by id, repeats are powers, the constant term has none. */
export interface Term {
  readonly coef: number
  readonly atoms: readonly Atom[]
}

/** Only made by this module; equal polynomials are the same object. */
export interface Ix {
  readonly id: number
  readonly terms: readonly Term[]
}

export type IxLike = Ix | Sym | number

/** A coefficient left the integers that a double represents exactly. */
export class IxOverflow extends Error {
  constructor(what: string) {
    super(`index polynomial overflow: ${what} is beyond 2^53`)
    this.name = 'IxOverflow'
  }
}

export function fail(message: string): never {
  throw new Error(`internal: ${message}`)
}
