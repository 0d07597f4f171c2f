/** Every function and every node of the IR on lanes and on scalars, printed, assembled and run. */
import { describe, expect, test } from 'vitest'
import { naiveNest } from '../../../src/kernel/build.ts'
import type { Expr, Scalar } from '../../../src/kernel/expr.ts'
import { bin, binaryFunctions, cast, constant, index, select, un, unaryFunctions } from '../../../src/kernel/expr.ts'
import type { NestKernel } from '../../../src/kernel/nest.ts'
import { cse, foldLanes, hoist, mapTo, simplify } from '../../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { Sym } from '../../../src/types/ix.ts'
import { of } from '../../../src/types/ix.ts'
import { at, global, kernel, map, reduce, T, virtual } from '../../kernel/kernels.ts'
import { run } from '../../kernel/run.ts'
import { wasmKernels } from '../../support/wasm-kernels.ts'

const exact = { roundoff: 0, accumulate: 0, ulp: {}, expSlope: 0, flush: 0 }
const finish = (nest: NestKernel): NestKernel => [simplify, cse, hoist, cse].reduce((n, f) => f(n), nest)
/** The loop over `v` on lanes, several vectors a step, its strips of whole vectors and the rest. */
const onLanes = (k: StageKernel, v: Sym, chains: number): NestKernel => finish(foldLanes(naiveNest(k), v, { lanes: 4, chains })) // prettier-ignore

interface Case {
  readonly name: string
  readonly from: Scalar
  readonly to: Scalar
  readonly e: (x: Expr, y: Expr) => Expr
}
const positive = new Set(['log', 'log1p', 'sqrt', 'pow'])
/** Of arithmetic in f16, which this target does not have. */
const others = new Set(['binade', 'invert', 'in_f16'])
const cases: readonly Case[] = [
  ...unaryFunctions.flatMap((f): Case[] => {
    if (others.has(f)) return []
    if (f === 'not') return [{ name: f, from: 'bool', to: 'bool', e: (x) => un(f, x) }]
    const both = f === 'neg' || f === 'abs' || f === 'sign' ? (['f32', 'i32'] as const) : (['f32'] as const)
    return both.map((t) => ({ name: `${f} ${t}`, from: t, to: t, e: (x) => un(f, positive.has(f) ? un('abs', x) : x) }))
  }),
  ...binaryFunctions.flatMap((f): Case[] => {
    if (others.has(f)) return []
    const compares = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'].includes(f)
    if (f === 'and' || f === 'or') return [{ name: f, from: 'bool', to: 'bool', e: (x, y) => bin(f, x, y) }]
    const both = f === 'div' || f === 'pow' ? (['f32'] as const) : (['f32', 'i32'] as const)
    return both.map((t) => ({
      name: `${f} ${t}`,
      from: t,
      to: compares ? 'bool' : t,
      e: (x, y) => bin(f, positive.has(f) ? un('abs', x) : x, y),
    }))
  }),
  ...([2, 3, 8, -3] as const).flatMap((n): Case[] =>
    (['floordiv', 'mod'] as const).map((f) => ({
      name: `${f} by ${n}`, from: 'i32', to: 'i32', e: (x) => bin(f, x, constant(n, 'i32')),
    })),
  ),
  ...(['f32', 'i32', 'bool'] as const).flatMap((from) =>
    (['f32', 'i32', 'bool'] as const).map((to): Case => ({ name: `${to} of ${from}`, from, to, e: (x) => cast(to, x) })),
  ),
  ...(['f32', 'i32', 'bool'] as const).map(
    (t): Case => ({ name: `select ${t}`, from: t, to: t, e: (x, y) => select(bin('ne', x, y), x, y) }),
  ),
  { name: 'product and sum', from: 'f32', to: 'f32', e: (x, y) => bin('add', bin('mul', x, y), x) },
  { name: 'difference of product', from: 'f32', to: 'f32', e: (x, y) => bin('sub', y, bin('mul', x, y)) },
] // prettier-ignore
const N = 37

