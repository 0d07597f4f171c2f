/** What every example holds: a model of readable length, and a page that says what it shows. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { exampleNames } from './support/examples.ts'

const root = new URL('../examples/', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const examples = exampleNames()
/** Two stacks of layers, and what joins them: encoder–decoders, and the two towers of clip. */
const twoStacks = ['bart', 'clip', 't5', 'translate', 'transformer', 'whisper']

test('there are examples', () => expect(examples.length).toBeGreaterThan(30))

test.each(examples)('%s: a model of at most 60 lines, 80 for two stacks, beside blank ones and comments', (name) => {
  const lines = read(`${name}/model.tfm`)
    .split('\n')
    .filter((line) => !/^\s*(\/\/.*)?$/.test(line))
  expect(lines.length).toBeLessThanOrEqual(twoStacks.includes(name) ? 80 : 60)
})

test.each(examples)('%s: a page, which the list of examples links', (name) => {
  expect(read(`${name}/README.md`)).toMatch(/^# \S/)
  expect(read('README.md')).toContain(`[${name}](${name}/)`)
})
