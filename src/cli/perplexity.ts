/** How surprised a model is by a text. */
import { generationOf } from '../../targets/shared/generation.ts'
import type { Compiled } from '../compile.ts'
import { fail, say } from '../diagnostics/index.ts'
import type { LoadedModel } from './load.ts'
import type { Report } from './progress.ts'

export interface Scored {
  /** e to the mean of −log p of each token but the first of a window. */
  readonly perplexity: number
  /** How many tokens were predicted. */
  readonly tokens: number
}

/** What of a model's interface the measure needs. @throws DiagnosticError (TFM2208) */
export function scoring(compiled: Compiled) {
  const { module } = compiled.lowered
  const generation = generationOf(module)
  const sequence = module.sequence
  if (!generation || !sequence || generation.others.some((o) => !o.optional))
    return fail(say.cannotGenerate(undefined, module.name, 'so that a text has no perplexity to it'))
  const { ids, logits, start } = generation
  const port = module.programs[0].inputs.find((i) => i.name === ids)!
  return { ids, logits, flat: port.shape.length === 1, most: sequence.max, ...(start && !start.optional ? { start: start.name } : {}) } // prettier-ignore
}

/**
 * Perplexity of `ids` in windows of at most `width` tokens side by side, each token predicted from those before it in its window; the
 * last token of a window is the first of the next.
 */
export async function perplexityOf(
  model: LoadedModel,
  how: ReturnType<typeof scoring>,
  ids: readonly number[],
  width: number,
  report: Report = () => undefined,
): Promise<Scored> {
  let [sum, tokens] = [0, 0]
  for (let at = 0; at + 1 < ids.length; at += width) {
    const window = ids.slice(at, at + width + 1)
    const given = Int32Array.from(window.slice(0, -1))
    const shape = how.flat ? [given.length] : [1, given.length]
    const results = await model.run({ [how.ids]: { data: given, shape }, ...(how.start ? { [how.start]: [0] } : {}) })
    const { data, shape: found } = results[how.logits]
    const classes = found[found.length - 1]
    for (let t = 0; t < given.length; t++) {
      const row = data.subarray(t * classes, (t + 1) * classes)
      let top = -Infinity
      for (let i = 0; i < classes; i++) top = Math.max(top, row[i])
      let total = 0
      for (let i = 0; i < classes; i++) total += Math.exp(row[i] - top)
      sum += Math.log(total) + top - row[window[t + 1]]
      tokens++
    }
    report(Math.min(ids.length, at + width), ids.length)
  }
  return { perplexity: Math.exp(sum / tokens), tokens }
}
