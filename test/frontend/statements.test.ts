import { describe, expect, test } from 'vitest'
import { codesOf, f32, graphOfText, i32, messagesOf, run } from '../support/models.ts'

const model = (body: string, head = 'd = 4'): string => `model m(${head}) { input x: f32[B, T, d]\n${body} }`
const numbers = (text: string, data = [1, 2, 3, 4], shape = [1, 1, 4]): number[] => [
  ...run(graphOfText(text), { x: f32(shape, data) }).get('y')!.data,
]

describe('repeat', () => {
  test('carries outer variables, keeps inner ones', () => {
    expect(numbers(model('h = x\nrepeat 3 as i { k = h + i\nh = k }\noutput y = h'))).toEqual([4, 5, 6, 7])
    expect(codesOf(model('repeat 2 { k = x }\noutput y = k'))).toEqual(['TFM1201'])
  })

  test('keeps types unless unrolled', () => {
    const body = (word: string) =>
      model(
        `h = x\nrepeat 2 as i ${word} { h = linear(h, widths[i], name = "f{i}") }\noutput y = h`,
        'd = 4, widths = [3, 2]',
      )
    expect(codesOf(body(''))).toEqual(['TFM1602'])
    expect(graphOfText(body('unrolled')).params.map((p) => p.shape.join())).toEqual(['3,4', '3', '2,3', '2'])
  })

  test('as a value stacks what it yields', () => {
    expect(numbers(model('h = x\ns = repeat 2 { h = h + 1\nyield h }\noutput y = s'))).toEqual([2, 3, 4, 5, 3, 4, 5, 6])
    expect(codesOf(model('s = repeat 2 { h = x }\noutput y = x'))).toEqual(['TFM1219'])
  })
})

describe('if', () => {
  test('chooses at compile time; the other branch declares nothing', () => {
    const text = (on: boolean) => model(`if on { y = linear(x, d) } else { y = x }\noutput z = y`, `d = 4, on = ${on}`)
    expect(graphOfText(text(true)).params.length).toBe(2)
    expect(graphOfText(text(false)).params.length).toBe(0)
    expect(numbers(model('output y = if d == 4 then x else linear(x, 0.5)'))).toEqual([1, 2, 3, 4])
  })

  test('on tensors and on dims of the call is an error', () => {
    expect(codesOf(model('if x > 0 { y = x }\noutput z = y'))).toEqual(['TFM1604'])
    expect(codesOf(model('output y = if T > 2 then x else 2 * x'))).toEqual(['TFM1208'])
    expect(graphOfText(model('if T >= 1 { z = x } else { z = nothing }\noutput y = z')).outputs.length).toBe(1)
  })
})

describe('inputs, outputs, entries', () => {
  test('an optional input has its default', () => {
    const text = 'model m { input x: f32[T]\ninput s: f32[T] = zeros([T])\noutput y = x + s }'
    const graph = graphOfText(text)
    expect([...run(graph, { x: f32([2], [1, 2]) }).get('y')!.data]).toEqual([1, 2])
    expect([...run(graph, { x: f32([2], [1, 2]), s: f32([2], [3, 3]) }).get('y')!.data]).toEqual([4, 5])
    expect(codesOf('model m { input x: f32[T]\ninput s: f32[T] = zeros([3])\noutput y = x + s }')).toEqual(['TFM1402'])
  })

  test('outputs bind, and take tuples apart', () => {
    const graph = graphOfText(model('output a, b = split(x, 2)\noutput y = a + b'))
    expect(graph.outputs.map((o) => o.name)).toEqual(['a', 'b', 'y'])
  })

  test('entries cut the graph', () => {
    const text = (entry: string) =>
      `model m { sequence T\ninput s: f32[S]\ninput t: f32[T]\ninput o: f32[T] = zeros([T])\noutput memory = relu(s)\noutput y = t + o + sum(memory)\n${entry} }`
    expect(graphOfText(text('entry decode: memory, t -> y')).entries).toEqual([
      { name: 'decode', inputs: ['memory', 't'], outputs: ['y'] },
    ])
    expect(messagesOf(text('entry decode: memory -> y'))).toEqual(['TFM1702 entry `decode` needs `t`'])
    expect(graphOfText(text('')).sequence?.name).toBe('T')
  })

  test('unused inputs and parameters are warned of', () => {
    expect(codesOf(model('input z: f32[T]\nparam w: f32[d] = "w"\noutput y = x'))).toEqual(['TFM1703', 'TFM1505'])
  })
})

