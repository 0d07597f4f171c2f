/** What the reference and the shipped sources show is the language: it is read without complaint, and laid out as `tfmc fmt` would. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { format } from '../../grammar/format.ts'
import { complaints } from './support.ts'

const root = new URL('../../', import.meta.url)
const page = readFileSync(new URL('docs/language.md', root), 'utf8')
const examples = [...page.matchAll(/^```tfm( body)?\n([\s\S]*?)^```/gm)].map(([, body, text = '']) => {
  // A fragment stands in a model, indented.
  const indented = text.replace(/^(?=.)/gm, '  ')
  return body ? `model m {\n${indented}}\n` : text
})

test('the reference has examples', () => expect(examples.length).toBeGreaterThan(15))

test.each(examples)('the reference: %#', (text) => {
  expect(complaints(text)).toBe('')
  expect(format(text)).toBe(text)
})

function sourcesBelow(folder: string): string[] {
  return readdirSync(new URL(folder, root)).flatMap((name) => {
    const path = `${folder}${name}`
    if (statSync(new URL(path, root)).isDirectory()) return sourcesBelow(`${path}/`)
    return name.endsWith('.tfm') ? [path] : []
  })
}

describe.each([...sourcesBelow('std/'), ...sourcesBelow('examples/')])('%s', (path) => {
  const text = readFileSync(new URL(path, root), 'utf8')
  test('is read without complaint', () => expect(complaints(text)).toBe(''))
  test('is formatted', () => expect(format(text)).toBe(text))
})
