/** Models whose matrices are kept in few bits: files as they are, and floats rounded while they are read. */
import { describe, expect, test } from 'vitest'
import { compile } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/index.ts'
import { interpret } from '../../../src/interpret/index.ts'
import { prove } from '../../../src/explain/limits.ts'
import { deviceProfiles, type DeviceProfile } from '../../../src/program/profiles.ts'
import { keptBytes } from '../../../targets/wgsl/kept.ts'
import { summedAxes } from '../../../src/lower/summed.ts'
import type { WeightFormat } from '../../../src/target.ts'
import { quantise, type QuantisedFormat } from '../../../src/weights/index.ts'
import { toBytes } from '../../../src/weights/values.ts'
import { writeSafetensors, type TensorToWrite } from '../../../src/weights/write.ts'
import { toFloat32 } from '../../../targets/runtime/safetensors.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { random } from '../../kernel/run.ts'
import { loadEmitted, type Emitted } from '../../support/emitted.ts'

/** Projections that are merged into one slot, matrices stored by rows and by columns, a table that is looked up and multiplied with. */
const source = `model small(vocab = 38, ctx = 12, d = 64, heads = 2) {
  sequence T
  input ids: i32[B, T] where T <= ctx
  param wte: f32[vocab, d] = "wte.weight"
  x = wte[ids]
  x = residual(self_attention(layernorm(x, name = "norm"), mask = causal(T), name = "attn"))
  x = residual(linear(gelu_tanh(linear(x, 98, transposed = true, name = "up")), d, name = "down"))
  output logits = layernorm(x, name = "last") @ transpose(wte)
}
`
const compiled = (weights?: WeightFormat) =>
  compile(sourceFile('small.tfm', source), wgsl, weights ? { weights: () => weights } : {})
const { graph } = compiled()
const axes = summedAxes(graph)
const next = random(7)
const tensors = graph.params.map(({ name, shape }) => ({
  name,
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => (next() * 2 - 1) / (shape.length > 1 ? 6 : 1)), // prettier-ignore
}))
const isMatrix = (name: string): boolean => axes.has(name) && tensors.find((t) => t.name === name)!.shape.length === 2

/** A file in another format, and what it stands for. */
function stored(as: QuantisedFormat | 'f16' | 'bf16'): { file: Uint8Array; values: Map<string, Float32Array> } {
  const values = new Map<string, Float32Array>(tensors.map((t) => [t.name, t.data]))
  const parts = tensors.flatMap(({ name, shape, data }): TensorToWrite[] => {
    if (!isMatrix(name)) return [{ name, shape, data }]
    if (as === 'f16' || as === 'bf16') {
      const dtype = as === 'f16' ? 'F16' : 'BF16'
      values.set(name, toFloat32(dtype, toBytes(dtype, data))!)
      return [{ name, shape, dtype, data }]
    }
    const axis = axes.get(name)!
    const q = quantise(data, shape, axis, as)
    values.set(name, q.values)
    const blocks = shape.with(axis, Math.ceil(shape[axis] / 32))
    const levels = q.zeros || q.bits === 4 ? q.levels : new Int8Array(q.levels.buffer)
    return [
      { name: `${name}:scale`, dtype: 'F16', shape: blocks, data: toFloat32('F16', new Uint8Array(q.scales.buffer))! },
      ...(q.zeros ? [{ name: `${name}:zero`, dtype: 'U8', shape: blocks, data: q.zeros } as const] : []),
      { name: `${name}:q${q.bits}`, dtype: q.zeros || q.bits === 4 ? 'U8' : 'I8', shape: shape.with(axis, (shape[axis] * q.bits) / 8), data: levels }, // prettier-ignore
    ]
  })
  return { file: writeSafetensors(parts), values }
}
const floats = (values: ReadonlyMap<string, Float32Array>): Uint8Array =>
  writeSafetensors(tensors.map(({ name, shape }) => ({ name, shape, data: values.get(name)! })))

const ids = [3, 37, 0, 7, 20, 12, 1]
function reference(values: ReadonlyMap<string, Float32Array>): Float64Array {
  const f64 = (data: Float32Array) => Float64Array.from(data)
  return interpret(graph, {
    inputs: new Map([['ids', { dtype: 'i32' as const, shape: [1, ids.length], data: Float64Array.from(ids) }]]),
    params: new Map(tensors.map(({ name, shape }) => [name, { dtype: 'f32' as const, shape, data: f64(values.get(name)!) }])), // prettier-ignore
  }).outputs.get('logits')!.data
}
async function logitsOf(model: Emitted): Promise<number[]> {
  const got = [...(await model.prefill({ ids: ids.slice(0, 5) })).logits.data]
  for (const id of ids.slice(5)) got.push(...(await model.step({ ids: [id] })).logits.data)
  return got
}
async function close(model: Emitted, values: ReadonlyMap<string, Float32Array>): Promise<void> {
  const want = reference(values)
  const got = await logitsOf(model)
  expect(got.length).toBe(want.length)
  let worst = 0
  for (let i = 0; i < want.length; i++) worst = Math.max(worst, Math.abs(got[i] - want[i]))
  expect(worst).toBeLessThan(1e-5)
  await model.selftest()
  model.dispose()
}

