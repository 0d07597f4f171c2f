/** Weights that are too large for one binding: in parts, read alike. */
import { beforeAll, describe, expect, test } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { deviceProfiles, type DeviceProfile } from '../../../src/program/profiles.ts'
import type { Module } from '../../../src/program/types.ts'
import { writeSafetensors } from '../../../src/weights/write.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { partBytes, partsOf } from '../../../targets/wgsl/parts.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { con } from '../../../src/types/ix.ts'
import { gpt2Graph, type Gpt2Shape } from '../../support/gpt2-graph.ts'
import { shaderErrors, testDevice } from '../../support/gpu.ts'

const { webgpu, desktop } = deviceProfiles
/** As WebGPU's default, but for so many bindings of so many bytes. */
const narrow = (bytes: number, bindings = 16): DeviceProfile => ({
  ...webgpu,
  limits: { ...webgpu.limits, maxStorageBufferBindingSize: bytes, maxStorageBuffersPerShaderStage: bindings },
})

function lowered(shape: Gpt2Shape): Module {
  const { graph } = check(gpt2Graph(shape))
  return compileGraph(graph!, sourceFile('gpt2.tfm', ''), wgsl).lowered.module
}
async function emitted(module: Module, profile?: DeviceProfile): Promise<string> {
  return (await wgsl.emit(module, { language: 'js', ...(profile ? { profile } : {}) }))[0].text
}

interface Model {
  run(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  prefill(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  step(inputs: unknown): Promise<{ logits: { data: Float32Array } }>
  selftest(): Promise<{ kernels: { name: string; error: number }[] }>
  dispose(): void
}

describe('a model whose matrices all lie in parts', () => {
  // The tied table takes 6,432 bytes, three parts; a part ends within a row, and within a vector of no row.
  const module = lowered({ vocab: 67, ctx: 20, d: 24, heads: 3, layers: 2 })
  const weights = writeSafetensors(
    module.params.map(({ name, shape }) => {
      const length = shape.reduce((a, b) => a * b, 1)
      return { name, shape, data: Float32Array.from({ length }, (_, i) => 0.2 * Math.sin(i * 1.7 + name.length)) }
    }),
  )
  const models: Model[] = []
  let text: string
  beforeAll(async () => {
    text = await emitted(module, narrow(2560 + 100))
    const few = await emitted(module, narrow(2560 + 100, 8))
    // The table of three parts is taken one at a time, of 26 rows each.
    expect(few).toMatch(/'wte\.weight', cut: 624/)
    expect(few).not.toMatch(/'h_ln_1_2', .*'1:wte\.weight'/)
    for (const [source, options] of [[await emitted(module), { alternatives: [] }], [text, { alternatives: [] }], [text, {}], [few, {}]] as const) {
      const { load } = (await import(`data:text/javascript;base64,${Buffer.from(source).toString('base64')}`)) as { load: (o: object) => Promise<Model> }
      models.push(await load({ weights, device: await testDevice(), ...options }))
    }
    return () => models.forEach((m) => m.dispose())
  }) // prettier-ignore

  test('says so, and its kernels are valid', async () => {
    expect(text).toMatch(/fn wte_weight_at\(i: i32\) -> f32 \{\n {2}if \(i < 640\) \{ return wte_weight_0\[i\]; \}\n {2}if \(i < 1280\)/)
    expect(text).toMatch(/\['\w+', 'w:wte\.weight', '1:wte\.weight', '2:wte\.weight',/)
    const emit = (profile: DeviceProfile) => wgsl.emit(module, { language: 'js', profile })
    const files = [...(await emit(narrow(2560 + 100))), ...(await emit(narrow(1600, 7)))]
    for (const f of files.filter((f) => f.path.endsWith('.wgsl'))) expect(await shaderErrors(f.text), f.path).toEqual([])
  }) // prettier-ignore
  test('computes what it computes in one piece, in every variant', async () => {
    const [whole, ...others] = models
    const same = async (call: (m: Model) => Promise<{ logits: { data: Float32Array } }>): Promise<void> => {
      const a = (await call(whole)).logits.data
      for (const other of others) {
        const b = (await call(other)).logits.data
        expect(b.length).toBe(a.length)
        let worst = 0
        for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]))
        expect(worst).toBeLessThan(1e-6)
      }
    }
    // The first and the last row of each part among them.
    const ids = [0, 26, 27, 52, 53, 54, 66, 5, 13, 39]
    for (const n of [1, 5, 10]) await same((m) => m.run({ ids: ids.slice(0, n) }))
    await same((m) => m.prefill({ ids: ids.slice(0, 7) }))
    await same((m) => m.step({ ids: [66] }))
  })
  test('passes its self-test', async () => {
    for (const model of [models[1], models[3]]) {
      const { kernels } = await model.selftest()
      expect(kernels.length).toBeGreaterThan(6)
      for (const k of kernels) expect(k.error, k.name).toBeLessThan(1)
    }
  })
})

test('a table of 50,257 x 768 is in two parts within the bindings that every device has, and in one on a desktop', async () => {
  const module = lowered({ vocab: 50257, ctx: 8, d: 768, heads: 12, layers: 1 })
  const text = await emitted(module)
  expect(text).toMatch(/fn \w+_at\(i: i32\) -> f32 \{\n {2}if \(i < 33554432\)/)
  expect(text).toContain("'1:wte.weight'")
  expect(text).not.toContain("'2:wte.weight'")
  expect(text).toContain(`{ name: 'wte.weight', cut: ${2 ** 25} }`)
  expect(await emitted(module, webgpu)).toBe(text)
  expect(await emitted(module, desktop)).not.toMatch(/_at\(i: i32\)|cut: \d/)
})

test('nothing changes where nothing is too large', async () => {
  const module = lowered({ vocab: 11, ctx: 8, d: 8, heads: 2, layers: 1 })
  expect(await emitted(module, webgpu)).toBe(await emitted(module, desktop))
})

test('floats are cut at multiples of 256 bytes, the last part has what is left, and only weights are', () => {
  const arg = (n: number, role: 'weight' | 'activation' = 'weight') => ({ buffer: newBuffer('w', 'f32', 'global', [con(n)]), access: 'read' as const, role }) // prettier-ignore
  expect(partBytes(1000)).toBe(768)
  expect(partsOf(arg(250), 1000)).toBeUndefined()
  expect(partsOf(arg(251), 1000)).toEqual([192, 59])
  expect(partsOf(arg(192), 1000)).toBeUndefined()
  expect(partsOf(arg(384), 768)).toEqual([192, 192])
  expect(partsOf(arg(1000, 'activation'), 1000)).toBeUndefined()
})
