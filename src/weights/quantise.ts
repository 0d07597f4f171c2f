/**
 * Numbers in blocks of 32 along one axis: w ≈ scale · (q − zero), with a scale in half precision. Levels are rounded to nearest with
 * the scale as it is stored; among a few scales (and zero points) each block takes the one with the least squared error.
 */
import { blockSize } from '../../targets/runtime/quantised.ts'
import { toFloat32 } from '../../targets/runtime/safetensors.ts'
import { f16Bits } from './values.ts'

export const quantisedFormats = ['int8', 'int8-asym', 'int4', 'int4-asym'] as const
export type QuantisedFormat = (typeof quantisedFormats)[number]

/** A tensor in the layout of docs/quantisation.md. */
export interface QuantisedTensor {
  readonly shape: readonly number[]
  readonly axis: number
  readonly bits: 4 | 8
  /** One byte a number, or two numbers a byte, the even one low. */
  readonly levels: Uint8Array
  /** Bits of half-precision numbers. */
  readonly scales: Uint16Array
  readonly zeros?: Uint8Array
  /** The numbers that are stored. */
  readonly values: Float32Array
}

interface Grid {
  readonly bits: 4 | 8
  /** Levels that can be stored, as q − zero where the zero point is fixed. */
  readonly least: number
  readonly most: number
  readonly asymmetric: boolean
}
const grids: Readonly<Record<QuantisedFormat, Grid>> = {
  int8: { bits: 8, least: -127, most: 127, asymmetric: false },
  'int8-asym': { bits: 8, least: 0, most: 255, asymmetric: true },
  int4: { bits: 4, least: -8, most: 7, asymmetric: false },
  'int4-asym': { bits: 4, least: 0, most: 15, asymmetric: true },
}

/** Whether `format` can store an axis of this length: two 4-bit levels share a byte. */
export const fitsAxis = (format: QuantisedFormat, extent: number): boolean =>
  extent >= blockSize && (grids[format].bits === 8 || extent % 2 === 0)

const half = new Uint16Array(1)
/** The nearest number in half precision, which is finite. */
const rounded = (x: number): number => {
  half[0] = Math.abs(x) >= 65520 ? 0x7bff | (x < 0 ? 0x8000 : 0) : f16Bits(x)
  return toFloat32('F16', new Uint8Array(half.buffer))![0]
}

/** Quantises finite `data` of `shape` in blocks along `axis`, which `fitsAxis`. */
export function quantise(
  data: Float32Array,
  shape: readonly number[],
  axis: number,
  format: QuantisedFormat,
): QuantisedTensor {
  const grid = grids[format]
  const size = (from: number, to?: number): number => shape.slice(from, to).reduce((a, b) => a * b, 1)
  const [outer, n, inner] = [size(0, axis), shape[axis], size(axis + 1)]
  const blocks = Math.ceil(n / blockSize)
  const levels = new Uint8Array((data.length * grid.bits) / 8)
  const scales = new Uint16Array(outer * blocks * inner)
  const zeros = grid.asymmetric ? new Uint8Array(scales.length) : undefined
  const values = new Float32Array(data.length)
  const block = new Float64Array(blockSize)
  const bias = grid.asymmetric ? 0 : grid.bits === 4 ? 8 : 0
  for (let o = 0; o < outer; o++)
    for (let b = 0; b < blocks; b++) {
      const length = Math.min(blockSize, n - b * blockSize)
      for (let i = 0; i < inner; i++) {
        const at = (o * n + b * blockSize) * inner + i
        for (let k = 0; k < length; k++) block[k] = data[at + k * inner]
        const { scale, zero } = bestScale(block, length, grid)
        const place = (o * blocks + b) * inner + i
        scales[place] = f16Bits(scale)
        if (zeros) zeros[place] = zero
        for (let k = 0; k < length; k++) {
          const q = level(block[k], scale, zero, grid)
          values[at + k * inner] = scale * (q - zero)
          if (grid.bits === 8) levels[at + k * inner] = q
          else {
            const byte = ((o * n + b * blockSize + k - (k % 2)) / 2) * inner + i
            levels[byte] |= (q + bias) << (4 * (k % 2))
          }
        }
      }
    }
  return { shape, axis, bits: grid.bits, levels, scales, ...(zeros ? { zeros } : {}), values }
}

