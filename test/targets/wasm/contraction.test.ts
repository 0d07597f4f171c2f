import { describe, expect, test } from 'vitest'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { bin, constant, index, load as at, un } from '../../../src/kernel/expr.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { IxLike, Sym } from '../../../src/types/ix.ts'
import { add, con, floorDiv, mod, mul, of, sub } from '../../../src/types/ix.ts'
import { panelLayout } from '../../../targets/wasm/panels.ts'
import { schedule } from '../../../targets/wasm/recipes.ts'
import type { ScheduleOptions } from '../../../targets/wasm/recipes.ts'
import { global, kernel, map, plus, reduce, T, times, virtual } from '../../kernel/kernels.ts'
import { expectEqual } from '../../support/wasm-agree.ts'
import { wasmKernels } from '../../support/wasm-kernels.ts'

/** gelu(x @ w + b), split over two results: the left half of the columns and the rest, transposed. */
function linear(K: number, N: number, packed: boolean, M: IxLike = T): StageKernel {
  const w: Buffer = newBuffer('w', 'f32', 'global', [con(K), con(N)], packed ? panelLayout(K, N) : undefined)
  const [x, b, left, right] = [global('x', [M, K]), global('b', [N]), global('left', [M, N]), global('right', [N, M])]
  const [m, n, k] = [loopSymbol('m', of(M)), loopSymbol('n', N), loopSymbol('k', K)]
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

/** h + x @ w in place, a cache append beside it. */
function residual(K: number, N: number): StageKernel {
  const w = newBuffer('w', 'f32', 'global', [con(K), con(N)], panelLayout(K, N))
  const [x, h] = [global('x', [T, K]), global('h', [T, N])]
  const [m, n, k] = [loopSymbol('m', of(T)), loopSymbol('n', N), loopSymbol('k', K)]
  const dot = virtual('dot', [m, n])
  const stages = [
    reduce(dot, [m, n], 'add', [k], times(at(x, [of(m), of(k)]), at(w, [of(k), of(n)]))),
    map(h, [m, n], plus(at(h, [of(m), of(n)]), at(dot, [of(m), of(n)]))),
  ]
  const made = kernel('residual', stages, [x, w], [h])
  return { ...made, args: made.args.map((a) => (a.buffer === h ? { ...a, access: 'readwrite' as const } : a)) }
}

/** q, k and v in one product: heads apart, with k and v transposed per head. */
function projections(D: number, H: number): StageKernel {
  const E = D / H
  const w = newBuffer('w', 'f32', 'global', [con(D), con(3 * D)], panelLayout(D, 3 * D))
  const [x, q, kc, vc] = [global('x', [T, D]), global('q', [T, D]), global('kc', [H, T, E]), global('vc', [H, T, E])]
  const [m, n, k] = [loopSymbol('m', of(T)), loopSymbol('n', 3 * D), loopSymbol('k', D)]
  const dot = virtual('dot', [m, n])
  const sum = at(dot, [of(m), of(n)])
  const between = (lo: number, hi: number): ReturnType<typeof bin> =>
    bin('and', bin('le', index(con(lo)), index(of(n))), bin('lt', index(of(n)), index(con(hi))))
  const head = (lo: number): readonly ReturnType<typeof of>[] => {
    const own = sub(of(n), lo)
    return [floorDiv(own, E), of(m), mod(own, E)]
  }
  return kernel('projections', [
    reduce(dot, [m, n], 'add', [k], times(at(x, [of(m), of(k)]), at(w, [of(k), of(n)]))),
    map(q, [m, n], sum, { guard: between(0, D) }),
    map(kc, [m, n], sum, { at: head(D), guard: between(D, 2 * D) }),
    map(vc, [m, n], sum, { at: head(2 * D), guard: between(2 * D, 3 * D) }),
  ], [x, w], [q, kc, vc]) // prettier-ignore
}

/** y[b, i, j] = sum of p[b, i, k] * v[b, k, j], or of v[b, j, k]: products of activations. */
function batched(transposed: boolean, N: IxLike = T, K: IxLike = 12): StageKernel {
  const B = 3
  const [p, y] = [global('p', [B, T, K]), global('y', [B, T, N])]
  const v = global('v', transposed ? [B, N, K] : [B, K, N])
  const [b, i, j, k] = [loopSymbol('b', B), loopSymbol('i', of(T)), loopSymbol('j', of(N)), loopSymbol('k', of(K))]
  const right = at(v, transposed ? [of(b), of(j), of(k)] : [of(b), of(k), of(j)])
  const dot = reduce(y, [b, i, j], 'add', [k], times(at(p, [of(b), of(i), of(k)]), right))
  return kernel('batched', [dot], [p, v], [y])
}

/** Three by three over rows of T and a bias per channel: strided, or with as many groups as channels (depthwise). */
function convolution(stride: number, depthwise: boolean): StageKernel {
  const [C, O, H] = [3, depthwise ? 3 : 5, 4]
  const [x, y, bias] = [global('x', [C, stride * (H - 1) + 3, add(mul(stride, T), 2)]), global('y', [O, H, T]), global('bias', [O])] // prettier-ignore
  const w = global('w', depthwise ? [O, 3, 3] : [O, C, 3, 3])
  const [o, i, j] = [loopSymbol('o', O), loopSymbol('i', H), loopSymbol('j', of(T))]
  const [c, a, b] = [loopSymbol('c', C), loopSymbol('a', 3), loopSymbol('b', 3)]
  const [row, column] = [add(mul(stride, of(i)), a), add(mul(stride, of(j)), b)]
  const dot = virtual('dot', [o, i, j])
  const product = depthwise
    ? times(at(w, [of(o), of(a), of(b)]), at(x, [of(o), row, column]))
    : times(at(w, [of(o), of(c), of(a), of(b)]), at(x, [of(c), row, column]))
  return kernel('convolution', [
    reduce(dot, [o, i, j], 'add', depthwise ? [a, b] : [c, a, b], product),
    map(y, [o, i, j], plus(at(dot, [of(o), of(i), of(j)]), at(bias, [of(o)]))),
  ], [x, w, bias], [y]) // prettier-ignore
}

const options: readonly ScheduleOptions[] = [{}, { wide: true }]
const some = [1, 2, 3, 4, 5, 7, 17, 34]

async function check(make: () => StageKernel, sizes: readonly number[], threads = [2]): Promise<void> {
  const k = make()
  for (const o of options) {
    const nest = schedule(k, o)
    expect(verify(nest)).toEqual([])
    for (const n of threads) {
      const emitted = await wasmKernels([nest], { threads: n })
      for (const t of sizes) expectEqual(k, emitted, [[T, t]] as readonly (readonly [Sym, number])[])
    }
  }
}

describe('contractions equal the naive nest', () => {
  test.each([
    [1, 1],
    [5, 3],
    [8, 4],
    [7, 9],
    [3, 15],
    [17, 16],
    [15, 17],
    [33, 33],
    [9, 50],
  ])('K = %i, N = %i', async (K, N) => {
    await check(() => linear(K, N, true), some)
    await check(() => linear(K, N, false), some, [1])
  })
  test('any number of rows', async () => {
    const all = Array.from({ length: 130 }, (_, i) => i + 1)
    await check(() => residual(3, 32), all, [3])
    await check(() => residual(6, 20), [...all, 257], [1])
  })
  test('a constant number of rows', async () => {
    for (const M of [1, 2, 3, 5, 64, 130]) await check(() => linear(6, 36, true, M), [1])
  })
  test('parts of the columns to different places', async () => {
    for (const [D, H] of [[16, 2], [24, 3], [20, 2], [12, 3]]) await check(() => projections(D, H), some) // prettier-ignore
  })
  test.each([
    [1, false],
    [2, false],
    [1, true],
    [2, true],
  ])('a convolution of stride %i, depthwise: %s', async (stride, depthwise) => {
    await check(() => convolution(stride, depthwise), some)
  })
  test.each([false, true])('products of activations, right operand transposed: %s', async (transposed) => {
    for (const N of [T, 5, 32]) for (const K of [12, 3, 9]) await check(() => batched(transposed, N, K), some)
    await check(() => batched(transposed, 8, T), some)
  })
})
