/** Slices with steps, and indices that are data inside comprehensions. */
import { describe, expect, test } from 'vitest'
import { codesOf, f32, graphOfText, run } from '../support/models.ts'
import type { Tensor } from '../../src/types/tensor.ts'

const i32 = (shape: readonly number[], data: readonly number[]): Tensor => ({
  dtype: 'i32',
  shape,
  data: Float64Array.from(data),
})
const x = f32(
  [2, 3, 4],
  Array.from({ length: 24 }, (_, i) => i),
)
const value = (e: string, inputs: Readonly<Record<string, Tensor>> = {}, more = ''): Tensor =>
  run(graphOfText(`model m { input x: f32[2, N, 4] where N >= 3\n${more}\noutput y = ${e} }`), { x, ...inputs }).get(
    'y',
  )!

describe('steps', () => {
  test.each([
    ['x[:, 0, ::2]', [0, 2, 12, 14]],
    ['x[0, 0, 1::2]', [1, 3]],
    ['x[0, 0, 1:4:3]', [1]],
    ['x[0, 0, :3:2]', [0, 2]],
    ['x[0, ::2, 0]', [0, 8]],
    ['x[0, 0, ::4]', [0]],
  ] as const)('%s', (e, want) => expect([...value(e).data]).toEqual([...want]))
  test('of a dim', () => expect(value('x[:, ::2]').shape).toEqual([2, 2, 4]))
  test('are positive', () => {
    expect(codesOf('model m { input x: f32[4]\noutput y = x[::0] }')).toEqual(['TFM1410'])
    expect(codesOf('model m { input x: f32[4]\noutput y = x[::-1] }')).toEqual(['TFM1410'])
  })
})

describe('data as an index, per point', () => {
  const ids = i32([2, 2], [2, 0, 1, 1])
  const more = 'input i: i32[2, 2] '
  test.each([
    ['[for b < 2, k < 2: x[b, i[b, k], 0]]', [8, 0, 16, 16]],
    ['[for k < 2, b < 2: x[b, i[b, k], 0]]', [8, 16, 0, 16]],
    ['[for b < 2, e < 2, k < 2: x[b, i[b, k], e]]', [8, 0, 9, 1, 16, 16, 17, 17]],
    ['[for b < 2, k < 2: x[b, i[k, b], k]]', [8, 5, 12, 17]],
    ['gather(x, i, axis = 1, batch = 1)[:, :, 0]', [8, 0, 16, 16]],
  ] as const)('%s', (e, want) => expect([...value(e, { i: ids }, more).data]).toEqual([...want]))
  test('out of range is refused, also within a row', () => {
    const bad = { i: i32([2, 2], [2, 0, 3, 1]) }
    expect(() => value('[for b < 2, k < 2: x[b, i[b, k], 0]]', bad, more)).toThrow(/i\[1, 0\] = 3/)
  })
})
