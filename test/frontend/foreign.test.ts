/** Words of other frameworks get a hint only while they mean nothing here, and what the hint names exists. */
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { builtinNames } from '../../src/frontend/builtins.ts'
import { foreignCall, foreignWords } from '../../src/frontend/foreign.ts'
import { opNames } from '../../src/frontend/opcalls.ts'
import { readText } from '../support/models.ts'

const blocks = readdirSync(new URL('../../std', import.meta.url)).flatMap((file) =>
  [...readText(`std/${file}`).matchAll(/^(?:pattern )?block (\w+)/gm)].map((match) => match[1]),
)
const known = new Set([...opNames(), ...builtinNames(), ...blocks, 'scan'])

test('none of the words exists', () => {
  expect(foreignWords().filter((word) => known.has(word))).toEqual([])
})

test('what is named instead exists', () => {
  const named = foreignWords().flatMap((word) => [...(foreignCall(word)?.matchAll(/(\w+)\(/g) ?? [])].map((m) => m[1]))
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter((name) => !known.has(name))).toEqual([])
})
