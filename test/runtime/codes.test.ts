import { expect, test } from 'vitest'
import { catalogue } from '../../src/diagnostics/catalogue.ts'
import { filesBelow } from '../support/sources.ts'

test('every code that compiled modules throw is in the catalogue', () => {
  const known = new Set(catalogue().map((entry) => entry.code))
  const runtime = filesBelow('targets', /\/runtime\/\w+\.ts$/)
  const thrown = runtime.flatMap(({ path, text }) =>
    [...text.matchAll(/\bTFM\d{4}\b/g)].map(([code]) => ({ path, code })),
  )
  expect(thrown.length).toBeGreaterThan(5)
  expect(thrown.filter(({ code }) => !known.has(code))).toEqual([])
})
