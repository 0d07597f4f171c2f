import { expect, test } from 'vitest'
import { naiveNest } from '../../../src/kernel/build.ts'
import { printNest } from '../../../src/kernel/print.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { loopsOf } from '../../../src/kernel/walk.ts'
import { carriedNest } from '../../../targets/wasm/recipes/carried.ts'
import { schedule } from '../../../targets/wasm/recipes.ts'
import { attention } from '../../kernel/kernels.ts'
import { expectSame } from '../../kernel/same.ts'

const { kernel } = attention(2, 8)

test('blocks of four queries keep values, in chunks that are full, partial and empty for some', () => {
  const naive = naiveNest(kernel)
  const made = schedule(kernel)
  expect(verify(made), printNest(made)).toEqual([])
  // 64 keys are a chunk.
  for (const [t, p] of [
    [1, 0],
    [2, 0],
    [3, 1],
    [4, 0],
    [5, 3],
    [8, 0],
    [9, 60],
    [4, 61],
    [5, 62],
    [7, 63],
    [4, 64],
    [13, 125],
    [66, 0],
  ])
    // prettier-ignore
    for (const threads of ['forward', 'backward'] as const) expectSame(naive, made, t, p, { threads }, 1e-10)
})

test('the queries of a block load each key and value once', () => {
  const text = printNest(carriedNest(kernel)!)
  const [block] = loopsOf(carriedNest(kernel)!.body).filter((l) => l.kind === 'thread')
  expect(block.body.length).toBeGreaterThan(0)
  expect(text).toContain('step 4')
  expect(text).toMatchSnapshot()
})
