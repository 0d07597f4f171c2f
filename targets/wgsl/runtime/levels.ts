// Quantised tensors into kept matrices of the same levels: no number is widened.
import type { QuantisedInfo } from '../../runtime/quantised.ts'
import type { ReadInto } from '../../runtime/source.ts'
import { clearLevels, keptParts, keptSizes, putLevel } from './keep.ts'
import type { Keep } from './load.ts'

/**
 * Writes a tensor whose blocks lie along the rows, with scales of f16 and levels of no more bits than are kept, zeros taken off; gives how many
 * numbers are NaN or infinite, undefined for another tensor.
 */
export function keepLevels(
  keep: Keep,
  [info, bytesOf]: NonNullable<ReadInto['parts']>,
  to: readonly ArrayBuffer[],
): number | undefined {
  const { bits, axis, shape, parts } = info as QuantisedInfo
  const { as, turned } = keep
  const wide = as === 'int8' ? bits === 4 || !parts.has('zero') : as === 'int4' && bits === 4 && !parts.has('zero')
  if (!wide || shape.length !== 2 || axis !== (turned ? 1 : 0) || parts.get('scale')!.dtype !== 'F16') return undefined
  const [levels, scale, zero] = [`q${bits}`, 'scale', 'zero'].map((name) => {
    const part = parts.get(name)
    return part && bytesOf(part)
  })
  clearLevels(keep, to)
  return keptParts(keep).reduce(
    (bad, { part, first }, i) => bad + writeLevels(part, to[i], keep.n, first, bits, levels!, scale!, zero),
    0,
  )
}

/** One part: columns from `first` on of `width`. */
function writeLevels(
  { as, k, n, turned }: Keep,
  to: ArrayBuffer,
  width: number,
  first: number,
  bits: number,
  levels: Uint8Array,
  scale: Uint8Array,
  zero: Uint8Array | undefined,
): number {
  let bad = 0
  const blocks = Math.ceil(k / 32)
  const fours = Math.ceil(n / 4)
  const bytes = new Uint8Array(to)
  const halves = new Uint16Array(to)
  const start = keptSizes({ as, k, n })[0] / 2
  const signed = bits === 8 && !zero
  // Steps from a row of levels, of bytes, to the next, and from a column.
  const [down, across] = turned ? [1, (k * bits) / 8] : [width, 1]
  const [blockDown, blockAcross] = turned ? [1, blocks] : [width, 1]
  for (let c = 0; c < n; c++)
    for (let b = 0; b < blocks; b++) {
      const own = b * blockDown + (c + first) * blockAcross
      halves[start + ((b >> 1) * fours + (c >> 2)) * 8 + (b & 1) * 4 + (c & 3)] =
        scale[2 * own] | (scale[2 * own + 1] << 8)
      if ((scale[2 * own + 1] & 0x7c) === 0x7c) bad += 32
      const middle = zero ? zero[own] : bits === 8 ? 0 : 8
      for (let i = 32 * b; i < Math.min(k, 32 * b + 32); i++) {
        const byte = levels[(bits === 8 ? i : i >> 1) * down + (c + first) * across]
        const raw = bits === 8 ? (signed ? (byte << 24) >> 24 : byte) : i & 1 ? byte >> 4 : byte & 15
        putLevel(bytes, as, i, c, fours, raw - middle)
      }
    }
  return bad
}
