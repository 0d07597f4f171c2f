import { describe, expect, it } from 'vitest'
import type { Attr } from '../../src/ops/define.ts'
import { EvaluateError } from '../../src/ops/define.ts'
import { erf, roundHalfEven } from '../../src/ops/special.ts'
import { opOf } from '../../src/ops/table.ts'
import { random, tensorOf } from '../support/nodes.ts'
import type { Tensor } from '../../src/types/tensor.ts'

const f = (shape: readonly number[], ...values: number[]): Tensor => tensorOf('f32', shape, values)
const i = (shape: readonly number[], ...values: number[]): Tensor => tensorOf('i32', shape, values)
const b = (shape: readonly number[], ...values: number[]): Tensor => tensorOf('bool', shape, values)

function evaluate(
  op: string,
  inputs: readonly Tensor[],
  shape: readonly number[],
  attrs: Readonly<Record<string, Attr>> = {},
): number[] {
  const result = opOf(op).evaluate(inputs, attrs, [shape])
  return [...('dtype' in result ? result : result[0]).data]
}

describe('scalar functions', () => {
  it('erf is exact to 1e-15', () => {
    // Tabulated values, to 16 digits.
    const known = [[0.1, 0.1124629160182849], [0.5, 0.5204998778130465], [1, 0.8427007929497149], [2, 0.9953222650189527], [2.9, 0.9999589021219005], [3, 0.9999779095030014], [3.1, 0.9999883513426328], [4, 0.9999999845827421], [5, 0.9999999999984626]] // prettier-ignore
    for (const [x, y] of known) {
      expect(Math.abs(erf(x) - y), `erf(${x})`).toBeLessThanOrEqual(1e-15)
      expect(erf(-x)).toBe(-erf(x))
    }
    expect(erf(0)).toBe(0)
    expect(erf(1e-300)).toBeCloseTo((2 * 1e-300) / Math.sqrt(Math.PI), 310)
    expect([erf(Infinity), erf(-Infinity), erf(NaN)]).toEqual([1, -1, NaN])
  })
  it('round takes ties to even', () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6, -2.6].map((x) => roundHalfEven(x) + 0)).toEqual([
      0, 2, 2, 0, -2, 2, 3, -3,
    ])
  })
  it('floor division and rest go together', () => {
    expect(evaluate('floordiv', [i([4], 7, -7, 7, -7), i([4], 2, 2, -2, -2)], [4])).toEqual([3, -4, -4, 3])
    expect(evaluate('mod', [i([4], 7, -7, 7, -7), i([4], 2, 2, -2, -2)], [4])).toEqual([1, 1, -1, -1])
  })
  it('conversions', () => {
    expect(evaluate('i32', [f([4], 2.9, -2.9, 0, -0.5)], [4])).toEqual([2, -2, 0, 0])
    expect(evaluate('bool', [f([3], 0.5, 0, -2)], [3])).toEqual([1, 0, 1])
    expect(evaluate('f32', [b([2], 1, 0)], [2])).toEqual([1, 0])
  })
})

describe('shapes', () => {
  it('broadcasts from the right', () => {
    expect(evaluate('add', [f([2, 1], 10, 20), f([3], 1, 2, 3)], [2, 3])).toEqual([11, 12, 13, 21, 22, 23])
    expect(evaluate('select', [b([2], 1, 0), f([], 5), f([2, 2], 1, 2, 3, 4)], [2, 2])).toEqual([5, 2, 5, 4])
  })
  it('permutes, slices, flips, pads, joins', () => {
    const x = f([2, 3], 1, 2, 3, 4, 5, 6)
    expect(evaluate('permute', [x], [3, 2], { order: [1, 0] })).toEqual([1, 4, 2, 5, 3, 6])
    expect(evaluate('slice', [x], [2, 2], { axis: 1, start: 1, size: 2 })).toEqual([2, 3, 5, 6])
    expect(evaluate('flip', [x], [2, 3], { axis: 1 })).toEqual([3, 2, 1, 6, 5, 4])
    expect(evaluate('unfold', [x], [2, 2, 2], { axis: 1, size: 2, stride: 1, dilation: 1 })).toEqual([
      1, 2, 2, 3, 4, 5, 5, 6,
    ])
    expect(evaluate('unfold', [x], [1, 3, 2], { axis: 0, size: 2, stride: 3, dilation: 1 })).toEqual([1, 4, 2, 5, 3, 6])
    expect(evaluate('pad', [x], [2, 5], { axis: 1, before: 1, after: 1, value: 9 })).toEqual([
      9, 1, 2, 3, 9, 9, 4, 5, 6, 9,
    ])
    expect(evaluate('concat', [x, f([2, 1], 7, 8)], [2, 4], { axis: 1 })).toEqual([1, 2, 3, 7, 4, 5, 6, 8])
    expect(evaluate('broadcast', [f([2, 1], 1, 2)], [2, 2, 2], {})).toEqual([1, 1, 2, 2, 1, 1, 2, 2])
    expect(evaluate('iota', [], [3], { n: 3, start: 4 })).toEqual([4, 5, 6])
  })
  it('appends behind what is kept', () => {
    expect(
      evaluate('append', [f([2, 1], 5, 6), f([2, 2], 1, 2, 3, 4)], [2, 3], { name: 'k', axis: 1, past: 2 }),
    ).toEqual([1, 2, 5, 3, 4, 6])
  })
})

