/** Proofs of limits against what emitted modules really take, and by hand. */
import { describe, expect, test } from 'vitest'
import { check } from '../../src/check/index.ts'
import { compile, compileGraph } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/span.ts'
import { countsOf, movedBytes, totalOf } from '../../src/explain/counts.ts'
import { largest } from '../../src/explain/largest.ts'
import { prove, refusalOf, type Proof } from '../../src/explain/limits.ts'
import { deviceProfiles, parseProfile, type DeviceLimits, type DeviceProfile } from '../../src/program/profiles.ts'
import type { Module } from '../../src/program/types.ts'
import { writeSafetensors } from '../../src/weights/write.ts'
import { wgsl } from '../../targets/wgsl/index.ts'
import { gpt2Graph, type Gpt2Shape } from '../support/gpt2-graph.ts'
import { testDevice } from '../support/gpu.ts'

const { webgpu, phone } = deviceProfiles
const within = (limits: Partial<DeviceLimits>, memory?: number): DeviceProfile => ({
  ...webgpu,
  limits: { ...webgpu.limits, ...limits },
  ...(memory === undefined ? {} : { memory }),
})
function gpt2(shape: Gpt2Shape): Module {
  const { graph } = check(gpt2Graph(shape))
  return compileGraph(graph!, sourceFile('gpt2.tfm', ''), wgsl).lowered.module
}
const compiled = (text: string): Module => compile(sourceFile('m.tfm', text), wgsl).lowered.module
const proofOf = async (module: Module, profile: DeviceProfile, dims = {}): Promise<Proof> =>
  prove(await wgsl.needs!(module, profile), profile, dims)
const program = (proof: Proof, name: string) => proof.programs.find((p) => p.name === name)!
const most = (proof: Proof, name: string) => program(proof, name).largest[0]