const level = (x: number, scale: number, zero: number, { least, most }: Grid): number =>
  scale === 0 ? Math.max(zero, least) : Math.min(most, Math.max(least, Math.round(x / scale) + zero))

/** Candidates around the scale that just covers the block, as parts of it. Few bits gain from clipping the largest. */
const shrunk: Readonly<Record<4 | 8, readonly number[]>> = {
  8: [1],
  4: [1.12, 1.06, 1, 0.96, 0.92, 0.88, 0.84, 0.8, 0.76, 0.72, 0.68],
}

/** The scale, as it is stored, and the zero point with the least squared error. */
function bestScale(block: Float64Array, length: number, grid: Grid): { scale: number; zero: number } {
  let [low, high] = [0, 0]
  for (let k = 0; k < length; k++) {
    low = Math.min(low, block[k])
    high = Math.max(high, block[k])
  }
  let best = { scale: 0, zero: 0 }
  if (low === high) return best
  let least = Infinity
  const consider = (scale: number, zero: number): void => {
    if (scale === 0) return
    let error = 0
    for (let k = 0; k < length; k++) {
      const off = block[k] - scale * (level(block[k], scale, zero, grid) - zero)
      error += off * off
    }
    if (error < least) {
      least = error
      best = { scale, zero }
    }
  }
  /** The scale that fits the levels of another best, by least squares. */
  const refine = (scale: number, zero: number): void => {
    let [wq, qq] = [0, 0]
    for (let k = 0; k < length; k++) {
      const q = level(block[k], scale, zero, grid) - zero
      wq += block[k] * q
      qq += q * q
    }
    if (qq > 0) consider(rounded(wq / qq), zero)
  }
  for (const part of shrunk[grid.bits]) {
    if (grid.asymmetric) {
      const scale = rounded(((high - low) * part) / grid.most)
      if (scale === 0) continue
      const exact = -(low * part) / scale
      for (const zero of grid.bits === 4 ? [Math.floor(exact), Math.ceil(exact)] : [Math.round(exact)]) {
        const clipped = Math.min(grid.most, Math.max(0, zero))
        consider(scale, clipped)
        if (grid.bits === 4) refine(scale, clipped)
      }
      continue
    }
    // There is one more level below zero than above: the larger side gets it, by the sign of the scale.
    const largest = -low > high ? low : high
    const signed =
      grid.least === -grid.most ? [Math.abs(largest) / grid.most] : [largest / grid.least, -largest / grid.least]
    for (const full of signed) {
      const scale = rounded(full * part)
      consider(scale, 0)
      if (grid.bits === 4 && scale !== 0) refine(scale, 0)
    }
  }
  return best
}

/** How far a tensor's stored numbers are from what they were. */
export interface QuantisationError {
  /** Largest distance. */
  readonly max: number
  /** √(Σ error² / Σ w²). */
  readonly relative: number
  /** Decibels: −20 log₁₀ `relative`. */
  readonly snr: number
}

export function errorOf(before: ArrayLike<number>, after: ArrayLike<number>): QuantisationError {
  let [max, error, power] = [0, 0, 0]
  for (let i = 0; i < before.length; i++) {
    const off = after[i] - before[i]
    max = Math.max(max, Math.abs(off))
    error += off * off
    power += before[i] * before[i]
  }
  const relative = error === 0 ? 0 : Math.sqrt(error / power)
  return { max, relative, snr: -20 * Math.log10(relative) }
}
