import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readAllTensors } from '../../src/weights/index.ts'
import { writeSafetensors } from '../../src/weights/write.ts'
import { folder, json, tfmc } from './support.ts'

const wide = `model wide(vocab = 40, ctx = 12, d = 64, heads = 2) {
  sequence T
  input ids: i32[B, T] where T <= ctx
  param wte: f32[vocab, d] = "wte.weight"
  x = wte[ids]
  x = residual(self_attention(layernorm(x, name = "norm"), mask = causal(T), name = "attn"))
  output logits = layernorm(x, name = "last") @ transpose(wte)
}
`
const shapes: Readonly<Record<string, readonly number[]>> = {
  'wte.weight': [40, 64], 'norm.weight': [64], 'norm.bias': [64], 'last.weight': [64], 'last.bias': [64],
  ...Object.fromEntries(['q', 'k', 'v', 'o'].flatMap((n) => [[`attn.${n}.weight`, [64, 64]], [`attn.${n}.bias`, [64]]])),
} // prettier-ignore
const matrices = Object.keys(shapes).filter((n) => shapes[n].length === 2)

const weights = (change: Readonly<Record<string, number>> = {}): Uint8Array =>
  writeSafetensors(
    Object.entries(shapes).map(([name, shape]) => {
      const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * i + name.length) / (shape.length > 1 ? 4 : 1)) // prettier-ignore
      if (name in change) data[5] = change[name]
      return { name, shape, data }
    }),
    { made: 'by hand' },
  )
const place = (change?: Readonly<Record<string, number>>): string =>
  folder({ 'wide.tfm': wide, 'model.safetensors': weights(change) })

test('a file of each format, which every command reads', { timeout: 60_000 }, async () => {
  const cwd = place()
  const plain = await readAllTensors(join(cwd, 'model.safetensors'))
  const sizes: number[] = []
  for (const format of ['bf16', 'f16', 'int8-asym', 'int8', 'int4-asym', 'int4']) {
    const output = `out/${format}.safetensors`
    const { data, code, err } = await json(['quantize', 'wide.tfm', '--to', format, '-o', output], { cwd })
    expect([code, err]).toEqual([0, ''])
    const { after } = data.bytes as { after: number }
    sizes.push(after)
    const tensors = data.tensors as { name: string; to: string; snr?: number }[]
    expect(tensors.filter((t) => t.to === format).map((t) => t.name).sort()).toEqual([...matrices].sort()) // prettier-ignore
    for (const t of tensors) if (t.to === format) expect(t.snr).toBeGreaterThan(format.startsWith('int4') ? 15 : 40)
    const stored = await readAllTensors(join(cwd, output))
    expect([...stored.keys()].sort()).toEqual([...plain.keys()].sort())
    for (const [name, { data: values }] of plain) if (!matrices.includes(name)) expect(stored.get(name)!.data).toEqual(values) // prettier-ignore
    expect((await tfmc(['info', 'wide.tfm', '--weights', output], { cwd })).code).toBe(0)
    const inputs = ['--weights', output, '--input', 'ids=[[1, 2, 39]]']
    const logits = async (target: string) => {
      const ran = await json(['run', 'wide.tfm', ...inputs, '--target', target], { cwd })
      return (ran.data.outputs as { logits: { data: number[] } }).logits.data
    }
    const [want, got] = [await logits('reference'), await logits('typescript')]
    for (const [i, x] of want.entries()) expect(got[i]).toBeCloseTo(x, 4)
  }
  expect(sizes).toEqual([...sizes].sort((a, b) => b - a))
  expect((await tfmc(['info', 'out/int4-asym.safetensors'], { cwd })).out).toMatch(/wte\.weight +int4-asym along 1 +\[40, 64\] +1\.5 kB/) // prettier-ignore
})

test('both targets are within their bounds of what a quantised file stands for', { timeout: 60_000 }, async () => {
  const cwd = place()
  await tfmc(['quantize', 'wide.tfm', '--to', 'int4', '--keep', 'wte.*=int8', '-o', 'a.safetensors'], { cwd })
  const ran = await tfmc(['diff', 'wide.tfm', '--weights', 'a.safetensors', '--dims', 'T=3', '--no-unfused'], { cwd })
  expect([ran.code, ran.out]).toEqual([0, expect.stringContaining('all within their bounds')])
})