describe('what a session takes', () => {
  const module = gpt2({ vocab: 67, ctx: 200, d: 24, heads: 3, layers: 2 })
  const weights = writeSafetensors(
    module.params.map(({ name, shape }) => ({ name, shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) })),
  )
  interface Model {
    readonly past: number
    prefill(inputs: unknown): Promise<unknown>
    step(inputs: unknown): Promise<unknown>
    generate(ids: readonly number[], options: object): AsyncGenerator<number>
    generateBeams(ids: readonly number[], options?: object): Promise<unknown>
    dispose(): void
  }
  /** Loads a model, and gives the bytes of its buffers that live, and the most that did. */
  async function counted(of = module, file = weights) {
    const { text } = (await wgsl.emit(of, { language: 'js', generation: 'full' }))[0]
    const { load } = (await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)) as {
      load: (options: object) => Promise<Model>
    }
    const real = await testDevice()
    const bytes = { live: 0, peak: 0 }
    const createBuffer = (d: GPUBufferDescriptor): GPUBuffer => {
      const buffer = real.createBuffer(d)
      const destroy = buffer.destroy.bind(buffer)
      let there = true
      bytes.live += d.size
      bytes.peak = Math.max(bytes.peak, bytes.live)
      buffer.destroy = () => {
        if (there) bytes.live -= d.size
        there = false
        destroy()
      }
      return buffer
    }
    const device = new Proxy(real, {
      get: (of, name) => {
        if (name === 'createBuffer') return createBuffer
        const value: unknown = Reflect.get(of, name)
        return typeof value === 'function' ? value.bind(of) : value
      },
    })
    return { model: await load({ weights: file, device }), bytes }
  }

  test.each([1, 7, 70])('is what is proven, to the byte: a first prefill of %d', async (T) => {
    const { model, bytes } = await counted()
    await model.prefill({ ids: Array.from({ length: T }, () => 1) })
    expect(program(await proofOf(module, webgpu, { T }), 'prefill').memory.total).toBe(bytes.live)
    expect(bytes.peak).toBe(bytes.live)
    model.dispose()
  })
  test('is what is proven, to the byte: a step that outgrows the caches', async () => {
    const { model, bytes } = await counted()
    for (let past = 0; past < 64; past++) await model.step({ ids: [1] })
    expect(program(await proofOf(module, webgpu, { P: 63 }), 'step').memory.total).toBe(bytes.peak)
    await model.step({ ids: [1] })
    const { memory } = program(await proofOf(module, webgpu, { P: 64 }), 'step')
    // Room for 128 positions, and the old room for 64: keys and values of two layers.
    expect(memory.state).toBe((128 + 64) * 2 * 2 * 24 * 4)
    expect(memory.total).toBe(bytes.peak)
    model.dispose()
  })

  describe('to generate', () => {
    // Two levels of candidates; caches grow while it generates, to the last position.
    const { graph } = check(gpt2Graph({ vocab: 1100, ctx: 90, d: 8, heads: 2, layers: 2 }))
    const module = compileGraph(graph!, sourceFile('gpt2.tfm', ''), wgsl, { reorder: true }).lowered.module
    const next = (n: number, i: number) => Math.sin(i * 1.7 + n)
    const weights = writeSafetensors(
      module.params.map(({ name, shape }) => ({ name, shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => next(name.length, i)) })),
    ) // prettier-ignore
    const prompt = Array.from({ length: 61 }, (_, i) => i)
    test('ids that are drawn on the device', async () => {
      const { model, bytes } = await counted(module, weights)
      let tokens = 0
      for await (const _ of model.generate(prompt, { topK: 40, seed: 1 })) tokens++
      expect(tokens).toBe(30)
      const proof = (await proofOf(module, webgpu, { T: 61 })).generating.find((g) => g.name === 'generate')!
      expect(proof.memory.total).toBe(bytes.peak)
      expect(proof.kernels.map((k) => k.name)).toEqual(['largest_logit', 'top_logits', 'draw'])
      model.dispose()
    })
    test('beams, whose state is reordered', async () => {
      const { model, bytes } = await counted(module, weights)
      await model.generateBeams(prompt, { earlyStopping: 'never' })
      const proof = (await proofOf(module, webgpu, { T: 61 })).generating.find((g) => g.name === 'beams')!
      expect(proof.dims).toEqual({ B: 1, T: 61, N: 4 })
      expect(proof.memory.total).toBe(bytes.peak)
      // Keys and values of two layers, four rows of each, and their copies.
      expect(proof.memory.state).toBeGreaterThan(2 * 2 * 2 * 4 * 90 * 8 * 4)
      model.dispose()
    })
    test('is within a memory up to a longest prompt', async () => {
      const { total } = (await proofOf(module, webgpu, { T: 20 })).generating[0].memory
      for (const [memory, T] of [[total, 20], [total - 1, 19]] as const) {
        const proof = (await proofOf(module, within({}, memory))).generating[0]
        expect(proof).toMatchObject({ name: 'generate', most: T, stop: { limit: 'memory', most: memory } })
      } // prettier-ignore
    })
  })
})

