import { describe, expect, test } from 'vitest'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { bin, index, load } from '../../../src/kernel/expr.ts'
import type { Expr } from '../../../src/kernel/expr.ts'
import type { Stage, StageKernel } from '../../../src/kernel/stage.ts'
import { verify, webgpuLimits } from '../../../src/kernel/verify.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import { attention } from '../../../src/ops/attention.ts'
import { add, con, evaluate, of, sub, type Sym } from '../../../src/types/ix.ts'
import type { Scheduled } from '../../../targets/wgsl/recipes.ts'
import { schedule } from '../../../targets/wgsl/recipes.ts'
import * as K from '../../kernel/kernels.ts'
import { barriers, withoutBarrier } from './nests.ts'
import { check, checkPasses, compile, compilePasses } from './run.ts'

const dims = [K.T, K.P]
interface Case {
  readonly heads?: number
  readonly groups?: number
  readonly e?: number
  readonly f?: number
  /** Keys; those of the past and the new ones where it is left out. */
  readonly keys?: number
  readonly attrs?: object
  /** Which keys a query sees. */
  readonly mask?: (t: Sym, s: Sym, start: Expr) => Expr
  readonly given?: readonly ('bias' | 'sinks')[]
}
const causal = (t: Sym, s: Sym): Expr => bin('le', index(of(s)), index(add(K.P, of(t))))
const both = (a: Expr, b: Expr): Expr => bin('and', a, b)

/** The op's stages, on inputs of these sizes. */
function kernelOf({ heads = 2, groups = heads, e = 8, f = e, keys, attrs = {}, mask, given = [] }: Case): StageKernel {
  const B = 2
  const S = keys === undefined ? add(K.P, K.T) : con(keys)
  const [q, k, v] = [K.global('q', [B, heads, K.T, e]), K.global('k', [B, groups, S, e]), K.global('v', [B, groups, S, f])]
  const start = newBuffer('start', 'i32', 'global', [con(B)])
  const seen = newBuffer('seen', 'bool', 'virtual', [con(B), con(1), of(K.T), S])
  const [b, one, t, s] = [loopSymbol('b', B), loopSymbol('one', 1), loopSymbol('t', of(K.T)), loopSymbol('s', S)]
  const extra = { bias: K.global('bias', [1, heads, K.T, S]), sinks: K.global('sinks', [heads]) }
  const out = newBuffer('out', 'f32', 'global', [con(B), con(heads), of(K.T), con(f)])
  const names = [...(mask ? ['mask'] : []), ...given]
  const inputs = [q, k, v, ...(mask ? [seen] : []), ...given.map((n) => extra[n])]
  const made = attention.lower!({ inputs, out, attrs: { ...attrs, given: names.join(' ') } } as never) as readonly Stage[]
  const stages = [...(mask ? [K.map(seen, [b, one, t, s], mask(t, s, load(start, [of(b)])))] : []), ...made]
  const reads = [q, k, v, ...(mask ? [start] : []), ...given.map((n) => extra[n])]
  return K.kernel('attention', stages, reads, [out], [K.T, K.P])
} // prettier-ignore

const cases: Record<string, Case> = {
  'grouped heads, keys and values of different sizes, softcap, sinks': {
    heads: 4, groups: 2, e: 16, f: 8, attrs: { softcap: 2 }, given: ['sinks'], mask: causal,
  },
  'one key head for all, a window of 6': {
    heads: 4, groups: 1, e: 12, mask: (t, s) => both(causal(t, s), bin('gt', index(of(s)), index(sub(add(K.P, of(t)), 6)))),
  },
  'padding: the first queries see nothing': { mask: (t, s, start) => both(causal(t, s), bin('ge', index(of(s)), start)) },
  'keys of another sequence, bias, no mask': { e: 20, keys: 37, given: ['bias'] },
  'wide heads, scores far apart': { heads: 1, e: 128, attrs: { scale: 300 }, mask: causal },
  'keys beyond a mask of data': { keys: 70, mask: (_, s, start) => bin('ge', start, index(of(s))) },
} // prettier-ignore

