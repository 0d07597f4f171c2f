/** The trained GPT-2 with weights in fewer bits: every target on what a quantised file stands for, and what it costs in perplexity. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import { summedAxes } from '../../src/lower/summed.ts'
import { packageRoot } from '../../src/package-root.ts'
import type { Target, WeightFormat } from '../../src/target.ts'
import { quantise, type QuantisedFormat } from '../../src/weights/index.ts'
import { toFloat32 } from '../../targets/runtime/safetensors.ts'
import { typescript } from '../../targets/typescript/index.ts'
import { wasm } from '../../targets/wasm/index.ts'
import { wgsl } from '../../targets/wgsl/index.ts'
import { writeSafetensors, type TensorToWrite } from '../../src/weights/write.ts'
import { compileFile, loadEmitted, type Emitted } from '../support/emitted.ts'
import { tensorsOf } from '../support/golden.ts'
import { graphOfFile, readText } from '../support/models.ts'

const source = 'examples/shakespeare/model.tfm'
const config = JSON.parse(readText('examples/shakespeare/config.json')) as Json
const stored = tensorsOf('examples/shakespeare/model.safetensors')
const axes = summedAxes(graphOfFile(source, { config }))
/** The held-out text may be read for checking but not shipped, so it lies beside the project, if anywhere. */
const heldOut = join(packageRoot(), '..', 'shared', 'models', 'shakespeare-gpt2', 'heldout.json')

const made = new Map<string, { readonly file: Uint8Array; readonly values: ReadonlyMap<string, Float32Array> }>()
/** The checkpoint with its matrices quantised, and the numbers that it stands for. */
function quantised(format: QuantisedFormat) {
  const known = made.get(format)
  if (known) return known
  const tensors: TensorToWrite[] = []
  const values = new Map<string, Float32Array>()
  for (const [name, { shape, data }] of stored) {
    const axis = axes.get(name)
    const plain = Float32Array.from(data)
    const q = axis === undefined ? undefined : quantise(plain, shape, axis, format)
    values.set(name, q?.values ?? plain)
    if (!q) tensors.push({ name, shape, data: plain })
    else {
      const blocks = shape.with(axis!, Math.ceil(shape[axis!] / 32))
      const levels = q.bits === 8 ? new Int8Array(q.levels.buffer) : q.levels
      tensors.push(
        { name: `${name}:scale`, dtype: 'F16', shape: blocks, data: toFloat32('F16', new Uint8Array(q.scales.buffer))! }, // prettier-ignore
        { name: `${name}:q${q.bits}`, dtype: q.bits === 8 ? 'I8' : 'U8', shape: shape.with(axis!, (shape[axis!] * q.bits) / 8), data: levels }, // prettier-ignore
      )
    }
  }
  const found = { file: writeSafetensors(tensors), values }
  made.set(format, found)
  return found
}
const asFloats = (values: ReadonlyMap<string, Float32Array>): Uint8Array =>
  writeSafetensors([...values].map(([name, data]) => ({ name, shape: stored.get(name)!.shape, data })))

const compiled = { typescript: compileFile(source, typescript, config), wasm: compileFile(source, wasm, config) }
const kept = (as: WeightFormat, target: Target = wasm) => compileFile(source, target, config, { weights: () => as })
const ids = (list: readonly number[]) => ({ data: Int32Array.from(list), shape: [1, list.length] })
const text = [82, 79, 77, 69, 79, 26, 201, 300, 4, 17, 900]

