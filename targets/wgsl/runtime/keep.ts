// Matrices in fewer bits, a band at a time: the other side of `kept.ts`, which says where everything lies.
import { TfmError } from '../../runtime/errors.ts'
import { halfValue } from '../../runtime/half-value.ts'
import { halfBits } from '../../runtime/halves.ts'
import type { ReadInto } from '../../runtime/source.ts'
import type { Keep, Keeper } from './load.ts'

/** Some rows and columns, whose elements come one after another: those from `from` to `to`. */
interface Band {
  readonly rows: readonly [from: number, to: number]
  readonly columns: readonly [from: number, to: number]
  readonly from: number
  readonly to: number
}

/** Bytes of levels or halves, and of all. */
export function keptSizes({ as, k, n }: Keep): readonly [levels: number, all: number] {
  const fours = Math.ceil(n / 4)
  if (as === 'f16' || as === 'bf16') return [16 * fours * Math.ceil(k / 2), 16 * fours * Math.ceil(k / 2)]
  const levels = fours * Math.ceil(k / 32) * (as === 'int8' ? 128 : 64)
  return [levels, levels + 16 * fours * Math.ceil(k / 64)]
}

/** The parts that a matrix is in, each a matrix of some of its columns. */
export function keptParts({ n, cut = n, ...all }: Keep): { readonly part: Keep; readonly first: number }[] {
  return Array.from({ length: Math.ceil(n / cut) }, (_, i) => ({
    part: { ...all, n: Math.min(cut, n - i * cut) },
    first: i * cut,
  }))
}

/** The bands in which a matrix comes: whole blocks. */
function bandsOf({ k, n, turned }: Keep): Band[] {
  const [count, each, step] = turned ? [n, k, 16] : [k, n, 32]
  return Array.from({ length: Math.ceil(count / step) }, (_, i) => {
    const [lo, hi] = [i * step, Math.min(count, (i + 1) * step)]
    const [own, other] = [[lo, hi] as const, [0, each] as const]
    return { rows: turned ? other : own, columns: turned ? own : other, from: lo * each, to: hi * each }
  })
}

/** Writes all of a matrix, each part to its memory. */
export function keepMatrix(keep: Keep, to: readonly ArrayBuffer[], from: Float32Array, name?: string): void {
  withinMost(keep, from, name)
  clearLevels(keep, to)
  for (const band of bandsOf(keep)) keepBand(keep, to, band, from.subarray(band.from, band.to))
}

function withinMost({ most }: Keep, from: Float32Array, name = 'a matrix'): void {
  if (!most) return
  const x = from.find((x) => Math.abs(x) > most)
  if (x !== undefined)
    throw new TfmError('TFM2108', `${name} has a weight of ${x}: f16 arithmetic takes ${most} at most; compile without`)
}

/** How modules keep matrices; `levels` writes quantised tensors as they are, in those that read such. */
export function keeperOf(
  levels?: (keep: Keep, of: NonNullable<ReadInto['parts']>, to: readonly ArrayBuffer[]) => number | undefined,
): Keeper {
  return {
    bytes: (keep) => keptParts(keep).map(({ part }) => keptSizes(part)[1]),
    matrix: keepMatrix,
    async read(keep, to, into, name) {
      let bad = into.parts && levels?.(keep, into.parts, to)
      if (bad === undefined) {
        bad = 0
        clearLevels(keep, to)
        for (const band of bandsOf(keep)) {
          const floats = new Float32Array(band.to - band.from)
          await into(new Uint8Array(floats.buffer))
          for (let i = 0; i < floats.length; i++) if (floats[i] - floats[i] !== 0) bad++
          withinMost(keep, floats, name)
          keepBand(keep, to, band, floats)
        }
      }
      return bad
    },
  }
}

