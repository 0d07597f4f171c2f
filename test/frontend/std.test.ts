/** The standard library against formulas in plain numbers, also where they overflow when written naively. */
import { describe, expect, test } from 'vitest'
import { erf } from '../../src/ops/special.ts'
import { codesOf, expectClose, f32, i32, graphOfText, readText, run } from '../support/models.ts'

const values = [-1e30, -500, -20, -3, -1, -1e-8, 0, 1e-8, 0.5, 1, 3, 20, 500, 1e30]
const apply = (expression: string, data: readonly number[] = values, head = 'm(d = 4)'): number[] => [
  ...run(graphOfText(`model ${head} { input x: f32[T]\noutput y = ${expression} }`), {
    x: f32([data.length], data),
  }).get('y')!.data,
]

describe('activations are exact and finite', () => {
  const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))
  const tanhForm = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
  const formulas: Record<string, (x: number) => number> = {
    'relu(x)': (x) => Math.max(x, 0),
    'leaky_relu(x)': (x) => (x > 0 ? x : 0.01 * x),
    'elu(x)': (x) => (x > 0 ? x : Math.expm1(x)),
    'sigmoid(x)': sigmoid,
    'silu(x)': (x) => x * sigmoid(x),
    'softplus(x)': (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    'gelu(x)': (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    'gelu_sigmoid(x)': (x) => x * sigmoid(1.702 * x),
    'tanh(x)': Math.tanh,
  }
  test.each(Object.entries(formulas))('%s', (expression, formula) => {
    const got = apply(expression)
    for (const y of got) expect(Number.isFinite(y)).toBe(true)
    expectClose(f32([values.length], got), f32([values.length], values.map(formula)), 1e-12, 1e-15)
  })
  test('gelu_tanh(x)', () => {
    const moderate = values.filter((x) => Math.abs(x) <= 500)
    expectClose(
      f32([moderate.length], apply('gelu_tanh(x)', moderate)),
      f32([moderate.length], moderate.map(tanhForm)),
      1e-9,
      1e-12,
    )
    for (const y of apply('gelu_tanh(x)')) expect(Number.isNaN(y)).toBe(false)
  })
})

describe('reductions and norms', () => {
  test('softmax, also of large numbers; a row that sees nothing is zeros', () => {
    expectClose(f32([3], apply('softmax(x)', [1000, 1000, -1000])), f32([3], [0.5, 0.5, 0]), 1e-12, 1e-15)
    const masked = (keep: string) => apply(`softmax(x, mask = [for i < T: ${keep}])`, [1, 2, 3])
    expectClose(
      f32([3], masked('i < 1 or i == 2')),
      f32([3], [1 / (1 + Math.exp(2)), 0, 1 / (1 + Math.exp(-2))]),
      1e-12,
      1e-15,
    )
    expect(masked('i < 0')).toEqual([0, 0, 0])
    expectClose(f32([2], apply('log_softmax(x)', [1000, 0])), f32([2], [0, -1000]), 1e-12, 1e-12)
    expectClose(f32([], apply('logsumexp(x)', [1000, 1000])), f32([], [1000 + Math.LN2]), 1e-12, 0)
  })
  test('mean, var, std along any axis', () => {
    expect(apply('unsqueeze(mean(x))', [1, 2, 3, 6])).toEqual([3])
    expect(apply('unsqueeze(var(x))', [1, 2, 3, 6])).toEqual([3.5])
    expect(apply('unsqueeze(var(x, unbiased = true))', [1, 2, 3, 6])).toEqual([14 / 3])
    expect(apply('std(x, axis = T, keep = true)', [1, 3])).toEqual([1])
  })
  test('rmsnorm', () => {
    expectClose(
      f32([2], apply('rmsnorm(x, eps = 0, affine = false)', [3, 4])),
      f32(
        [2],
        [3, 4].map((x) => x / Math.sqrt(12.5)),
      ),
      1e-12,
      0,
    )
  })
})

