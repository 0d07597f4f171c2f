import { describe, expect, test } from 'vitest'
import { codes, complaints, has, read } from './support.ts'

/** Names of the models and blocks that were read, and how many statements of the first model. */
function survived(text: string): { items: string[]; statements: number } {
  const { ast } = read(text)
  const first = ast.items.find((item) => item.k === 'model')
  return {
    items: ast.items.map((item) => (item.k === 'import' ? 'import' : item.name.name)),
    statements: first?.body.stmts.length ?? 0,
  }
}

describe('one mistake does not hide the next', () => {
  test('several statements', () => {
    const text = 'model m {\n  a = * 1\n  b = 2\n  input x f32[T]\n  c = f(1 2)\n  output = c\n  d = 3\n}\n'
    expect(codes(text)).toEqual(['TFM1005', 'TFM1005', 'TFM1005', 'TFM1005'])
    expect(survived(text).statements).toBeGreaterThanOrEqual(3)
  })
  test('one per statement', () => expect(codes('model m {\n  a = ) + * / b c d e\n}\n').length).toBeLessThanOrEqual(2))
  test('what stands wrong at the top level', () =>
    expect(codes('x = 1\nparam w: f32[d]\nmodel m { }')).toEqual(['TFM1017', 'TFM1017']))
})

describe('a missing bracket', () => {
  test.each([
    ['round', 'model m {\n  a = f(1, 2\n  b = 3\n}\nmodel n { }\n'],
    ['square', 'model m {\n  a = [1, 2\n  b = 3\n}\nmodel n { }\n'],
    ['round, before a keyword', 'model m {\n  a = f(1,\n  output b = 3\n}\nmodel n { }\n'],
    ['round, of a header', 'model m(a = 1 {\n  c = 2\n  b = 3\n}\nmodel n { }\n'],
    ['curly', 'model m {\n  c = 2\n  repeat 3 {\n  b = 3\n\nmodel n { }\n'],
  ])('%s: ends where the next statement starts', (_name, text) => {
    const found = codes(text)
    expect(found).toContain('TFM1007')
    expect(found.length).toBeLessThanOrEqual(2)
    expect(survived(text)).toEqual({ items: ['m', 'n'], statements: 2 })
  })
  test('too many', () => expect(codes('model m { a = 1) }\n}\nmodel n { }')).toEqual(['TFM1008', 'TFM1008']))
  test('of another kind', () => {
    expect(codes('model m {\n  a = f(1]\n  b = 2\n}')).toEqual(['TFM1024'])
    expect(survived('model m {\n  a = f(1]\n  b = 2\n}').statements).toBe(2)
  })
})

test('an unreadable expression is a node, once reported', () => {
  const { ast, diagnostics } = read('model m {\n  a = f(,)\n}')
  expect(diagnostics).toHaveLength(1)
  expect(ast.items).toHaveLength(1)
  expect(has(ast, 'file')).toBe(true)
})

test('hostile nesting ends in a diagnostic', () => {
  for (const open of ['(', '[', '{', '- ', 'not ', 'f(', 'if a then ', '2 ** ', '"{', 'a + ', 'a |> ', '1 < ']) {
    const text = `model m {\n  a = ${open.repeat(20_000)}`
    expect(complaints(text), open).not.toBe('')
  }
  const chain = `model m {\n  ${'if a { } else '.repeat(5000)} { }\n}`
  expect(codes(chain)).toContain('TFM1014')
}, 30_000)
