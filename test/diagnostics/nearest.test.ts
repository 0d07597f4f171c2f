import { expect, test } from 'vitest'
import { didYouMean, editDistance, nearest } from '../../src/diagnostics/nearest.ts'

test('distance counts insertions, deletions, replacements and swaps', () => {
  expect(editDistance('', 'abc')).toBe(3)
  expect(editDistance('layrnorm', 'layernorm')).toBe(1)
  expect(editDistance('gelgu', 'geglu')).toBe(1)
  expect(editDistance('kitten', 'sitting')).toBe(3)
})

test('the nearest first, none that is far', () => {
  const names = ['layernorm', 'rmsnorm', 'groupnorm', 'linear', 'd', 'T']
  expect(nearest('layrnorm', names)).toEqual(['layernorm'])
  expect(nearest('dd', names)).toEqual(['d'])
  expect(nearest('Linear', names)).toEqual(['linear'])
  expect(nearest('attention', names)).toEqual([])
  expect(nearest('', names)).toEqual([])
  expect(nearest('x', names)).toEqual([])
})

test('as a question', () => {
  expect(didYouMean('normm', ['norm', 'norms', 'normal'])).toBe('did you mean norm or norms?')
  expect(didYouMean('qqqq', ['norm'])).toBe(undefined)
})
