import { expect, test } from 'vitest'
import { naiveNest } from '../../src/kernel/build.ts'
import { printNest } from '../../src/kernel/print.ts'
import { cse, fuse } from '../../src/kernel/schedule/index.ts'
import { requireValid } from '../../src/kernel/verify.ts'
import { loopsOf } from '../../src/kernel/walk.ts'
import { layernorm } from './kernels.ts'
import { expectSame } from './same.ts'

const { kernel } = layernorm()
const naive = naiveNest(kernel)
const [, store, total, spread, result] = loopsOf(naive.body).map((l) => l.v)

test('storing a row and summing it become one walk', () => {
  const nest = cse(fuse(naive, store, total))
  expect(printNest(nest)).toMatchSnapshot()
  expect(loopsOf(nest.body).length).toBe(loopsOf(naive.body).length - 1)
  requireValid(nest)
  for (let t = 1; t <= 17; t++) expectSame(naive, nest, t, 0)
})

test('a loop that needs the whole fold of another is not fused with it', () => {
  expect(() => fuse(naive, total, spread)).toThrow('what lies between the loops needs the first one')
  expect(() => fuse(naive, spread, result)).toThrow('needs the whole fold of the first')
  expect(() => fuse(naive, spread, total)).toThrow('comes before')
})

test('stored values may be computed again instead of read back', () => {
  const nest = naiveNest(kernel, { stored: true })
  expect(printNest(nest)).toContain('total += a[r, c1] + h[r, c1]')
  requireValid(nest)
  for (let t = 1; t <= 9; t++) expectSame(naive, nest, t, 0)
})
