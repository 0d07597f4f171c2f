/** Numbers of 16 bits. */
export type HalfFormat = 'f16' | 'bf16'

const bits = new Uint32Array(1)
const value = new Float32Array(bits.buffer)

/** The bits of the nearest number, ties to even; in f16 at most 65,504. */
export function halfBits(x: number, as: HalfFormat): number {
  value[0] = x
  const sign = (bits[0] >>> 16) & 0x8000
  if (as === 'bf16') return (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16
  value[0] = Math.min(65504, Math.abs(x))
  // Below the normal numbers, adding 2^-1 leaves a multiple of 2^-24 in the last bits.
  if (value[0] >= 2 ** -14) return sign | ((bits[0] + 0xfff + ((bits[0] >>> 13) & 1) - 0x38000000) >>> 13)
  value[0] += 0.5
  return sign | (bits[0] & 0x7ff)
}