describe('the largest T', () => {
  const module = gpt2({ vocab: 67, ctx: 200, d: 24, heads: 3, layers: 2 })
  test('is that of the model where nothing else stops it', async () => {
    const proof = await proofOf(module, webgpu)
    expect(most(proof, 'prefill')).toMatchObject({ dim: 'T', most: 200, stop: { limit: 'model' }, fixed: { B: 1 } })
    expect(most(proof, 'step')).toMatchObject({ dim: 'P', most: 199, stop: { limit: 'model' } })
    expect(refusalOf(proof)).toBeUndefined()
  })
  test('is what fits into a binding, a buffer, the grid and the memory, each by hand', async () => {
    // Logits take 67 × 4 bytes a position, the widest activation 96 × 4.
    const binding = most(await proofOf(module, within({ maxStorageBufferBindingSize: 67 * 4 * 100 })), 'prefill')
    expect(binding).toMatchObject({ most: Math.floor((67 * 100) / 96), stop: { limit: 'maxStorageBufferBindingSize', need: 70 * 96 * 4 } })
    const buffer = most(await proofOf(module, within({ maxBufferSize: 96 * 4 * 33 })), 'prefill')
    expect(buffer).toMatchObject({ most: 33, stop: { need: 34 * 96 * 4 } })
    const grid = most(await proofOf(module, within({ maxComputeWorkgroupsPerDimension: 7 })), 'prefill')
    expect(grid.stop).toMatchObject({ limit: 'maxComputeWorkgroupsPerDimension', most: 49, unit: 'workgroups' })
    expect(grid.stop!.need).toBeGreaterThan(49)
    const free = await proofOf(module, webgpu, { T: 50 })
    const total = program(free, 'prefill').memory.total
    for (const [memory, T] of [[total, 50], [total - 1, 49]] as const) {
      const proof = most(await proofOf(module, within({}, memory)), 'prefill')
      expect(proof).toMatchObject({ most: T, stop: { limit: 'memory', most: memory } })
    }
  }) // prettier-ignore
  test('shrinks with the batch', async () => {
    const profile = within({ maxStorageBufferBindingSize: 96 * 4 * 100 })
    expect(most(await proofOf(module, profile, { B: 3 }), 'prefill')).toMatchObject({ most: 33, fixed: { B: 3 } })
    expect(most(await proofOf(module, profile, { B: 101 }), 'prefill').most).toBeUndefined()
  })
  test('sizes that are asked for are refused with what stops them', async () => {
    const proof = await proofOf(module, within({ maxStorageBufferBindingSize: 96 * 4 * 100 }), { T: 150 })
    expect(refusalOf(proof)).toMatchObject({
      program: { name: 'prefill' },
      stop: { what: 'output logits', need: Math.ceil((150 * 67) / 4) * 16 },
    })
    expect(program(proof, 'prefill').largest[0].most).toBe(100)
    expect(refusalOf(await proofOf(module, within({ maxStorageBufferBindingSize: 96 * 4 * 100 }), { T: 100 }))).toBeUndefined() // prettier-ignore
  })
  test('bindings of kernels and their threads are proven too', async () => {
    const stop = async (limits: Partial<DeviceLimits>) => refusalOf(await proofOf(module, within(limits)))?.stop
    expect(await stop({ maxStorageBuffersPerShaderStage: 4 })).toMatchObject({ limit: 'maxStorageBuffersPerShaderStage', most: 4 })
    expect(await stop({ maxComputeInvocationsPerWorkgroup: 16 })).toMatchObject({ unit: 'threads', most: 16 })
    expect(await stop({ maxComputeWorkgroupStorageSize: 1024 })).toMatchObject({ limit: 'maxComputeWorkgroupStorageSize', most: 1024 })
    expect(await stop({ maxUniformBufferBindingSize: 8 })).toMatchObject({ what: 'the block of dims' })
  }) // prettier-ignore
  test('multiples', async () => {
    const halves = compiled('model m {\n  input x: f32[B, T, 4] where T % 6 == 0\n  output y = x * 2\n}\n')
    expect(most(await proofOf(halves, within({ maxBufferSize: 1000 })), 'run')).toMatchObject({ dim: 'T', most: 60, stop: { need: 66 * 16 } }) // prettier-ignore
  })
})

describe('weights in parts', () => {
  const module = gpt2({ vocab: 50257, ctx: 1024, d: 768, heads: 12, layers: 1 })
  test('a table of 154 MB takes two bindings, and nothing refuses it', async () => {
    const proof = await proofOf(module, webgpu)
    expect(proof.weights.split).toMatchObject([{ name: 'wte.weight', bytes: 50257 * 768 * 4, parts: 2, largest: 2 ** 27 }])
    // 134,217,728 / 50,257 / 4
    expect(most(proof, 'prefill')).toMatchObject({ most: 667, stop: { what: 'output logits' } })
    expect(program(proof, 'prefill').kernels.find((k) => k.name === 'logits')).toMatchObject({ bindings: 4 })
  }) // prettier-ignore
  test('a table of more parts than bindings is taken one part at a time', async () => {
    const proof = await proofOf(module, within({ maxStorageBufferBindingSize: 2 ** 24 }))
    // 5,461 rows of 3 kB each.
    expect(proof.weights.split).toMatchObject([{ name: 'wte.weight', bytes: 50257 * 768 * 4, parts: 10, largest: 5461 * 768 * 4 }])
    expect(refusalOf(proof)).toBeUndefined()
    for (const { kernels } of proof.programs)
      for (const { name, bindings } of kernels) expect(bindings, name).toBeLessThanOrEqual(8)
  }) // prettier-ignore
  test('a matrix in parts that a kernel needs together, and cannot bind, stays whole, and is refused by its name', async () => {
    const wide = gpt2({ vocab: 97, ctx: 64, d: 768, heads: 12, layers: 1 })
    const proof = await proofOf(wide, within({ maxStorageBufferBindingSize: 2 ** 20 }))
    expect(proof.weights.split.map((w) => w.name)).not.toContain('h.0.attn.c_attn.weight')
    expect(refusalOf(proof)!.stop).toMatchObject({
      what: expect.stringMatching(/^h\.0\.\w+\.\w+\.weight \(in parts, kernel \w+ would bind 1\d buffers\)$/),
      limit: 'maxStorageBufferBindingSize', most: 2 ** 20,
    })
  }) // prettier-ignore
  test('a model that is larger than the memory does not fit at all', async () => {
    const proof = await proofOf(module, phone)
    expect(most(proof, 'prefill').most).toBeUndefined()
    expect(refusalOf(proof)!.stop).toMatchObject({ what: 'the model in all', limit: 'memory', most: 2 ** 27 })
  })
})

