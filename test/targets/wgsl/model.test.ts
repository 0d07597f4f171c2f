import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { openGpu } from '../../../src/gpu/dawn.ts'
import { interpret } from '../../../src/interpret/index.ts'
import type { Graph } from '../../../src/ir/types.ts'
import type { Module } from '../../../src/program/types.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { shaderErrors, testDevice } from '../../support/gpu.ts'

const folder = mkdtempSync(join(tmpdir(), 'tfm-wgsl-'))

function lowered(graph: Graph): Module {
  const checked = check(graph).graph
  if (checked === undefined) throw new Error('the graph is well-formed')
  return compileGraph(checked, sourceFile('gpt2.tfm', ''), wgsl).lowered.module
}

/** Tensors as a safetensors file. */
function safetensors(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>,
): Uint8Array {
  let at = 0
  const header: Record<string, unknown> = {}
  for (const [name, { shape, data }] of tensors)
    header[name] = { dtype: 'F32', shape, data_offsets: [at, (at += data.byteLength)] }
  const json = new TextEncoder().encode(JSON.stringify(header))
  const bytes = new Uint8Array(8 + json.length + at)
  new DataView(bytes.buffer).setUint32(0, json.length, true)
  bytes.set(json, 8)
  at = 8 + json.length
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer), at)
    at += data.byteLength
  }
  return bytes
}

function noise(seed: number): () => number {
  let x = seed
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return Math.fround((x / 2 ** 32 - 0.5) * 0.4)
  }
}

interface Model {
  readonly past: number
  run(inputs: unknown): Promise<{ logits: { data: Float32Array; shape: number[] } }>
  prefill(inputs: unknown): Promise<{ logits: { data: Float32Array; shape: number[] } }>
  step(inputs: unknown): Promise<{ logits: { data: Float32Array; shape: number[] } }>
  generate(ids: readonly number[], options: unknown): AsyncGenerator<number>
  selftest(): Promise<{ kernels: { name: string; error: number }[] }>
  reset(): void
  dispose(): void
}
type Load = (options: Record<string, unknown>) => Promise<Model>

