/** The tables of the language page: every op and every standard block is named there, and the page counts them right. */
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { builtinNames } from '../../src/frontend/builtins.ts'
import { opNames } from '../../src/frontend/opcalls.ts'
import { ops } from '../../src/ops/table.ts'
import { readText } from '../support/models.ts'

const page = readText('docs/language.md')
const section = page.slice(
  page.indexOf('## Ops and the standard library'),
  page.indexOf('## Writing a new architecture'),
)
const blocks = readdirSync(new URL('../../std', import.meta.url))
  .flatMap((file) => [...readText(`std/${file}`).matchAll(/^(?:pattern )?block (\w+)/gm)])
  .map((match) => match[1])
/** Written as operators, or only by the compiler. */
const operators = Object.entries(ops).filter(([, op]) => op.operator !== undefined && op.call === undefined)
const named = opNames().filter((name) => !operators.some(([key]) => key === name))

test('name everything that can be called', () => {
  const words = new Set(section.match(/\w+/g))
  expect([...named, ...builtinNames(), ...blocks].filter((name) => !words.has(name))).toEqual([])
})

test('name nothing else', () => {
  const rows = section.split('\n').filter((line) => line.startsWith('|'))
  const words = rows.flatMap((row) => [...row.matchAll(/`(\w+)(?:\([^`]*\))?`/g)].map((match) => match[1]))
  const known = new Set([...opNames(), ...builtinNames(), ...blocks, 'pi', 'hidden_act', 'sum', 'batch'])
  expect(words.length).toBeGreaterThan(100)
  expect(words.filter((word) => !known.has(word))).toEqual([])
})

test('count right', () => {
  const all = named.length + builtinNames().length + blocks.length
  const share = 5 * Math.round((20 * blocks.length) / all)
  const words = `${named.length + operators.length} ops are the primitives; of all functions that have a name, about ${share} % are blocks`
  expect(section.replaceAll('\n', ' ')).toContain(words)
})
