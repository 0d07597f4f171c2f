import { expect, test } from 'vitest'
import { catalogue, ranges } from '../../src/diagnostics/catalogue.ts'
import { define } from '../../src/diagnostics/define.ts'
import { errorIndex } from '../../src/diagnostics/error-index.ts'

test('docs/errors.md is current', async () => {
  await expect(errorIndex()).toMatchFileSnapshot('../../docs/errors.md')
})

test('codes are of a known range, and explained in one line', () => {
  for (const entry of catalogue()) {
    expect(Object.keys(ranges)).toContain(entry.code.slice(3, 5))
    expect(entry.explain, entry.code).toMatch(/^[^\n]{10,}\.$/)
    expect(entry.title, entry.code).not.toMatch(/\.$/)
    expect(entry.example, entry.code).not.toBe('')
  }
})

test('a code is defined once', () => {
  const first = catalogue()[0]
  if (!first) throw new Error('the catalogue is empty')
  expect(() => define(first.code, first, () => '')).toThrow('twice')
  expect(() => define('TFM1', first, () => '')).toThrow('not a code')
})