describe('tensors, masks, positions', () => {
  test('roll, tril, one_hot, zeros', () => {
    expect(apply('roll(x, 1)', [1, 2, 3])).toEqual([3, 1, 2])
    expect(apply('tril(ones([3, 3])) + 0 * sum(x)', [0, 0, 0])).toEqual([1, 0, 0, 1, 1, 0, 1, 1, 1])
    expect(apply('one_hot(iota(2), 3) + 0 * sum(x)', [0, 0, 0])).toEqual([1, 0, 0, 0, 1, 0])
    expect(apply('zeros([2]) + ones([1]) + 0 * sum(x)', [1])).toEqual([1, 1])
  })
  test('causal and sliding masks', () => {
    expect(apply('f32(causal(3)) + 0 * sum(x)', [0, 0, 0])).toEqual([1, 0, 0, 1, 1, 0, 1, 1, 1])
    expect(apply('f32(sliding(3, 2)) + 0 * sum(x)', [0, 0, 0])).toEqual([1, 0, 0, 1, 1, 0, 0, 1, 1])
  })
  test('sinusoids', () => {
    const got = apply('sinusoids(2, 4) + 0 * sum(x)', [1])
    const want = [0, 1, 0, 1, Math.sin(1), Math.cos(1), Math.sin(0.01), Math.cos(0.01)]
    expectClose(f32([8], got), f32([8], want), 1e-12, 1e-12)
  })
  test('buckets of distances change where those of T5 in transformers do', () => {
    const bucketsOf = (both: boolean): number[] => {
      const graph = graphOfText(
        `model m { input x: f32[T]\noutput y = distance_bias(1, T, heads = 1, both = ${both}) }`,
      )
      const back = graphOfText(`model m { input x: f32[T]\noutput y = distance_bias(T, 1, heads = 1, both = ${both}) }`)
      const params = new Map([
        [
          'weight',
          f32(
            [32, 1],
            Array.from({ length: 32 }, (_, i) => i),
          ),
        ],
      ])
      const x = f32([200], new Float64Array(200))
      const [after, before] = [graph, back].map((g) => [...run(g, { x }, params).get('y')!.data])
      expect(after.slice(0, 3)).toEqual(both ? [0, 17, 18] : [0, 0, 0])
      expect(after.at(-1)).toBe(both ? 31 : 0)
      return before.flatMap((b, i) => (i > 0 && b === before[i - 1] + 1 ? [i] : []))
    }
    expect(bucketsOf(true)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91])
    const edges = [19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]
    expect(bucketsOf(false)).toEqual([...Array.from({ length: 16 }, (_, i) => i + 1), ...edges])
  })
  test('rope turns pairs of halves', () => {
    const text = 'model m { input x: f32[1, 1, T, 4]\noutput y = rope(x, theta = 100) }'
    const y = run(graphOfText(text), { x: f32([1, 1, 2, 4], [1, 2, 3, 4, 1, 2, 3, 4]) }).get('y')!
    const [c, s, c2, s2] = [Math.cos(1), Math.sin(1), Math.cos(0.1), Math.sin(0.1)]
    const want = [1, 2, 3, 4, c - 3 * s, 2 * c2 - 4 * s2, 3 * c + s, 4 * c2 + 2 * s2]
    expectClose(y, f32([1, 1, 2, 4], want), 1e-12, 1e-12)
  })
  test('rope of the first features alone, at given positions', () => {
    const text =
      'model m { input x: f32[2, 1, T, 6]\ninput p: i32[2, T]\noutput y = rope(x, p, theta = 100, rotary = 4) }'
    const x = f32([2, 1, 1, 6], [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6])
    const y = run(graphOfText(text), { x, p: i32([2, 1], [0, 1]) }).get('y')!
    const [c, s, c2, s2] = [Math.cos(1), Math.sin(1), Math.cos(0.1), Math.sin(0.1)]
    const turned = [c - 3 * s, 2 * c2 - 4 * s2, 3 * c + s, 4 * c2 + 2 * s2, 5, 6]
    expectClose(y, f32([2, 1, 1, 6], [1, 2, 3, 4, 5, 6, ...turned]), 1e-12, 1e-12)
  })
  // From transformers 5.18, modeling_rope_utils.py, in f32.
  test.each([
    ['"linear", rope_factor = 3', [0.333333343, 0.1405655, 0.059275981, 0.0249964725, 0.0105409259, 0.0044450718, 0.00187447108, 0.00079045794]],
    ['"llama3", rope_factor = 8', [1, 0.421696514, 0.0643098727, 0.00937367696, 0.00395284733, 0.00166690187, 0.000702926656, 0.000296421727]],
    ['"yarn", rope_factor = 4, rope_fast = 8', [1, 0.316272378, 0.0889139697, 0.0187473539, 0.00790569466, 0.00333380373, 0.00140585331, 0.000592843455]],
    ['"yarn", rope_factor = 4, rope_fast = 8, rope_whole = false', [1, 0.327107996, 0.0825591981, 0.0187473539, 0.00790569466, 0.00333380373, 0.00140585331, 0.000592843455]],
  ])('rotary frequencies stretched as %s', (kind, want) => {
    const e = `rotary_frequencies(16, theta = 1000, rope_context = 64, rope_type = ${kind}) + 0 * sum(x)`
    expectClose(f32([8], apply(e, [1])), f32([8], want), 2e-7, 0)
  }) // prettier-ignore
  test('yarn sharpens the attention', () => {
    const text =
      'model m(rope_type = "yarn", rope_factor = 4, rope_context = 64) { input x: f32[1, 1, T, 4]\noutput y = rope(x) }'
    const y = run(graphOfText(text), { x: f32([1, 1, 1, 4], [1, 2, 3, 4]) }).get('y')!
    const gain = 1 + Math.log(4) / 10
    expectClose(y, f32([1, 1, 1, 4], [gain, 2 * gain, 3 * gain, 4 * gain]), 1e-12, 0)
  })
  test('alibi, also where the number of heads is no power of two', () => {
    const slopes = (heads: number) => apply(`alibi(2, 2, heads = ${heads})[:, 1, 0] + 0 * sum(x)`, [1]).map((x) => -x)
    expect(slopes(4)).toEqual([2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8])
    const six = [2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8, 2 ** -1, 2 ** -3]
    expectClose(f32([6], slopes(6)), f32([6], six), 1e-15, 0)
  })
})