describe('comprehensions', () => {
  const matrix = (text: string): number[] =>
    numbers(`model m { input x: f32[A, E]\n${text} }`, [1, 2, 3, 4, 5, 6], [2, 3])

  test('of indices alone', () => {
    expect(matrix('output y = f32([for i < A, j < E: 10 * i - j]) + 0 * x')).toEqual([0, -1, -2, 10, 9, 8])
    expect(matrix('output y = f32([for i < E, j < E: j <= i and i - 2 < j]) + 0 * sum(x, axis = [0, 1])')).toEqual([
      1, 0, 0, 1, 1, 0, 0, 1, 1,
    ])
    expect(matrix('output y = [for i < E: i / 2] + 0 * sum(x, axis = [0, 1])')).toEqual([0, 0.5, 1])
  })

  test('transposes, shifts and rolls', () => {
    expect(matrix('output y = [for j < E, i < A: x[i, j]]')).toEqual([1, 4, 2, 5, 3, 6])
    expect(matrix('output y = [for i < A, j < E - 1: x[i, j + 1]]')).toEqual([2, 3, 5, 6])
    expect(matrix('output y = [for i < A, j < E: x[i, (j + 1) % E]]')).toEqual([2, 3, 1, 5, 6, 4])
    expect(matrix('output y = [for i < A, j < E: x[i, E - 1 - j]]')).toEqual([3, 2, 1, 6, 5, 4])
    expect(matrix('output y = [for i < A, j < E: select(j > 0, x[i, j - 1], 0)]')).toEqual([0, 1, 2, 0, 4, 5])
    expect(matrix('output y = [for i < A: x[i, i % E]]')).toEqual([1, 5])
  })

  test('indices must be proved or guarded', () => {
    const code = (e: string) => codesOf(`model m { input x: f32[A, E]\noutput y = ${e} }`)
    expect(code('[for i < A, j < E: x[i, j + 1]]')).toEqual(['TFM1410'])
    expect(code('[for i < A, j < E: select(j + 1 < E, x[i, j + 1], 0)]')).toEqual([])
    expect(code('[for i < A, j < E: select(j + 1 < E, 0, x[i, j + 1])]')).toEqual(['TFM1410'])
    expect(code('[for i < A: x[i]]')).toEqual(['TFM1403'])
  })

  test('sums of products are matrix products', () => {
    expect(matrix('output y = [for i < A, j < A: sum[for e < E: x[i, e] * x[j, e]]]')).toEqual([14, 32, 32, 77])
    expect(matrix('output y = [for i < A: max[for e < E: x[i, e]]]')).toEqual([3, 6])
    expect(matrix('output y = [for i < A: sum[for e < E: x[i, e] * e]]')).toEqual([8, 17])
    const graph = graphOfText(
      'model m { input q: f32[B, T, E]\ninput k: f32[B, S, E]\noutput y = [for b < B, j < S, i < T: sum[for e < E: q[b, i, e] * k[b, j, e]]] }',
    )
    expect(graph.outputs[0].node.inputs[0].op).toBe('matmul')
    expect(graph.outputs[0].node.type.shape.map(String)).toEqual(['B', 'S', 'T'])
  })

  test('by data', () => {
    const graph = graphOfText(
      'model m { input x: f32[A, E]\ninput len: i32[A]\noutput y = [for i < A, j < E: select(j < len[i], x[i, j], 0)]\noutput z = [for i < A: x[i, len[i]]] }',
    )
    const outputs = run(graph, { x: f32([2, 3], [1, 2, 3, 4, 5, 6]), len: i32([2], [1, 2]) })
    expect([...outputs.get('y')!.data]).toEqual([1, 0, 0, 4, 5, 0])
    expect([...outputs.get('z')!.data]).toEqual([2, 6])
  })

  test('blocks of numbers work per point', () => {
    expect(matrix('output y = [for j < E, i < A: relu(x[i, j] - 3)]')).toEqual([0, 1, 0, 2, 0, 3])
  })
})

describe('indexing', () => {
  const matrix = (text: string): number[] =>
    numbers(`model m { input x: f32[2, 3]\n${text} }`, [1, 2, 3, 4, 5, 6], [2, 3])
  test('picks, ranges, ellipsis, tensors', () => {
    expect(matrix('output y = x[1]')).toEqual([4, 5, 6])
    expect(matrix('output y = x[:, -1]')).toEqual([3, 6])
    expect(matrix('output y = x[..., 1:3]')).toEqual([2, 3, 5, 6])
    expect(matrix('output y = x[..., -2:]')).toEqual([2, 3, 5, 6])
    expect(matrix('output y = x[:, i32([for i < 2: 2 - i])]')).toEqual([3, 2, 6, 5])
    expect(matrix('output y = x[iota(2), 0]')).toEqual([1, 4])
  })
  test('mistakes', () => {
    expect(codesOf(model('output y = x[..., 4]'))).toEqual(['TFM1402'])
    expect(codesOf(model('output y = x[0, 0, 0, 0]'))).toEqual(['TFM1403'])
    expect(codesOf(model('output y = x[x]'))).toEqual(['TFM1801'])
  })
})

describe('numbers', () => {
  test('are exact until they meet a tensor', () => {
    expect(numbers(model('output y = x * (1 / 3) * 3'))).toEqual([1, 2, 3, 4])
    expect(numbers(model('output y = x + sqrt(d * d) + 7 // 2 + -7 // 2 + 7 % 4'))).toEqual([7, 8, 9, 10])
    expect(numbers(model('output y = x * B + T'), [1, 2, 3, 4])).toEqual([2, 3, 4, 5])
    expect(numbers(model('output y = x / dim(x, axis = T) + 2 ** -1'))).toEqual([1.5, 2.5, 3.5, 4.5])
  })
  test('take the dtype of the tensor', () => {
    expect(codesOf('model m { input i: i32[T]\noutput y = i * 0.5 }')).toEqual(['TFM1801'])
    expect(codesOf('model m { input i: i32[T]\noutput y = i * 2 + T }')).toEqual([])
    expect(codesOf('model m { input i: i32[T]\ninput x: f32[T]\noutput y = i * x }')).toEqual(['TFM1801'])
    expect(codesOf('model m { input i: i32[T]\noutput y = i and i }')).toEqual(['TFM1801'])
  })
})
