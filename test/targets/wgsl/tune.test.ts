/** Alternatives chosen by measuring: what is measured, kept and believed. */
import { beforeAll, describe, expect, test } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { writeSafetensors } from '../../../src/weights/write.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { recall, remember, tuningKey } from '../../../targets/wgsl/runtime/tune.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { testDevice } from '../../support/gpu.ts'

interface Model {
  prefill(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  step(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  readonly past: number
  dispose(): void
}
interface Progress {
  readonly phase: string
  readonly loaded: number
  readonly total: number
  readonly tensor: string
}

/** The test device as one that no processor plays, with the buffers that are alive, and the entries that are compiled. */
async function card(info: object = { vendor: 'v', architecture: 'a', device: 'd', description: 'no software' }) {
  const real = await testDevice()
  const alive = new Set<GPUBuffer>()
  const pipelines: string[] = []
  const own: Record<string, unknown> = {
    adapterInfo: info,
    createBuffer: (descriptor: GPUBufferDescriptor) => {
      const buffer = real.createBuffer(descriptor)
      const destroy = buffer.destroy.bind(buffer)
      buffer.destroy = () => (alive.delete(buffer), destroy())
      alive.add(buffer)
      return buffer
    },
    createComputePipelineAsync: (d: GPUComputePipelineDescriptor) => {
      pipelines.push(`${d.label}.${d.compute.entryPoint}`)
      return real.createComputePipelineAsync(d)
    },
  }
  const device = new Proxy(real, {
    get: (of, key) => {
      if (typeof key === 'string' && key in own) return own[key]
      const value: unknown = Reflect.get(of, key)
      return typeof value === 'function' ? value.bind(of) : value
    },
  })
  return { device, alive, pipelines }
}
const storeOf = (entries: Record<string, string> = {}) => ({
  entries,
  get: (key: string) => entries[key] ?? null,
  set: (key: string, value: string) => void (entries[key] = value),
})

describe('a model that is tuned', () => {
  const { graph } = check(gpt2Graph({ vocab: 19, ctx: 40, d: 16, heads: 2, layers: 2 }))
  const { module } = compileGraph(graph!, sourceFile('gpt2.tfm', ''), wgsl).lowered
  const weights = writeSafetensors(
    module.params.map(({ name, shape }) => {
      const length = shape.reduce((a, b) => a * b, 1)
      return { name, shape, data: Float32Array.from({ length }, (_, i) => 0.2 * Math.sin(i * 1.7 + name.length)) }
    }),
  )
  let load: (options: object) => Promise<Model>
  const logits = async (model: Model): Promise<number[]> => {
    const first = [...(await model.prefill({ ids: [1, 2, 3, 4, 5] })).logits.data]
    return [...first, ...(await model.step({ ids: [6] })).logits.data]
  }
  let want: number[]
  beforeAll(async () => {
    const { text } = (await wgsl.emit(module, { language: 'js' }))[0]
    load = ((await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)) as { load: typeof load }).load
    const model = await load({ weights, device: await testDevice(), alternatives: [] })
    want = await logits(model)
    model.dispose()
  }) // prettier-ignore
  const same = (got: readonly number[]): void => {
    expect(got.length).toBe(want.length)
    got.forEach((x, i) => expect(Math.abs(x - want[i])).toBeLessThan(2e-6))
  }

  test('measures once, keeps what it chose, and then goes by that; nothing of the model changes', async () => {
    const store = storeOf()
    const told: Progress[] = []
    const first = await card()
    const onProgress = (p: Progress): unknown => p.phase === 'tuning' && told.push(p)
    const model = await load({ weights, device: first.device, tuning: store, onProgress, compile: 'needed' })
    expect(told.map((p) => [p.loaded, p.total])).toEqual([0, 1, 2, 3, 4].map((n) => [n, 4]))
    const [[key, value]] = Object.entries(store.entries)
    expect(key).toMatch(/^tfm tuning 1: v\/a\/d\/no software: [0-9a-f]+$/)
    expect(value).toMatch(/^taken( few)?( many)?( rows)?( queries)?$/)
    expect(model.past).toBe(0)
    same(await logits(model))
    // Both forms were compiled, and what they were tried on is gone.
    expect(first.pipelines.some((p) => /direct/.test(p))).toBe(true)
    expect(first.pipelines.some((p) => /\.main(_one)?$/.test(p))).toBe(true)
    expect(first.pipelines.length).toBe(new Set(first.pipelines).size)
    model.dispose()
    expect([...first.alive].map((b) => b.label)).toEqual([])
    store.entries[key] = 'taken many'
    told.length = 0
    const second = await card()
    const again = await load({ weights, device: second.device, tuning: store, onProgress, compile: 'needed' })
    expect(told).toEqual([])
    same(await logits(again))
    expect(second.pipelines.filter((p) => /direct_one|_rows|_products|ln.*direct/.test(p))).toEqual([])
    expect(second.pipelines.some((p) => /\.main_direct$/.test(p))).toBe(true)
    again.dispose()
  })
  test('a damaged entry is measured again, and a store that fails is no error', async () => {
    const store = storeOf()
    const told: string[] = []
    const failing = {
      get: () => 'taken everything; drop table',
      set: () => {
        throw new Error('full')
      },
    }
    const { device } = await card()
    const onProgress = (p: Progress): unknown => told.push(p.phase)
    const model = await load({ weights, device, tuning: failing, onProgress, compile: 'needed' })
    expect(told).toContain('tuning')
    same(await logits(model))
    model.dispose()
    // What is said is not measured, nor is what a processor plays.
    told.length = 0
    const [said, software] = [await card(), await card({ architecture: 'swiftshader', description: '' })]
    for (const options of [{ device: said.device, alternatives: ['few'] }, { device: software.device }])
      (await load({ weights, tuning: store, onProgress, compile: 'needed', ...options })).dispose()
    expect(told).not.toContain('tuning')
    expect(store.entries).toEqual({})
  })
})

describe('what is kept', () => {
  test.each([
    ['taken', []],
    ['taken few many', ['few', 'many']],
    [null, undefined],
    [undefined, undefined],
    ['', undefined],
    ['few', undefined],
    ['taken few few', undefined],
    ['taken  few', undefined],
    ['taken constructor', undefined],
    ['taken '.repeat(10_000), undefined],
    [7 as unknown as string, undefined],
  ])('%j is %j', async (value, taken) => {
    expect(await recall({ get: () => value, set: () => {} }, 'k')).toEqual(taken)
  })
  test('a store that throws has nothing', async () => {
    const get = () => Promise.reject(new Error('no'))
    expect(await recall({ get, set: () => {} }, 'k')).toBeUndefined()
    await remember({ get, set: get }, 'k', ['few'])
  })
  test('is of one adapter and one module', async () => {
    const key = (info: object, module: unknown): string => tuningKey({ adapterInfo: info } as GPUDevice, module)
    const all = [
      key({ vendor: 'a' }, [1]),
      key({ vendor: 'b' }, [1]),
      key({ vendor: 'a' }, [2]),
      key({ device: 'a' }, [1]),
    ]
    expect(new Set(all).size).toBe(4)
    expect(key({ vendor: 'a' }, [1])).toBe(all[0])
  })
})
