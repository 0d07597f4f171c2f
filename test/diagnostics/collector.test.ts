import { expect, test } from 'vitest'
import { say } from '../../src/diagnostics/index.ts'
import { collector, DiagnosticError, fail } from '../../src/diagnostics/collector.ts'
import { sourceFile, spanOf } from '../../src/diagnostics/span.ts'

const file = sourceFile('a.tfm', 'abcdef')
const at = (offset: number) => spanOf(file, offset, offset + 1)

test('in source order, each once', () => {
  const sink = collector()
  sink.add(say.unknownName(at(4), 'e'), say.unknownName(at(1), 'b'))
  sink.add(say.unknownName(at(4), 'e'), say.fileNotFound(undefined, 'x.tfm'))
  expect(sink.all().map((d) => d.span?.start)).toEqual([1, 4, undefined])
  expect(sink.hasErrors()).toBe(true)
})

test('errors stop, with everything gathered', () => {
  const sink = collector()
  expect(() => sink.throwIfErrors()).not.toThrow()
  sink.add(say.unknownName(at(4), 'e'), say.unknownName(at(1), 'b'))
  try {
    sink.throwIfErrors()
    throw new Error('did not stop')
  } catch (error) {
    expect(error).toBeInstanceOf(DiagnosticError)
    expect(error instanceof DiagnosticError && error.diagnostics.length).toBe(2)
    expect(error instanceof DiagnosticError && error.message).toBe('TFM1201: unknown name `b` (and 1 more)')
  }
  expect(() => fail(say.unknownName(at(0), 'a'))).toThrow('TFM1201')
})
