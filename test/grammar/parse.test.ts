import { describe, expect, test } from 'vitest'
import type { Stmt } from '../../grammar/ast.ts'
import { plainText, skeleton } from '../../grammar/desugar.ts'
import { codes, complaints, read, shape } from './support.ts'

/** The statements of a model with this body. */
function statements(body: string): readonly Stmt[] {
  const text = `model m {\n${body}\n}\n`
  expect(complaints(text)).toBe('')
  const item = read(text).ast.items[0]
  return item?.k === 'model' ? item.body.stmts : []
}

describe('operators, loosest first', () => {
  test.each([
    ['a or b and c', '(or a (and b c))'],
    ['not a == b and c', '(and (not (== a b)) c)'],
    ['a + b * c', '(+ a (* b c))'],
    ['a - b - c', '(- (- a b) c)'],
    ['a // b % c @ d / e', '(/ (@ (% (// a b) c) d) e)'],
    ['-a ** 2', '(- (** a 2))'],
    ['a ** b ** c', '(** a (** b c))'],
    ['2 ** -x * y', '(* (** 2 (- x)) y)'],
    ['-a * b', '(* (- a) b)'],
    ['a < b + 1', '(< a (+ b 1))'],
    ['y @ w + b |> split(2) |> each heads', '(each heads (split (+ (@ y w) b) 2))'],
    ['x |> f(a, n = 1)', '(f x a n=1)'],
    ['f(x, a, n = 1)', '(f x a n=1)'],
    ['if a then b else c |> f', '(f (if a b c))'],
    ['1 + if a then b else c * d', '(+ 1 (if a b (* c d)))'],
    ['x[:, 0:n][..., -1]', '(at (at x 2) 2)'],
    ['[[k - 1, 0], []]', '[[(- k 1) 0] []]'],
    ['sum[for e < E - 1, f < F: q[e] < f]', '(sum e<(- E 1) f<F: (< (at q 1) f))'],
    ['(a < b) == c', '(== (< a b) c)'],
    ['a < b < c', 'TFM1011'],
    ['x |> f + 1', 'TFM1010'],
    ['f(a = 1, b)', 'TFM1013'],
    ['f(x)(y)', 'TFM1019'],
  ])('%s', (text, expected) => expect(shape(text)).toBe(expected))
})

describe('the ends of statements', () => {
  const count = (body: string) => statements(body).length
  test('a newline or `;` ends a statement', () => expect(count('a = 1\nb = 2; c = 3\n\n\n;d = 4')).toBe(4))
  test('not within brackets', () => expect(count('a = f(\n  1,\n  2,\n)\nb = [\n1\n]')).toBe(2))
  test('not after an operator, a comma or `=`', () => expect(count('a =\n  1 +\n  2\nb,\n  c = f(x)')).toBe(2))
  test('not before `|>`, with comments between', () =>
    expect(count('a = x\n  // note\n\n  |> f  // two\n  |> g\nb = 1')).toBe(2))
  test('braces within brackets start afresh', () =>
    expect(count('a = f(scan t < T carry h = h0 {\n  h = h + 1\n  yield h\n},\n  2)\nb = 1')).toBe(2))
  test('`else`, `then` and `carry` may start a line', () =>
    expect(count('if a { }\nelse { }\nb = if c\n  then 1\n  else 2\ny = scan t < T\n  carry h = h0 { yield h }')).toBe(
      3,
    ))
})

describe('comments and floor division', () => {
  const value = (body: string) => {
    const first = statements(body)[0]
    return first?.k === 'assign' ? first.value.k : undefined
  }
  test('after a value `//` divides', () => expect(value('w = a // b')).toBe('binary'))
  test('without blanks too', () => expect(value('w = a//b')).toBe('binary'))
  test('two blanks make it a comment', () => expect(value('w = a  // b')).toBe('name'))
  test('a tab too', () => expect(value('w = a\t// b')).toBe('name'))
  test('on its own line it is a comment', () => expect(value('w = f(a\n // b\n)')).toBe('call'))
  test('`///` is a comment everywhere', () => expect(value('w = a /// b')).toBe('name'))
  test('after a string it is a comment', () => expect(statements('param w: f32[d] = "w" // note')).toHaveLength(1))
  test('what reads as both is refused', () => {
    expect(codes('model m { w = a  // 2\n}')).toEqual(['TFM1016'])
    expect(codes('model m { w = a  // (H / G)\n}')).toEqual(['TFM1016'])
  })
})

describe('strings', () => {
  const string = (text: string) => {
    const first = statements(`scope ${text} { }`)[0]
    return first?.k === 'scope' ? first.path : undefined
  }
  test('holes hold expressions', () => {
    const parts = string('"h.{i + 1}.{"x{j}"}w"')?.parts ?? []
    expect(parts.map((part) => (part.k === 'text' ? part.value : part.expr.k))).toEqual([
      'h.',
      'binary',
      '.',
      'string',
      'w',
    ])
  })
  test('escapes', () => {
    const path = string(String.raw`"\{a\}\"\\ \n"`)
    expect(path && plainText(path)).toBe('{a}"\\ \n')
  })
  test('spans of holes are spans of the file', () => {
    const hole = string('"h.{abc}"')?.parts[1]
    expect(hole?.k === 'hole' && hole.expr.span.file.text.slice(hole.expr.span.start, hole.expr.span.end)).toBe('abc')
  })
})

describe('documentation', () => {
  test('belongs to what follows directly', () => {
    const [input, param] = statements('/// One.\n///  Two.\ninput x: f32[T]\n\n/// lost\n\nparam w: f32[d]')
    expect(input?.k === 'input' && input.doc).toBe('One.\n Two.')
    expect(param?.k === 'param' && param.doc).toBe(undefined)
  })
  test('of hyperparameters', () => {
    const model = read('model m(\n  /// Width.\n  d = 1, /// not this\n  e = 2) { }').ast.items[0]
    expect(model?.k === 'model' && model.params.map((hyper) => hyper.doc)).toEqual(['Width.', undefined])
  })
})

test('words of `weights` are names elsewhere', () => {
  expect(statements('prefix = to + optional\nx = f(ignore, rename = 1)')).toHaveLength(2)
})

test('several outputs, entries and values', () => {
  const [output, entry, back] = statements('output y, h = f(x)\nentry e: -> y\nreturn y, h')
  expect(output?.k === 'output' && output.names.map((name) => name.name)).toEqual(['y', 'h'])
  expect(entry?.k === 'entry' && [entry.inputs.length, entry.outputs.length]).toEqual([0, 1])
  expect(back?.k === 'return' && back.values.length).toBe(2)
})

test('the call form and the pipe form are one', () => {
  const [call, pipe] = statements('y = f(x, a, n = 1)\ny = x |> f(a, n = 1)')
  if (call?.k !== 'assign' || pipe?.k !== 'assign' || pipe.value.k !== 'pipe') throw new Error('not read as expected')
  expect(skeleton(call.value)).not.toEqual(skeleton(pipe.value))
  expect(shape('x |> f(a, n = 1)')).toBe(shape('f(x, a, n = 1)'))
})