describe('layers', () => {
  const layer = (e: string, head = 'm(d = 4, heads = 2)'): string[] =>
    graphOfText(
      `model ${head} { input x: f32[B, T, d]\ninput y: f32[B, S, d]\ninput keep: i32[B, S]\noutput z = ${e} + 0 * sum(y) * f32(sum(keep)) |> relu }`.replace(
        '0 * sum(y) * f32(sum(keep))',
        '0 * sum(y, axis = [0, 1, 2]) * f32(sum(keep, axis = [0, 1]))',
      ),
    ).params.map((p) => p.name)

  test('have the names of torch', () => {
    const names = layer('encoder_layer(x)')
    expect(names).toContain('self_attn.in_proj_weight')
    expect(names).toContain('norm2.bias')
    expect(layer('decoder_layer(x, y, causal(T), keys(keep == 1))').length).toBe(18)
    expect(layer('decoder_layer(x, y, causal(T), prenorm = true)').length).toBe(18)
    expect(layer('cross_attention(x, y, mask = keys(keep == 1))').length).toBe(8)
    expect(layer('swiglu(x, ff = 8)')).toEqual(['gate_proj.weight', 'up_proj.weight', 'down_proj.weight'])
  })
  test('dropout is nothing', () => {
    expect(apply('dropout(x)', [1, 2])).toEqual([1, 2])
  })
})

test('the models of the language reference are right', () => {
  const page = readText('docs/language.md')
  const examples = [...page.matchAll(/```tfm\n([\s\S]*?)```/g)]
    .map((m) => m[1])
    .filter((text) => /^model |\nmodel /.test(text) && !text.includes('import '))
  expect(examples.length).toBeGreaterThanOrEqual(3)
  for (const text of examples) expect(codesOf(text)).toEqual([])
})
