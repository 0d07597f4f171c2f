import { TfmError } from './errors.ts'
import { breathe, drawer, type GenerateOptions } from './generate.ts'
import type { Tensor } from './inputs.ts'
import { constrained, type LogitsOptions } from './processors.ts'
import type { StreamOptions } from './stream.ts'

export interface BatchOptions extends GenerateOptions, LogitsOptions, StreamOptions {
  /** Rows for each prompt, one after the other. Default 1. */
  numReturnSequences?: number
}

/** What sequences side by side need of a model. */
export interface Rows {
  /** Logits of what follows each row: `ids` are those of the first row, then those of the next. */
  next: (ids: ArrayLike<number>, rows: number, start: readonly number[]) => Float32Array | Promise<Float32Array>
  /** The state of row i becomes that of row `rows[i]`. */
  reorder: (rows: readonly number[]) => unknown
  room: number
  /** Whether rows may begin with padding. */
  padded: boolean
}

/** The logits of the last position of each row. */
export function lastLogits({ data, shape }: Tensor<Float32Array | Int32Array>, rows: number): Float32Array {
  const size = shape[shape.length - 1]
  const each = data.length / rows
  const out = new Float32Array(rows * size)
  for (let row = 1; row <= rows; row++) out.set(data.subarray(row * each - size, row * each), (row - 1) * size)
  return out
}

/** The next id of each row, none for those that have ended. Row r draws with seed + r. */
export async function* generateRows(
  { next, reorder, room, padded }: Rows,
  prompts: readonly ArrayLike<number>[],
  options: BatchOptions = {},
): AsyncGenerator<(number | undefined)[], void> {
  const { maxTokens = 128, numReturnSequences: copies = 1 } = options
  if (!(copies >= 1 && copies % 1 === 0 && prompts.length > 0))
    throw new TfmError('TFM2020', `bad options: ${prompts.length} prompts, numReturnSequences ${copies}`)
  const from = prompts.flatMap((_, i) => Array<number>(copies).fill(i))
  const draws = from.map((i, row) => drawer(prompts[i], constrained(options, prompts[i].length), row))
  const longest = Math.max(...prompts.map((p) => p.length))
  const start = prompts.map((p) => longest - p.length)
  if (!padded && start.some((n) => n > 0))
    throw new TfmError(
      'TFM2023',
      `prompts of ${Math.min(...prompts.map((p) => p.length))} to ${longest} ids: the model has no input start: i32[B] for padding, so their lengths must be equal`,
    )
  const tell = (ids: (number | undefined)[]) => {
    ids.forEach((id, row) => id !== undefined && options.onToken?.(id, row))
    return ids
  }
  if (options.echo) for (let i = 0; i < longest; i++) yield tell(from.map((row) => prompts[row][i]))
  // Padding is never read: any id will do.
  let ids = prompts.flatMap((p, i) => [...Array<number>(start[i]).fill(p[0]), ...Array.from(p)])
  const live = from.map(() => true)
  for (let made = 0; made < Math.min(maxTokens, room - longest + 1) && live.includes(true); made++) {
    await breathe(options.signal)
    const rows = made ? from.length : prompts.length
    const logits = await next(ids, rows, made ? from.map((i) => start[i]) : start)
    if (!made && copies > 1) await reorder(from)
    const size = logits.length / rows
    const out = from.map((i, row) => {
      if (!live[row]) return undefined
      const at = (made ? row : i) * size
      const id = draws[row](logits.slice(at, at + size))
      live[row] = id >= 0
      return live[row] ? id : undefined
    })
    if (!live.includes(true)) return
    yield tell(out)
    ids = out.map((id, row) => id ?? prompts[from[row]][0])
  }
}