describe('GPT-2', async () => {
  const graph = gpt2Graph({ vocab: 67, ctx: 100, d: 24, heads: 3, layers: 2 })
  const module = lowered(graph)
  const files = await wgsl.emit(module, { language: 'js' })
  const random = noise(1)
  const tensors = new Map(
    graph.params.map((p) => [
      p.name,
      { shape: p.shape, data: Float32Array.from({ length: p.shape.reduce((a, b) => a * b, 1) }, random) },
    ]),
  )
  const weights = safetensors(tensors)
  const ids = [3, 36, 0, 7, 66, 12, 1, 20, 5, 5, 9, 30, 2, 4]
  const reference = (shape: readonly [number, number], data: readonly number[]): Float64Array =>
    interpret(graph, {
      inputs: new Map([['ids', { dtype: 'i32' as const, shape, data: Float64Array.from(data) }]]),
      params: new Map(
        [...tensors].map(([name, t]) => [
          name,
          { dtype: 'f32' as const, shape: t.shape, data: Float64Array.from(t.data) },
        ]),
      ),
    }).outputs.get('logits')!.data
  let load: Load
  let model: Model
  /** As software adapters run it. */
  let direct: Model
  beforeAll(async () => {
    const path = join(folder, 'gpt2.js')
    writeFileSync(path, files[0].text)
    if (process.env.TFM_SHOW)
      for (const f of files) writeFileSync(join(process.env.TFM_SHOW, f.path.replace('/', '_')), f.text)
    load = ((await import(pathToFileURL(path).href)) as { load: Load }).load
    model = await load({ weights, device: await testDevice(), alternatives: [] })
    direct = await load({ weights, device: await testDevice() })
  })
  afterAll(() => {
    model.dispose()
    direct.dispose()
    rmSync(folder, { recursive: true, force: true })
  })
  const close = (got: ArrayLike<number>, want: ArrayLike<number>): void => {
    expect(got.length).toBe(want.length)
    let worst = 0
    for (let i = 0; i < want.length; i++) worst = Math.max(worst, Math.abs(got[i] - want[i]))
    expect(worst).toBeLessThan(2e-6)
  }

  test('every kernel is valid', async () => {
    for (const f of files) if (f.path.endsWith('.wgsl')) expect(await shaderErrors(f.text), f.path).toEqual([])
  })
  test('run equals the reference', async () => {
    close((await model.run({ ids: { data: ids, shape: [2, 7] } })).logits.data, reference([2, 7], ids))
    close((await model.run({ ids: ids.slice(0, 1) })).logits.data, reference([1, 1], ids.slice(0, 1)))
    close((await direct.run({ ids: { data: ids, shape: [2, 7] } })).logits.data, reference([2, 7], ids))
  })
  test.each([false, true])(
    'prefill in chunks and steps equal the whole, also past the first size of the caches',
    async (without) => {
      const tried = without ? direct : model
      const long = Array.from({ length: 80 }, (_, i) => (i * 29) % 67)
      const want = reference([1, 80], long)
      tried.reset()
      const got: number[] = []
      got.push(...(await tried.prefill({ ids: long.slice(0, 40) })).logits.data)
      got.push(...(await tried.prefill({ ids: long.slice(40, 62) })).logits.data)
      for (const id of long.slice(62, 67)) got.push(...(await tried.step({ ids: [id] })).logits.data)
      // A run in between has state of its own.
      await tried.run({ ids: [1, 2, 3] })
      for (const id of long.slice(67)) got.push(...(await tried.step({ ids: [id] })).logits.data)
      expect(tried.past).toBe(80)
      close(got, want)
    },
  )
  test('calls made at once run in turn', async () => {
    model.reset()
    const both = await Promise.all([
      model.prefill({ ids: [1, 2, 3] }),
      model.prefill({ ids: [4, 5] }),
      model.run({ ids: [7] }),
    ])
    const want = reference([1, 5], [1, 2, 3, 4, 5])
    close([...both[0].logits.data, ...both[1].logits.data], want)
    close(both[2].logits.data, reference([1, 1], [7]))
  })
  test('greedy generation takes the largest logit', async () => {
    const out: number[] = []
    for await (const id of model.generate([5, 6, 7], { maxTokens: 4 })) out.push(id)
    const seen = [5, 6, 7]
    for (const id of out) {
      const logits = reference([1, seen.length], seen).slice(-67)
      expect(logits[id]).toBeGreaterThan(Math.max(...logits) - 1e-5)
      seen.push(id)
    }
    expect(out.length).toBe(4)
  })
  test('bad calls are refused with the input named', async () => {
    await expect(model.run({ ids: [67] })).rejects.toThrow(/TFM2005: ids\[0, 0\] = 67/)
    await expect(model.run({})).rejects.toThrow(/TFM2002: ids: missing/)
    await expect(model.run({ ids: [] })).rejects.toThrow(/TFM2001: ids/)
    await expect(model.run({ ids: Array.from({ length: 101 }, () => 1) })).rejects.toThrow(/TFM200/)
  })
  test('each variant of each kernel passes its self-test', async () => {
    const { kernels } = await model.selftest()
    expect(kernels.length).toBeGreaterThan(6)
    for (const k of kernels) expect(k.error, k.name).toBeLessThan(1)
  })
  test('subgroups are used where the device has them, unless they are forced off', async () => {
    const device = await testDevice()
    const seen: string[] = []
    const watched = new Proxy(device, {
      get: (of, name) => {
        if (name === 'createShaderModule')
          return (d: GPUShaderModuleDescriptor) => (seen.push(d.code), of.createShaderModule(d))
        const value: unknown = Reflect.get(of, name)
        return typeof value === 'function' ? value.bind(of) : value
      },
    })
    expect(device.features.has('subgroups')).toBe(true)
    const plain = await load({ weights, device: watched, features: [], alternatives: [], compile: 'all' })
    expect(seen.filter((code) => /subgroup/.test(code))).toEqual([])
    close((await plain.run({ ids: ids.slice(0, 3) })).logits.data, reference([1, 3], ids.slice(0, 3)))
    plain.dispose()
    seen.length = 0
    const other = await load({ weights, device: watched, alternatives: [], compile: 'all' })
    expect(seen.filter((code) => /^enable subgroups;/.test(code)).length).toBeGreaterThan(3)
    // The self-test compiles the other form, too, and alternatives without workgroup memory.
    const loaded = seen.length
    await other.selftest()
    expect(seen.slice(loaded).filter((code) => /var<workgroup>/.test(code)).length).toBe(
      seen.slice(0, loaded).filter((code) => /subgroup/.test(code)).length,
    )
    other.dispose()
  })
  test('a disposed model says so', async () => {
    const device = await testDevice()
    const counted: GPUBuffer[] = []
    const create = device.createBuffer.bind(device)
    const destroyed = new Set<GPUBuffer>()
    device.createBuffer = (d) => {
      const b = create(d)
      const destroy = b.destroy.bind(b)
      b.destroy = () => (destroyed.add(b), destroy())
      counted.push(b)
      return b
    }
    const other = await load({ weights, device })
    await other.run({ ids: [1, 2] })
    other.dispose()
    device.createBuffer = create
    expect(counted.filter((b) => !destroyed.has(b)).map((b) => b.label)).toEqual([])
    await expect(other.run({ ids: [1] })).rejects.toThrow(/TFM2105: the model was disposed/)
  })
  test('without WebGPU there is a clear error', async () => {
    await expect(load({ weights, gpu: { requestAdapter: async () => null } })).rejects.toThrow(
      /TFM2102: WebGPU found no adapter/,
    )
  })
})

