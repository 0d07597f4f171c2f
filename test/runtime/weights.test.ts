import { expect, test } from 'vitest'
import {
  loadWeights,
  modelName,
  nearestName,
  type WeightRules,
  type WeightSpec,
} from '../../targets/runtime/weights.ts'
import type { WeightSource } from '../../targets/runtime/source.ts'
import { writeSafetensors, type TensorToWrite } from '../../src/weights/write.ts'
import { diagnosticOf } from '../../src/weights/errors.ts'

const zeros = (name: string, ...shape: number[]): TensorToWrite => ({
  name,
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
})
const spec = (name: string, ...shape: number[]): WeightSpec => ({ name, shape })

async function load(
  source: WeightSource | readonly TensorToWrite[],
  specs: readonly WeightSpec[],
  rules: WeightRules = {},
) {
  const stored: string[] = []
  const warnings: string[] = []
  const file =
    Array.isArray(source) && 'data' in (source[0] ?? {})
      ? writeSafetensors(source as readonly TensorToWrite[])
      : (source as WeightSource)
  const tied = await loadWeights(
    file,
    specs,
    rules,
    ({ name }, data) => stored.push(`${name} ${[...data].join(' ')}`.trim()),
    {
      onWarning: (warning) => warnings.push(`${warning.code} ${warning.message}`),
    },
  )
  return { stored, tied: Object.fromEntries(tied), warnings }
}
const failure = async (...args: Parameters<typeof load>) => {
  const thrown: unknown = await load(...args).then(
    () => 'nothing was wrong',
    (error: unknown) => error,
  )
  return diagnosticOf(thrown)?.message ?? thrown
}

test.each<[string, WeightRules, string | undefined]>([
  ['wte.weight', {}, 'wte.weight'],
  ['transformer.wte', { prefixes: [{ prefix: 'transformer.', optional: true }] }, 'wte'],
  ['lm_head', { prefixes: [{ prefix: 'transformer.', optional: true }] }, 'lm_head'],
  ['decoder.x', { prefixes: [{ prefix: 'encoder.', optional: false }] }, ''],
  [
    'module.model.x',
    {
      prefixes: [
        { prefix: 'module.', optional: true },
        { prefix: 'model.', optional: false },
      ],
    },
    'x',
  ],
  ['h.0.attn.bias', { ignore: ['h.*.attn.bias'] }, undefined],
  ['h.0.attn.c_attn.bias', { ignore: ['h.*.attn.bias', 'h.*.bias'] }, 'h.0.attn.c_attn.bias'],
  ['h.0.attn.c_attn.bias', { ignore: ['h.**.bias'] }, undefined],
  ['num_batches_tracked', { ignore: ['**.num_batches_tracked'] }, 'num_batches_tracked'],
  ['bn.num_batches_tracked', { ignore: ['**.num_batches_tracked'] }, undefined],
  ['haxattn', { ignore: ['h.*attn', 'h?x'] }, 'haxattn'],
  ['t.h.0.attn.bias', { prefixes: [{ prefix: 't.', optional: true }], ignore: ['h.*.attn.bias'] }, undefined],
  ['t.h.0.attn.bias', { prefixes: [{ prefix: 't.', optional: true }], ignore: ['t.h.*.attn.bias'] }, undefined],
  [
    'LayerNorm.gamma',
    {
      rename: [
        { from: 'gamma', to: 'weight' },
        { from: 'beta', to: 'bias' },
      ],
    },
    'LayerNorm.weight',
  ],
  ['gamma.gamma.gammas', { rename: [{ from: 'gamma', to: 'a$&b' }] }, 'a$&b.a$&b.gammas'],
  ['h.attention.self.q', { rename: [{ from: 'attention.self', to: 'attn' }] }, 'h.attn.q'],
])('%s by %j is %s', (name, rules, expected) => {
  expect(modelName(name, rules)).toBe(expected)
})

test('nearest names', () => {
  expect(nearestName('h.0.ln_1.weight', ['h.0.ln1.weight', 'h.0.attn.weight', 'h.0.ln_2.bias'])).toBe('h.0.ln1.weight')
  expect(nearestName('wte.weight', ['transformer.wte.weight', 'wpe.bias'])).toBe('transformer.wte.weight')
  expect(nearestName('lm_head', ['q', 'entirely.else'])).toBeUndefined()
  expect(nearestName('', ['', 'a'])).toBeUndefined()
  expect(nearestName('a'.repeat(1e6), ['b', 'a'.repeat(1e6) + 'b'])).toBe('a'.repeat(1e6) + 'b')
})