describe.each([
  // Files in the format that is kept, others whose levels fit in, and one whose do not: it is quantised again.
  ['int8', 'int8'],
  ['int4', 'int4'],
  ['int4-asym', 'int8'],
] as const)('a file of %s, kept as %s', (format, as) => {
  const { file, values } = stored(format)
  test('is computed with as it is, and so are the floats that it stands for', async () => {
    const module = compiled(as)
    await close(await loadEmitted(wgsl, module, file, { weights: as }), values)
    if (format === as) await close(await loadEmitted(wgsl, module, floats(values)), values)
  })
})
test.each(['f16', 'bf16'] as const)('a file of %s', async (as) => {
  const { file, values } = stored(as)
  await close(await loadEmitted(wgsl, compiled(as), file), values)
})

describe.each(['int8', 'int4', 'f16'] as const)('%s in parts', (as) => {
  // Bindings for 36 columns of a matrix with 64 rows: the table of 38 is in two parts, the widest projection in six, which its kernel has no bindings for.
  const bytes = keptBytes(as, 64, 36) + 100
  const { webgpu } = deviceProfiles
  const profile: DeviceProfile = {
    ...webgpu,
    limits: { ...webgpu.limits, maxStorageBufferBindingSize: bytes },
  }
  const { file, values } = stored(as)
  test('is computed with as it is in one piece, from a file as it is and from floats', async () => {
    const module = compiled(as)
    const [{ text }] = await wgsl.emit(module.lowered.module, { language: 'js', weights: as, profile })
    expect(text).toMatch(/name: 'wte\.weight', keep: \{ as: '\w+', k: 64, n: 38, turned: true, cut: 36 \}/)
    expect(text.match(/cut: \d+/g)!.length).toBeGreaterThan(1)
    expect(text).toMatch(/fn \w+_at\(row: i32, four: i32\) -> vec4u \{\s+if \(four < 9\)/)
    for (const weights of as === 'int4' ? [file, floats(values)] : [file]) await close(await loadEmitted(wgsl, module, weights, { weights: as, profile }), values)
  }) // prettier-ignore
  test('takes the memory that is proven', async () => {
    const { weights } = prove(await wgsl.needs!(compiled(as).lowered.module, profile), profile)
    const table = weights.split.find((w) => w.name === 'wte.weight')
    expect(table).toMatchObject({ parts: 2, largest: keptBytes(as, 64, 36), bytes: keptBytes(as, 64, 38) })
  })
})

test.each(['f32', 'f16'] as const)('rows of a table that are multiplied with it, kept as %s', async (as) => {
  const text = `model tied(vocab = 70, d = 32) {
  sequence T
  input ids: i32[B, T] where T <= 12
  param wte: f32[vocab, d] = "wte.weight"
  output logits = layernorm(wte[ids], name = "last") @ transpose(wte)
}
`
  const { graph, ...module } = compile(sourceFile('tied.tfm', text), wgsl, { weights: () => as })
  const tensors = graph.params.map(({ name, shape }) => ({ name, shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 37) % 101) / 64) })) // prettier-ignore
  const ids = [0, 15, 69, 31, 48]
  const want = interpret(graph, {
    inputs: new Map([['ids', { dtype: 'i32' as const, shape: [1, 5], data: Float64Array.from(ids) }]]),
    params: new Map(tensors.map(({ name, shape, data }) => [name, { dtype: 'f32' as const, shape, data: Float64Array.from(data) }])), // prettier-ignore
  }).outputs.get('logits')!.data
  const model = await loadEmitted(wgsl, { graph, ...module }, writeSafetensors(tensors))
  const got = [...(await model.prefill({ ids: ids.slice(0, 4) })).logits.data]
  got.push(...(await model.step({ ids: ids.slice(4) })).logits.data)
  let worst = 0
  for (let i = 0; i < want.length; i++) worst = Math.max(worst, Math.abs(got[i] - want[i]))
  expect(got.length).toBe(want.length)
  expect(worst).toBeLessThan(1e-4)
  model.dispose()
})
