/** Long calls in pieces: how many submissions a call is, on a device that is said to be slow or fast, and that its results stay. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { compile, compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import type { Module } from '../../../src/program/types.ts'
import { writeSafetensors } from '../../../src/weights/write.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { cut, dispatchesFor, positionsFor } from '../../../targets/wgsl/runtime/slices.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { testDevice } from '../../support/gpu.ts'

type Results = Record<string, { data: Float32Array; shape: number[] }>
interface Model {
  readonly past: number
  run(inputs: unknown): Promise<Results>
  prefill(inputs: unknown): Promise<Results>
  step(inputs: unknown): Promise<Results>
  generate(ids: readonly number[], options: object): AsyncGenerator<number>
  reset(): void
  dispose(): void
}
async function opened(module: Module) {
  const weights = writeSafetensors(
    module.params.map(({ name, shape }) => {
      const length = shape.reduce((a, b) => a * b, 1)
      return { name, shape, data: Float32Array.from({ length }, (_, i) => 0.2 * Math.sin(i * 1.7 + name.length)) }
    }),
  )
  const [{ text }] = await wgsl.emit(module, { language: 'js' })
  const { load } = (await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)) as {
    load: (o: object) => Promise<Model>
  }
  const real = await testDevice()
  const counted = { submits: 0 }
  const bound = <T extends object>(of: T, own: Partial<T>): T =>
    new Proxy(of, {
      get: (it, name) => {
        const value: unknown = Reflect.get(name in own ? own : it, name)
        return typeof value === 'function' ? value.bind(it) : value
      },
    })
  const submit = (list: Iterable<GPUCommandBuffer>) => {
    counted.submits++
    real.queue.submit(list)
  }
  const device = bound(real, { queue: bound(real.queue, { submit } as Partial<GPUQueue>) })
  const model = await load({ weights, device })
  const submits = async <R>(call: () => Promise<R>): Promise<[R, number]> => {
    counted.submits = 0
    return [await call(), counted.submits]
  }
  return { model, submits }
}
/** Whoever looks at the clock twice finds that so many ms have passed. */
function clock(ms: number): void {
  let now = 0
  vi.spyOn(performance, 'now').mockImplementation(() => (now += ms))
}
afterEach(() => vi.restoreAllMocks())

const close = (a: Float32Array, b: Float32Array): void => {
  expect(a.length).toBe(b.length)
  let worst = 0
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]))
  expect(worst).toBeLessThan(1e-5)
}

