/** From `load` to `dispose`: what is compiled when, what is told, and that every buffer is given back, also when something fails on the way. */
import { afterAll, describe, expect, test } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { importArtifacts } from '../../../src/cli/emitted.ts'
import { compile, compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { openGpu } from '../../../src/gpu/dawn.ts'
import { safetensorsChunks } from '../../../src/weights/index.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { testDevice } from '../../support/gpu.ts'

const graph = check(gpt2Graph({ vocab: 35, ctx: 50, d: 16, heads: 2, layers: 2 })).graph!
const sine = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7 + seed) * 0.3)
const tensors = graph.params.map(({ name, shape }, i) => ({ name, shape, data: sine(shape.reduce((a, b) => a * b, 1), i) })) // prettier-ignore
const bytesOf = (list: Parameters<typeof safetensorsChunks>[0]) =>
  Uint8Array.from(Buffer.concat([...safetensorsChunks(list)]))
const weights = bytesOf(tensors)

interface Progress {
  readonly phase: string
  readonly loaded: number
  readonly total: number
  readonly tensor: string
}
interface Model {
  run(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  prefill(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  step(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  selftest(): Promise<unknown>
  dispose(): void
}
const [host] = await wgsl.emit(compileGraph(graph, sourceFile('gpt2.tfm', ''), wgsl).lowered.module, { language: 'js' })
const { module, close } = await importArtifacts([host])
const { load } = module as { load: (options: Record<string, unknown>) => Promise<Model> }
afterAll(close)

interface Watched {
  readonly device: GPUDevice
  /** Labels of the buffers that there are. */
  readonly alive: () => string[]
  readonly pipelines: string[]
  /** Bytes of each `writeBuffer` to weights. */
  readonly written: number[]
  submits: number
}
/** The device, each of whose buffers is counted; `change` may replace what it does. */
function watched(real: GPUDevice, change: Partial<GPUDevice> = {}): Watched {
  const alive = new Set<GPUBuffer>()
  const pipelines: string[] = []
  const own: Partial<GPUDevice> = {
    createBuffer(descriptor) {
      const buffer = real.createBuffer(descriptor)
      const destroy = buffer.destroy.bind(buffer)
      buffer.destroy = () => {
        alive.delete(buffer)
        return destroy()
      }
      alive.add(buffer)
      return buffer
    },
    createComputePipelineAsync(descriptor) {
      pipelines.push(`${descriptor.label}.${descriptor.compute.entryPoint}`)
      return real.createComputePipelineAsync(descriptor)
    },
    ...change,
  }
  const counted: Watched = {
    device: new Proxy(real, {
      get(target, key) {
        const value: unknown = Reflect.get(key in own ? own : target, key, key in own ? own : target)
        if (key === 'queue') return queue
        return typeof value === 'function' && !(key in own) ? value.bind(target) : value
      },
    }),
    alive: () => [...alive].map(({ label }) => label),
    pipelines,
    written: [],
    submits: 0,
  }
  const queue = new Proxy(real.queue, {
    get(target, key) {
      if (key === 'submit') counted.submits++
      if (key === 'writeBuffer')
        return (buffer: GPUBuffer, at: number, data: Uint8Array<ArrayBuffer>, ...rest: [number?, number?]) => {
          if (buffer.label.startsWith('w:')) counted.written.push(data.byteLength)
          target.writeBuffer(buffer, at, data, ...rest)
        }
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return counted
}

const many = Array.from({ length: 40 }, (_, i) => i % 35)
/** The pipelines that are made for a call. */
async function neededBy(call: (model: Model) => Promise<unknown>): Promise<Set<string>> {
  const { device, pipelines } = watched(await testDevice())
  const model = await load({ weights, device, compile: 'needed', alternatives: [] })
  await call(model)
  model.dispose()
  return new Set(pipelines)
}

describe('load', () => {
  test('compiles what a first call takes before the rest, and tells how far it is', async () => {
    const { device, pipelines } = watched(await testDevice())
    const told: Progress[] = []
    // The self-test compiles kernels that use features a second time, without.
    const onProgress = (p: Progress): unknown => told.push(p)
    const model = await load({ weights, device, features: [], alternatives: [], onProgress })
    const { logits } = await model.prefill({ ids: [1, 2, 3, 4, 5, 6] })
    expect(logits.data.every(Number.isFinite)).toBe(true)
    await model.selftest()
    const of = (phase: string) => told.filter((p) => p.phase === phase)
    for (const phase of ['weights', 'packing', 'pipelines']) {
      const list = of(phase)
      expect(list.map((p) => p.loaded)).toEqual(list.map((p) => p.loaded).toSorted((a, b) => a - b))
      expect(list.at(-1)!.loaded).toBe(list.at(-1)!.total)
    }
    expect(of('pipelines').length).toBe(pipelines.length)
    // What a prefill of many ids takes comes first.
    const needed = await neededBy((other) => other.prefill({ ids: many }))
    expect(needed.size).toBeGreaterThan(4)
    const kernels = (names: Iterable<string>) => new Set([...names].map((name) => name.split('.')[0]))
    expect(kernels(pipelines.slice(0, needed.size))).toEqual(kernels(needed))
    expect(new Set(pipelines).size).toBe(pipelines.length)
    model.dispose()
  })

  test('leaves pipelines to the calls that need them, where the processor plays the graphics card', async () => {
    const { device, pipelines } = watched(await testDevice())
    const model = await load({ weights, device, features: [] })
    expect(pipelines).toEqual([])
    await model.prefill({ ids: [1, 2, 3] })
    const first = pipelines.splice(0)
    await model.prefill({ ids: [1, 2, 3] })
    expect([first.length > 4, pipelines]).toEqual([true, []])
    await model.selftest()
    expect(pipelines.filter((name) => first.includes(name))).toEqual([])
    expect(pipelines.length).toBeGreaterThan(4)
    model.dispose()
  })

  test('streams tensors of several types to their buffers', async () => {
    const device = await testDevice()
    const ids = [4, 3, 2, 1, 0, 9, 8]
    const logitsOf = async (source: Uint8Array) => {
      const model = await load({ weights: source, device })
      const { logits } = await model.run({ ids })
      model.dispose()
      return logits.data
    }
    const want = await logitsOf(weights)
    // Stored in fewer bits: what can be said in them is the same number.
    const halves = tensors.map((t) => ({ ...t, data: t.data.map((x) => Math.round(x * 256) / 256) }))
    const rounded = await logitsOf(bytesOf(halves))
    expect(rounded).not.toEqual(want)
    for (const dtype of ['F16', 'BF16'] as const)
      expect(await logitsOf(bytesOf(halves.map((t) => ({ ...t, dtype })))), dtype).toEqual(rounded)
  })

  test('a large tensor goes through 4 MiB of memory, piece by piece', async () => {
    const text = 'model table {\n  input ids: i32[T]\n  param w: f32[1100, 1000] = "w"\n  output y = w[ids]\n}\n'
    const [table] = await wgsl.emit(compile(sourceFile('table.tfm', text), wgsl).lowered.module, { language: 'js' })
    const { module, close } = await importArtifacts([table])
    const { device, written } = watched(await testDevice())
    const data = sine(1100 * 1000, 5)
    const source = new Response(bytesOf([{ name: 'w', shape: [1100, 1000], data, dtype: 'BF16' }])).body!
    const model = await (module as typeof table & { load: typeof load }).load({ weights: source, device })
    expect(written).toEqual([2 ** 22, 1100 * 1000 * 4 - 2 ** 22])
    const ids = [0, 1048, 1049, 1099]
    const { y } = (await model.run({ ids })) as unknown as { y: { data: Float32Array } }
    const near = (x: number, want: number) => Math.abs(x - want) <= Math.abs(want) / 256
    ids.forEach((id, row) => {
      for (const i of [0, 1, 575, 576, 999])
        expect(near(y.data[row * 1000 + i], data[id * 1000 + i]), `${id}, ${i}`).toBe(true)
    })
    model.dispose()
    close()
  })

  test('warns of weights that are no numbers, wherever they are read to', async () => {
    const spoilt = tensors.map((t) => ({ ...t, data: t.data.with(0, NaN) }))
    const warned = new Set<string>()
    const onWarning = ({ tensor, count }: { tensor: string; count: number }) => warned.add(`${tensor} ${count}`)
    const model = await load({ weights: bytesOf(spoilt), device: await testDevice(), onWarning })
    model.dispose()
    expect(warned).toEqual(new Set(tensors.map((t) => `${t.name} 1`)))
  })
})

describe('buffers are all given back', () => {
  test('by dispose, also while a call runs', async () => {
    const { device, alive } = watched(await testDevice())
    const model = await load({ weights, device })
    await model.prefill({ ids: [1, 2, 3] })
    await model.step({ ids: [4] })
    await model.run({ ids: [5, 6] })
    await model.selftest()
    expect(alive().length).toBeGreaterThan(tensors.length / 2)
    model.dispose()
    expect(alive()).toEqual([])
    const other = await load({ weights, device })
    const during = other.run({ ids: [1, 2, 3] })
    const after = other.run({ ids: [1] })
    // A turn later the call is at work.
    await new Promise((resolve) => setTimeout(resolve))
    other.dispose()
    await expect(during).rejects.toThrow(/TFM2105/)
    await expect(after).rejects.toThrow(/TFM2105: the model was disposed/)
    expect(alive()).toEqual([])
  })

  test('when the weights do not fit, are cut off, or reading is stopped', async () => {
    const { device, alive } = watched(await testDevice())
    await expect(load({ weights: bytesOf(tensors.slice(1)), device })).rejects.toThrow(/TFM1905/)
    await expect(load({ weights: weights.slice(0, -9), device })).rejects.toThrow(/TFM1903/)
    const stop = new AbortController()
    const reason = new Error('enough')
    const onProgress = ({ loaded, total }: Progress) => loaded > total / 2 && stop.abort(reason)
    await expect(load({ weights, device, signal: stop.signal, onProgress })).rejects.toBe(reason)
    await expect(load({ weights, device, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    // What had been asked for may still come in.
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(alive()).toEqual([])
  })

  test('when a kernel is not accepted, and when compiling is stopped', async () => {
    const real = await testDevice()
    const refuse = async () => Promise.reject(new Error('no'))
    const refusing = watched(real, { createComputePipelineAsync: refuse })
    await expect(load({ weights, device: refusing.device, compile: 'all' })).rejects.toThrow(
      /TFM2104: kernel \w+ was not accepted: no/,
    )
    const never = watched(real, { createComputePipelineAsync: () => new Promise(() => {}) })
    const stop = new AbortController()
    const loading = load({ weights, device: never.device, compile: 'all', signal: stop.signal })
    setTimeout(() => stop.abort(new Error('enough')), 20)
    await expect(loading).rejects.toThrow('enough')
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([...refusing.alive(), ...never.alive()]).toEqual([])
  })

  test('when a kernel that only later calls take is not accepted, the call says so', async () => {
    const real = await testDevice()
    const first = await neededBy((model) => model.prefill({ ids: many }))
    const { device, alive } = watched(real, {
      createComputePipelineAsync: async (d) =>
        first.has(`${d.label}.${d.compute.entryPoint}`)
          ? real.createComputePipelineAsync(d)
          : Promise.reject(new Error('no')),
    })
    const model = await load({ weights, device, compile: 'all', alternatives: [] })
    await model.prefill({ ids: many })
    await expect(model.step({ ids: [1] })).rejects.toThrow(/TFM2104/)
    model.dispose()
    expect(alive()).toEqual([])
  })
})

describe('a device of its own', () => {
  test('is destroyed by dispose, and when load fails', async () => {
    const { gpu } = await openGpu({ uninitialisedWorkgroupMemory: true })
    const made: GPUDevice[] = []
    const watchedGpu = {
      requestAdapter: async () => {
        const adapter = (await gpu.requestAdapter())!
        const requestDevice = async (descriptor?: GPUDeviceDescriptor) => {
          made.push(await adapter.requestDevice(descriptor))
          return made.at(-1)!
        }
        return new Proxy(adapter, {
          get: (target, key) => (key === 'requestDevice' ? requestDevice : Reflect.get(target, key, target)),
        })
      },
    }
    const model = await load({ weights, gpu: watchedGpu })
    await model.run({ ids: [1] })
    model.dispose()
    await expect(load({ weights: weights.slice(0, 50), gpu: watchedGpu })).rejects.toThrow(/TFM190/)
    expect(made.length).toBe(2)
    for (const device of made) expect((await device.lost).reason).toBe('destroyed')
  })
})

describe('a lost device', () => {
  test('is an error of the call and of load, and load again works', async () => {
    const { device: open, close } = await openGpu({ uninitialisedWorkgroupMemory: true })
    const first = await open()
    const model = await load({ weights, device: first })
    const want = (await model.run({ ids: [1, 2, 3] })).logits.data
    const during = model.run({ ids: [1, 2, 3] })
    first.destroy()
    await expect(during).rejects.toThrow(/TFM2105/)
    await expect(model.run({ ids: [1] })).rejects.toThrow(/TFM2105: the GPU device was lost \(destroyed\)/)
    await expect(load({ weights, device: first })).rejects.toThrow(/TFM2105: the GPU device was lost/)
    model.dispose()
    const again = await load({ weights, device: await open() })
    expect((await again.run({ ids: [1, 2, 3] })).logits.data).toEqual(want)
    again.dispose()
    close()
  })
})

describe('submissions', () => {
  test('a step is one', async () => {
    const counted = watched(await testDevice())
    const model = await load({ weights, device: counted.device })
    const submitsOf = async (call: () => Promise<unknown>) => {
      counted.submits = 0
      await call()
      return counted.submits
    }
    expect(await submitsOf(() => model.prefill({ ids: [1, 2, 3] }))).toBeGreaterThan(1)
    expect(await submitsOf(() => model.step({ ids: [1] }))).toBe(1)
    model.dispose()
  })
})
