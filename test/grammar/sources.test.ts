import { describe, expect, test } from 'vitest'
import { desugar, skeleton } from '../../grammar/desugar.ts'
import { format } from '../../grammar/format.ts'
import { badSpans, complaints, has, read, sources } from './support.ts'

describe.each(sources)('%s', (_name, text) => {
  test('is read without complaint', () => {
    expect(complaints(text)).toBe('')
    const { ast } = read(text)
    expect(has(ast, 'error')).toBe(false)
    expect(badSpans(ast)).toEqual([])
  })
  test('is formatted already', () => expect(format(text)).toBe(text))
  test('means the same after formatting, and without its layout', () => {
    const meaning = skeleton(desugar(read(text).ast))
    expect(skeleton(desugar(read(format(text)).ast))).toEqual(meaning)
    const crowded = text.replace(/^ +/gm, '').replace(/\n\n+/g, '\n')
    expect(skeleton(desugar(read(crowded).ast))).toEqual(meaning)
    const windows = text.replaceAll('\n', '\r\n')
    expect(skeleton(desugar(read(windows).ast))).toEqual(meaning)
  })
})

test('a model of the size of GPT-2 is read in under 5 ms once warm', () => {
  const text = sources.find(([name]) => name === 'gpt2.tfm')?.[1] ?? ''
  let best = Infinity
  for (let i = 0; i < 100 && best > 2; i++) {
    const start = performance.now()
    read(text)
    best = Math.min(best, performance.now() - start)
  }
  expect(text).not.toBe('')
  expect(best).toBeLessThan(5)
})
