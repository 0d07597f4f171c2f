import { describe, expect, test } from 'vitest'
import { define } from '../../src/diagnostics/define.ts'
import { withFix, withHelp, withReasons, type Diagnostic } from '../../src/diagnostics/diagnostic.ts'
import { toJSON } from '../../src/diagnostics/json.ts'
import { render, renderAll } from '../../src/diagnostics/render.ts'
import { endOf, positionAt, sourceFile, spanOf, startOf, type SourceFile } from '../../src/diagnostics/span.ts'

const wrong = define('TFM9901', { title: 't', explain: 'e', example: 'x' }, (what: string) => `${what} is wrong`)
const odd = define('TFM9902', { title: 't', explain: 'e', example: 'x', severity: 'warning' }, () => 'this is odd')

const file = (text: string): SourceFile => sourceFile('a.tfm', text)
/** Marks the first occurrence of `part`. */
const at = (source: SourceFile, part: string) =>
  spanOf(source, source.text.indexOf(part), source.text.indexOf(part) + part.length)
const frame = (diagnostic: Diagnostic, width?: number) => `\n${render(diagnostic, width ? { width } : {})}\n`

describe('frames', () => {
  test('a message, its place, its line', () => {
    expect(frame(wrong(at(file('a = 1\nb = 22\n'), '22'), 'this'))).toBe(`
error TFM9901: this is wrong
  --> a.tfm:2:5
   |
 2 | b = 22
   |     ^^
`)
  })
  test('reasons with their own lines, help and fix', () => {
    const source = file('q = 1\nk = 2\ny = q + k\n')
    const base = wrong(at(source, 'q + k'), 'the sum')
    const reasons = withReasons(base, { message: '`q` is 1', span: at(source, 'q') }, { message: 'and so\non' })
    expect(frame(withFix(withHelp(reasons, 'think'), 'write `q`'))).toBe(`
error TFM9901: the sum is wrong
  --> a.tfm:3:5
   |
 3 | y = q + k
   |     ^^^^^
   = because: \`q\` is 1
  ::> a.tfm:1:1
   |
 1 | q = 1
   | ^
   = because: and so
              on
   = help: think
   = fix: write \`q\`
`)
  })
  test('of several lines', () => {
    expect(frame(wrong(at(file('x = f(\n  a,\n  b\n)'), 'f(\n  a,\n  b\n)'), 'it'))).toBe(`
error TFM9901: it is wrong
  --> a.tfm:1:5
   |
 1 | x = f(
   |     ^^
 2 |   a,
   |   ^^
 3 |   b
   |   ^
 4 | )
   | ^
`)
    const many = Array.from({ length: 12 }, (_, i) => `line${i + 1}`).join('\n')
    expect(frame(wrong(at(file(many), many), 'it'))).toBe(`
error TFM9901: it is wrong
   --> a.tfm:1:1
    |
  1 | line1
    | ^^^^^
  2 | line2
    | ^^^^^
 ..
 12 | line12
    | ^^^^^^
`)
  })
  test('without a place', () => expect(frame(wrong(undefined, 'it'))).toBe('\nerror TFM9901: it is wrong\n'))
  test('at the end of the file', () =>
    expect(frame(wrong(spanOf(file('ab'), 2, 2), 'it'))).toContain('1 | ab\n   |   ^'))
  test('of an empty file', () => expect(frame(wrong(spanOf(file(''), 0, 0), 'it'))).toContain('a.tfm:1:1'))
  test('tabs and wide characters keep the caret in its column', () => {
    expect(frame(wrong(at(file('\tx = y'), 'y'), 'it'))).toContain(' 1 |   x = y\n   |       ^')
    expect(frame(wrong(at(file('a\u0301 漢 y'), 'y'), 'it'))).toContain('\n   |      ^')
  })
  test('long lines are cut around the mark', () => {
    const line = `${'a'.repeat(300)} MARK ${'b'.repeat(300)}`
    const text = frame(wrong(at(file(line), 'MARK'), 'it'), 60)
    const [, , , , shown = '', carets = ''] = text.split('\n')
    expect(shown.length).toBeLessThanOrEqual(66)
    expect(shown.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)).toBe('MARK')
    expect(shown).toMatch(/…a+ MARK b+…/)
  })
  test('Windows line ends', () => expect(frame(wrong(at(file('a\r\nb\r\n'), 'b'), 'it'))).toContain(' 2 | b\n   | ^'))
})

describe('hostile text', () => {
  test('control characters, overrides and lone surrogates are shown, never sent', () => {
    const source = sourceFile('\u001b[31m.tfm', 'x = \u001b[2J\u0007\u202e\ud800\u0000 y\u009b')
    const text = render(wrong(at(source, 'y'), '`\u001b]0;title\u0007`'))
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\ud800]/)
    expect(text).toContain('␛[2J␇<U+202E><U+D800>␀ y')
  })
})

test('colour wraps, and does not change, the text', () => {
  const diagnostic = withFix(wrong(at(file('a = b'), 'b'), 'it'), 'do')
  const coloured = render(diagnostic, { color: true })
  expect(coloured).toContain('\u001b[1;31merror TFM9901')
  // eslint-disable-next-line no-control-regex
  expect(coloured.replace(/\u001b\[[\d;]*m/g, '')).toBe(render(diagnostic))
})

test('several are counted, and too many left out', () => {
  const source = file('a')
  const all = [wrong(at(source, 'a'), 'one'), odd(at(source, 'a')), wrong(undefined, 'two')]
  expect(renderAll(all)).toMatch(/\n\n2 errors, 1 warning\n$/)
  expect(renderAll(all, { most: 1 })).toMatch(/\n\n2 errors, 1 warning \(2 not shown\)\n$/)
  expect(renderAll([])).toBe('')
})

test('as data', () => {
  const source = file('a = 1\nb = 22\n')
  const json = toJSON(withReasons(wrong(at(source, '22'), 'it'), { message: 'see', span: at(source, 'a') }))
  expect(JSON.parse(JSON.stringify(json))).toEqual({
    code: 'TFM9901',
    severity: 'error',
    message: 'it is wrong',
    place: { file: 'a.tfm', start: { line: 2, column: 5, offset: 10 }, end: { line: 2, column: 7, offset: 12 } },
    reasons: [
      {
        message: 'see',
        place: { file: 'a.tfm', start: { line: 1, column: 1, offset: 0 }, end: { line: 1, column: 2, offset: 1 } },
      },
    ],
  })
})

test('positions', () => {
  const source = file('ab\n\ncd')
  expect([0, 2, 3, 4, 6].map((offset) => positionAt(source, offset))).toEqual([
    { line: 1, column: 1 },
    { line: 1, column: 3 },
    { line: 2, column: 1 },
    { line: 3, column: 1 },
    { line: 3, column: 3 },
  ])
  const outside = spanOf(source, -5, 99)
  expect([startOf(outside), endOf(outside)]).toEqual([
    { line: 1, column: 1 },
    { line: 3, column: 3 },
  ])
})
