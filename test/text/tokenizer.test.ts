import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseTokenizer, readTokenizer, type Tokenizer } from '../../src/text/index.ts'

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const json = (name: string) => JSON.parse(readFileSync(path(name), 'utf8')) as unknown
const shakespeare = await readTokenizer(path('examples/shakespeare/tokenizer.json'))
const spanish = await readTokenizer(path('examples/translate/tokenizer.source.json'))
const english = await readTokenizer(path('examples/translate/tokenizer.target.json'))

interface Recorded {
  readonly tokenizer: readonly { readonly text: string; readonly ids: readonly number[] }[]
  readonly greedy: readonly {
    readonly prompt: string
    readonly ids: number[]
    readonly greedy_ids: number[]
    readonly greedy_text: string
  }[]
}
const recorded = json('test/models/shakespeare/io.json') as Recorded
const pairs = json('test/models/translate/heldout.json') as readonly {
  readonly source: string
  readonly target: string
}[]

function streamed(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  const stream = tokenizer.stream()
  return [...ids.map((id) => stream.push(id)), stream.end()]
}

test('byte-level BPE: the recorded cases, there and back', () => {
  for (const { text, ids } of recorded.tokenizer) {
    expect(shakespeare.encode(text)).toEqual(ids)
    expect(shakespeare.decode(ids)).toBe(text)
  }
  for (const { prompt, ids, greedy_ids, greedy_text } of recorded.greedy) {
    expect(shakespeare.encode(prompt)).toEqual(ids)
    expect(shakespeare.decode(greedy_ids)).toBe(greedy_text)
    expect(streamed(shakespeare, greedy_ids).join('')).toBe(greedy_text)
  }
  expect(shakespeare.size).toBe(1024)
  expect(shakespeare.idOf('<|endoftext|>')).toBe(1023)
})

test('word-level: case, the end of the sentence, unknown words', () => {
  expect(spanish.encode('Doscientos treinta Y cuatro')).toEqual([
    ...spanish.encode('doscientos treinta y cuatro', { special: false }),
    2,
  ])
  expect(spanish.encode('siete ocelotes')).toEqual([spanish.idOf('siete'), 3, 2])
  expect(english.decode([1, 33, 15, 4, 23, 2])).toBe('two hundred and six')
  expect(english.decode([1, 33, 15, 2], { special: true })).toBe('<bos> two hundred <eos>')
  expect(streamed(english, [1, 33, 15, 4, 23, 2])).toEqual(['', 'two', ' hundred', ' and', ' six', '', ''])
})

test('word-level: all held-out pairs, there and back', () => {
  expect(pairs).toHaveLength(400)
  for (const { source, target } of pairs) {
    expect(spanish.decode(spanish.encode(source))).toBe(source)
    expect(english.decode(english.encode(target))).toBe(target)
    expect(streamed(english, english.encode(target)).join('')).toBe(target)
  }
})

test('any text survives byte-level BPE, and streams as it decodes, in whole characters', () => {
  const letters = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('🎭🗡️', 'naïve', ' \n\t', '👩‍👩‍👧‍👦 '),
  )
  fc.assert(
    fc.property(
      fc.array(letters, { maxLength: 6 }).map((parts) => parts.join('')),
      (text) => {
        const ids = shakespeare.encode(text)
        expect(shakespeare.decode(ids)).toBe(text)
        const pieces = streamed(shakespeare, ids)
        expect(pieces.join('')).toBe(text)
        if (!text.includes('\uFFFD')) expect(pieces.join('|')).not.toContain('\uFFFD')
      },
    ),
    { numRuns: 300 },
  )
})

test('any ids stream as they decode', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1023), { maxLength: 30 }), (ids) => {
      expect(streamed(shakespeare, ids).join('')).toBe(shakespeare.decode(ids))
    }),
    { numRuns: 300 },
  )
})

test('bytes that never become text do not hold up what follows', () => {
  const half = shakespeare.encode('🎭').slice(0, 2)
  const pieces = streamed(shakespeare, [...half, ...shakespeare.encode('ROMEO'), ...half])
  expect(pieces[0] + pieces[1]).toBe('')
  expect(pieces.join('')).toBe('\uFFFDROMEO\uFFFD')
  const stream = shakespeare.stream()
  const start = performance.now()
  for (let i = 0; i < 20_000; i++) stream.push(half[0])
  expect(performance.now() - start).toBeLessThan(5_000)
})

test('nothing in, nothing out', () => {
  expect(shakespeare.encode('')).toEqual([])
  expect(shakespeare.decode([])).toBe('')
  expect(shakespeare.decode([1023])).toBe('')
  expect(shakespeare.stream().end()).toBe('')
})

test.each([
  ['', 'is not JSON'],
  ['null', 'has no "model"'],
  ['[]', 'has no "model"'],
  ['{"model": 5}', 'has no "model"'],
  ['{"model": {"type": "Quantum", "vocab": {}}}', 'is not supported: model type Quantum'],
  ['{"model": {"type": "BPE"}}', 'has no vocabulary'],
  ['{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": 5}}', 'is not supported'],
  ['{"model": {"type": "BPE", "vocab": {}, "merges": []}, "decoder": {"type": "Odd"}}', 'is not supported'],
])('%j is no tokenizer', (text, message) => {
  expect(() => parseTokenizer(text, 'tokenizer.json')).toThrow(`TFM1909: tokenizer.json: ${message}`)
})

test('ids and words that are not there', async () => {
  expect(() => shakespeare.decode([5, 1024])).toThrow(
    'TFM1909: ' + path('examples/shakespeare/tokenizer.json') + ': 1024 is no token id; there are 1024',
  )
  expect(() => shakespeare.stream().push(-1)).toThrow('-1 is no token id')
  const words = parseTokenizer(
    '{"model": {"type": "WordLevel", "vocab": {"a": 0}}, "pre_tokenizer": {"type": "WhitespaceSplit"}}',
    't.json',
  )
  expect(words.encode('a a')).toEqual([0, 0])
  expect(() => words.encode('a b')).toThrow('TFM1909: t.json: "b" is not in the vocabulary')
  await expect(readTokenizer('none.json')).rejects.toThrow('TFM1909: none.json: cannot be read')
})
