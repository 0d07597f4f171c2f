import { TfmError } from './errors.ts'
import type { GenerateOptions } from './generate.ts'

export interface LogitsOptions {
  /** Above 0: logits of ids that have occurred, in the prompt too, are divided by it if positive, else multiplied (Keskar et al. 2019). */
  repetitionPenalty?: number
  /** No sequence of so many ids occurs twice, the prompt included. */
  noRepeatNgramSize?: number
  /** The ids of `stop` are not drawn before so many tokens. */
  minTokens?: number
  /** Ids that are never drawn. */
  suppressTokens?: readonly number[]
}

/** Options whose `processLogits` does what `LogitsOptions` say, and then its own (as they are where there is nothing to do); `start` is the length of the prompt. */
export function constrained<O extends LogitsOptions & Pick<GenerateOptions, 'stop' | 'processLogits'>>(
  options: O,
  start: number,
): O {
  const { repetitionPenalty: penalty = 1, noRepeatNgramSize: n = 0, minTokens = 0, suppressTokens = [] } = options
  if (!(penalty > 0 && penalty < Infinity && n >= 0 && n % 1 === 0 && minTokens >= 0))
    throw new TfmError(
      'TFM2020',
      `bad options: repetitionPenalty ${penalty}, noRepeatNgramSize ${n}, minTokens ${minTokens}`,
    )
  if (penalty === 1 && !n && !minTokens && !suppressTokens.length) return options
  const early = [...suppressTokens, ...[options.stop ?? []].flat()]
  const processLogits = (ids: readonly number[], logits: Float32Array) => {
    // Typed arrays ignore what is written beside them: ids out of range do nothing.
    if (penalty !== 1) for (const id of new Set(ids)) logits[id] *= logits[id] > 0 ? 1 / penalty : penalty
    const last = n > 0 ? ids.slice(ids.length - n + 1) : []
    for (let end = n - 1; n > 0 && end < ids.length; end++)
      if (last.every((id, i) => id === ids[end - n + 1 + i])) logits[ids[end]] = -Infinity
    for (const id of ids.length - start < minTokens ? early : suppressTokens) logits[id] = -Infinity
    options.processLogits?.(ids, logits)
  }
  return { ...options, processLogits }
}