/** Writes a band of a matrix whose elements are `from`. */
function keepBand(keep: Keep, to: readonly ArrayBuffer[], { rows, columns }: Band, from: Float32Array): void {
  const steps = keep.turned ? ([1, keep.k] as const) : ([keep.n, 1] as const)
  for (const [i, { part, first }] of keptParts(keep).entries()) {
    const own = columns.map((n) => Math.min(Math.max(n - first, 0), part.n)) as [number, number]
    const start = (own[0] + first - columns[0]) * steps[1]
    if (own[0] < own[1]) keepIn(part, to[i], { rows, columns: own }, from.subarray(start), steps)
  }
}
/** The same in one part. `down`, `across`: steps from a row of the elements to the next, and from a column. */
function keepIn(
  keep: Keep,
  to: ArrayBuffer,
  { rows, columns }: Pick<Band, 'rows' | 'columns'>,
  from: Float32Array,
  [down, across]: readonly [number, number],
): void {
  const { as } = keep
  const fours = Math.ceil(keep.n / 4)
  const halves = new Uint16Array(to)
  if (as === 'f16' || as === 'bf16') {
    for (let k = rows[0]; k < rows[1]; k++)
      for (let n = columns[0]; n < columns[1]; n++)
        halves[((k >> 1) * fours + (n >> 2)) * 8 + (k & 1) * 4 + (n & 3)] = halfBits(
          from[(k - rows[0]) * down + (n - columns[0]) * across],
          as,
        )
    return
  }
  const bytes = new Uint8Array(to)
  const scales = keptSizes(keep)[0] / 2
  const [low, high] = as === 'int8' ? [-127, 127] : [-8, 7]
  for (let first = rows[0]; first < rows[1]; first += 32)
    for (let n = columns[0]; n < columns[1]; n++) {
      const count = Math.min(32, rows[1] - first)
      block.fill(0, count)
      const at = (first - rows[0]) * down + (n - columns[0]) * across
      for (let i = 0; i < count; i++) block[i] = from[at + i * down]
      const scale = scaleOf(low, high)
      halves[scales + ((first >> 6) * fours + (n >> 2)) * 8 + ((first >> 5) & 1) * 4 + (n & 3)] = halfBits(scale, 'f16')
      for (let i = 0; i < count; i++)
        putLevel(bytes, as, first + i, n, fours, levelOf(block[i], scale && 1 / scale, low, high))
    }
}

/** Fills the memory of a matrix with levels of 0, before others are put. */
export function clearLevels(keep: Keep, to: readonly ArrayBuffer[]): void {
  if (keep.as === 'int8' || keep.as === 'int4')
    for (const [i, { part }] of keptParts(keep).entries())
      new Uint8Array(to[i], 0, keptSizes(part)[0]).fill(keep.as === 'int8' ? 0x80 : 0x88)
}

export function putLevel(bytes: Uint8Array, as: Keep['as'], k: number, n: number, fours: number, q: number): void {
  if (as === 'int8') bytes[((k >> 2) * fours + (n >> 2)) * 16 + (k & 3) * 4 + (n & 3)] ^= q
  else bytes[((k >> 3) * fours + (n >> 2)) * 16 + ((k >> 1) & 3) * 4 + (k & 1) * 2 + ((n >> 1) & 1)] ^= (q & 15) << (4 * (n & 1)) // prettier-ignore
}

// A double this large has no fraction: adding it rounds.
const whole = 1.5 * 2 ** 52
const levelOf = (x: number, times: number, low: number, high: number): number => {
  const q = x * times + whole - whole
  return q < low ? low : q > high ? high : q
}
/** The f16 nearest to a scale. */
const nearHalf = (scale: number): number => halfValue(halfBits(scale, 'f16'))
/** Scales of 4 bits that are tried, as parts of the one that just covers a block: smaller ones clip its largest numbers. */
const parts = [1, 0.9, 0.8]
const block = new Float32Array(32)
const words = new Int32Array(block.buffer)

/** The sum of squares of what a scale leaves of the block; Infinity as soon as anything is left, if none is wanted. */
function errorOf(scale: number, low: number, high: number, none = false): number {
  const times = scale && 1 / scale
  let error = 0
  for (let i = 0; i < 32; i++) {
    const off = block[i] - scale * levelOf(block[i], times, low, high)
    if (none && off !== 0) return Infinity
    error += off * off
  }
  return error
}

/** The scale of the block, an f16. A block that a scale and whole levels give exactly (one that was quantised before) keeps its values. */
function scaleOf(low: number, high: number): number {
  let at = 0
  for (let i = 1; i < 32; i++) if (Math.abs(block[i]) > Math.abs(block[at])) at = i
  const largest = block[at]
  const eight = high === 127
  const full = nearHalf(largest / (eight ? high : low))
  if (full === 0 || errorOf(full, low, high, true) === 0) return full
  // Scales have 11 bits: their multiples end in zeros.
  if ((words[at] & (eight ? 63 : 1023)) === 0)
    for (let n = -low; n > 0; n--)
      for (const scale of [nearHalf(largest / n), nearHalf(largest / -n)])
        if (errorOf(scale, low, high, true) === 0) return scale
  if (eight) return Math.abs(full)
  let [best, least] = [full, Infinity]
  for (const part of parts)
    for (const scale of [nearHalf(full * part), nearHalf(-full * part)]) {
      const error = errorOf(scale, low, high)
      if (error < least) [best, least] = [scale, error]
    }
  return best
}
