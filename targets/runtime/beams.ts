import type { Rows } from './batch.ts'
import { TfmError } from './errors.ts'
import { breathe, type GenerateOptions } from './generate.ts'
import { constrained, type LogitsOptions } from './processors.ts'

export interface BeamOptions
  extends LogitsOptions, Pick<GenerateOptions, 'maxTokens' | 'stop' | 'signal' | 'processLogits'> {
  /** Sequences that are followed at a time. Default 4. */
  numBeams?: number
  /** Scores are sums of log-probabilities / length ** lengthPenalty: above 0 for longer sequences. Default 1. */
  lengthPenalty?: number
  /** When numBeams sequences have ended: true stops, false (default) stops unless a running one scores better now, 'never' unless one might. */
  earlyStopping?: boolean | 'never'
  /** How many of the best are given. Default 1. */
  numReturnSequences?: number
}
/** Generated ids, and their score with the end. */
export interface Beam {
  readonly ids: number[]
  readonly score: number
}
/** A sequence that goes on: the row it continues, and the sum of its log-probabilities. */
interface Running {
  ids: number[]
  sum: number
  row: number
}

/** Beam search as Hugging Face's `generate` does it (transformers 5), for one prompt. Best first. */
export async function beamSearch(
  { next, reorder, room }: Rows,
  prompt: ArrayLike<number>,
  options: BeamOptions = {},
): Promise<Beam[]> {
  const { numBeams = 4, lengthPenalty = 1, earlyStopping = false, numReturnSequences = 1, maxTokens = 128 } = options
  if (!(numBeams >= 1 && numBeams % 1 === 0 && numReturnSequences >= 1 && numReturnSequences <= numBeams))
    throw new TfmError('TFM2020', `bad options: numBeams ${numBeams}, numReturnSequences ${numReturnSequences}`)
  if (prompt.length === 0) throw new TfmError('TFM2021', 'the prompt is empty')
  if (!Number.isFinite(lengthPenalty)) throw new TfmError('TFM2020', `bad options: lengthPenalty ${lengthPenalty}`)
  const stop = [options.stop ?? []].flat()
  const keep = Math.max(2, 1 + stop.length) * numBeams
  const most = Math.min(maxTokens, room - prompt.length + 1)
  const scored = (sum: number, length: number) => sum / length ** lengthPenalty
  const { processLogits } = constrained(options, prompt.length)
  const ended: Beam[] = []
  let running: Running[] = [{ ids: [], sum: 0, row: 0 }]
  for (let length = 1; length <= most; length++) {
    await breathe(options.signal)
    const ids = length > 1 ? running.map((b) => b.ids[length - 2]) : prompt
    const logits = await next(
      ids,
      running.length,
      running.map(() => 0),
    )
    const size = logits.length / running.length
    const best: Running[] = []
    running.forEach((beam, row) => {
      const scores = logSoftmax(logits.slice(row * size, row * size + size))
      processLogits?.([...Array.from(prompt), ...beam.ids], scores)
      for (let id = 0; id < size; id++) {
        const sum = beam.sum + scores[id]
        if (!(sum > (best[keep - 1]?.sum ?? -Infinity))) continue
        let at = best.length
        while (at > 0 && best[at - 1].sum < sum) at--
        best.splice(at, 0, { ids: [...beam.ids, id], sum, row })
        best.length = Math.min(best.length, keep)
      }
    })
    if (best.length === 0) throw new TfmError('TFM2022', 'every logit is NaN or -Infinity')
    running = []
    best.forEach(({ ids, sum, row }, rank) => {
      const end = stop.includes(ids[length - 1])
      if (!end && length < most) running.length < numBeams && running.push({ ids, sum, row })
      else if (rank < numBeams) ended.push({ ids: end ? ids.slice(0, -1) : ids, score: scored(sum, length) })
    })
    ended.sort((a, b) => b.score - a.score)
    ended.length = Math.min(ended.length, numBeams)
    if (running.length === 0) break
    const reach = earlyStopping === 'never' && lengthPenalty > 0 ? most : length
    const full = ended.length === numBeams
    if (full && (earlyStopping === true || scored(running[0].sum, reach) <= ended[numBeams - 1].score)) break
    const rows = running.map((b) => b.row)
    if (rows.length !== logits.length / size || rows.some((row, i) => row !== i)) await reorder(rows)
  }
  return ended.slice(0, numReturnSequences)
}

function logSoftmax(logits: Float32Array): Float32Array {
  const best = logits.reduce((a, b) => (b > a ? b : a), -Infinity)
  const total = logits.reduce((sum, x) => sum + (Math.exp(x - best) || 0), 0)
  return logits.map((x) => x - best - Math.log(total))
}
