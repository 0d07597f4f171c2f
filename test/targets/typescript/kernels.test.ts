import { describe, expect, test } from 'vitest'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Expr } from '../../../src/kernel/expr.ts'
import { bin, constant, index, load as at, select, un } from '../../../src/kernel/expr.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import { con, of } from '../../../src/types/ix.ts'
import { emitKernelsOnly } from '../../../targets/typescript/host.ts'
import { panelLayout } from '../../../targets/typescript/layout.ts'
import * as examples from '../../kernel/kernels.ts'
import { global, kernel, map, P, plus, reduce, T, times, virtual } from '../../kernel/kernels.ts'
import { compile, expectEqual } from './emitted.ts'

/** gelu(x @ w + b) with packed w, split over two results: the left half of the columns and the rest. */
export function linear(K: number, N: number, packed: boolean): StageKernel {
  const w: Buffer = newBuffer('w', 'f32', 'global', [con(K), con(N)], packed ? panelLayout(K, N) : undefined)
  const [x, b, left, right] = [global('x', [T, K]), global('b', [N]), global('left', [T, N]), global('right', [N, T])]
  const [m, n, k] = [loopSymbol('m', of(T)), loopSymbol('n', N), loopSymbol('k', K)]
  const dot = virtual('dot', [m, n])
  const s = plus(at(dot, [of(m), of(n)]), at(b, [of(n)]))
  const gelu = times(times(constant(0.5), s), plus(constant(1), un('erf', times(s, constant(Math.SQRT1_2)))))
  const half = index(con(Math.floor(N / 2)))
  return kernel('linear', [
    reduce(dot, [m, n], 'add', [k], times(at(x, [of(m), of(k)]), at(w, [of(k), of(n)]))),
    map(left, [m, n], gelu, { guard: bin('lt', index(of(n)), half) }),
    map(right, [m, n], gelu, { at: [of(n), of(m)], guard: bin('ge', index(of(n)), half) }),
  ], [x, w, b], [left, right]) // prettier-ignore
}

const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 33]

describe('emitted kernels equal the naive nest', () => {
  test.each([true, false])('tiled contraction, packed = %s, at any M, N, K', async (packed) => {
    for (const [K, N] of [
      [1, 1],
      [5, 3],
      [8, 4],
      [7, 9],
      [3, 17],
      [16, 8],
      [9, 50],
    ]) {
      // prettier-ignore
      for (const short of [true, false]) {
        const k = linear(K, N, packed)
        const emitted = await compile(k, { short })
        for (let t = 1; t <= 33; t++) expectEqual(k, emitted, [[T, t]])
      }
    }
  })
  test('a contraction of dynamic columns', async () => {
    const [a, b, y] = [global('a', [T, 6]), global('b', [T, 6]), global('y', [T, T])]
    const [m, n, k] = [loopSymbol('m', of(T)), loopSymbol('n', of(T)), loopSymbol('k', 6)]
    const scores = kernel(
      'scores',
      [reduce(y, [m, n], 'add', [k], times(at(a, [of(m), of(k)]), at(b, [of(n), of(k)])))],
      [a, b],
      [y],
    )
    const emitted = await compile(scores)
    for (const t of sizes) expectEqual(scores, emitted, [[T, t]])
  })
  test.each(['matmul', 'layernorm', 'softmax', 'embedding', 'permuted'] as const)('%s', async (name) => {
    const { kernel } = examples[name]()
    for (const short of [true, false]) {
      const emitted = await compile(kernel, { short })
      for (const t of sizes) expectEqual(kernel, emitted, [[T, t]], t)
    }
  })
  test('attention with and without a past', async () => {
    const { kernel } = examples.attention(2, 8)
    const emitted = await compile(kernel)
    for (const t of [1, 2, 3, 31, 32, 33, 65]) for (const p of [0, 1, 31, 40]) expectEqual(kernel, emitted, [[T, t], [P, p]]) // prettier-ignore
  })
  test('booleans and integers', async () => {
    const [x, keep, ids] = [global('x', [T]), global('keep', [T], 'bool'), global('ids', [T], 'i32')]
    const [y, flags, halves] = [global('y', [T]), global('flags', [T], 'bool'), global('halves', [T], 'i32')]
    const t = loopSymbol('t', of(T))
    const here = [of(t)]
    const three = constant(3, 'i32')
    const k = kernel('mixed', [
      map(y, [t], select(at(keep, here), at(x, here), constant(-1))),
      map(flags, [t], bin('or', bin('gt', at(x, here), constant(0)), un('not', at(keep, here)))),
      map(halves, [t], plus(bin('floordiv', bin('sub', at(ids, here), constant(4, 'i32')), three), bin('mod', bin('sub', at(ids, here), constant(4, 'i32')), three))),
    ], [x, keep, ids], [y, flags, halves]) // prettier-ignore
    const emitted = await compile(k)
    const [xs, keeps, is] = [Float32Array.of(1, -2, 3), Int32Array.of(1, 0, 0), Int32Array.of(0, 5, 2)]
    const [ys, fs, hs] = [new Float32Array(3), new Int32Array(3), new Int32Array(3)]
    emitted(xs, keeps, is, ys, fs, hs, 3)
    expect([...ys]).toEqual([1, -1, -1])
    expect([...fs]).toEqual([1, 1, 1])
    expect([...hs]).toEqual([-2 + 2, 0 + 1, -1 + 1])
  })
  test('functions that JavaScript lacks', async () => {
    const [x, y, z, w] = ['x', 'y', 'z', 'w'].map((n) => global(n, [T]))
    const t = loopSymbol('t', of(T))
    const e: Expr = at(x, [of(t)])
    const k = kernel(
      'functions',
      [map(y, [t], un('erf', e)), map(z, [t], un('round', e)), map(w, [t], bin('mod', e, constant(3)))],
      [x],
      [y, z, w],
    )
    const emitted = await compile(k)
    const xs = Float32Array.from([
      -7, -2.5, -1.5, -1, -0.5, -1e-4, 0, 1e-4, 0.5, 0.999, 1, 1.001, 1.5, 2.5, 3.5, 5.9, 6.1, 40,
    ])
    const [ys, zs, ws] = [new Float32Array(xs.length), new Float32Array(xs.length), new Float32Array(xs.length)]
    emitted(xs, ys, zs, ws, xs.length)
    xs.forEach((v, i) => {
      expect(Math.abs(ys[i] - erf(v))).toBeLessThanOrEqual(1e-7 * Math.abs(erf(v)))
      expect(ws[i]).toBeCloseTo(((v % 3) + 3) % 3, 5)
    })
    expect([...zs].map((v) => v + 0)).toEqual([-7, -2, -2, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 4, 6, 6, 40])
  })
})

/** erf by its Taylor series, in steps small enough for any argument: an integral of the density by Simpson's rule. */
function erf(x: number): number {
  const n = 20000
  const h = x / n
  const f = (t: number): number => Math.exp(-t * t)
  let s = f(0) + f(x)
  for (let i = 1; i < n; i++) s += f(i * h) * (i % 2 === 1 ? 4 : 2)
  return (s * h * 2) / 3 / Math.sqrt(Math.PI)
}

describe('emitted text', () => {
  test('a packed linear layer', () => {
    expect(emitKernelsOnly([linear(768, 3072, true)], 'ts')).toMatchSnapshot()
  })
  test('residual and layernorm', () => {
    expect(emitKernelsOnly([examples.layernorm(768).kernel], 'ts')).toMatchSnapshot()
  })
  test('attention', () => {
    expect(emitKernelsOnly([examples.attention(12, 64).kernel], 'ts')).toMatchSnapshot()
  })
})