describe('a long prefill', () => {
  const { graph } = check(gpt2Graph({ vocab: 35, ctx: 240, d: 16, heads: 2, layers: 2 }))
  const { module } = compileGraph(graph!, sourceFile('gpt2.tfm', ''), wgsl).lowered
  const ids = (n: number) => Array.from({ length: n }, (_, i) => (i * 11) % 35)
  const rows = (n: number, B: number) => ({ ids: { data: ids(n * B), shape: [B, n] } })

  test('is a few submissions where the device is fast, and one after another of few positions where it is slow', async () => {
    clock(0)
    const { model, submits } = await opened(module)
    await submits(() => model.prefill({ ids: ids(200) }))
    model.reset()
    const [fast, few] = await submits(() => model.prefill({ ids: ids(200) }))
    expect(few).toBe(1)
    const slow = await opened(module)
    clock(1000)
    const [whole, many] = await slow.submits(() => slow.model.prefill({ ids: ids(200) }))
    // 64 positions, then 32 at a time; each dispatch by itself but the first few.
    const dispatches = module.programs.find((p) => p.name === 'prefill')!.steps.length
    expect(many).toBeGreaterThan(5 * dispatches)
    expect(whole.logits.shape).toEqual([1, 200, 35])
    close(whole.logits.data, fast.logits.data)
    expect(slow.model.past).toBe(200)
    // What was kept is the same, too.
    const next = { ids: [7] }
    close((await slow.model.step(next)).logits.data, (await model.step(next)).logits.data)
    model.dispose()
    slow.model.dispose()
  })
  test('of several rows, behind others, and of a run of its own', async () => {
    const results = async (ms: number) => {
      clock(ms)
      const { model, submits } = await opened(module)
      const got: Results[] = []
      const [, count] = await submits(async () => {
        for (const n of [20, 130]) got.push(await model.prefill(rows(n, 3)))
        got.push(await model.run(rows(150, 3)))
      })
      model.dispose()
      return { got: got.map((r) => r.logits.data), count }
    }
    const [fast, slow] = [await results(0), await results(1000)]
    expect(slow.count).toBeGreaterThan(5 * fast.count)
    for (const [i, part] of slow.got.entries()) close(part, fast.got[i])
  })
  test('is that of generating, too', async () => {
    const tokens = async (model: Model) => {
      const got: number[] = []
      for await (const id of model.generate(ids(150), { maxTokens: 5 })) got.push(id)
      return got
    }
    clock(0)
    const fast = await opened(module)
    const whole = await tokens(fast.model)
    fast.model.dispose()
    clock(1000)
    const { model, submits } = await opened(module)
    const [parts, many] = await submits(() => tokens(model))
    expect(parts).toEqual(whole)
    expect(many).toBeGreaterThan(30)
    // Steps are one submission all the same.
    expect((await submits(() => model.step({ ids: [1] })))[1]).toBe(1)
    model.dispose()
  })
  test('that is refused is refused as a whole', async () => {
    clock(1000)
    const { model, submits } = await opened(module)
    const [message, count] = await submits(() => model.prefill({ ids: ids(241) }).catch((e: Error) => e.message))
    expect(message).toMatch(/TFM200[46]/)
    expect(count).toBe(0)
    expect(model.past).toBe(0)
    model.dispose()
  })
})

test('loops are submitted in pieces as other programs are', async () => {
  const text = `model m(d = 8) {
  sequence T
  input x: f32[B, T, d] where T <= 64
  param w: f32[d, d] = "w"
  y, s = scan t < T, axis = 1 carry s = zeros([B, d]) {
    s = tanh(s @ w + x[:, t])
    yield s
  }
  output y = y
}
`
  const { module } = compile(sourceFile('m.tfm', text), wgsl).lowered
  const x = { data: Float32Array.from({ length: 2 * 50 * 8 }, (_, i) => Math.sin(i)), shape: [2, 50, 8] }
  clock(0)
  const { model, submits } = await opened(module)
  await model.prefill({ x })
  model.reset()
  // What is there before the first position is a program of its own.
  const [fast, few] = await submits(() => model.prefill({ x }))
  expect(few).toBe(2)
  clock(1000)
  const other = await opened(module)
  const [slow, many] = await other.submits(() => other.model.prefill({ x }))
  other.model.dispose()
  expect(many).toBeGreaterThanOrEqual(50)
  expect(slow.y.data).toEqual(fast.y.data)
  expect((await submits(() => model.step({ x: { data: x.data.slice(0, 16), shape: [2, 1, 8] } })))[1]).toBe(1)
  model.dispose()
})

test('slices are as long as the budget allows, and never empty', () => {
  expect(dispatchesFor(undefined, 1000)).toBe(8)
  expect(dispatchesFor(undefined, 4096)).toBe(2)
  expect(dispatchesFor(undefined, 150528)).toBe(1)
  expect(dispatchesFor(0.01, 100)).toBe(50)
  expect(dispatchesFor(100, 1000)).toBe(1)
  expect(dispatchesFor(0, 5)).toBe(Infinity)
  expect(positionsFor(undefined, 1)).toBe(64)
  expect(positionsFor(undefined, 80)).toBe(32)
  expect(positionsFor(0.01, 4)).toBe(1250)
  expect(positionsFor(0, 4)).toBe(Infinity)
})

test('positions are cut out of an axis in the middle', () => {
  const array = Float32Array.from({ length: 2 * 5 * 3 }, (_, i) => i)
  expect([...cut(array, 2, 5, 1, 3)]).toEqual([3, 4, 5, 6, 7, 8, 18, 19, 20, 21, 22, 23])
})
