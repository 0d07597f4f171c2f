import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { DiagnosticError } from '../../src/diagnostics/index.ts'
import { loadWeights } from '../../targets/runtime/weights.ts'
import {
  loadParameters,
  openWeights,
  randomTensor,
  randomWeights,
  readAllTensors,
  readTensor,
  safetensorsStream,
  writeSafetensors,
  type TensorToWrite,
} from '../../src/weights/index.ts'

const dir = mkdtempSync(join(tmpdir(), 'tfm-weights-'))
afterAll(() => rmSync(dir, { recursive: true }))
const repo = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const put = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(join(dir, name), bytes)
  return join(dir, name)
}
const messageOf = (work: Promise<unknown>) =>
  work.then(
    () => 'nothing was wrong',
    (thrown: unknown) =>
      thrown instanceof DiagnosticError ? `${thrown.diagnostics[0]?.code} ${thrown.diagnostics[0]?.message}` : thrown,
  )

test('every dtype is read as it was written', async () => {
  const tensors: TensorToWrite[] = [
    { name: 'F64', shape: [2], dtype: 'F64', data: [0.1, -1e300] },
    { name: 'I64', shape: [2], dtype: 'I64', data: [2147483647, -2147483648] },
    { name: 'F32', shape: [1, 2], data: [0.5, 3e38] },
    { name: 'I32', shape: [2], dtype: 'I32', data: [-7, 7] },
    { name: 'U32', shape: [2], dtype: 'U32', data: [0, 2147483647] },
    { name: 'F16', shape: [3], dtype: 'F16', data: [65504, -(2 ** -24), 0.333251953125] },
    { name: 'BF16', shape: [2], dtype: 'BF16', data: [-1.5, 2 ** 100] },
    { name: 'I16', shape: [2], dtype: 'I16', data: [-32768, 1] },
    { name: 'U16', shape: [2], dtype: 'U16', data: [65535, 1] },
    { name: 'I8', shape: [2], dtype: 'I8', data: [-128, 127] },
    { name: 'U8', shape: [2], dtype: 'U8', data: [255, 0] },
    { name: 'BOOL', shape: [3], dtype: 'BOOL', data: [1, 0, 1] },
    { name: 'scalar', shape: [], data: [4] },
  ]
  const path = put('all.safetensors', writeSafetensors(tensors, { format: 'pt', note: 'é' }))
  const weights = await openWeights(path)
  expect(Object.fromEntries(weights.metadata)).toEqual({ format: 'pt', note: 'é' })
  expect([...weights.tensors.keys()]).toEqual(tensors.map((t) => t.name))
  for (const { name, shape, dtype = 'F32', data } of tensors) {
    const tensor = await readTensor(weights, name)
    expect(tensor.shape).toEqual(shape)
    expect(tensor.dtype).toBe(dtype === 'BOOL' ? 'bool' : /^[IU]/.test(dtype) ? 'i32' : 'f32')
    expect([...tensor.data]).toEqual(dtype === 'F32' ? [...Float32Array.from(data as number[])] : data)
  }
})

test('the golden cases and the models can be read whole', async () => {
  const golden = await readAllTensors(repo('test/golden/v06-gpt2-tiny/weights.safetensors'))
  expect(golden.get('h.0.attn.c_attn.weight')).toMatchObject({ dtype: 'f32', shape: [48, 144] })
  const shakespeare = await openWeights(repo('examples/shakespeare'))
  expect(shakespeare.tensors.get('wte.weight')).toMatchObject({ dtype: 'F16', shape: [1024, 192] })
  const wte = await readTensor(shakespeare, 'wte.weight')
  expect(wte.data.every(Number.isFinite)).toBe(true)
  const translate = await openWeights(repo('examples/translate/model.safetensors'))
  expect(translate.bytes).toBe(2146076)
})

test('integers beyond i32 and dtypes without a meaning are refused where they are read', async () => {
  const weights = await openWeights(
    put('wide.safetensors', writeSafetensors([{ name: 'ids', shape: [2], dtype: 'I64', data: [1, 2 ** 31] }])),
  )
  expect(await messageOf(readTensor(weights, 'ids'))).toBe(
    'TFM1904 tensor ids holds 2147483648 at element 1, beyond i32',
  )
  const eighth = writeSafetensors([{ name: 'q', shape: [1], dtype: 'U8', data: [1] }])
  const text = Buffer.from(eighth).toString('latin1').replace('"U8"', '"Q8"')
  const odd = await openWeights(put('odd.safetensors', Buffer.from(text, 'latin1')))
  expect(await messageOf(readTensor(odd, 'q'))).toBe('TFM1904 tensor q has dtype Q8')
})

