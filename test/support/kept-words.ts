/** Weights kept by the WGSL target, read back by the words of `targets/wgsl/kept.ts`. */
import type { KeptAs, Layout } from '../../src/kernel/buffer.ts'
import { evaluate } from '../../src/types/ix.ts'
import { keepMatrix } from '../../targets/wgsl/runtime/keep.ts'

const half = (bits: number): number => {
  const exponent = (bits >> 10) & 31
  const size = exponent === 0 ? (bits & 1023) * 2 ** -24 : (1 + (bits & 1023) / 1024) * 2 ** (exponent - 15)
  return bits & 0x8000 ? -size : size
}

/** Element [k, n] of a matrix with `rows` rows, padding included, and `stride` columns. */
export function keptAt(as: KeptAs, bytes: Uint8Array, rows: number, stride: number, k: number, n: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const word = (per: number): number => 16 * (Math.floor(k / per) * (stride / 4) + (n >> 2))
  const halfAt = (from: number, row: number): number => view.getUint16(from + 8 * row + 2 * (n & 3), true)
  if (as === 'f16') return half(halfAt(word(2), k & 1))
  if (as === 'bf16') return new Float32Array(Uint32Array.of(halfAt(word(2), k & 1) << 16).buffer)[0]
  const per = as === 'int8' ? 4 : 8
  // Words of 4 columns and `per` rows, then the scales.
  const scale = half(halfAt((16 * rows * stride) / (4 * per) + word(64), (k >> 5) & 1))
  if (as === 'int8') return scale * (view.getUint8(word(4) + 4 * (k & 3) + (n & 3)) - 128)
  const pair = view.getUint32(word(8) + 4 * ((k >> 1) & 3), true)
  return scale * (((pair >> (16 * (k & 1) + 4 * (n & 3))) & 15) - 8)
}

/** A matrix as it is kept, given the floats of a layout's storage, and those that it stands for. */
export function kept({ kept, size }: Layout, floats: ArrayLike<number>): { bytes: Uint8Array; values: Float64Array } {
  const { as, rows, bytes: length } = kept!
  const stride = evaluate(size, () => 0) / rows
  const bytes = new Uint8Array(length)
  keepMatrix({ as, k: rows, n: stride }, [bytes.buffer], Float32Array.from(floats))
  const values = Float64Array.from({ length: rows * stride }, (_, i) =>
    keptAt(as, bytes, rows, stride, Math.floor(i / stride), i % stride),
  )
  return { bytes, values }
}
