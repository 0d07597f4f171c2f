/** Tensors as calls of emitted modules take and give them, cut and joined along the sequence, and compared. */
import type { Tensor } from '../../src/types/tensor.ts'

/** An output of a call. */
export interface Result {
  readonly data: Float32Array
  readonly shape: readonly number[]
}
export interface Tolerance {
  readonly rtol: number
  readonly atol: number
}

export const ints = (data: ArrayLike<number>, shape: readonly number[]) => ({ data: Int32Array.from(data), shape })
/** A tensor as an input of a call. */
export const given = (t: Tensor) =>
  t.dtype === 'f32' ? { data: Float32Array.from(t.data), shape: t.shape } : ints(t.data, t.shape)
export const givenAll = (tensors: Iterable<readonly [name: string, t: Tensor]>) =>
  Object.fromEntries([...tensors].map(([name, t]) => [name, given(t)]))

/** Positions from … to - 1 of an axis. */
export function positions(t: Tensor, from: number, to: number, axis = 1): Tensor {
  const inner = t.shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const run = t.shape[axis] * inner
  const out: number[] = []
  for (let o = 0; o < t.data.length; o += run) out.push(...t.data.subarray(o + from * inner, o + to * inner))
  return { dtype: t.dtype, shape: t.shape.map((n, a) => (a === axis ? to - from : n)), data: Float64Array.from(out) }
}
/** Results [B, t, …] of calls for one piece of a sequence after another, as the one of all pieces. */
export function joined(pieces: readonly Result[]): Result {
  const [rows, , ...rest] = pieces[0].shape
  const length = pieces.reduce((n, { shape }) => n + shape[1], 0)
  const data = new Float32Array(rest.reduce((a, b) => a * b, rows * length))
  let at = 0
  for (let b = 0; b < rows; b++) {
    for (const piece of pieces) {
      const size = piece.data.length / rows
      data.set(piece.data.subarray(b * size, (b + 1) * size), at)
      at += size
    }
  }
  return { data, shape: [rows, length, ...rest] }
}
export const argmax = (x: Float32Array): number => x.indexOf(Math.max(...x))

/** The largest error, and the largest share of atol + rtol · |want|, with its place: infinite where there is no number. */
export function deviationOf(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { rtol, atol }: Tolerance,
  counts: (i: number) => boolean = () => true,
): { error: number; share: number; index: number } {
  let [error, share, index] = [0, 0, 0]
  for (let i = 0; i < want.length; i++) {
    if (!counts(i)) continue
    const e = Math.abs(got[i] - want[i])
    const used = Number.isNaN(e) ? Infinity : e / (atol + rtol * Math.abs(want[i]))
    error = Math.max(error, e)
    if (used > share) [share, index] = [used, i]
  }
  return { error, share, index }
}
