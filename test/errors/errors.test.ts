/**
 * Malformed sources, `NN-name.tfm`, and what a user sees, `NN-name.txt` (`npm run snapshots` writes them anew; read the difference).
 * To add one, add the source.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { hasErrors } from '../../src/diagnostics/diagnostic.ts'
import { renderAll } from '../../src/diagnostics/render.ts'
import { check } from './check.ts'

const folder = new URL('./', import.meta.url)
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.tfm'))
  .map((name) => name.slice(0, -4))
  .sort()

test('there are plenty, and no text without its source', () => {
  expect(names.length).toBeGreaterThanOrEqual(25)
  const texts = readdirSync(folder).filter((name) => name.endsWith('.txt'))
  expect(texts.map((name) => name.slice(0, -4)).filter((name) => !names.includes(name))).toEqual([])
})

test.each(names)('%s', async (name) => {
  const diagnostics = check(`${name}.tfm`, readFileSync(new URL(`${name}.tfm`, folder), 'utf8'))
  expect(hasErrors(diagnostics)).toBe(true)
  await expect(renderAll(diagnostics)).toMatchFileSnapshot(`./${name}.txt`)
})
