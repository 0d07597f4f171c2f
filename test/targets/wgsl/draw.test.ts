import { beforeAll, describe, expect, test } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { verify, webgpuLimits } from '../../../src/kernel/verify.ts'
import { mapStmts, visitStmts } from '../../../src/kernel/walk.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import { evaluate } from '../../../src/types/ix.ts'
import { sample, type SampleOptions } from '../../../targets/runtime/sampling.ts'
import { typescript } from '../../../targets/typescript/index.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { schedule } from '../../../targets/wgsl/recipes.ts'
import { samplingOf, type Draws, type Sampling } from '../../../targets/wgsl/sampling.ts'
import { loadEmitted, type Emitted } from '../../support/emitted.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { testDevice } from '../../support/gpu.ts'
import { safetensors } from '../typescript/safetensors.ts'
import { random } from '../../kernel/run.ts'
import { compile, type Compiled } from './run.ts'

const compiled = (vocab: number, d = 4, layers = 1) => {
  const graph = gpt2Graph({ vocab, ctx: 100, d, heads: 2, layers })
  return { graph, compiled: compileGraph(check(graph).graph!, sourceFile('gpt2.tfm', ''), wgsl) }
}

describe.each([
  ['one level', 67],
  ['two levels', 1100],
  ['three levels', 9000],
])('%s: %d logits', (_, vocab) => {
  let sampling: Sampling
  const kernels = new Map<Draws[number], Compiled>()
  const dims = () => [...new Set([...sampling.greedy, ...sampling.top].flatMap((d) => d.kernel.params))]
  beforeAll(async () => {
    sampling = samplingOf(compiled(vocab).compiled.lowered.module)!
    for (const d of [...sampling.greedy, ...sampling.top]) kernels.set(d, await compile(d.kernel, dims()))
  })

  /** The id that the kernels draw from these logits. */
  async function draw(logits: Float32Array, options: SampleOptions, chance: number): Promise<number> {
    const device = await testDevice()
    const { temperature = 0, topK = 1, topP = 1, minP = 0 } = options
    const filled = (data: Float32Array | Int32Array): GPUBuffer => {
      const buffer = device.createBuffer({ size: Math.max(16, data.byteLength), usage: 4 | 8 | 128 })
      device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>)
      return buffer
    }
    const buffers = new Map([
      ['o:logits', filled(logits)],
      ['d:options', filled(Float32Array.of(temperature, topP, minP, chance))],
      ['d:id', filled(Int32Array.of(-9))],
      ...sampling.lists.flatMap((n, i) => ['values', 'ids'].map((of) => [`d:${of} ${i}`, filled(new Float32Array(n))] as const)),
    ]) // prettier-ignore
    const value = (name: string): number => ({ B: 1, T: 1, 'top k': topK })[name] ?? 0
    const uniform = device.createBuffer({ size: 64, usage: 8 | 64 })
    device.queue.writeBuffer(
      uniform,
      0,
      Int32Array.from(dims(), (s) => value(s.name)),
    )
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    for (const d of temperature === 0 ? sampling.greedy : sampling.top) {
      const c = kernels.get(d)!
      const entries = d.args.map((name, i) => ({ binding: i + 1, resource: { buffer: buffers.get(name)! } }))
      if (c.printed.usesDims) entries.push({ binding: 0, resource: { buffer: uniform } })
      pass.setPipeline(c.pipelines[0])
      pass.setBindGroup(0, device.createBindGroup({ layout: c.layout, entries }))
      pass.dispatchWorkgroups(evaluate(c.printed.entries[0].groups, (s) => value(s.name)))
    }
    pass.end()
    const back = device.createBuffer({ size: 4, usage: 1 | 8 })
    encoder.copyBufferToBuffer(buffers.get('d:id')!, 0, back, 0, 4)
    device.queue.submit([encoder.finish()])
    await back.mapAsync(1)
    const [id] = new Int32Array(back.getMappedRange())
    for (const b of [...buffers.values(), uniform, back]) b.destroy()
    return id
  }

  const next = random(vocab)
  const cases: Record<string, () => Float32Array> = {
    'any logits': () => Float32Array.from({ length: vocab }, () => next() * 8 - 4),
    'many equal ones': () => Float32Array.from({ length: vocab }, () => Math.floor(next() * 3)),
    'all equal': () => new Float32Array(vocab).fill(-2.5),
    'NaN, infinities, huge numbers': () =>
      Float32Array.from({ length: vocab }, () => [NaN, -Infinity, next(), 3e38 * next(), -3e38][Math.floor(next() * 5)]),
    'one number among infinities': () => new Float32Array(vocab).fill(-Infinity).with(vocab - 1, -7),
    'an infinity': () => Float32Array.from({ length: vocab }, () => next()).with(3, Infinity),
  } // prettier-ignore
  // The third level is made of the same stages as the second.
  test.each(Object.keys(cases).slice(0, vocab < 9000 ? undefined : 2))('%s', async (name) => {
    for (let round = vocab < 1000 ? 3 : 1; round > 0; round--) {
      const logits = cases[name]()
      expect(await draw(logits, {}, 0)).toBe(sample(logits, {}, () => 0))
      for (const options of [
        { topK: 1 },
        { topK: 5 },
        { topK: 64, temperature: 0.7 },
        { topK: 40, topP: 0.9, temperature: 1.3 },
        { topK: 50, minP: 0.2 },
        { topK: 7, topP: 0.01 },
        { topK: 20, temperature: 100 },
        { topK: 20, temperature: 1e-6 },
      ]) {
        const chance = Math.fround(next())
        const got = await draw(logits, { temperature: 1, ...options }, chance)
        expect(got, JSON.stringify({ ...options, chance })).toBe(sample(logits, options, () => chance))
      }
    }
  })
  test('no number at all', async () => {
    for (const x of [NaN, -Infinity]) {
      const logits = new Float32Array(vocab).fill(x)
      expect(await draw(logits, {}, 0)).toBe(-1)
      expect(await draw(logits, { topK: 5, temperature: 1 }, 0.5)).toBe(-1)
    }
  })
  test('the kernels are well-formed, and have no barrier to spare', () => {
    for (const { kernel } of [...sampling.greedy, ...sampling.top]) {
      const [{ nest, schedule: name }] = schedule(kernel).variants
      expect(name).toBe('rows')
      expect(verify(nest, { limits: webgpuLimits })).toEqual([])
      let barriers = 0
      visitStmts(nest.body, (s) => void (s.k === 'barrier' && barriers++))
      for (let n = 0; n < barriers; n++) {
        let seen = 0
        const without = mapStmts(nest.body, (s): readonly Stmt[] => (s.k === 'barrier' && seen++ === n ? [] : [s]))
        expect(verify({ ...nest, body: without }), `${kernel.name} without barrier ${n}`).not.toEqual([])
      }
    }
  })
})