test('tensors come in the order of the file, under the names of the model; ties', async () => {
  const file = [
    { ...zeros('m.b', 1), data: [2], dtype: 'F16' as const },
    zeros('m.mask', 2, 2),
    { ...zeros('m.a', 2), data: [1, -0.5], dtype: 'BF16' as const },
  ]
  const specs: WeightSpec[] = [
    spec('a', 2),
    spec('b', 1),
    { ...spec('head', 2), fallback: 'second' },
    { ...spec('second', 2), fallback: 'a' },
  ]
  expect(await load(file, specs, { prefixes: [{ prefix: 'm.', optional: true }], ignore: ['mask'] })).toEqual({
    stored: ['b 2', 'a 1 -0.5'],
    tied: { head: 'a', second: 'a' },
    warnings: [],
  })
})

test('a fallback is not used where the checkpoint has the tensor', async () => {
  const specs = [spec('table', 1), { ...spec('head', 1), fallback: 'table' }]
  expect(await load([zeros('head', 1), zeros('table', 1)], specs)).toMatchObject({
    tied: {},
    stored: ['head 0', 'table 0'],
  })
})

test('everything that does not fit is said at once, before data are read', async () => {
  const specs = [
    spec('h.0.ln_1.weight', 4),
    spec('h.0.attn.weight', 4, 12),
    spec('h.0.mlp.weight', 4),
    spec('ids', 2),
    spec('gone', 3),
  ]
  const file = [
    zeros('h.0.ln1.weight', 4),
    zeros('h.0.attn.weight', 12, 4),
    zeros('h.0.mlp.weight', 4, 1),
    { ...zeros('ids', 2), dtype: 'I64' as const },
    zeros('extra', 1),
  ]
  expect(await failure(file, specs)).toMatchInlineSnapshot(`
    "weights does not fit the model:
      h.0.attn.weight: expected [4,12], found [12,4]; is it transposed?
      h.0.mlp.weight: expected [4], found [4,1]
      ids: I64 is not supported
      h.0.ln_1.weight: missing, expected [4]; did you mean h.0.ln1.weight?
      gone: missing, expected [3]
      h.0.ln1.weight: unused; did you mean h.0.ln_1.weight?
      extra: unused
    The model can ignore or rename tensors: weights { … }"
  `)
})

test('over shards, all of them are looked at before the error', async () => {
  const shards = [writeSafetensors([zeros('a', 1), zeros('b', 2)]), writeSafetensors([zeros('c', 2), zeros('b', 2)])]
  expect(await failure(shards, [spec('a', 1), spec('b', 2), spec('c', 3), spec('d', 1)])).toMatchInlineSnapshot(`
    "weights does not fit the model:
      c: expected [3], found [2]
      b: stored twice, also as b
      d: missing, expected [1]
    The model can ignore or rename tensors: weights { … }"
  `)
})

test('two stored tensors for one of the model', async () => {
  const rules = { prefixes: [{ prefix: 'm.', optional: true }] }
  expect(await failure([zeros('m.a', 1), zeros('a', 1)], [spec('a', 1)], rules)).toContain(
    'a: stored twice, also as m.a',
  )
})

test('a long list is cut', async () => {
  const message = await failure(
    [zeros('x', 1)],
    Array.from({ length: 100 }, (_, i) => spec(`layer.${i}`, 1)),
  )
  expect(String(message).split('\n')).toHaveLength(23)
  expect(message).toContain('\n  and 81 more\n')
})

test('NaN and infinities are counted, and the weights used as they are', async () => {
  const file = [
    { ...zeros('a', 4), data: [NaN, 1, -Infinity, 3] },
    zeros('b', 1),
    { ...zeros('c', 1), data: [65536], dtype: 'F16' as const },
  ]
  expect(await load(file, [spec('a', 4), spec('b', 1), spec('c', 1)])).toEqual({
    stored: ['a NaN 1 -Infinity 3', 'b 0', 'c Infinity'],
    tied: {},
    warnings: ['TFM1906 a: 2 of 4 weights are NaN or infinite', 'TFM1906 c: 1 of 1 weights are NaN or infinite'],
  })
})

test('a slow store is waited for', async () => {
  const order: string[] = []
  await loadWeights(
    writeSafetensors([zeros('a', 1), zeros('b', 1)]),
    [spec('a', 1), spec('b', 1)],
    {},
    async ({ name }) => {
      order.push(`${name} in`)
      await new Promise((resolve) => setTimeout(resolve, 5))
      order.push(`${name} out`)
    },
  )
  expect(order).toEqual(['a in', 'a out', 'b in', 'b out'])
})