test('a token of GPT-2: dispatches, and each weight and each cached position once', () => {
  const shape = { vocab: 97, ctx: 64, d: 32, heads: 4, layers: 3 }
  const module = gpt2(shape)
  const step = module.programs.find((p) => p.name === 'step')!
  const { T, past } = module.sequence!
  const counts = countsOf(module, step, new Map([[T, 1], [past, 20]])) // prettier-ignore
  const total = totalOf(counts)
  const numbers = module.params.reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0)
  // All but the tables, of which one row each is read; the tied one is the head, too.
  const tables = (shape.vocab + shape.ctx) * shape.d
  expect(total.weights).toBe(4 * (numbers - tables + shape.vocab * shape.d + 2 * shape.d))
  expect(total.state).toBe(4 * shape.layers * 2 * 21 * shape.d)
  expect(total.dispatches).toBe(counts.reduce((n, c) => n + c.dispatches, 0))
  expect(movedBytes(total)).toBe(total.weights + total.state + total.other + total.written)
  expect(total.flops).toBeGreaterThan(2 * (numbers - tables + shape.vocab * shape.d - 13 * shape.d * shape.layers))
})

test('bisection finds the last that fits, and with falling needs the last before the first that does not', () => {
  for (const end of [0, 1, 2, 3, 63, 64, 65, 1000, 123456])
    for (const hi of [end, end + 1, 2 ** 31 - 1]) expect(largest((n) => n <= end, 0, hi)).toBe(end)
  expect(largest(() => true, 1, 77)).toBe(77)
  expect(largest((n) => n > 1, 1, 77)).toBeUndefined()
  expect(largest((n) => n !== 30, 1, 500)).toBe(29)
  expect(largest((n) => n !== 300, 1, 500, false)).toBe(299)
})

describe('profiles', () => {
  test('from JSON, with defaults for what is not named', () => {
    const text = '{"name": "tablet", "memory": 536870912, "limits": {"maxBufferSize": 1000000}}'
    expect(parseProfile(text)).toMatchObject({ name: 'tablet', memory: 2 ** 29, limits: { maxBufferSize: 1e6, maxComputeWorkgroupsPerDimension: 65535 } }) // prettier-ignore
  })
  test.each([
    ['{', /not JSON/],
    ['[]', /not a JSON object/],
    ['null', /not a JSON object/],
    ['{"memory": 1}', /`name`/],
    ['{"name": "a\\u001b[31m"}', /`name`/],
    ['{"name": "a", "about": "\\u202e"}', /`about`/],
    ['{"name": "a", "memory": -1}', /`memory`.*-1/],
    ['{"name": "a", "memory": 1e400}', /`memory`/],
    ['{"name": "a", "limits": []}', /`limits`/],
    ['{"name": "a", "limits": {"toString": 1}}', /no limit that matters/],
    ['{"name": "a", "limits": {"__proto__": 1}}', /no limit that matters/],
    ['{"name": "a", "limits": {"maxBufferSize": "1"}}', /maxBufferSize is to be a whole number/],
    ['{"name": "a", "limits": {"maxBufferSize": 100}}', /256 at least/],
    ['{"name": "a", "limit": {}}', /"limit"/],
  ])('%s is none', (text, message) => expect(parseProfile(text)).toMatch(message))
})
