import { beforeAll, describe, expect, test } from 'vitest'
import { interpret } from '../../../src/interpret/index.ts'
import { printModule } from '../../../targets/typescript/host.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { gpt2Module } from '../../support/gpt2-module.ts'
import { random } from '../../kernel/run.ts'
import { load } from './emitted.ts'
import { safetensors } from './safetensors.ts'

interface Logits {
  readonly logits: { readonly data: Float32Array; readonly shape: number[] }
}
interface Gpt2 {
  readonly past: number
  run(inputs: object): Promise<Logits>
  prefill(inputs: object): Promise<Logits>
  step(inputs: object): Promise<Logits>
  generate(ids: ArrayLike<number>, options?: object): AsyncGenerator<number>
  selftest(): Promise<unknown>
  reset(): void
  dispose(): void
}

describe('a small GPT-2 as an emitted module', () => {
  const graph = gpt2Graph({ vocab: 37, ctx: 24, d: 12, heads: 3, layers: 3 })
  const ids = [3, 36, 0, 7, 7, 12, 1, 20, 5, 5, 9, 30, 2, 4]
  const next = random(3)
  const tensors = graph.params.map((p) => ({
    name: p.name,
    shape: p.shape,
    data: Float32Array.from({ length: p.shape.reduce((a, b) => a * b, 1) }, () => (next() - 0.5) * 0.8),
  }))
  const reference = interpret(graph, {
    inputs: new Map([['ids', { dtype: 'i32' as const, shape: [2, 7], data: Float64Array.from(ids) }]]),
    params: new Map(
      tensors.map((t) => [t.name, { dtype: 'f32' as const, shape: [...t.shape], data: Float64Array.from(t.data) }]),
    ),
  }).outputs.get('logits')!
  let model: Gpt2
  beforeAll(async () => {
    const { text } = printModule(gpt2Module(graph), { language: 'js' })
    const module = await load<{ load: (options: object) => Promise<Gpt2> }>(text)
    model = await module.load({ weights: safetensors(tensors) })
  })
  const close = (got: ArrayLike<number>, want: ArrayLike<number>): void => {
    expect(got.length).toBe(want.length)
    for (let i = 0; i < want.length; i++) expect(Math.abs(got[i] - want[i])).toBeLessThan(2e-5)
  }
  const rows = (data: Float32Array | Float64Array, batch: number, from: number, to: number): Float32Array =>
    Float32Array.from(data.subarray((batch * 7 + from) * 37, (batch * 7 + to) * 37))

  test('run', async () => {
    const { logits } = await model.run({ ids: { data: ids, shape: [2, 7] } })
    expect(logits.shape).toEqual([2, 7, 37])
    close(logits.data, reference.data)
    expect(model.past).toBe(0)
    close((await model.run({ ids: [ids.slice(0, 7), ids.slice(7)] })).logits.data, reference.data)
    close((await model.run({ ids: Int32Array.from(ids.slice(0, 7)) })).logits.data, rows(reference.data, 0, 0, 7))
  })
  test('prefill in chunks and steps', async () => {
    model.reset()
    let past = 0
    for (const length of [3, 2, 1, 1]) {
      const part = [0, 1].map((b) => ids.slice(b * 7 + past, b * 7 + past + length))
      const { logits } = await (length === 1 ? model.step({ ids: part }) : model.prefill({ ids: part }))
      close(logits.data, [
        ...rows(reference.data, 0, past, past + length),
        ...rows(reference.data, 1, past, past + length),
      ])
      past += length
      expect(model.past).toBe(past)
    }
  })
  test('generate', async () => {
    const greedy: number[] = []
    for await (const id of model.generate([3, 1], { maxTokens: 6 })) greedy.push(id)
    expect(greedy).toHaveLength(6)
    const { logits } = await model.run({ ids: [3, 1, ...greedy] })
    for (let i = 0; i < 6; i++) {
      const row = logits.data.subarray((i + 1) * 37, (i + 2) * 37)
      expect(row.indexOf(Math.max(...row))).toBe(greedy[i])
    }
    const all: number[] = []
    for await (const id of model.generate([3, 1])) all.push(id)
    expect(all).toHaveLength(24 - 2 + 1)
  })
  test.each([
    [{}, 'ids'],
    [{ ids: [] }, 'empty'],
    [{ ids: [[1, 2], [3]] }, 'ids[1]'],
    [
      {
        ids: [
          [1, 2],
          [3, 37],
        ],
      },
      'ids[1, 1] = 37, vocab = 37',
    ],
    [{ ids: [-1] }, 'ids[0, 0] = -1'],
    [{ ids: [1.5] }, 'ids[0, 0] = 1.5'],
    [{ ids: 'abc' }, 'ids'],
    [{ ids: [1], mask: [1] }, 'mask'],
    [{ ids: Array.from({ length: 25 }, () => 1) }, '25'],
    [{ ids: { data: [1, 2, 3], shape: [2, 2] } }, '[2, 2]'],
    [{ ids: [[[1]]] }, 'axes'],
  ])('bad inputs %j name the input', async (inputs, part) => {
    model.reset()
    await expect(model.prefill(inputs)).rejects.toThrow(part)
    expect(model.past).toBe(0)
  })
  test('selftest', async () => {
    const { kernels } = (await model.selftest()) as { kernels: { name: string; error: number }[] }
    expect(kernels.length).toBeGreaterThan(5)
    for (const k of kernels) expect(k.error).toBeLessThanOrEqual(1)
    // Not vacuous: somewhere rounding shows.
    expect(Math.max(...kernels.map((k) => k.error))).toBeGreaterThan(1e-4)
  })
  test('the batch stays as it is between calls', async () => {
    model.reset()
    await model.prefill({ ids: [[1, 2], [3, 4]] }) // prettier-ignore
    await expect(model.step({ ids: [[1]] })).rejects.toThrow('B = 2')
    model.reset()
    await model.step({ ids: [[1]] })
  })
  test('caches grow, and end where the model does', async () => {
    model.reset()
    for (let i = 0; i < 24; i++) await model.step({ ids: [i] })
    await expect(model.step({ ids: [1] })).rejects.toThrow('24')
    const { logits } = await model.run({ ids: Array.from({ length: 24 }, (_, i) => i) })
    expect(logits.data.every(Number.isFinite)).toBe(true)
  })
})
