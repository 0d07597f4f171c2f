// Weights in fewer bits, from panels of floats: the other side of `kept.ts`.
import { halfBits, type HalfFormat } from '../../runtime/halves.ts'

export type Keep = 'int8' | 'int4' | 'f16' | 'bf16'

/** Writes what was packed as floats in the bytes it is kept in. */
export function keepWeights(from: Float32Array, to: Uint8Array, as: Keep): void {
  if (as === 'f16' || as === 'bf16') keepHalves(from, to, as)
  else keepBlocks(from, to, as === 'int8' ? 8 : 4)
}

/** Scales of 4 bits that are tried, as parts of the one that just covers a block: smaller ones clip its largest numbers. */
const parts = [1, 0.9, 0.8]

/**
 * Writes panels of 16 columns, in blocks of 32 rows, as levels of 8 or 4 bits and a scale for each column of a block. A block that a scale and whole
 * levels give exactly (one that was quantised before) keeps its values.
 */
export function keepBlocks(from: Float32Array, to: Uint8Array, bits: 8 | 4): void {
  const bytes = bits === 8 ? 576 : 320
  const view = new DataView(to.buffer, to.byteOffset)
  // A double this large has no fraction: adding it rounds.
  const whole = 1.5 * 2 ** 52
  const [low, high] = bits === 8 ? [-127, 127] : [-8, 7]
  const column = new Float32Array(32)
  const words = new Int32Array(column.buffer)
  const fits = (scale: number) => {
    const times = 1 / scale
    for (let k = 0; k < 32; k++) {
      const q = column[k] * times + whole - whole
      if (q < low || q > high || Math.fround(scale * q) !== column[k]) return false
    }
    return true
  }
  const errorOf = (scale: number) => {
    const times = 1 / scale
    let error = 0
    for (let k = 0; k < 32; k++) {
      const q = column[k] * times + whole - whole
      const off = column[k] - scale * (q < low ? low : q > high ? high : q)
      error += off * off
    }
    return error
  }
  const scaleOf = () => {
    let at = 0
    for (let k = 1; k < 32; k++) if (Math.abs(column[k]) > Math.abs(column[at])) at = k
    const largest = column[at]
    const full = Math.fround(largest / (bits === 8 ? high : low))
    if (full === 0 || fits(full)) return full
    // Scales in files have 11 bits: their multiples end in zeros.
    if ((words[at] & (bits === 8 ? 63 : 1023)) === 0)
      for (let n = -low; n > 0; n--)
        for (const scale of [Math.fround(largest / n), Math.fround(largest / -n)]) if (fits(scale)) return scale
    if (bits === 8) return Math.abs(full)
    let [best, least] = [full, Infinity]
    for (const part of parts)
      for (const scale of [Math.fround(full * part), Math.fround(-full * part)]) {
        const error = errorOf(scale)
        if (error < least) [best, least] = [scale, error]
      }
    return best
  }
  for (let block = 0; block * 512 < from.length; block++)
    for (let c = 0; c < 16; c++) {
      for (let k = 0; k < 32; k++) column[k] = from[block * 512 + 16 * k + c]
      const scale = scaleOf()
      const times = scale && 1 / scale
      view.setFloat32(block * bytes + bytes - 64 + 4 * c, scale, true)
      const start = block * bytes + (bits === 8 ? 4 : 2) * c
      for (let k = 0; k < 32; k++) {
        const near = column[k] * times + whole - whole
        const q = near < low ? low : near > high ? high : near
        const at = start + (k >> 2) * (bits === 8 ? 64 : 32)
        if (bits === 8) to[at + 2 * (k & 1) + ((k >> 1) & 1)] = q + 128
        else if (k & 2) to[at + (k & 1)] |= (q + 8) << 4
        else to[at + (k & 1)] = q + 8
      }
    }
}

/** Numbers of 16 bits, rounded to nearest, ties to even. */
export function keepHalves(from: Float32Array, to: Uint8Array, as: HalfFormat): void {
  const out = new Uint16Array(to.buffer, to.byteOffset, from.length)
  for (let i = 0; i < from.length; i++) out[i] = halfBits(from[i], as)
}
