/** Buffers of the kernel IR: named storage with a logical shape and, where packed, a physical layout. */
import type { Ix, Sym } from '../types/ix.ts'
import type { Scalar } from './expr.ts'

/**
 * Where element (a0, a1, …) of a buffer lies: `offset` is a polynomial in the `axes` symbols, `size` the number of elements of
 * storage including padding. Without a layout a buffer is row-major. Packing is a layout, so code reads logical coordinates.
 */
export interface Layout {
  readonly name: string
  readonly axes: readonly Sym[]
  readonly offset: Ix
  readonly size: Ix
}

/**
 * `global` buffers are kernel arguments; `workgroup` and `private` ones are allocated in a nest; `virtual` ones stand for the
 * value of a stage that is inlined or not yet placed. `bool` is stored as 0/1 in 32 bits.
 */
export type Space = 'global' | 'workgroup' | 'private' | 'virtual'

export interface Buffer {
  readonly id: number
  readonly name: string
  readonly of: Scalar
  readonly space: Space
  readonly shape: readonly Ix[]
  readonly layout?: Layout
}

let nextBuffer = 0
export function newBuffer(name: string, of: Scalar, space: Space, shape: readonly Ix[], layout?: Layout): Buffer {
  return { id: nextBuffer++, name, of, space, shape, ...(layout ? { layout } : {}) }
}
