/** Flat addresses: from logical coordinates through layouts to offsets, and address bases computed once per loop level. */
import type { Ix } from '../types/ix.ts'
import { add, con, mul, substitute } from '../types/ix.ts'
import type { Buffer } from './buffer.ts'

/** Flat offset of logical coordinates: through the layout, else row-major. */
export function offsetOf(b: Buffer, at: readonly Ix[]): Ix {
  if (b.layout !== undefined) return substitute(b.layout.offset, new Map(b.layout.axes.map((a, i) => [a, at[i]])))
  return at.reduce<Ix>((offset, x, i) => add(mul(offset, b.shape[i]), x), con(0))
}
/** The number of elements of storage. */
export const storageOf = (b: Buffer): Ix => b.layout?.size ?? b.shape.reduce<Ix>((n, x) => mul(n, x), con(1))