test('folders, shards and their errors', async () => {
  mkdirSync(join(dir, 'sharded'))
  mkdirSync(join(dir, 'bare'))
  put('sharded/m-1.safetensors', writeSafetensors([{ name: 'b', shape: [1], data: [1] }]))
  put('sharded/m-2.safetensors', writeSafetensors([{ name: 'a', shape: [2], data: [2, 3] }]))
  put(
    'sharded/model.safetensors.index.json',
    JSON.stringify({ weight_map: { a: 'm-2.safetensors', b: 'm-1.safetensors' } }),
  )
  const tensors = await readAllTensors(join(dir, 'sharded'))
  expect([...tensors].map(([name, { data }]) => [name, ...data])).toEqual([
    ['a', 2, 3],
    ['b', 1],
  ])
  expect(await messageOf(openWeights(join(dir, 'bare')))).toMatch(
    /^TFM1901 .*bare is a folder without a model.safetensors$/,
  )
  expect(await messageOf(openWeights(join(dir, 'none.safetensors')))).toMatch(/^TFM1901 cannot read the weights .*none/)
  put('sharded/m-2.safetensors', writeSafetensors([{ name: 'b', shape: [1], data: [1] }]))
  expect(await messageOf(openWeights(join(dir, 'sharded')))).toMatch(
    /^TFM1905 tensor b is in .*m-2.safetensors and in .*m-1.safetensors$/,
  )
})

test('files that are cut or have more than they say', async () => {
  const good = writeSafetensors([{ name: 'a', shape: [2], data: [1, 2] }])
  for (let length = 0; length < good.length; length++) {
    const message = await messageOf(openWeights(put('cut.safetensors', good.slice(0, length))))
    expect(message, `${length} bytes`).toMatch(
      /^TFM1903 .*cut.safetensors ends within (its header|a); download it again/,
    )
  }
  expect(await messageOf(openWeights(put('more.safetensors', Buffer.concat([good, Buffer.alloc(3)]))))).toMatch(
    /^TFM1902 .*: 3 bytes belong to no tensor/,
  )
  expect(await messageOf(openWeights(put('page.html', '<!DOCTYPE html><html></html>')))).toMatch(
    /^TFM1902 .*it starts with "<!DOCTYP"/,
  )
})

test('parameters by the names of the model, for the reference', async () => {
  const path = put('p.safetensors', writeSafetensors([{ name: 't.w', shape: [2], dtype: 'F64', data: [0.1, 2] }]))
  const specs = [
    { name: 'head', shape: [2], fallback: 'w' },
    { name: 'w', shape: [2] },
  ]
  const rules = { prefixes: [{ prefix: 't.', optional: true }] }
  const params = await loadParameters(path, specs, rules)
  expect([...params.keys()]).toEqual(['w', 'head'])
  expect([...params.get('head')!.data]).toEqual([Math.fround(0.1), 2])
  const message = await messageOf(loadParameters(path, [...specs, { name: 'b', shape: [1] }], rules))
  expect(message).toMatch(/^TFM1905 .*p\.safetensors does not fit the model:\n {2}b: missing, expected \[1\]\n/)
})

const gpt = [
  { name: 'wte.weight', shape: [50, 8] },
  { name: 'h.0.ln_1.weight', shape: [4000] },
  { name: 'h.0.ln_1.bias', shape: [4000] },
  { name: 'h.0.attn.in_proj_bias', shape: [3] },
  { name: 'scale', shape: [] },
  { name: 'lm_head.weight', shape: [50, 8], fallback: 'wte.weight' },
]

test('random weights: the same bytes on every machine and in every order', () => {
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  const file = writeSafetensors(randomWeights(gpt, 1))
  expect(digest(file)).toMatchInlineSnapshot(`"001972c9346b1652"`)
  expect(digest(writeSafetensors(randomWeights(gpt, 2)))).not.toBe(digest(file))
  expect(randomWeights(gpt, 1).map((t) => t.name)).not.toContain('lm_head.weight')
  expect(randomTensor('a', [2, 4], 1).slice(0, 4)).toEqual(randomTensor('a', [1, 4], 1))
  expect(randomTensor('a', [4], 1)).not.toEqual(randomTensor('b', [4], 1))
})

test('random weights: scales that a model can run with', () => {
  const about = (name: string, shape: number[]) => {
    const values = randomTensor(name, shape, 3)
    const mean = values.reduce((a, b) => a + b, 0) / values.length
    const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length)
    return { mean: Number(Math.abs(mean).toFixed(2)), deviation: Number(deviation.toFixed(3)) }
  }
  expect(about('h.0.mlp.c_fc.weight', [200, 200])).toEqual({ mean: 0, deviation: 0.02 })
  expect(about('ln_f.weight', [40_000])).toEqual({ mean: 1, deviation: 0.02 })
  expect(about('ln_f.bias', [40_000])).toEqual({ mean: 0, deviation: 0.02 })
  expect(about('self_attn.in_proj_bias', [40_000])).toEqual({ mean: 0, deviation: 0.02 })
  expect(about('LayerNorm.beta', [40_000])).toEqual({ mean: 0, deviation: 0.02 })
})

test('a stream of random weights is a source for compiled modules', async () => {
  const got = new Map<string, Float32Array>()
  const tied = await loadWeights(safetensorsStream(randomWeights(gpt, 9)), gpt, {}, ({ name }, data) =>
    got.set(name, data),
  )
  expect(tied).toEqual(new Map([['lm_head.weight', 'wte.weight']]))
  expect(got.get('wte.weight')).toEqual(randomTensor('wte.weight', [50, 8], 9))
})

test('what cannot be written is a mistake of ours', () => {
  expect(() => writeSafetensors([{ name: 'a', shape: [2], data: [1] }])).toThrow('internal')
  expect(() =>
    writeSafetensors([
      { name: 'a', shape: [], data: [1] },
      { name: 'a', shape: [], data: [1] },
    ]),
  ).toThrow('internal')
})
