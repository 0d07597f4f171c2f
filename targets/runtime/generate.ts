import { TfmError } from './errors.ts'
import { randomNumbers, sample, type SampleOptions } from './sampling.ts'

export interface GenerateOptions extends SampleOptions {
  /** Default 128. */
  maxTokens?: number
  /** Equal seeds give equal tokens; by default one is drawn. */
  seed?: number
  /** Ends the text; not given out. */
  stop?: number | readonly number[]
  signal?: AbortSignal
}

/** `next` gets the prompt, then each id that is drawn, and gives the logits for what follows; `room` is the model's context. */
export async function* generateTokens(
  next: (ids: ArrayLike<number>) => Float32Array | Promise<Float32Array>,
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
  room = Infinity,
): AsyncGenerator<number, void> {
  const { maxTokens = 128, seed = Math.random() * 2 ** 32, stop = [], signal } = options
  if (prompt.length === 0) throw new TfmError('TFM2021', 'the prompt is empty; give at least one token id')
  const random = randomNumbers(seed)
  let ids = prompt
  let paused = performance.now()
  for (let left = Math.min(maxTokens, room - prompt.length + 1); left > 0; left--) {
    signal?.throwIfAborted()
    const id = sample(await next(ids), options, random)
    if ([stop].flat().includes(id)) return
    yield id
    ids = [id]
    if (performance.now() < paused + 50) continue
    // Lets pages paint and signals arrive.
    await new Promise((resolve) => setTimeout(resolve))
    paused = performance.now()
  }
}
