/** Sequences side by side on models with weights: batches of prompts of different lengths, samples, beams; rows of each kind of state. */
import { expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import type { Target } from '../../src/target.ts'
import { compileFile, loadEmitted, targets, type Emitted } from '../support/emitted.ts'
import { readText } from '../support/models.ts'

interface Full extends Emitted {
  readonly generateBatch: (prompts: readonly (readonly number[])[], options: object) => AsyncGenerator<(number | undefined)[], void>
  readonly generateBeams: (ids: readonly number[], options: object) => Promise<{ ids: number[]; score: number }[]>
} // prettier-ignore

async function open(example: string, golden: string, target: Target): Promise<Full> {
  const config = JSON.parse(readText(`test/golden/${golden}/config.json`)) as Json
  const compiled = compileFile(`examples/${example}/model.tfm`, target, config, { reorder: true })
  return (await loadEmitted(target, compiled, `test/golden/${golden}/model.safetensors`, { generation: 'full' })) as Full // prettier-ignore
}

async function alone(model: Full, prompt: readonly number[], options: object): Promise<number[]> {
  const ids: number[] = []
  for await (const id of model.generate(prompt, { ...options })) ids.push(id)
  return ids
}
async function together(model: Full, prompts: readonly (readonly number[])[], rows: number, options: object) {
  const all = Array.from({ length: rows }, (): number[] => [])
  for await (const step of model.generateBatch(prompts, options))
    step.forEach((id, row) => id !== undefined && all[row].push(id))
  return all
}
/** The log-probability of `ids` after `prompt`, from one run over both. */
async function logProbability(model: Full, prompt: readonly number[], ids: readonly number[]): Promise<number> {
  const { logits } = await model.run({ ids: [[...prompt, ...ids]] })
  const size = logits.shape.at(-1)!
  return ids.reduce((sum, id, i) => {
    const row = Array.from(logits.data.subarray((prompt.length + i - 1) * size, (prompt.length + i) * size))
    return sum + row[id] - Math.log(row.reduce((total, x) => total + Math.exp(x), 0))
  }, 0)
}

const each = (rows: readonly (readonly [string, string])[]) =>
  rows.flatMap(([a, b]) => targets.map((target): [string, string, string, Target] => [a, b, target.name, target]))

test.each(
  each([
    ['llama', 'hf/llama'],
    ['mistral', 'hf/mistral'],
  ]),
)('%s %s: prompts of three lengths are what they are alone, %s', async (example, golden, _, target) => {
  const model = await open(example, golden, target)
  const prompts = [[7], [3, 11, 42, 5, 90], [17, 4]]
  const greedy = { maxTokens: 5 }
  const one = []
  for (const prompt of prompts) one.push(await alone(model, prompt, greedy))
  expect(await together(model, prompts, 3, greedy)).toEqual(one)
  // One ends at once, the others go on.
  const stop = one[1][0]
  const until = one.map((ids) => (ids.includes(stop) ? ids.slice(0, ids.indexOf(stop)) : ids))
  expect(await together(model, prompts, 3, { ...greedy, stop })).toEqual(until)
  const drawn = { maxTokens: 4, temperature: 3 }
  const samples = []
  for (const [row, prompt] of [prompts[0], prompts[0], prompts[1], prompts[1]].entries())
    samples.push(await alone(model, prompt, { ...drawn, seed: 5 + row }))
  expect(samples[0]).not.toEqual(samples[1])
  expect(await together(model, prompts.slice(0, 2), 4, { ...drawn, seed: 5, numReturnSequences: 2 })).toEqual(samples)
  // A call after all this begins anew.
  expect(await alone(model, prompts[2], greedy)).toEqual(one[2])
  model.dispose()
})

test.each(
  each([
    ['llama', 'hf/llama'],
    ['mistral', 'hf/mistral'],
    ['mamba', 'torch/mamba'],
    ['griffin', 'torch/griffin'],
    ['wavenet', 'torch/wavenet'],
    ['rwkv', 'torch/rwkv'],
  ]),
)('%s %s: beams, %s', async (example, golden, _, target) => {
  const model = await open(example, golden, target)
  const prompt = [7, 3, 11, 5]
  const maxTokens = 7
  const greedy = await alone(model, prompt, { maxTokens })
  const [single] = await model.generateBeams(prompt, { maxTokens, numBeams: 1 })
  expect(single.ids).toEqual(greedy)
  const beams = await model.generateBeams(prompt, { maxTokens, numBeams: 4, numReturnSequences: 4, lengthPenalty: 0 })
  expect(new Set(beams.map((b) => b.ids.join())).size).toBe(4)
  for (const { ids, score } of [{ ids: single.ids, score: single.score * maxTokens }, ...beams])
    expect(Math.abs(score - (await logProbability(model, prompt, ids)))).toBeLessThan(2e-5)
  expect(beams[0].score).toBeGreaterThanOrEqual(single.score * maxTokens - 1e-5)
  model.dispose()
})