describe.each(['int8', 'int4'] as const)('%s', { timeout: 240_000 }, (format) => {
  test('every way to read a file gives the numbers that it stands for', async () => {
    const { file, values } = quantised(format)
    const plain = await loadEmitted(typescript, compiled.typescript, asFloats(values))
    const { data: want } = (await plain.run({ ids: ids(text) })).logits
    const models: [string, Emitted, number][] = [
      ['typescript', await loadEmitted(typescript, compiled.typescript, file, { weights: format }), 0],
      ['wasm, widened at load', await loadEmitted(wasm, compiled.wasm, file, { weights: format }), 2e-4],
      ['wasm, kept', await loadEmitted(wasm, kept(format), file, { weights: format }), 2e-4],
      // Floats that a file meant are quantised again without loss.
      ['wasm, quantised at load', await loadEmitted(wasm, kept(format), asFloats(values)), 2e-4],
      ['wgsl, kept', await loadEmitted(wgsl, kept(format, wgsl), file, { weights: format }), 2e-4],
    ]
    for (const [name, model, within] of models) {
      const { data } = (await model.run({ ids: ids(text) })).logits
      let worst = 0
      for (let i = 0; i < want.length; i++) worst = Math.max(worst, Math.abs(data[i] - want[i]))
      expect(worst, name).toBeLessThanOrEqual(within)
      model.dispose()
    }
    plain.dispose()
  })

  test('steps, whose rows are rounded to 16 bits, follow the whole', async () => {
    const { file } = quantised(format)
    const model = await loadEmitted(wasm, kept(format), file, { weights: format, selftest: true })
    const { data: want, shape } = (await model.run({ ids: ids(text) })).logits
    await model.prefill({ ids: ids(text.slice(0, 4)) })
    for (let t = 4; t < text.length; t++) {
      const { data } = (await model.step({ ids: ids([text[t]]) })).logits
      // 2^-16 of the largest of 32 numbers, in each of 25 products: some 1e-4 of what logits are.
      for (let i = 0; i < shape[2]; i++) expect(Math.abs(data[i] - want[t * shape[2] + i])).toBeLessThan(5e-3)
    }
    await model.selftest()
    model.dispose()
  })

  test('the perplexity of the held-out text, where it is at hand', async () => {
    if (!existsSync(heldOut)) return console.log('the held-out text is not beside the project: perplexity not measured')
    const { windows, perplexity } = JSON.parse(readFileSync(heldOut, 'utf8')) as {
      windows: readonly (readonly number[])[]
      perplexity: number
    }
    const { file } = quantised(format)
    const model = await loadEmitted(wasm, kept(format), file, { weights: format })
    const got = await perplexityOf(model, windows)
    console.log(`shakespeare perplexity on wasm, ${format}: ${got.toFixed(4)}, of ${perplexity.toFixed(4)}`)
    expect(Math.abs(got / perplexity - 1)).toBeLessThan(format === 'int8' ? 0.005 : 0.04)
    const slow = await loadEmitted(typescript, compiled.typescript, file, { weights: format })
    const some = windows.slice(0, 2)
    expect(Math.abs((await perplexityOf(slow, some)) / (await perplexityOf(model, some)) - 1)).toBeLessThan(1e-4)
    const onGpu = await loadEmitted(wgsl, kept(format, wgsl), file, { weights: format })
    const short = some.map((window) => window.slice(0, 48))
    expect(Math.abs((await perplexityOf(slow, short)) / (await perplexityOf(onGpu, short)) - 1)).toBeLessThan(1e-5)
    for (const m of [model, slow, onGpu]) m.dispose()
  })
})

test.each(['f16', 'bf16'] as const)('matrices kept as %s', { timeout: 120_000 }, async (as) => {
  const checkpoint = 'examples/shakespeare/model.safetensors'
  const [model, plain] = [await loadEmitted(wasm, kept(as), checkpoint), await loadEmitted(wasm, compiled.wasm, checkpoint)] // prettier-ignore
  const [got, want] = [await model.run({ ids: ids(text) }), await plain.run({ ids: ids(text) })]
  // The checkpoint is F16 itself.
  const within = as === 'f16' ? 1e-6 : 0.3
  for (const [i, x] of want.logits.data.entries()) expect(Math.abs(got.logits.data[i] - x)).toBeLessThanOrEqual(within)
  model.dispose()
  plain.dispose()
})

async function perplexityOf(model: Emitted, windows: readonly (readonly number[])[]): Promise<number> {
  let [sum, count] = [0, 0]
  for (const window of windows) {
    const { logits } = await model.run({ ids: ids(window.slice(0, -1)) })
    const width = logits.shape[2]
    for (let t = 0; t + 1 < window.length; t++) {
      const row = logits.data.subarray(t * width, (t + 1) * width)
      const top = row.reduce((a, b) => Math.max(a, b))
      sum += Math.log(row.reduce((s, x) => s + Math.exp(x - top), 0)) + top - row[window[t + 1]]
      count++
    }
  }
  return Math.exp(sum / count)
}
