import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { DiagnosticError } from '../../src/diagnostics/index.ts'
import { configValue, nearestKeys, parseConfig, readConfig } from '../../src/weights/index.ts'

const config = parseConfig(
  '\uFEFF{"n_embd": 192, "n_inner": null, "bias": false, "act": "gelu_new", "text": {"hidden": {"size": 5}}, "text.dim": 7, "list": [1], "__proto__": {"leak": 1}}',
  'config.json',
)

test.each([
  ['n_embd', 192],
  ['n_inner', undefined],
  ['absent', undefined],
  ['bias', false],
  ['act', 'gelu_new'],
  ['text.hidden.size', 5],
  ['text.dim', 7],
  ['text.none.size', undefined],
  ['n_embd.size', undefined],
  ['leak', undefined],
  ['toString', undefined],
  ['constructor.name', undefined],
  ['', undefined],
  ['.', undefined],
])('%s', (path, value) => {
  expect(configValue(config, path)).toBe(value)
})

test('what is no number, flag or text', () => {
  expect(() => configValue(config, 'text')).toThrow('TFM1908: config.json: "text" is an object')
  expect(() => configValue(config, 'list')).toThrow('TFM1908: config.json: "list" is a list')
})

test.each(['', 'null', '[]', '7', '{', '{"a": }'])('%j is no config', (text) => {
  expect(() => parseConfig(text, 'c.json')).toThrow(DiagnosticError)
  expect(() => parseConfig(text, 'c.json')).toThrow(/TFM1908: c.json: is not (a JSON object|JSON)/)
})

test('files', async () => {
  const file = (path: string) => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url))
  expect(configValue(await readConfig(file('shakespeare/config.json')), 'n_layer')).toBe(6)
  expect(configValue(await readConfig(file('translate/config.json')), 'd_model')).toBe(96)
  await expect(readConfig(file('shakespeare/none.json'))).rejects.toThrow('TFM1908')
})

test('keys that were meant', () => {
  expect(nearestKeys(config, 'n_emb')).toEqual(['n_embd'])
})
