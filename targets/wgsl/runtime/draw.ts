// Ids drawn on the device: each goes into the next step there, so that steps are submitted before the ids of earlier ones have come back.
import { TfmError } from '../../runtime/errors.ts'
import { breathe, type GenerateOptions } from '../../runtime/generate.ts'
import { randomNumbers } from '../../runtime/sampling.ts'
import type { Given, ProgramSpec, Session, Step } from './session.ts'

/** Steps on their way at a time. One that turns out to come after the end costs its time, no more. */
export const AHEAD = 4

/** Whether the device can draw so: the largest logit, or one of the 64 largest, and nothing looks at logits in between. */
export function drawsOnDevice({ spec: { sampling } }: Session, options: GenerateOptions = {}): boolean {
  const { topK, topP = 1, minP = 0, processLogits } = options
  const { temperature = (topK ?? options.topP ?? options.minP) ? 1 : 0 } = options
  if (!sampling || processLogits || !(topP > 0 && topP <= 1 && minP >= 0 && minP <= 1)) return false
  if (temperature === 0) return (topK ?? 1) >= 1
  const few = topK! >= 1 && topK! <= 64 && topK! % 1 === 0 && topK! < sampling.vocabulary
  return few && temperature > 1e-9 && temperature < 1e9
}

/** Programs of steps that read the id where it was drawn. */
const fed = new WeakMap<ProgramSpec, ProgramSpec>()
function stepOf(session: Session, ids: string): ProgramSpec {
  const step = session.program('step')
  const known = fed.get(step)
  if (known) return known
  const read = (steps: readonly Step[]): Step[] =>
    steps.map((s): Step => {
      if ('t' in s) return { ...s, steps: read(s.steps) }
      const [kernel, ...buffers] = s
      return [kernel, ...buffers.map((b) => (b === `v:${ids}` ? 'd:id' : b))]
    })
  const made = { ...step, inputs: step.inputs.filter((p) => p.name !== ids), steps: read(step.steps), whole: true }
  fed.set(step, made)
  return made
}

/** As `generateTokens`. `given` makes the inputs of a call with these ids. */
export async function* drawTokens(
  session: Session,
  given: (ids: ArrayLike<number>) => Given,
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
  room = Infinity,
) {
  if (!prompt.length) throw new TfmError('TFM2021', 'the prompt is empty')
  const { maxTokens = 128, topK = 0, topP = 1, minP = 0, seed = Math.random() * 2 ** 32 } = options
  const { temperature = topK ? 1 : 0 } = options
  const { sequence, buffers, device, spec } = session
  const { ids, ahead, lists, greedy, top } = spec.sampling!
  const random = randomNumbers(seed)
  const flight: Promise<number>[] = []
  let [sent, drawn] = [0, 0]
  const makeRoom = () => {
    buffers.reserve('d:id', 4)
    buffers.reserve('d:options', 16)
    for (const [i, count] of lists.entries())
      for (const of of ['values', 'ids']) buffers.reserve(`d:${of} ${i}`, 4 * count)
  }
  /** The call is on its way when this is done; the id comes later. */
  const send = async (): Promise<{ readonly id: Promise<number> }> => {
    if (!sent) makeRoom()
    const { [ids]: _, ...rest } = given(prompt)
    const [program, inputs] = sent ? [stepOf(session, ids), rest] : [session.program('prefill'), given(prompt)]
    return session.next(program, inputs, sequence, async (program, inputs, dims, store, before) => {
      if (temperature) {
        // A number in [0, 1) in f32, too.
        const chance = Math.min(Math.fround(random()), 1 - 2 ** -24)
        device.queue.writeBuffer(buffers.get('d:options'), 0, Float32Array.of(temperature, topP, minP, chance))
      }
      dims['top k'] = topK
      const encoder = await session.encode(program, inputs, dims, store, before)
      await session.pass(encoder, temperature ? top : greedy, store, dims)
      delete dims['top k']
      let at = ahead ? sent % AHEAD : 0
      while (buffers.has(`d:drawn ${at}`, 4) && buffers.get(`d:drawn ${at}`).mapState !== 'unmapped') at++
      const name = `d:drawn ${at}`
      buffers.reserve(name, 4, 1 | 8)
      const back = buffers.get(name)
      encoder.copyBufferToBuffer(buffers.get('d:id'), 0, back, 0, 4)
      await session.submit(encoder)
      const id = session.map(back, 4).then(() => {
        const [id] = new Int32Array(back.getMappedRange(0, 4))
        back.unmap()
        return id
      })
      id.catch(() => {})
      return { id }
    })
  }
  try {
    const most = Math.min(maxTokens, room - prompt.length + 1)
    while (drawn < most) {
      await breathe(options.signal)
      // The first id does not wait for what steps need: their pipelines, say.
      for (; sent < most && flight.length < (ahead && drawn ? AHEAD : 1); sent++)
        flight.push((await session.inTurn(send)).id)
      const id = await flight.shift()!
      drawn++
      if (id < 0) throw new TfmError('TFM2022', 'every logit is NaN or -Infinity')
      if ([options.stop].flat().includes(id)) return
      yield id
    }
  } finally {
    // What lies behind the past positions is never read.
    sequence.past -= sent - drawn
  }
}
