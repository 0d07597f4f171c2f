import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { desugar, skeleton } from '../../grammar/desugar.ts'
import { format } from '../../grammar/format.ts'
import { allTokens, keywords } from '../../grammar/tokens.ts'
import { hasErrors } from '../../src/diagnostics/diagnostic.ts'
import { renderAll } from '../../src/diagnostics/render.ts'
import { badSpans, has, read, sources } from './support.ts'

/** Whatever the text: no exception, spans within it, diagnostics that can be printed; a clean file has no holes and keeps its meaning. */
function holds(text: string): void {
  const { ast, diagnostics } = read(text)
  expect(badSpans(ast)).toEqual([])
  for (const { span, message, reasons } of diagnostics) {
    expect(message).not.toBe('')
    for (const at of [span, ...reasons.map((reason) => reason.span)]) {
      if (at) expect(at.start >= 0 && at.start <= at.end && at.end <= text.length).toBe(true)
    }
  }
  expect(renderAll(diagnostics)).toBeTypeOf('string')
  if (hasErrors(diagnostics)) return
  expect(has(ast, 'error')).toBe(false)
  const formatted = format(text)
  expect(skeleton(desugar(read(formatted).ast))).toEqual(skeleton(desugar(ast)))
  expect(format(formatted)).toBe(formatted)
  expect(read(formatted).ast.comments.length).toBe(ast.comments.length)
}

const images = [
  ...keywords.keys(),
  ...allTokens.flatMap((type) => (type.LABEL?.startsWith('`') ? [type.LABEL.slice(1, -1)] : [])),
  ...[
    'x',
    'f',
    'T',
    '1',
    '1e-5',
    '"h.{i}"',
    '"',
    '\n',
    '\n',
    '\n',
    '//',
    '// c\n',
    '/// d\n',
    '  ',
    '{',
    '}',
    '\\',
    '$',
    '\u00e9',
    '\u{1f600}',
  ],
]
const runs = 300

describe('no text breaks the parser', () => {
  test('token soup', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...images), { maxLength: 60 }), (parts) => holds(parts.join(' '))),
      { numRuns: runs * 3 },
    )
  })
  test('token soup within a model', () => {
    const soup = fc.array(fc.constantFrom(...images), { maxLength: 25 })
    fc.assert(
      fc.property(soup, (parts) => holds(`model m {\n  a = 1\n  ${parts.join(' ')}\n  b = 2\n}\n`)),
      { numRuns: runs * 3 },
    )
  })
  test('any characters', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), holds), { numRuns: runs })
  })

  const source = fc.constantFrom(...sources.map(([, text]) => text))
  const place = fc.double({ min: 0, max: 1, noNaN: true })
  test('truncations', () => {
    fc.assert(
      fc.property(source, place, (text, at) => holds(text.slice(0, Math.floor(at * text.length)))),
      { numRuns: runs },
    )
  })
  test('cuts, insertions and repetitions', () => {
    const edit = fc.tuple(place, place, fc.constantFrom('', ...images))
    fc.assert(
      fc.property(source, fc.array(edit, { minLength: 1, maxLength: 4 }), (text, edits) => {
        let changed = text
        for (const [at, length, insert] of edits) {
          const from = Math.floor(at * changed.length)
          changed = changed.slice(0, from) + insert + changed.slice(from + Math.floor(length * length * 12))
        }
        holds(changed)
      }),
      { numRuns: runs },
    )
  })
})

test('comments at any line end survive formatting', () => {
  const source = fc.constantFrom(...sources.map(([, text]) => text))
  const kinds = fc.constantFrom('  // note', '\n// note', '\n\n// note\n', '\n/// doc')
  fc.assert(
    fc.property(source, fc.array(fc.tuple(fc.nat(), kinds), { minLength: 1, maxLength: 5 }), (text, inserts) => {
      const lines = text.split('\n')
      for (const [at, comment] of inserts) {
        const line = at % lines.length
        lines[line] = `${lines[line] ?? ''}${comment}`
      }
      holds(lines.join('\n'))
    }),
    { numRuns: runs },
  )
})

test('any layout of the tokens means the same', () => {
  const source = fc.constantFrom(...sources.map(([, text]) => text))
  fc.assert(
    fc.property(source, fc.array(fc.nat(), { minLength: 1, maxLength: 20 }), (text, places) => {
      // Extra line ends where the language ignores them: after a comma and after an opening round or square bracket.
      const points = [...text.matchAll(/[,([](?= |\w)/g)].map((match) => match.index + 1)
      const chosen = [...new Set(places.map((at) => points[at % points.length] ?? 0))].sort((a, b) => b - a)
      let spread = text
      for (const at of chosen) {
        const line = spread.slice(spread.lastIndexOf('\n', at) + 1, at)
        if (/\/\/|"[^"]*$/.test(line.replace(/"[^"]*"/g, ''))) continue
        spread = `${spread.slice(0, at)}\n${spread.slice(at)}`
      }
      expect(skeleton(desugar(read(spread).ast))).toEqual(skeleton(desugar(read(text).ast)))
      expect(skeleton(desugar(read(format(spread)).ast))).toEqual(skeleton(desugar(read(text).ast)))
    }),
    { numRuns: 100 },
  )
})