describe.each([
  ['on scalars', undefined, false],
  ['on lanes', 1, false],
  ['on four vectors side by side', 4, false],
  ['on lanes, relaxed', 2, true],
] as const)('%s', (_, chains, relaxed) => {
  test('functions', async () => {
    const made = cases.map(({ name, from, to, e }) => {
      const [x, y, out] = [global('x', [T], from), global('y', [T], from), global('out', [T], to)]
      const t = loopSymbol('t', of(T))
      return { t, k: kernel(name, [map(out, [t], e(at(x, t), at(y, t)))], [x, y], [out]) }
    })
    const nests = made.map(({ t, k }) => (chains === undefined ? finish(naiveNest(k)) : onLanes(k, t, chains)))
    const emitted = await wasmKernels(nests, { relaxed })
    const specials = [0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, -3, 7, 1e-3, 20, -20]
    cases.forEach(({ name, from, to }, i) => {
      const value = (j: number): number => {
        if (from === 'bool') return (j * 7) % 3 === 0 ? 1 : 0
        if (from === 'i32') return ((j * 37) % 23) - 11 || 5
        return Math.fround(j < specials.length ? specials[j] : Math.sin(j * 5) * 4)
      }
      const xs = Array.from({ length: N }, (_, j) => value(j))
      const ys = Array.from({ length: N }, (_, j) => value((j * 5 + 2) % N) || 1)
      const given = (v: readonly number[]) => (from === 'f32' ? Float32Array.from(v) : Int32Array.from(v))
      const got = to === 'f32' ? new Float32Array(N) : new Int32Array(N)
      emitted.call(i, [given(xs), given(ys), got], [N])
      const cells = [xs, ys, new Array<number>(N).fill(NaN)].map((v) => ({ value: Float64Array.from(v), error: new Float64Array(v.length) })) // prettier-ignore
      const [want] = run(naiveNest(made[i].k), new Map([[T, N]]), { inputs: cells, rules: exact })
      for (let j = 0; j < N; j++) {
        const w = want.value[j]
        if (!Number.isFinite(w)) continue
        const near = Math.abs(got[j] - w) <= (to === 'f32' ? 2e-6 * Math.max(1, Math.abs(w)) : 0)
        expect(near, `${name} of ${xs[j]}, ${ys[j]} is ${got[j]}, expected ${w}`).toBe(true)
      }
    })
  })
})

test.each([1, 3])('folds over lanes, and shares of %i threads', async (threads) => {
  const [x, sum, top, low] = [global('x', [T, T]), global('sum', [T]), global('top', [T]), global('low', [T])]
  const axes = (): { r: Sym; c: Sym } => ({ r: loopSymbol('r', of(T)), c: loopSymbol('c', of(T)) })
  const made = (['add', 'max', 'min'] as const).map((f) => {
    const { r, c } = axes()
    const total = virtual('total', [r])
    const scaled = bin('mul', un('tanh', at(x, r, c)), cast('f32', index(of(c))))
    const out = f === 'add' ? sum : f === 'max' ? top : low
    const stages = [reduce(total, [r], f, [c], scaled, undefined, 0), map(out, [r], at(total, r))]
    return { k: kernel(f, stages, [x], [out]), r, c }
  })
  for (const chains of [1, 2, 4]) {
    const nests = made.map((m) => {
      const nest = naiveNest(m.k)
      const loops = nest.body.flatMap((s) => (s.k === 'for' ? [s] : []))
      const inner = loops[0].body.flatMap((s) => (s.k === 'for' ? [s.v] : []))
      return finish(mapTo(foldLanes(nest, inner[0], { lanes: 4, chains }), loops[0].v, 'thread'))
    })
    const emitted = await wasmKernels(nests, { threads })
    for (const t of [1, 2, 3, 4, 5, 8, 15, 16, 17, 33]) {
      const xs = Float32Array.from({ length: t * t }, (_, i) => Math.sin(i * i))
      made.forEach(({ k }, i) => {
        const got = new Float32Array(t)
        emitted.call(i, [xs, got], [t])
        const cells = [Float64Array.from(xs), new Float64Array(t)].map((value) => ({ value, error: new Float64Array(value.length) })) // prettier-ignore
        const [want] = run(naiveNest(k), new Map([[T, t]]), { inputs: cells, rules: exact })
        got.forEach((v, j) => expect(v).toBeCloseTo(want.value[j], 4))
      })
    }
  }
})
