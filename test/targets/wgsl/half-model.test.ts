/** Models whose products of many rows are computed in f16, where the device can. */
import { expect, test } from 'vitest'
import { compile } from '../../../src/compile.ts'
import { diffOutputs, referenceOutputs } from '../../../src/diff/diff.ts'
import { sourceFile } from '../../../src/diagnostics/index.ts'
import { LARGEST_WEIGHT } from '../../../src/kernel/half.ts'
import type { Arithmetic } from '../../../src/target.ts'
import { toFloat32 } from '../../../targets/runtime/safetensors.ts'
import { toBytes } from '../../../src/weights/values.ts'
import { writeSafetensors } from '../../../src/weights/write.ts'
import { typescript } from '../../../targets/typescript/index.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { random } from '../../kernel/run.ts'
import { loadEmitted } from '../../support/emitted.ts'
import { testDevice } from '../../support/gpu.ts'

/** Merged projections, matrices stored by rows and by columns, a table that is looked up and multiplied with. */
const file = sourceFile('small.tfm', `model small(vocab = 38, ctx = 40, d = 32, heads = 2) {
  sequence T
  input ids: i32[B, T] where T <= ctx
  param wte: f32[vocab, d] = "wte.weight"
  x = wte[ids]
  x = residual(self_attention(layernorm(x, name = "norm"), mask = causal(T), name = "attn"))
  x = residual(linear(gelu_tanh(linear(x, 44, transposed = true, name = "up")), d, name = "down"))
  output logits = layernorm(x, name = "last") @ transpose(wte)
}
`) // prettier-ignore
const compiled = (arithmetic: Arithmetic) => compile(file, wgsl, { weights: () => 'f16', arithmetic })
const { graph } = compile(file, typescript)
const next = random(7)
const f16 = (data: Float32Array): Float32Array => toFloat32('F16', toBytes('F16', data))!
const tensors = graph.params.map(({ name, shape }) => ({
  name,
  shape,
  data: f16(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => (next() * 2 - 1) / (shape.length > 1 ? 4 : 1))),
})) // prettier-ignore
const checkpoint = writeSafetensors(tensors)
const tensor = (name: string): ArrayLike<number> => tensors.find((t) => t.name === name)!.data
const ids = [3, 37, 0, 7, 20, 12, 1, 5, 5, 30, 8, 9, 22, 36, 2, 17, 4, 33, 19, 21]
const inputs = new Map([['ids', { dtype: 'i32' as const, shape: [1, ids.length], data: Float64Array.from(ids) }]])
const device = await testDevice()

test('outputs are within the bound of the model', async () => {
  const c = compiled('f16')
  const loaded = await loadEmitted(wgsl, c, checkpoint)
  const options = { inputs, tensor, fused: true }
  const run = async () => new Map([['logits', (await loaded.run({ ids })).logits.data]])
  const [{ comparison }] = await diffOutputs({ target: wgsl, compiled: c, run }, options, referenceOutputs(c, options))
  expect(comparison.used).toBeLessThanOrEqual(1)
  // Five decimal digits are what f32 keeps here.
  if (device.features.has('shader-f16')) expect(comparison.error).toBeGreaterThan(1e-5)
  else expect(comparison.error).toBeLessThan(1e-5)
  await loaded.selftest()
  loaded.dispose()
})

test('a weight beyond what f16 sums hold is refused by its name, where it is asked for', async () => {
  const large = tensors.map((t) =>
    t.name === 'down.weight' ? { ...t, data: t.data.map((x, i) => (i === 5 ? -LARGEST_WEIGHT - 4 : x)) } : t,
  )
  const load = (arithmetic: Arithmetic) => loadEmitted(wgsl, compiled(arithmetic), writeSafetensors(large))
  await expect(load('f16')).rejects.toThrow(/down\.weight has a weight of -124: f16 arithmetic takes 120 at most/)
  const exact = await load('f32')
  exact.dispose()
})
