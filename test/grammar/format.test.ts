import { describe, expect, test } from 'vitest'
import { desugar, skeleton } from '../../grammar/desugar.ts'
import { format, formatFile } from '../../grammar/format.ts'
import { DiagnosticError } from '../../src/diagnostics/collector.ts'
import { sourceFile } from '../../src/diagnostics/span.ts'
import { read } from './support.ts'

/** The lines of a body after formatting, without the indentation of the model. */
function body(text: string): string {
  const source = `model m {\n${text}\n}\n`
  const once = format(source)
  expect(format(once)).toBe(once)
  expect(skeleton(desugar(read(once).ast))).toBeTypeOf('object')
  return once
    .split('\n')
    .slice(1, -2)
    .map((line) => line.replace(/^ {2}/, ''))
    .join('\n')
}

describe('brackets', () => {
  test.each([
    ['(a + b) * c', '(a + b) * c'],
    ['(a * b) + c', 'a * b + c'],
    ['a - (b - c)', 'a - (b - c)'],
    ['(a - b) - c', 'a - b - c'],
    ['(a ** b) ** c', '(a ** b) ** c'],
    ['a ** (b ** c)', 'a ** b ** c'],
    ['(-a) ** 2', '(-a) ** 2'],
    ['-(a ** 2)', '-a ** 2'],
    ['2 ** (-1)', '2 ** -1'],
    ['not (a == b)', 'not (a == b)'],
    ['(not a) == b', '(not a) == b'],
    ['(a < b) == (c < d)', '(a < b) == (c < d)'],
    ['(if c then a else b) + 1', '(if c then a else b) + 1'],
    ['(x |> f) + 1', '(x |> f) + 1'],
    ['f((x |> g))', 'f(x |> g)'],
    ['((a))[0]', 'a[0]'],
    ['(a + b)[0]', '(a + b)[0]'],
    ['[for i < (n + 1): (i)]', '[for i < n + 1: i]'],
  ])('%s', (text, expected) => expect(body(`x = ${text}`)).toBe(`x = ${expected}`))
})

describe('chains', () => {
  test('nested calls of three or more become pipes', () =>
    expect(body('y = f(g(h(x, 1), n = 2))')).toBe('y = x |> h(1) |> g(n = 2) |> f'))
  test('two stay', () => expect(body('y = f(g(x), 1)')).toBe('y = f(g(x), 1)'))
  test('an innermost call of three tensors stays a call and heads the chain', () =>
    expect(body('y = f(g(attention(q, k, v, mask = m)))')).toBe('y = attention(q, k, v, mask = m) |> g |> f'))
  test('`residual` is never rewritten', () => {
    expect(body('y = residual(f(g(h(x))))')).toBe('y = residual(f(g(h(x))))')
    expect(body('y = e(residual(f(g(h(x)))))')).toBe('y = e(residual(f(g(h(x)))))')
  })
  const long = (n: number) => Array.from({ length: n }, (_, i) => `|> linear(width, name = "projection_${i}")`)
  test('too long for a line: one stage a line', () =>
    expect(body(`y = x ${long(4).join(' ')}`)).toBe(
      `y = x\n${long(4)
        .map((stage) => `  ${stage}`)
        .join('\n')}`,
    ))
  test('or as the source breaks it', () => {
    const [a, b, c, d] = long(4)
    expect(body(`y = x ${a} ${b}\n${c} ${d}`)).toBe(`y = x ${a} ${b}\n  ${c} ${d}`)
  })
  test('short ones are joined', () => expect(body('y = x\n  |> f\n  |> g')).toBe('y = x |> f |> g'))
})

describe('comments', () => {
  test('stay with what they precede and trail', () =>
    expect(body('// a\n\n\n// b\nx = 1   // c\n\n// d')).toBe('// a\n\n// b\nx = 1  // c\n\n// d'))
  test('in lists', () =>
    expect(body('x = f(a, // one\n// two\nb\n// three\n)')).toBe('x = f(\n  a,  // one\n  // two\n  b\n  // three\n)'))
  test('in chains', () =>
    expect(body('x = y\n|> f  // one\n// two\n|> g')).toBe('x = y\n  |> f  // one\n  // two\n  |> g'))
  test('within an operator they move in front', () => expect(body('x = a + // one\nb')).toBe('// one\nx = a + b'))
  test('at braces', () =>
    expect(body('if a { // one\nb = 1\n// two\n} // three')).toBe('if a {  // one\n  b = 1\n  // two\n}  // three'))
  test('in empty bodies', () => expect(body('if a {\n// one\n}')).toBe('if a {\n  // one\n}'))
  test('of files without items', () => expect(format('// one\n\n\n/// two')).toBe('// one\n\n/// two\n'))
  test('documentation stays documentation', () => {
    const text = 'model m(\n/// Width.\nd = 1, /// not e\ne = 2) {\n/// Tokens.\ninput x: i32[T]\n}\n'
    const meaning = skeleton(read(text).ast)
    expect(skeleton(read(format(text)).ast)).toEqual(meaning)
  })
})

test('bodies on one line stay so while they fit', () => {
  expect(body('if a { b = 1; c = 2 } else { b = 2 }')).toBe('if a { b = 1; c = 2 } else { b = 2 }')
  expect(body('if a {\n b = 1 }')).toBe('if a {\n  b = 1\n}')
})

test('a model stands apart', () => {
  expect(format('import { a } from "./a.tfm"\nmodel a { }\nmodel b { }\nblock f() = 1\nblock g() = 1')).toBe(
    'import { a } from "./a.tfm"\n\nmodel a { }\n\nmodel b { }\n\nblock f() = 1\nblock g() = 1\n',
  )
})

test('a text with syntax errors is not touched', () => {
  expect(() => format('model m {\n x = \n}')).toThrow(DiagnosticError)
  expect(formatFile(sourceFile('a.tfm', 'model m {\n x = \n}')).text).toBe(undefined)
})
