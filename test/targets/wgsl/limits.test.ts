/** Limits of the device, lowered: what is proven fits, one more is refused before anything runs, and says what would fit. */
import { describe, expect, test } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { compile, compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { prove } from '../../../src/explain/limits.ts'
import { deviceProfiles, type DeviceLimits } from '../../../src/program/profiles.ts'
import type { Module } from '../../../src/program/types.ts'
import { writeSafetensors } from '../../../src/weights/write.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { gridOf } from '../../../targets/wgsl/runtime/limits.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { testDevice } from '../../support/gpu.ts'

type Limits = Partial<DeviceLimits>
interface Model {
  readonly past: number
  run(inputs: unknown): Promise<Record<string, { data: Float32Array }>>
  prefill(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  step(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  reset(): void
  dispose(): void
}

/** A device with lower limits, which counts what is asked of it. */
async function limited(limits: Limits) {
  const real = await testDevice()
  const calls = { createBuffer: 0, createShaderModule: 0, submit: 0 }
  const shown = new Proxy(real.limits, { get: (of, name) => limits[String(name) as keyof Limits] ?? Reflect.get(of, name) }) // prettier-ignore
  const counting = <T extends object>(of: T, more: Record<string, unknown> = {}): T =>
    new Proxy(of, {
      get: (it, name) => {
        if (name in calls) calls[name as keyof typeof calls]++
        if (typeof name === 'string' && name in more) return more[name]
        const value: unknown = Reflect.get(it, name)
        return typeof value === 'function' ? value.bind(it) : value
      },
    })
  return { device: counting(real, { limits: shown, queue: counting(real.queue) }), calls }
}
async function load(module: Module, limits: Limits, options: object = { alternatives: [] }) {
  const weights = writeSafetensors(
    module.params.map(({ name, shape }) => {
      const length = shape.reduce((a, b) => a * b, 1)
      return { name, shape, data: Float32Array.from({ length }, (_, i) => 0.2 * Math.sin(i * 1.7 + name.length)) }
    }),
  )
  const { text } = (await wgsl.emit(module, { language: 'js' }))[0]
  const { load } = (await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)) as { load: (o: object) => Promise<Model> } // prettier-ignore
  const { device, calls } = await limited(limits)
  return { model: await load({ weights, device, ...options }), calls }
}
async function proof(module: Module, limits: Limits, dims = {}) {
  const profile = { ...deviceProfiles.webgpu, limits: { ...deviceProfiles.webgpu.limits, ...limits } }
  return prove(await wgsl.needs!(module, profile), profile, dims)
}
const { graph } = check(gpt2Graph({ vocab: 19, ctx: 200, d: 8, heads: 2, layers: 2 }))
const gpt2 = compileGraph(graph!, sourceFile('gpt2.tfm', ''), wgsl).lowered.module
const ids = (n: number): number[] => Array.from({ length: n }, (_, i) => (i * 7) % 19)

describe('a call at the largest size that is proven runs, and one more is refused before anything of it does', () => {
  const cases: [Limits, RegExp][] = [
    [{ maxStorageBufferBindingSize: 6400 + 128 }, /activation \d takes 6656 bytes, the device has maxStorageBufferBindingSize = 6528/],
    [{ maxBufferSize: 7000 }, /activation \d takes \d+ bytes, the device has maxBufferSize = 7000/],
    [{ maxComputeWorkgroupsPerDimension: 9 }, /kernel \w+ needs 10 times 9 workgroups, the device has maxComputeWorkgroupsPerDimension = 9/],
  ] // prettier-ignore
  test.each(cases)('%o', async (limits, message) => {
    const { largest } = (await proof(gpt2, limits)).programs.find((p) => p.name === 'prefill')!
    const T = largest[0].most!
    expect(T).toBeGreaterThan(10)
    expect(T).toBeLessThan(199)
    const { model, calls } = await load(gpt2, limits)
    expect((await model.prefill({ ids: ids(T) })).logits.data.length).toBe(19 * T)
    model.reset()
    const before = { ...calls }
    const refused = await model.prefill({ ids: ids(T + 1) }).catch((thrown: Error) => thrown.message)
    expect(refused).toMatch(message)
    expect(refused).toMatch(new RegExp(`TFM2103: .*; the largest that fits is T = ${T}$`))
    expect(calls).toEqual(before)
    const batch = { ids: { data: ids(2 * T), shape: [2, T] } }
    await expect(model.run(batch)).rejects.toThrow(/the largest that fits is B = 1 or T = \d+$/)
    // A refused call changes nothing.
    expect(model.past).toBe(0)
    await model.prefill({ ids: ids(3) })
    model.dispose()
  })
})

test('caches grow as far as a binding goes; steps end where the proof says, and what was there stays', async () => {
  // Keys of a position take 64 bytes for two sequences: there is room for 100, but not for 128.
  const limits = { maxStorageBufferBindingSize: 6400 }
  const { largest } = (await proof(gpt2, limits, { B: 2 })).programs.find((p) => p.name === 'step')!
  expect(largest).toMatchObject([{ dim: 'P', most: 99, stop: { need: 6464, what: expect.stringMatching(/^state /) } }])
  const { model } = await load(gpt2, limits)
  const free = await load(gpt2, {})
  const pair = (n: number, from: number) => ({ ids: { data: ids(200).slice(from, from + 2 * n), shape: [2, n] } })
  for (const m of [model, free.model]) for (const at of [0, 24, 48, 72]) await m.prefill(pair(24, at))
  for (let i = 0; i < 4; i++)
    expect((await model.step(pair(1, i))).logits.data).toEqual((await free.model.step(pair(1, i))).logits.data)
  expect(model.past).toBe(100)
  const refused = model.step(pair(1, 0))
  await expect(refused).rejects.toThrow(/TFM2103: .*attn\.k takes 6464 bytes.*; the largest that fits is B = 1 or P = 99$/)
  model.dispose()
  free.model.dispose()
}) // prettier-ignore

test('weights are refused before a kernel is compiled or a buffer made', async () => {
  const { device, calls } = await limited({ maxStorageBufferBindingSize: 600 })
  const { text } = (await wgsl.emit(gpt2, { language: 'js' }))[0]
  const { load } = (await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)) as { load: (o: object) => Promise<Model> } // prettier-ignore
  const weights = new Uint8Array()
  await expect(load({ weights, device })).rejects.toThrow(
    /TFM2103: [\w.]+ takes \d+ bytes, the device has maxStorageBufferBindingSize = 600/,
  )
  expect(calls).toEqual({ createBuffer: 0, createShaderModule: 0, submit: 0 })
})

test('batches of products, a third axis of workgroups, are folded too', async () => {
  const text = 'model m {\n  input a: f32[B, 5, 70]\n  input b: f32[B, 70, 3]\n  output y = matmul(a, b)\n}\n'
  const { module } = compile(sourceFile('m.tfm', text), wgsl).lowered
  const inputs = (B: number) => ({
    a: { data: Float32Array.from({ length: B * 350 }, (_, i) => Math.sin(i)), shape: [B, 5, 70] },
    b: { data: Float32Array.from({ length: B * 210 }, (_, i) => Math.cos(i)), shape: [B, 70, 3] },
  })
  // The proof holds for all alternatives: those without workgroup memory make fewer rows a workgroup.
  const limits = { maxComputeWorkgroupsPerDimension: 4 }
  const [narrow, tiles, free] = [await load(module, limits, {}), await load(module, limits), await load(module, {})]
  const most = (await proof(module, limits)).programs[0].largest[0].most!
  expect(most).toBeGreaterThan(4)
  for (const B of [1, 3, most]) {
    const want = (await free.model.run(inputs(B))).y.data
    expect((await tiles.model.run(inputs(B))).y.data).toEqual(want)
    for (const [i, y] of (await narrow.model.run(inputs(B))).y.data.entries())
      expect(Math.abs(y - want[i])).toBeLessThan(2e-5)
  }
  await expect(narrow.model.run(inputs(most + 1))).rejects.toThrow(`the largest that fits is B = ${most}`)
  narrow.model.dispose()
  free.model.dispose()
})

test('a grid has room for all workgroups, wastes less than a row, and never more than i32 counts', () => {
  const limits = (most: number) => ({ maxComputeWorkgroupsPerDimension: most }) as GPUDevice['limits']
  for (const most of [1, 2, 7, 65535, 2 ** 20])
    for (let i = 0; i < 200; i++) {
      const rows = Math.min(most, Math.floor((2 ** 31 - 1) / most))
      const count = Math.max(1, Math.round(most * rows * 2 ** -(i / 8)))
      const [x, y] = gridOf('k', count, limits(most))
      expect(Math.max(x, y)).toBeLessThanOrEqual(most)
      expect(x * y).toBeGreaterThanOrEqual(count)
      expect(x * y - count).toBeLessThan(y)
      expect(x * y).toBeLessThan(2 ** 31)
    }
  expect(gridOf('k', 65535 * 32768, limits(65535))).toEqual([65535, 32768])
  expect(() => gridOf('k', 65535 * 32768 + 1, limits(65535))).toThrow(/TFM2103: kernel k needs 32769 times 65535/)
  expect(() => gridOf('k', 50, limits(7))).toThrow(/kernel k needs 8 times 7 workgroups/)
})
