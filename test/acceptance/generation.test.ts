/** Generation in emitted modules: batches, samples of one prompt and beams, against the same model asked for one row at a time. */
import { expect, test } from 'vitest'
import { compileFile, loadEmitted, targets, type Emitted } from '../support/emitted.ts'
import type { Json } from '../../src/frontend/index.ts'
import { readText } from '../support/models.ts'

interface Beam {
  readonly ids: number[]
  readonly score: number
}
type Options = Readonly<Record<string, unknown>>
export interface Full extends Emitted {
  readonly generateText: (ids: readonly number[], options: Options) => AsyncGenerator<string, void>
  readonly generateBatch: (prompts: readonly (readonly number[])[], options?: Options) => AsyncGenerator<(number | undefined)[], void>
  readonly generateBeams: (ids: readonly number[], options?: Options) => Promise<Beam[]>
} // prettier-ignore

async function open(name: string, target: (typeof targets)[number]): Promise<Full> {
  const folder = `examples/${name}`
  const config = JSON.parse(readText(`${folder}/config.json`)) as Json
  const compiled = compileFile(`${folder}/model.tfm`, target, config, { reorder: true })
  return (await loadEmitted(target, compiled, `${folder}/model.safetensors`, { generation: 'full' })) as Full
}
async function all<T>(tokens: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = []
  for await (const id of tokens) out.push(id)
  return out
}
/** The tokens of each row. */
async function rows(steps: AsyncIterable<(number | undefined)[]>): Promise<number[][]> {
  const out: number[][] = []
  for await (const step of steps) step.forEach((id, row) => id !== undefined && (out[row] ??= []).push(id))
  return out
}
const logSoftmax = (logits: Float32Array): number[] => {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0))
  return Array.from(logits, (x) => x - most - total)
}

test.each(targets)('Shakespeare on $name: batches, samples, beams', async (target) => {
  const model = await open('shakespeare', target)
  const prompts = [[40, 300, 12], [7, 8, 9]] // prettier-ignore
  const options = { maxTokens: 6 }
  const alone = [await all(model.generate(prompts[0], options)), await all(model.generate(prompts[1], options))]
  expect(await rows(model.generateBatch(prompts, options))).toEqual(alone)
  await expect(all(model.generateBatch([[1, 2], [3]], options))).rejects.toThrow('TFM2023')

  // Row r draws with seed + r, as if alone; the prompt is computed once.
  const sampled = { maxTokens: 6, temperature: 1, topK: 20, seed: 3 }
  const [a, b] = [await all(model.generate(prompts[0], sampled)), await all(model.generate(prompts[0], { ...sampled, seed: 4 }))] // prettier-ignore
  expect(await rows(model.generateBatch([prompts[0]], { ...sampled, numReturnSequences: 2 }))).toEqual([a, b])

  const [one] = await model.generateBeams(prompts[0], { numBeams: 1, maxTokens: 6 })
  expect(one.ids).toEqual(alone[0])
  const beams = await model.generateBeams(prompts[0], { numBeams: 4, numReturnSequences: 3, maxTokens: 6 })
  expect(beams).toHaveLength(3)
  expect(beams[0].score).toBeGreaterThanOrEqual(one.score)
  for (const { ids, score } of beams) {
    const { logits } = await model.run({ ids: [[...prompts[0], ...ids]] })
    const size = logits.shape[2]
    const at = (row: number) => logSoftmax(logits.data.slice(row * size, row * size + size))
    const sum = ids.reduce((sum, id, i) => sum + at(prompts[0].length - 1 + i)[id], 0)
    expect(Math.abs(sum / 6 - score)).toBeLessThan(1e-4)
  }
  model.dispose()
})

test.each(targets)('translate on $name: rows of an encoder–decoder, and beams', async (target) => {
  const model = await open('translate', target)
  const { bos_token_id: bos, eos_token_id: stop } = JSON.parse(readText('examples/translate/config.json')) as Record<string, number> // prettier-ignore
  const sources = [[9, 10, 11, 12, 3], [20, 5, 30, 21, 3]] // prettier-ignore
  const options = { maxTokens: 8, stop }
  const alone: number[][] = []
  for (const src of sources) alone.push(await all(model.generate([bos], { ...options, src: [src] })))
  expect(await rows(model.generateBatch([[bos], [bos]], { ...options, src: sources }))).toEqual(alone)
  const copies = await rows(model.generateBatch([[bos], [bos]], { ...options, src: sources, numReturnSequences: 2 }))
  expect(copies).toEqual([alone[0], alone[0], alone[1], alone[1]])

  for (const [i, src] of sources.entries()) {
    const beams = { ...options, src: [src], lengthPenalty: 0 }
    const [greedy] = await model.generateBeams([bos], { ...beams, numBeams: 1 })
    expect(greedy.ids).toEqual(alone[i])
    const [best] = await model.generateBeams([bos], { ...beams, numBeams: 4, earlyStopping: 'never' })
    expect(best.score).toBeGreaterThanOrEqual(greedy.score - 1e-5)
    // The score is what the model, asked at once, says of the sequence and its end.
    const ids = best.ids.length < 8 ? [...best.ids, stop] : best.ids
    const { logits } = await model.run({ src: [src], tgt: [[bos, ...ids.slice(0, -1)]] })
    const size = logits.shape[2]
    const sum = ids.reduce((sum, id, t) => sum + logSoftmax(logits.data.slice(t * size, t * size + size))[id], 0)
    expect(Math.abs(sum - best.score)).toBeLessThan(1e-3)
  }
  model.dispose()
})