describe('limits', () => {
  const graph = gpt2Graph({ vocab: 11, ctx: 8, d: 4, heads: 2, layers: 1 })
  const random = noise(3)
  const tensors = new Map(
    graph.params.map((p) => [
      p.name,
      { shape: p.shape, data: Float32Array.from({ length: p.shape.reduce((a, b) => a * b, 1) }, random) },
    ]),
  )
  const weights = safetensors(tensors)
  const path = join(folder, 'small.js')
  const limited = async (limits: Record<string, number>): Promise<GPUDevice> => {
    const device = await testDevice()
    const shown = new Proxy(device.limits, { get: (of, name) => limits[String(name)] ?? Reflect.get(of, name) })
    return new Proxy(device, {
      get: (of, name) => {
        if (name === 'limits') return shown
        const value: unknown = Reflect.get(of, name)
        return typeof value === 'function' ? value.bind(of) : value
      },
    })
  }
  let load: Load
  beforeAll(async () => {
    mkdirSync(folder, { recursive: true })
    writeFileSync(path, (await wgsl.emit(lowered(graph), { language: 'js' }))[0].text)
    load = ((await import(pathToFileURL(path).href)) as { load: Load }).load
  })

  test('more storage buffers than the device has', async () => {
    const device = await limited({ maxStorageBuffersPerShaderStage: 5 })
    await expect(load({ weights, device })).rejects.toThrow(
      /TFM2103: kernel \w+ needs \d storage buffers, the device has maxStorageBuffersPerShaderStage = 5/,
    )
  })
  test('a weight larger than a binding', async () => {
    const device = await limited({ maxStorageBufferBindingSize: 100 })
    await expect(load({ weights, device })).rejects.toThrow(
      /TFM2103: [\w.]+ takes \d+ bytes, the device has maxStorageBufferBindingSize = 100/,
    )
  })
  test('a grid beyond one dimension is folded, and the results stay the same', async () => {
    const device = await limited({ maxComputeWorkgroupsPerDimension: 3 })
    const narrow = await load({ weights, device, alternatives: [] })
    const want = interpret(graph, {
      inputs: new Map([['ids', { dtype: 'i32' as const, shape: [1, 2], data: Float64Array.from([1, 2]) }]]),
      params: new Map(
        [...tensors].map(([name, t]) => [
          name,
          { dtype: 'f32' as const, shape: t.shape, data: Float64Array.from(t.data) },
        ]),
      ),
    }).outputs.get('logits')!.data
    const got = (await narrow.run({ ids: { data: [1, 2], shape: [1, 2] } })).logits.data
    for (const [i, x] of want.entries()) expect(Math.abs(got[i] - x)).toBeLessThan(1e-6)
    const ids = { data: [1, 2, 3, 4, 5, 6, 7, 8], shape: [2, 4] }
    await expect(narrow.run({ ids })).rejects.toThrow(
      /TFM2103: kernel \w+ needs \d times 3 workgroups, the device has maxComputeWorkgroupsPerDimension = 3/,
    )
    narrow.dispose()
  })
  test('load opens a device of its own; when it is lost, calls say so', async () => {
    const opened = await openGpu({ uninitialisedWorkgroupMemory: true })
    let device: GPUDevice | undefined
    const adapter = new Proxy(opened.adapter, {
      get: (of, name) => {
        if (name === 'requestDevice') return async (d: GPUDeviceDescriptor) => (device = await of.requestDevice(d))
        const value: unknown = Reflect.get(of, name)
        return typeof value === 'function' ? value.bind(of) : value
      },
    })
    const model = await load({ weights, gpu: { requestAdapter: async () => adapter } })
    expect((await model.run({ ids: [1, 2] })).logits.shape).toEqual([1, 2, 11])
    device!.destroy()
    await device!.lost
    await expect(model.run({ ids: [1] })).rejects.toThrow(/TFM2105: the GPU device was lost/)
    model.dispose()
  })
})
