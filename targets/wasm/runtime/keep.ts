// Weights in fewer bits, from panels of floats: the other side of `kept.ts`.

export type Keep = 'int8' | 'int4' | 'f16' | 'bf16'

/** Writes what was packed as floats in the bytes it is kept in. */
export function keepWeights(from: Float32Array, to: Uint8Array, as: Keep): void {
  if (as === 'f16' || as === 'bf16') keepHalves(from, to, as)
  else keepBlocks(from, to, as === 'int8' ? 8 : 4)
}

/** Half the width of a 4-bit search: the scale that just covers a block, and smaller ones that clip it. */
const parts = [1, 0.92, 0.84, 0.76]

/**
 * Writes panels of 16 columns, in blocks of 32 rows, as levels of 8 or 4 bits and a scale for each column of a block. A block that a scale and whole
 * levels give exactly (one that was quantised before) keeps its values.
 */
export function keepBlocks(from: Float32Array, to: Uint8Array, bits: 8 | 4): void {
  const bytes = bits === 8 ? 576 : 320
  const view = new DataView(to.buffer, to.byteOffset)
  const most = bits === 8 ? 127 : 7
  const column = new Float32Array(32)
  const level = (x: number, scale: number) => Math.max(bits === 8 ? -127 : -8, Math.min(most, Math.round(x / scale)))
  const errorOf = (scale: number) => {
    let error = 0
    for (let k = 0; k < 32; k++) error += (column[k] - Math.fround(scale * level(column[k], scale))) ** 2
    return error
  }
  const scaleOf = () => {
    let largest = 0
    for (let k = 0; k < 32; k++) if (Math.abs(column[k]) > Math.abs(largest)) largest = column[k]
    if (largest === 0) return 0
    const full = Math.fround(bits === 8 ? Math.abs(largest) / 127 : largest / -8)
    let [best, least] = [full, errorOf(full)]
    const consider = (scale: number) => {
      const error = scale && least ? errorOf(scale) : Infinity
      if (error < least) [best, least] = [scale, error]
    }
    // Scales that files hold have 11 bits, so that their multiples are exact: one of these gives the block back.
    for (let n = bits === 8 ? 126 : 7; n > 0 && least > 0 && (bits === 4 || exact(largest)); n--)
      for (const sign of bits === 8 ? [1] : [1, -1]) {
        const scale = Math.fround((largest * sign) / n)
        if (errorOf(scale) === 0) [best, least] = [scale, 0]
      }
    if (bits === 4) for (const part of parts) for (const sign of [1, -1]) consider(Math.fround(full * part * sign))
    return best
  }
  // Fractions of 11 + 8 bits at most: what a file can mean.
  const bitsOf = new Uint32Array(1)
  const asFloat = new Float32Array(bitsOf.buffer)
  const exact = (x: number) => {
    asFloat[0] = x
    return (bitsOf[0] & 31) === 0
  }
  for (let block = 0; block * 512 < from.length; block++)
    for (let c = 0; c < 16; c++) {
      for (let k = 0; k < 32; k++) column[k] = from[block * 512 + 16 * k + c]
      const scale = scaleOf()
      view.setFloat32(block * bytes + bytes - 64 + 4 * c, scale, true)
      for (let k = 0; k < 32; k++) {
        const q = scale ? level(column[k], scale) : 0
        if (bits === 8) to[block * 576 + (k >> 2) * 64 + 4 * c + 2 * (k & 1) + ((k >> 1) & 1)] = q + 128
        else to[block * 320 + (k >> 2) * 32 + 2 * c + (k & 1)] |= (q + 8) << (k & 2 ? 4 : 0)
      }
    }
}

/** Numbers of 16 bits, rounded to nearest, ties to even. */
export function keepHalves(from: Float32Array, to: Uint8Array, kind: 'f16' | 'bf16'): void {
  const out = new Uint16Array(to.buffer, to.byteOffset, from.length)
  const bits = new Uint32Array(1)
  const value = new Float32Array(bits.buffer)
  for (let i = 0; i < from.length; i++) {
    value[0] = from[i]
    const sign = (bits[0] >>> 16) & 0x8000
    if (kind === 'bf16') out[i] = (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16
    else {
      value[0] = Math.min(65504, Math.abs(from[i]))
      // Below the normal numbers, adding 2^-1 leaves a multiple of 2^-24 in the last bits.
      if (value[0] < 2 ** -14) {
        value[0] += 0.5
        out[i] = sign | (bits[0] & 0x7ff)
      } else out[i] = sign | ((bits[0] + 0xfff + ((bits[0] >>> 13) & 1) - 0x38000000) >>> 13)
    }
  }
}
