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
  /**
   * Elements of weights that are kept in fewer bits than those they are computed with, in the order of the target, `rows` high with padding; its
   * schedules know how they lie in memory. `stride`: elements from a row to the next, where rows lie one after another. `bytes`: all that is stored.
   * `arithmetic`: contractions with them may be computed in f16, where a device can (half.ts).
   */
  readonly kept?: {
    readonly as: KeptAs
    readonly rows: number
    readonly stride?: Ix
    readonly bytes: number
    readonly arithmetic?: 'f16'
  }
}

export type KeptAs = 'f16' | 'bf16' | 'int8' | 'int4'

/**
 * `global` buffers are kernel arguments; `workgroup` and `private` ones are allocated in a nest; `virtual` ones stand for the
 * value of a stage that is inlined or not yet placed. `bool` is stored as 0/1 in 32 bits.
 */
export type Space = 'global' | 'workgroup' | 'private' | 'virtual'

/**
 * How an element lies in memory where it is not as it is computed with: a byte `u8` as i32; `f16`, `bf16` as f32; two bytes `u8x2` as a pair of
 * integers.
 */
export type Narrow = 'u8' | 'f16' | 'bf16' | 'u8x2'

export interface Buffer {
  readonly id: number
  readonly name: string
  readonly of: Scalar
  readonly space: Space
  readonly shape: readonly Ix[]
  readonly layout?: Layout
  readonly as?: Narrow
}

let nextBuffer = 0
export function newBuffer(
  name: string,
  of: Scalar,
  space: Space,
  shape: readonly Ix[],
  layout?: Layout,
  as?: Narrow,
): Buffer {
  return { id: nextBuffer++, name, of, space, shape, ...(layout ? { layout } : {}), ...(as ? { as } : {}) }
}

/** Bytes of an element that a kernel allocates. */
export const bytesOf = (of: Scalar): number => (of === 'f16' ? 2 : 4)
