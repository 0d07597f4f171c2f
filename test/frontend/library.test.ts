/** Blocks of the standard library beyond the basic ones, and what the language has for writing them: lists, shapes, `error`. */
import { describe, expect, test } from 'vitest'
import { codesOf, expectClose, f32, graphOfText, messagesOf, run } from '../support/models.ts'

const values = [-1e30, -500, -20, -3, -1, -1e-8, 0, 1e-8, 0.5, 1, 3, 20, 500, 1e30]
const model = (body: string): string => `model m(d = 4) {\ninput x: f32[T]\n${body}\n}`
const apply = (expression: string, data: readonly number[] = values): number[] => [
  ...run(graphOfText(model(`output y = ${expression}`)), { x: f32([data.length], data) }).get('y')!.data,
]

describe('activations', () => {
  const clamp = (x: number, lo: number, hi: number): number => Math.min(Math.max(x, lo), hi)
  const formulas: Record<string, (x: number) => number> = {
    'relu_squared(x)': (x) => Math.max(x, 0) ** 2,
    'logsigmoid(x)': (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))),
    'clamp(x, -0.5, 1.25)': (x) => clamp(x, -0.5, 1.25),
    'relu6(x)': (x) => clamp(x, 0, 6),
    'hardtanh(x)': (x) => clamp(x, -1, 1),
    'hardsigmoid(x)': (x) => clamp(x / 6 + 0.5, 0, 1),
    'hardswish(x)': (x) => (x * clamp(x + 3, 0, 6)) / 6,
    'selu(x)': (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)),
    'softsign(x)': (x) => x / (1 + Math.abs(x)),
    'rsqrt(abs(x) + 1)': (x) => 1 / Math.sqrt(Math.abs(x) + 1),
    'reciprocal(abs(x) + 1)': (x) => 1 / (Math.abs(x) + 1),
  }
  test.each(Object.entries(formulas))('%s', (expression, formula) => {
    const got = apply(expression)
    expectClose(f32([values.length], got), f32([values.length], values.map(formula)), 1e-12, 1e-15)
  })

  const kinds: Record<string, string> = {
    gelu: 'gelu(x)',
    gelu_new: 'gelu_tanh(x)',
    gelu_fast: 'gelu_tanh(x)',
    gelu_pytorch_tanh: 'gelu_tanh(x)',
    quick_gelu: 'gelu_sigmoid(x)',
    relu: 'relu(x)',
    relu2: 'relu(x) * relu(x)',
    leaky_relu: 'leaky_relu(x)',
    silu: 'silu(x)',
    swish: 'silu(x)',
    tanh: 'tanh(x)',
    sigmoid: 'sigmoid(x)',
    mish: 'mish(x)',
    linear: 'x',
  }
  test.each(Object.entries(kinds))('activation(x, "%s")', (kind, same) => {
    expect(apply(`activation(x, "${kind}")`)).toEqual(apply(same))
  })
  test('an activation that nobody knows is refused where it is called, with the names there are', () => {
    const [message] = messagesOf(model('output y = activation(x, "geluu")'))
    expect(message).toMatch(/^TFM1222 no activation is called "geluu": gelu, gelu_new, /)
  })
  test('glu and prelu', () => {
    const y = run(graphOfText('model m { input x: f32[4]\noutput y = glu(x) }'), { x: f32([4], [1, -2, 0, 3]) })
    expectClose(y.get('y'), f32([2], [0.5, -2 / (1 + Math.exp(-3))]), 1e-12, 0)
    const graph = graphOfText('model m { input x: f32[B, 3, T, S]\noutput y = prelu(x, 3, name = "act") }')
    expect(graph.params.map((p) => p.name)).toEqual(['act.weight'])
  })
})

describe('lists and shapes', () => {
  const numbers = (expression: string): number[] => apply(`0 * sum(x) + ${expression}`, [1])
  test('join, are cut, have a length', () => {
    expect(numbers('([1, 2] + [3])[2]')).toEqual([3])
    expect(numbers('[1, 2, 3][1:][0]')).toEqual([2])
    expect(numbers('[1, 2, 3][0:-1][-1]')).toEqual([2])
    expect(numbers('len([1, 2] + [])')).toEqual([2])
    expect(numbers('list(7, 3)[2] + list([1, 2], 2)[1]')).toEqual([9])
    expect(codesOf(model('output y = x * [1, 2][1:4][0]'))).toEqual(['TFM1402'])
    expect(codesOf(model('output y = x * list([1, 2], 3)[0]'))).toEqual(['TFM1605'])
  })
  test('shapes are lists', () => {
    const two = 'y = broadcast(unsqueeze(x), shape(x) + [3])'
    expect(apply('reshape(y, shape(x) + [3])'.replace('y', 'broadcast(unsqueeze(x), shape(x) + [3])'), [4, 5])).toEqual(
      [4, 4, 4, 5, 5, 5],
    )
    expect(codesOf(model(`${two}\noutput z = reshape(y, [dim(y, [0, 1])])`))).toEqual([])
    expect(codesOf(model('output y = if shape(x) == [2] then error("equal") else x'))).toEqual([])
  })
  test('`where` gives a dim its least value', () => {
    const windows = (where: string) =>
      codesOf(`model m { input x: f32[T] ${where}\noutput y = unfold(x, axis = 0, size = 3) }`)
    expect(windows('where T >= 3')).toEqual([])
    expect(windows('where 2 < T')).toEqual([])
    expect(windows('where T >= 2')).toEqual(['TFM1410'])
    expect(windows('')).toEqual(['TFM1410'])
  })
  test('the least value of a sequence is 1, as steps are short', () => {
    const text = 'model m { sequence T\ninput x: f32[T] where T >= 3\noutput y = unfold(x, axis = 0, size = 3) }'
    expect(codesOf(text)).toEqual(['TFM1410'])
  })
})
