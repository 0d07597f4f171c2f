/** Tables of more parts than kernels have bindings: one part at a time. */
import { describe, expect, test } from 'vitest'
import { importFromFolder } from '../../../src/cli/emitted.ts'
import { compile } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/index.ts'
import { prove } from '../../../src/explain/limits.ts'
import { naiveNest } from '../../../src/kernel/build.ts'
import { verify, webgpuLimits } from '../../../src/kernel/verify.ts'
import { deviceProfiles, type DeviceProfile } from '../../../src/program/profiles.ts'
import { writeSafetensors } from '../../../src/weights/write.ts'
import { moduleOf } from '../../../targets/wgsl/host.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { keptBytes } from '../../../targets/wgsl/kept.ts'
import { splitOf } from '../../../targets/wgsl/parts.ts'
import { testDevice } from '../../support/gpu.ts'

interface Model {
  prefill(inputs: object): Promise<{ logits: { data: Float32Array } }>
  step(inputs: object): Promise<{ logits: { data: Float32Array } }>
  generate(ids: readonly number[], options: object): AsyncGenerator<number>
  reset(): void
  selftest(): Promise<{ kernels: { name: string; error: number }[] }>
  dispose(): void
}

/** Rows of the table are added up, and normed before they are multiplied with it. */
const layers = `  x = wte[ids]
  x = residual(self_attention(layernorm(x, name = "norm"), mask = causal(T), name = "attn"))
  output logits = layernorm(x, name = "last") @ transpose(wte)`
/** A kernel that looks rows up, and multiplies with the table. */
const alone = `  output logits = tanh(layernorm(wte[ids], name = "last") @ transpose(wte)) * 3`
const ROWS = 16

describe.each([
  ['f32', layers],
  ['int8', alone],
] as const)('a table in five parts, %s, for 6 bindings', (as, body) => {
  const text = `model tied(vocab = 70, d = 32, heads = 2) {
  sequence T
  input ids: i32[B, T] where T <= 12
  param wte: f32[vocab, d] = "wte.weight"
${body}
}
`
  const module = compile(sourceFile('tied.tfm', text), wgsl, { weights: () => as })
  const { webgpu } = deviceProfiles
  const most = as === 'f32' ? ROWS * 32 * 4 + 100 : keptBytes(as, 32, ROWS)
  const limits = { ...webgpu.limits, maxStorageBufferBindingSize: most, maxStorageBuffersPerShaderStage: 6 }
  const profile: DeviceProfile = { ...webgpu, limits }
  const options = { language: 'js', weights: as } as const
  const file = writeSafetensors(
    module.graph.params.map(({ name, shape }) => {
      const length = shape.reduce((a, b) => a * b, 1)
      return { name, shape, data: Float32Array.from({ length }, (_, i) => Math.sin(i * 1.3 + name.length)) }
    }),
  )
  const load = async (profile: DeviceProfile | undefined, more: object): Promise<Model> => {
    const files = await wgsl.emit(module.lowered.module, { ...options, ...(profile ? { profile } : {}) })
    const { module: emitted, close } = await importFromFolder(files)
    const { load } = emitted as { load: (o: object) => Promise<Model> }
    return load({ weights: file, device: await testDevice(), ...more }).finally(close)
  }
  const tokens = async (model: Model, options: object): Promise<number[]> => {
    model.reset()
    const out: number[] = []
    for await (const id of model.generate([15, 16, 69], { maxTokens: 6, ...options })) out.push(id)
    return out
  }

  test('computes and draws what it does in one piece, and passes its self-test', async () => {
    const [{ text: emitted }] = await wgsl.emit(module.lowered.module, { ...options, profile })
    expect(emitted).toMatch(as === 'f32' ? /'wte\.weight', cut: 512/ : /'wte\.weight', keep: \{[^}]* cut: 16 \}/)
    expect(emitted).toMatch(/'4:wte\.weight', /)
    expect(emitted).not.toMatch(/'w:wte\.weight', '1:wte\.weight'/)
    const [whole, ...others] = [await load(undefined, { alternatives: [] }), await load(profile, { alternatives: [] }), await load(profile, {})] // prettier-ignore
    // The first and the last row of each part among them.
    const ids = [0, 15, 16, 31, 32, 69, 64, 63, 5]
    const logits = async (m: Model): Promise<number[]> => [
      ...(await m.prefill({ ids })).logits.data,
      ...(await m.step({ ids: [48] })).logits.data,
    ]
    const expected = await logits(whole)
    expect(expected.length).toBe(10 * 70)
    expect(Math.max(...expected) - Math.min(...expected)).toBeGreaterThan(2)
    for (const other of others) {
      const found = await logits(other)
      const worst = Math.max(...found.map((x, i) => Math.abs(x - expected[i])))
      expect(worst).toBeLessThan(1e-5 * Math.max(1, ...expected.map(Math.abs)))
      for (const options of [{ temperature: 0 }, { topK: 5, seed: 3 }]) expect(await tokens(other, options)).toEqual(await tokens(whole, options)) // prettier-ignore
    }
    // All entries, whatever alternatives are taken.
    const { kernels } = await others[0].selftest()
    expect(kernels.map((k) => k.name).filter((name) => /^(logits|matmul)(_step)?$/.test(name)).length).toBe(2)
    for (const k of kernels) expect(k.error, k.name).toBeLessThan(1)
    for (const m of [whole, ...others]) m.dispose()
  })
  test('what each dispatch computes is proven to stay within its buffers, of which there are bindings enough', () => {
    const { byPart } = splitOf(moduleOf(module.lowered.module), profile)
    expect(byPart.size).toBeGreaterThan(1)
    for (const { kernel } of [...byPart.values()].flatMap((x) => x.list)) {
      expect(kernel.args.length, kernel.name).toBeLessThanOrEqual(6)
      expect(verify(naiveNest(kernel), { limits: webgpuLimits }), kernel.name).toEqual([])
    }
  })
  test('takes the memory and the bindings that are proven', async () => {
    const proof = prove(await wgsl.needs!(module.lowered.module, profile), profile)
    const table = proof.weights.split.find((w) => w.name === 'wte.weight')
    expect(table).toMatchObject({ parts: 5 })
    expect(table!.largest).toBeLessThanOrEqual(most)
  })
})
