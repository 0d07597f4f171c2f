/** Contractions in every order of operands, with sizes that are and are not made of vectors, slices and tiles. */
import { describe, expect, test } from 'vitest'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { bin, constant, index, un } from '../../../src/kernel/expr.ts'
import { verify, webgpuLimits } from '../../../src/kernel/verify.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { IxLike } from '../../../src/types/ix.ts'
import { con, of, sub } from '../../../src/types/ix.ts'
import { schedule } from '../../../targets/wgsl/recipes.ts'
import * as K from '../../kernel/kernels.ts'
import { check, compile } from './run.ts'
import { barriers, withoutBarrier } from './nests.ts'

interface Options {
  readonly a?: 'mk' | 'km'
  readonly b?: 'kn' | 'nk'
  readonly batch?: number
  /** So many columns are one result, the rest another. */
  readonly parts?: number
}

/** Sums over k of a[m, k] b[k, n] / 2, with a bias and a residual, or in two results: exponentials, and what is above 0. */
function product(M: IxLike, N: number, D: number, { a = 'mk', b = 'kn', batch, parts }: Options = {}): StageKernel {
  const more = batch === undefined ? [] : [batch]
  const [h, m, n, k] = [loopSymbol('h', batch ?? 1), loopSymbol('m', of(M)), loopSymbol('n', N), loopSymbol('k', D)]
  const own = batch === undefined ? [] : [h]
  const left = K.global('left', [...more, ...(a === 'mk' ? [M, D] : [D, M])])
  const right = K.global('right', [...more, ...(b === 'kn' ? [D, N] : [N, D])])
  const dot = K.virtual('dot', [...own, m, n])
  const factors = K.times(
    K.at(left, ...own, ...(a === 'mk' ? [m, k] : [k, m])),
    K.at(right, ...own, ...(b === 'kn' ? [k, n] : [n, k])),
  )
  const sum = K.reduce(dot, [...own, m, n], 'add', [k], K.times(factors, K.f(0.5)))
  const value = K.at(dot, ...own, m, n)
  if (parts === undefined) {
    const [bias, x, y] = [K.global('bias', [N]), K.global('x', [...more, M, N]), K.global('y', [...more, M, N])]
    const e = K.plus(K.plus(value, K.at(bias, n)), K.at(x, ...own, m, n))
    return K.kernel('product', [sum, K.map(y, [...own, m, n], e)], [left, right, bias, x], [y])
  }
  const [y, z] = [K.global('y', [M, parts]), K.global('z', [M, N - parts])]
  const stages = [
    sum,
    K.map(y, [m, n], un('exp', value), { guard: bin('lt', index(of(n)), index(con(parts))) }),
    K.map(z, [m, n], bin('max', value, constant(0)), {
      at: [of(m), sub(n, parts)],
      guard: bin('ge', index(of(n)), index(con(parts))),
    }),
  ]
  return K.kernel('product', stages, [left, right], [y, z])
}

const orders = [
  ['a[m, k] b[k, n]', {}],
  ['a[m, k] b[n, k]', { b: 'nk' }],
  ['a[k, m] b[k, n]', { a: 'km' }],
  ['a[k, m] b[n, k]', { a: 'km', b: 'nk' }],
  ['batched', { batch: 3 }],
  ['batched, b[n, k]', { batch: 2, b: 'nk' }],
] as const
type Case = readonly [string, () => StageKernel]
const of2 = (name: string, options: Options, n: number, k: number): Case => [
  `${name}, ${n} wide, ${k} deep`,
  () => product(K.T, n, k, options),
]
/** Columns and depth: whole slices of 16, whole vectors, one of both, neither. */
const sizes = [[12, 20], [6, 24], [8, 7], [1, 1]] as const // prettier-ignore
const cases: readonly Case[] = [
  ...orders.flatMap(([name, options]) => [of2(name, options, 68, 32), of2(name, options, 70, 37)]),
  ...sizes.flatMap(([n, k]) => [of2('a[m, k] b[k, n]', {}, n, k), of2('a[m, k] b[n, k]', { b: 'nk' }, n, k)]),
  ['a tile of 32 rows', () => product(24, 20, 16)],
  ['two results, at a vector', () => product(K.T, 24, 16, { parts: 8 })],
  ['two results, inside of a vector', () => product(K.T, 24, 16, { parts: 10 })],
]

describe.each(cases)('%s', (_, make) => {
  test('is well-formed, and has no barrier to spare', () => {
    for (const used of ['one', 'many'] as const) {
      const { variants, constants } = schedule(make(), { used })
      const given = [...(constants ?? [])].map(([s, n]) => bin('eq', index(of(s)), index(con(n))))
      for (const { nest, when } of used === 'one' ? variants : variants.slice(-1)) {
        // Alternatives are there to do without.
        if (when) expect([barriers(nest), nest.body.some((s) => s.k === 'alloc')]).toEqual([0, false])
        expect(verify(nest, { limits: webgpuLimits, given })).toEqual([])
        for (let n = 0; n < barriers(nest); n++)
          expect(verify(withoutBarrier(nest, n), { given }), `without barrier ${n}`).not.toEqual([])
      }
    }
  })
})

test.each(cases)('%s equals the naive nest within its bounds', async (_, make) => {
  for (const used of ['one', 'many'] as const) {
    const c = await compile(make(), [K.T], { used })
    const last = c.printed.entries.length - 1
    // What steps use is tried in full there; of the rest the one for many rows.
    for (const v of used === 'one' ? c.printed.entries.keys() : [last])
      await check(c, v, new Map([[K.T, used === 'one' ? 5 : 65]]), [K.T])
  }
})
