/** Whatever the text, elaboration ends in diagnostics, never in an exception. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderAll } from '../../src/diagnostics/index.ts'
import { build, modelOfCase, readText } from '../support/models.ts'

const files = [
  ...['v01-seed-preln-layer', 'v05-seed-postln-block', 'v07-transformer-encdec', 'v11-layerscale-residual'].map(
    modelOfCase,
  ),
  'examples/residual-block/model.tfm',
]
const texts = files.map(readText)
const tokens = texts.map((text) => text.match(/\w+|\s+|"[^"]*"|[^\w\s]/g)!)
const words = [...new Set(tokens.flat())]

function holds(text: string): void {
  const { diagnostics } = build(text)
  for (const d of diagnostics) expect(d.message).not.toBe('')
  expect(renderAll(diagnostics)).toBeTypeOf('string')
}

describe('never throws', () => {
  test.each(files.map((path, i) => [path, texts[i]] as const))('every prefix of a line of %s', (_, text) => {
    const lines = text.split('\n')
    for (let i = 1; i <= lines.length; i++) holds(lines.slice(0, i).join('\n'))
    for (let i = 0; i < lines.length; i++) holds([...lines.slice(0, i), ...lines.slice(i + 1)].join('\n'))
  })

  test('tokens replaced, dropped and doubled', () => {
    const edit = fc.record({ at: fc.nat(), with: fc.constantFrom('', ...words), keep: fc.boolean() })
    fc.assert(
      fc.property(fc.nat(tokens.length - 1), fc.array(edit, { minLength: 1, maxLength: 4 }), (which, edits) => {
        const changed = [...tokens[which]]
        for (const e of edits) {
          const at = e.at % changed.length
          changed[at] = (e.keep ? `${changed[at]} ` : '') + e.with
        }
        holds(changed.join(''))
      }),
      { numRuns: 300 },
    )
  })

  test('expressions put together at random', () => {
    const leaf = fc.constantFrom(
      'x',
      'ids',
      'm',
      'd',
      'T',
      '2',
      '0',
      '0.5',
      'true',
      '"s"',
      'none',
      'pi',
      'w',
      'nothing',
    )
    const { expression } = fc.letrec<{ expression: string }>((tie) => ({
      expression: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaf,
        fc
          .tuple(
            fc.constantFrom('+', '*', '/', '//', '%', '@', '**', '==', '<', 'and', 'or', '-'),
            tie('expression'),
            tie('expression'),
          )
          .map(([op, a, b]) => `(${a} ${op} ${b})`),
        fc
          .tuple(
            fc.constantFrom('residual', 'relu', 'sum', 'split', 'linear', 'softmax', 'transpose', 'concat', 'stack', 'select', 'max', 'f32', 'dim', 'reshape', 'keys', 'rope', 'iota', 'full', 'unsqueeze', 'gather'), // prettier-ignore
            fc.array(tie('expression'), { maxLength: 3 }),
          )
          .map(([f, args]) => `${f}(${args.join(', ')})`),
        tie('expression').map((e) => `[for i < T, j < d: ${e}]`),
        tie('expression').map((e) => `sum[for i < 3: ${e} * i]`),
        fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `${a}[${b}, 0:${b}]`),
        fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `[${a}, ${b}]`),
        tie('expression').map((e) => `(if ${e} then x else ids)`),
        tie('expression').map((e) => `(${e} |> each relu)`),
      ),
    }))
    const head =
      'model m(d = 4) { input x: f32[B, T, d]\ninput ids: i32[B, T]\ninput m: bool[T]\nparam w: f32[d, d] = "w"'
    fc.assert(
      fc.property(expression, (e) => holds(`${head}\noutput y = ${e} }`)),
      { numRuns: 600 },
    )
  })
})
