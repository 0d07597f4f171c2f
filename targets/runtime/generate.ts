import { TfmError } from './errors.ts'
import { randomNumbers, sample, type SampleOptions } from './sampling.ts'

export interface GenerateOptions extends SampleOptions {
  /** Default 128. */
  maxTokens?: number
  /** Equal seeds give equal tokens. */
  seed?: number
  /** Ends the text; not given out. */
  stop?: number | readonly number[]
  signal?: AbortSignal
  /** May change the logits of what follows `ids`, in place. */
  processLogits?: (ids: readonly number[], logits: Float32Array) => void
}

/** Draws what follows the prompt, one id after the other: -1 where it ends. */
export function drawer(prompt: ArrayLike<number>, options: GenerateOptions, row = 0) {
  const { seed = Math.random() * 2 ** 32, stop } = options
  const random = randomNumbers(seed + row)
  const ids = Array.from(prompt)
  if (!ids.length) throw new TfmError('TFM2021', 'the prompt is empty')
  return (logits: Float32Array) => {
    options.processLogits?.(ids, logits)
    const id = sample(logits, options, random)
    ids.push(id)
    return [stop].flat().includes(id) ? -1 : id
  }
}

let paused = 0
/** Lets pages paint and signals arrive, now and then. */
export async function breathe(signal?: AbortSignal) {
  if (performance.now() > paused + 50) {
    await new Promise((resolve) => setTimeout(resolve))
    paused = performance.now()
  }
  signal?.throwIfAborted()
}

/** `next` gets the prompt, then each id that is drawn, and gives the logits for what follows; `room` is the model's context. */
export async function* generateTokens(
  next: (ids: ArrayLike<number>) => Float32Array | Promise<Float32Array>,
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
  room = Infinity,
) {
  const draw = drawer(prompt, options)
  let ids = prompt
  for (let left = Math.min(options.maxTokens ?? 128, room - prompt.length + 1); left > 0; left--) {
    await breathe(options.signal)
    const id = draw(await next(ids))
    if (id < 0) return
    yield id
    ids = [id]
  }
}