describe('generation', () => {
  const vocab = 67
  const { graph, compiled: made } = compiled(vocab, 24, 2)
  const next = random(5)
  const weights = safetensors(
    graph.params.map(({ name, shape }) => ({
      name,
      shape,
      data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next() * 0.8 - 0.4),
    })),
  )
  const prompt = [3, 36, 0, 7, 66]
  let model: Emitted
  let other: Emitted
  beforeAll(async () => {
    model = await loadEmitted(wgsl, made, weights)
    other = await loadEmitted(typescript, compileGraph(check(graph).graph!, sourceFile('gpt2.tfm', ''), typescript), weights) // prettier-ignore
  })
  const all = async (of: Emitted, options: Readonly<Record<string, unknown>>): Promise<number[]> => {
    const out: number[] = []
    for await (const id of of.generate(prompt, options)) out.push(id)
    return out
  }
  /** The tokens with logits that are read back. */
  const readBack = (options: object) => all(model, { ...options, processLogits: () => {} })

  test.each([
    {},
    { temperature: 0, topK: 3 },
    { topK: 1 },
    { topK: 5, seed: 7 },
    { topK: 40, seed: 3, temperature: 2, topP: 0.9 },
    { topK: 64, seed: 4, minP: 0.3 },
  ])('%j: the tokens are those of the other targets, and those of logits that were read back', async (options) => {
    const tokens = await all(model, { maxTokens: 20, ...options })
    expect(tokens.length).toBe(20)
    expect(model.past).toBe(prompt.length + 19)
    expect(tokens).toEqual(await readBack({ maxTokens: 20, ...options }))
    expect(tokens).toEqual(await all(other, { maxTokens: 20, ...options }))
  })
  test('up to the end of the context, past the first size of the caches', async () => {
    const tokens = await all(model, { maxTokens: 1000, topK: 9, seed: 2 })
    expect(tokens.length).toBe(100 - prompt.length + 1)
    expect(tokens).toEqual(await readBack({ maxTokens: 1000, topK: 9, seed: 2 }))
    expect(model.past).toBe(100)
  })
  test('steps after the end are undone', async () => {
    const options = { maxTokens: 30, topK: 20, seed: 9, temperature: 3 }
    const tokens = await all(model, options)
    const end = tokens.findIndex((id, i) => i > 3 && !tokens.slice(0, i).includes(id))
    expect(await all(model, { ...options, stop: [tokens[end], 1000] })).toEqual(tokens.slice(0, end))
    expect(model.past).toBe(prompt.length + end)
    const { data } = (await model.step({ ids: [tokens[end]] })).logits
    model.reset()
    const whole = (await model.prefill({ ids: [...prompt, ...tokens.slice(0, end + 1)] })).logits
    const want = whole.data.slice(-vocab)
    expect(Math.max(...Array.from(data, (x, i) => Math.abs(x - want[i])))).toBeLessThan(1e-5)
    // Whoever stops listening also ends it; a run in between has buffers of its own.
    const heard: number[] = []
    for await (const id of model.generate(prompt, options)) {
      heard.push(id)
      await model.run({ ids: [1, 2, 3] })
      if (heard.length === 6) break
    }
    expect(heard).toEqual(tokens.slice(0, 6))
    expect(model.past).toBe(prompt.length + 5)
  })
  test('one encoder, one submission, four bytes read and no new bind groups a token', async () => {
    const device = await testDevice()
    const counts = { submit: 0, createCommandEncoder: 0, createBindGroup: 0, createBuffer: 0, mapped: 0 }
    const { submit } = device.queue
    device.queue.submit = (list) => {
      counts.submit++
      submit.call(device.queue, list)
    }
    const given = new Map<string, unknown>()
    for (const name of ['createCommandEncoder', 'createBindGroup', 'createBuffer'] as const) {
      given.set(name, device[name])
      const call = device[name].bind(device) as (d: never) => never
      Object.assign(device, {
        [name]: (d: never) => {
          counts[name]++
          return call(d)
        },
      })
    }
    const map = GPUBuffer.prototype.mapAsync
    GPUBuffer.prototype.mapAsync = function (mode, offset, size) {
      counts.mapped += size ?? this.size
      return map.call(this, mode, offset, size)
    }
    try {
      for (const options of [{}, { topK: 5, seed: 1 }]) {
        await all(model, { ...options, maxTokens: 5 })
        for (const key of Object.keys(counts) as (keyof typeof counts)[]) counts[key] = 0
        expect((await all(model, { ...options, maxTokens: 12 })).length).toBe(12)
        expect(counts).toEqual({ submit: 12, createCommandEncoder: 12, createBindGroup: 0, createBuffer: 0, mapped: 48 }) // prettier-ignore
      }
      // The first waits for no other; then several are on their way before one is awaited.
      counts.submit = 0
      const tokens = model.generate(prompt, { maxTokens: 12 })
      await tokens.next()
      expect(counts.submit).toBe(1)
      await tokens.next()
      expect(counts.submit).toBe(5)
      await tokens.return()
    } finally {
      device.queue.submit = submit
      for (const [name, call] of given) Object.assign(device, { [name]: call })
      GPUBuffer.prototype.mapAsync = map
    }
  })
})
