/** Results and times of contenders. */

/** Numbers from the text of a message. */
export function decoded(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
}

/** The largest difference of two results as a share of the largest magnitude of the second. */
export function deviation(result: Float32Array, reference: Float32Array): number {
  if (result.length !== reference.length) return Infinity
  let [difference, size] = [0, 0]
  for (let i = 0; i < result.length; i++) {
    const d = Math.abs(result[i] - reference[i])
    if (!(d <= difference)) difference = d
    size = Math.max(size, Math.abs(reference[i]))
  }
  return Number.isNaN(difference) ? Infinity : difference / size
}

export class Disagrees extends Error {
  readonly off: number
  constructor(off: number, tolerance: number) {
    super(`disagrees with the reference by ${off.toExponential(1)} of its largest value (allowed: ${tolerance})`)
    this.off = off
  }
}

/** The fastest call, the middle one, and how many there were. */
export function timing(times: readonly number[]): {
  readonly best: number
  readonly median: number
  readonly calls: number
} {
  const sorted = [...times].sort((a, b) => a - b)
  return { best: sorted[0] ?? NaN, median: sorted[sorted.length >> 1] ?? NaN, calls: sorted.length }
}