describe('reductions', () => {
  const x = f([2, 3], 3, 1, 2, 6, 5, 4)
  it('over one axis and several', () => {
    expect(evaluate('reduce_sum', [x], [3], { axes: [0], keep: false })).toEqual([9, 6, 6])
    expect(evaluate('reduce_prod', [x], [2], { axes: [1], keep: false })).toEqual([6, 120])
    expect(evaluate('reduce_max', [x], [], { axes: [0, 1], keep: false })).toEqual([6])
    expect(evaluate('reduce_min', [x], [2, 1], { axes: [1], keep: true })).toEqual([1, 4])
  })
  it('argmax takes the first of equals', () => {
    expect(evaluate('argmax', [f([2, 3], 1, 3, 3, 2, 2, 1)], [2], { axis: 1, keep: false })).toEqual([1, 0])
    expect(evaluate('argmax', [f([3, 2], 1, 9, 3, 3, 3, 1)], [2], { axis: 0, keep: false })).toEqual([1, 0])
  })
})

it('matmul by the definition', () => {
  const next = random(7)
  const [m, k, n] = [3, 7, 5]
  const x = f([2, 1, m, k], ...Array.from({ length: 2 * m * k }, next))
  const y = f([3, k, n], ...Array.from({ length: 3 * k * n }, next))
  const found = evaluate('matmul', [x, y], [2, 3, m, n])
  for (let p = 0; p < found.length; p++) {
    const [a, c, r, s] = [Math.floor(p / (3 * m * n)), Math.floor(p / (m * n)) % 3, Math.floor(p / n) % m, p % n]
    let sum = 0
    for (let e = 0; e < k; e++) sum += x.data[(a * m + r) * k + e] * y.data[(c * k + e) * n + s]
    expect(found[p]).toBeCloseTo(sum, 12)
  }
})

it('gather names the index that is out of range', () => {
  expect(evaluate('gather', [f([3, 2], 1, 2, 3, 4, 5, 6), i([2], 2, 0)], [2, 2], { axis: 0, batch: 0 })).toEqual([
    5, 6, 1, 2,
  ])
  for (const bad of [3, -1]) {
    expect(() =>
      evaluate('gather', [f([3, 2], 1, 2, 3, 4, 5, 6), i([1, 2], 0, bad)], [1, 2, 2], { axis: 0, batch: 0 }),
    ).toThrowError(EvaluateError)
    expect(() =>
      evaluate('gather', [f([3, 2], 1, 2, 3, 4, 5, 6), i([1, 2], 0, bad)], [1, 2, 2], { axis: 0, batch: 0 }),
    ).toThrowError(`i[0, 1] = ${bad}`)
  }
})

describe('attention', () => {
  const q = f([1, 2, 1, 2], 1, 0, 0, 1)
  const k = f([1, 1, 2, 2], 1, 0, 0, 2)
  const v = f([1, 1, 2, 1], 10, 20)
  it('is a softmax over keys; heads share the keys of their group', () => {
    const w = (a: number, b: number): number => (10 * Math.exp(a) + 20 * Math.exp(b)) / (Math.exp(a) + Math.exp(b))
    const s = Math.SQRT1_2
    const [first, second] = evaluate('attention', [q, k, v], [1, 2, 1, 1])
    expect(first).toBeCloseTo(w(s, 0), 12)
    expect(second).toBeCloseTo(w(0, 2 * s), 12)
  })
  it('leaves out masked keys exactly, and a row that sees nothing is zeros', () => {
    const mask = b([2, 1, 2], 0, 1, 0, 0)
    expect(evaluate('attention', [q, k, v, mask], [1, 2, 1, 1], { scale: 1, given: 'mask' })).toEqual([20, 0])
  })
  it('adds the bias', () => {
    const found = evaluate('attention', [q, k, v, f([1, 2], 0, -1e9)], [1, 2, 1, 1], { given: 'bias' })
    expect(found).toEqual([10, 10])
  })
  it('bounds the scores before the bias', () => {
    // Scores 100 and 0 become 2 · tanh(50) = 2 and 0; then the bias.
    const one = f([1, 1, 1, 2], 1, 0)
    const attrs = { scale: 100, softcap: 2, given: 'bias' }
    const [found] = evaluate('attention', [one, k, v, f([1, 2], 0, 3)], [1, 1, 1, 1], attrs)
    expect(found).toBeCloseTo((10 * Math.exp(2) + 20 * Math.exp(3)) / (Math.exp(2) + Math.exp(3)), 12)
  })
  it('has a sink per head that takes weight and gives nothing', () => {
    const attrs = { scale: 1, given: 'sinks' }
    const [first, second] = evaluate('attention', [q, k, v, f([2], 3, -700)], [1, 2, 1, 1], attrs)
    expect(first).toBeCloseTo((10 * Math.E + 20) / (Math.E + 1 + Math.exp(3)), 12)
    expect(second).toBeCloseTo((10 + 20 * Math.exp(2)) / (1 + Math.exp(2)), 12)
    const none = [q, k, v, b([1, 2], 0, 0), f([2], 3, -800)]
    expect(evaluate('attention', none, [1, 2, 1, 1], { scale: 1, given: 'mask sinks' })).toEqual([0, 0])
  })
})