const proven = ({ variants }: Scheduled): void => {
  for (const { nest } of variants) {
    expect(verify(nest, { limits: webgpuLimits })).toEqual([])
    for (let n = 0; n < barriers(nest); n++)
      expect(verify(withoutBarrier(nest, n)), `without barrier ${n}`).not.toEqual([])
  }
}

describe.each(Object.entries(cases))('%s', (name, given) => {
  test('each schedule equals the naive nest, and is proven', async () => {
    const kernel = kernelOf(given)
    const c = await compile(kernel, dims, { used: 'both' })
    expect(c.scheduled.variants.map((v) => v.schedule)).toEqual(['split', 'flash'])
    expect(c.scheduled.rows).toBe(of(K.T))
    proven(c.scheduled)
    for (const i of c.scheduled.variants.keys()) {
      for (const [T, P] of i === 0 ? [[1, 0], [1, 70], [3, 2]] : [[1, 3], [5, 0], [33, 40]]) // prettier-ignore
        await check(c, i, new Map([[K.T, T], [K.P, P]]), dims) // prettier-ignore
    }
  })
  test('the keys of a row spread over workgroups', async () => {
    const kernel = kernelOf({ ...given, ...(given.keys ? { keys: given.keys + 500 } : {}) })
    if (name.includes('window')) {
      // Of 6 keys.
      expect(schedule(kernel, { used: 'both' }).spread).toBeUndefined()
      return
    }
    const p = await compilePasses(kernel, dims, { used: 'both' })
    expect(p.list.map((c) => c.scheduled.variants.map((v) => v.schedule))).toEqual([['spread'], ['merge']])
    p.list.forEach((c) => proven(c.scheduled))
    for (const [T, P] of [[1, 0], [3, 254]]) await checkPasses(p, new Map([[K.T, T], [K.P, P]]), dims) // prettier-ignore
  })
})

test('heads that are no whole vectors, or very wide, have one thread for each key', () => {
  for (const e of [6, 130, 256]) {
    const { variants } = schedule(kernelOf({ e, mask: causal }), { used: 'both' })
    expect(variants.map((v) => v.schedule)).toEqual(['carried'])
  }
})

test('parts of the keys begin where a window does; eight queries', async () => {
  const window = kernelOf({
    heads: 1,
    mask: (t, s) => both(causal(t, s), bin('gt', index(of(s)), index(sub(add(K.P, of(t)), 700)))),
  })
  const p = await compilePasses(window, dims, { used: 'both' })
  // All in the window, or the last 700 of 913: three parts of 256, not four.
  for (const [T, P] of [[8, 3], [3, 910]]) await checkPasses(p, new Map([[K.T, T], [K.P, P]]), dims) // prettier-ignore
  const [{ groups }] = p.printed.list[0].printed.entries
  const count = (T: number, P: number): number => evaluate(groups, (s) => (s === K.T ? T : P))
  expect(count(1, 910)).toBe(2 * 3)
  expect(count(3, 910)).toBe(2 * 3 * 3)
})

test('keys are spread where there are many, and few rows', () => {
  const { where, sizes } = schedule(kernelOf({ mask: causal }), { used: 'both' }).spread!
  const at = (T: number, P: number): boolean =>
    where!.every(([a, b]) => evaluate(a, (s) => (s === K.T ? T : P)) <= evaluate(b, (s) => (s === K.T ? T : P)))
  expect([at(1, 511), at(1, 512), at(8, 504), at(8, 505), at(9, 1000)]).toEqual([false, true, false, true, false])
  // Of 8 rows at most: 2 batches, 2 heads, parts of 256 keys, 8 columns and a vector with the maximum and the sum.
  expect(evaluate(sizes![0], (s) => (s === K.T ? 1000 : 0))).toBe(2 * 2 * 8 * 4 * (8 + 4))
  expect(evaluate(sizes![0], (s) => (s === K.T ? 1 : 999))).toBe(2 * 2 * 4 * (8 + 4))
  // Rows are heads of all batches, too.
  expect(schedule(kernelOf({ heads: 256, mask: causal }), { used: 'both' }).spread).toMatchObject({ list: [{}, {}] })
  expect(schedule(kernelOf({ mask: causal }), { used: 'many' }).spread).toBeUndefined()
})
