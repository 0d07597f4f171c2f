/** Generation in emitted modules: batches, samples of one prompt and beams, against the same model asked for one row at a time. */
import { describe, expect, test } from 'vitest'
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

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 240_000 }, (name, target) => {
  const maxTokens = name === 'typescript' ? 6 : 3

  test('Shakespeare: batches, samples, beams', async () => {
    const model = await open('shakespeare', target)
    const prompts = [[40, 300, 12], [7, 8, 9]] // prettier-ignore
    const options = { maxTokens }
    const alone = [await all(model.generate(prompts[0], options)), await all(model.generate(prompts[1], options))]
    expect(await rows(model.generateBatch(prompts, options))).toEqual(alone)
    await expect(all(model.generateBatch([[1, 2], [3]], options))).rejects.toThrow('TFM2023')

    // Row r draws with seed + r, as if alone; the prompt is computed once.
    const sampled = { maxTokens, temperature: 1, topK: 20, seed: 3 }
    const second = await all(model.generate(prompts[0], { ...sampled, seed: 4 }))
    const samples = await rows(model.generateBatch([prompts[0]], { ...sampled, numReturnSequences: 2 }))
    expect(samples[1]).toEqual(second)
    expect(samples[0]).not.toEqual(second)

    const beams = await model.generateBeams(prompts[0], { numBeams: 3, numReturnSequences: 2, maxTokens })
    expect(beams).toHaveLength(2)
    expect(beams[0].score).toBeGreaterThanOrEqual(beams[1].score)
    // Scores are what the model, asked at once, says of the sequences.
    const inputs = { ids: beams.map(({ ids }) => [...prompts[0], ...ids]) }
    const { logits } = await model.run(inputs)
    const [, length, size] = logits.shape
    for (const [row, { ids, score }] of beams.entries()) {
      const at = (t: number) => logSoftmax(logits.data.slice((row * length + t) * size, (row * length + t + 1) * size))
      const sum = ids.reduce((sum, id, t) => sum + at(prompts[0].length - 1 + t)[id], 0)
      expect(Math.abs(sum / maxTokens - score)).toBeLessThan(1e-4)
    }
    model.dispose()
  })

  test('translate: rows of an encoder–decoder, and beams', async () => {
    const model = await open('translate', target)
    const { bos_token_id: bos, eos_token_id: stop } = JSON.parse(readText('examples/translate/config.json')) as Record<string, number> // prettier-ignore
    const sources = [[9, 10, 11, 12, 3], [20, 5, 30, 21, 3]] // prettier-ignore
    const options = { maxTokens: maxTokens + 2, stop }
    const alone: number[][] = []
    for (const src of sources) alone.push(await all(model.generate([bos], { ...options, src: [src] })))
    const copies = await rows(model.generateBatch([[bos], [bos]], { ...options, src: sources, numReturnSequences: 2 }))
    expect(copies).toEqual([alone[0], alone[0], alone[1], alone[1]])

    for (const [i, src] of sources.slice(0, name === 'typescript' ? 2 : 1).entries()) {
      const beams = { ...options, src: [src], lengthPenalty: 0 }
      const [greedy] = await model.generateBeams([bos], { ...beams, numBeams: 1 })
      expect(greedy.ids).toEqual(alone[i])
      const [best] = await model.generateBeams([bos], { ...beams, numBeams: 4, earlyStopping: 'never' })
      expect(best.score).toBeGreaterThanOrEqual(greedy.score - 1e-5)
      const ids = best.ids.length < options.maxTokens ? [...best.ids, stop] : best.ids
      const { logits } = await model.run({ src: [src], tgt: [[bos, ...ids.slice(0, -1)]] })
      const size = logits.shape[2]
      const sum = ids.reduce((sum, id, t) => sum + logSoftmax(logits.data.slice(t * size, t * size + size))[id], 0)
      expect(Math.abs(sum - best.score)).toBeLessThan(1e-3)
    }
    model.dispose()
  })
})