test('tensors that are kept', async () => {
  const cwd = place()
  const args = ['quantize', 'wide.tfm', '--to', 'int4', '-o', 'a.safetensors']
  const { data } = await json([...args, '--keep', 'attn.[qk].weight', '--keep', '**.q.weight'], { cwd })
  expect(data.diagnostics).toMatchObject([{ code: 'TFM1919', message: 'no tensor of the model is called attn.[qk].weight' }]) // prettier-ignore
  const kept = await json([...args, '--keep', 'attn.*.weight=bf16', '--keep', 'wte.weight'], { cwd })
  const to = Object.fromEntries((kept.data.tensors as { name: string; to: string }[]).map((t) => [t.name, t.to]))
  expect([to['wte.weight'], to['attn.q.weight'], to['attn.o.bias']]).toEqual(['F32', 'bf16', 'F32'])
})

test('the perplexity of a text, before and after', { timeout: 60_000 }, async () => {
  const cwd = folder({ 'play.txt': 'ROMEO:\nIt is the east, and Juliet is the sun.\n' })
  const root = join(import.meta.dirname, '../..')
  const args = ['quantize', 'examples/shakespeare/model.tfm', '--to', 'int8', '--text', join(cwd, 'play.txt')]
  const { data, code } = await json([...args, '-o', join(cwd, 'a.safetensors')], { cwd: root })
  expect(code).toBe(0)
  const { before, after, tokens } = data.perplexity as { before: number; after: number; tokens: number }
  expect(tokens).toBeGreaterThan(10)
  expect(before).toBeGreaterThan(2)
  expect(Math.abs(after / before - 1)).toBeLessThan(0.03)
})

test.each([
  ['values that are not finite', { 'attn.q.weight': NaN }, [], 'TFM1919', /attn\.q\.weight: 1 of 4096 weights are NaN/],
  ['an unknown format', {}, ['--to', 'int3'], 'TFM2201', /choices/],
  ['a text that is not there', {}, ['--text', 'none.txt', '--tokenizer', 'none.json'], 'TFM', /none/],
  ['a format to keep that is none', {}, ['--keep', 'wte.weight=int5'], 'TFM2201', /--keep takes/],
] as const)('refused, with nothing written: %s', async (_, change, more, code, message) => {
  const cwd = place(change)
  const before = readdirSync(cwd)
  const { data } = await json(['quantize', 'wide.tfm', '-o', 'a.safetensors', ...more], { cwd })
  expect(data.ok).toBe(false)
  expect(data.diagnostics[0].code).toContain(code)
  expect(data.diagnostics[0].message).toMatch(message)
  expect(readdirSync(cwd)).toEqual(before)
})

test('refused: what is quantised already, the file that is read, a file of another model', async () => {
  const cwd = place()
  await tfmc(['quantize', 'wide.tfm', '-o', 'a.safetensors'], { cwd })
  const first = readFileSync(join(cwd, 'a.safetensors'))
  const quantise = async (...args: string[]) => (await json(['quantize', 'wide.tfm', ...args], { cwd })).data.diagnostics[0] // prettier-ignore
  expect(await quantise('--weights', 'a.safetensors', '-o', 'b.safetensors')).toMatchObject({ code: 'TFM1919', message: expect.stringMatching(/is int8 along . already/) as string }) // prettier-ignore
  expect(await quantise('-o', 'model.safetensors')).toMatchObject({ code: 'TFM2201' })
  expect(await quantise('--set', 'vocab=41', '-o', 'b.safetensors')).toMatchObject({ code: 'TFM1905', message: expect.stringContaining('the model has [41,64]') as string }) // prettier-ignore
  writeFileSync(join(cwd, 'small.tfm'), 'model s() { input x: f32[N, 4]\n param g: f32[4]\n output y = x * g }')
  writeFileSync(join(cwd, 'small.safetensors'), writeSafetensors([{ name: 'g', shape: [4], data: [1, 2, 3, 4] }]))
  const small = await json(['quantize', 'small.tfm', '--weights', 'small.safetensors', '-o', 'b.safetensors'], { cwd })
  expect(small.data.diagnostics).toMatchObject([{ code: 'TFM1919' }])
  expect(readdirSync(cwd)).not.toContain('b.safetensors')
  expect(readFileSync(join(cwd, 'a.safetensors'))).toEqual(first)
})

test('a module says in its types and its text whether it reads quantised files', async () => {
  const cwd = place()
  for (const target of ['typescript', 'wgsl']) {
    await tfmc(['compile', 'wide.tfm', '--target', target, '--weights-as', 'int8', '--no-format', '-o', 'int8'], {
      cwd,
    })
    await tfmc(['compile', 'wide.tfm', '--target', target, '--no-format', '-o', 'f32'], { cwd })
    const [reads, not] = ['int8', 'f32'].map((f) => readFileSync(join(cwd, f, 'wide.ts'), 'utf8'))
    expect(reads.includes('readQuantised')).toBe(true)
    expect(not.includes('readQuantised') || not.includes(':q8')).toBe(false)
  }
})
