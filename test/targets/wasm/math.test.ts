import { expect, test } from 'vitest'
import type { UnaryFn } from '../../../src/kernel/expr.ts'
import { bin, un } from '../../../src/kernel/expr.ts'
import { erf } from '../../../src/ops/special.ts'
import { of } from '../../../src/types/ix.ts'
import { naiveNest } from '../../../src/kernel/build.ts'
import { foldLanes } from '../../../src/kernel/schedule/index.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import { floats } from '../../../targets/wasm/floats.ts'
import { at, global, kernel, map, T } from '../../kernel/kernels.ts'
import { wasmKernels } from '../../support/wasm-kernels.ts'

interface Row {
  readonly f: UnaryFn
  readonly want: (x: number) => number
  readonly from: number
  readonly to: number
  /** Errors are measured against this where given, else against the result. */
  readonly scale?: number
  readonly log?: boolean
}
const rows: readonly Row[] = [
  { f: 'exp', want: Math.exp, from: -87.3, to: 88.72 },
  { f: 'exp', want: Math.exp, from: -1, to: 1 },
  { f: 'expm1', want: Math.expm1, from: -20, to: 80 },
  { f: 'expm1', want: Math.expm1, from: -1, to: 1 },
  { f: 'log', want: Math.log, from: 1e-44, to: 3e38, log: true },
  { f: 'log', want: Math.log, from: 0.5, to: 2 },
  { f: 'log1p', want: Math.log1p, from: -0.999, to: 2 },
  { f: 'log1p', want: Math.log1p, from: 1e-6, to: 1e6, log: true },
  { f: 'tanh', want: Math.tanh, from: -12, to: 12 },
  { f: 'tanh', want: Math.tanh, from: 1e-30, to: 12, log: true },
  { f: 'erf', want: erf, from: -6, to: 6 },
  { f: 'erf', want: erf, from: 1e-30, to: 6, log: true },
  { f: 'sin', want: Math.sin, from: -10, to: 10 },
  { f: 'sin', want: Math.sin, from: -100000, to: 100000 },
  { f: 'cos', want: Math.cos, from: -10, to: 10 },
  { f: 'cos', want: Math.cos, from: -100000, to: 100000 },
]
const N = 40_000

test.each([false, true])('functions are as accurate as the bounds assume, relaxed = %s', async (relaxed) => {
  const functions = [...new Set(rows.map((r) => r.f))]
  const [x, y] = [global('x', [T]), global('y', [T])]
  const kernels = functions.map((f) => {
    const t = loopSymbol('t', of(T))
    const naive = naiveNest(kernel(f, [map(y, [t], un(f, at(x, t)))], [x], [y]))
    return foldLanes(naive, t, { lanes: 4, chains: 1 })
  })
  const emitted = await wasmKernels(kernels, { relaxed })
  const lines: string[] = []
  for (const { f, want, from, to, scale, log } of rows) {
    const xs = Float32Array.from({ length: N }, (_, i) => {
      const part = i / (N - 1)
      return log ? Math.exp(Math.log(from) + Math.log(to / from) * part) : from + (to - from) * part
    })
    const ys = new Float32Array(N)
    emitted.call(functions.indexOf(f), [xs, ys], [N])
    let [most, where] = [0, 0]
    for (let i = 0; i < N; i++) {
      const exact = want(xs[i])
      const off = Math.abs(ys[i] - exact)
      if (off <= floats.flush) continue
      // In units of the roundoff.
      const units = off / (scale ?? Math.abs(exact)) / floats.roundoff
      if (!(units <= most)) [most, where] = [units, xs[i]]
    }
    lines.push(`${f} [${from}, ${to}] ${most.toFixed(2)} at ${where}`)
    expect.soft(most, lines[lines.length - 1]).toBeLessThanOrEqual(floats.ulp[f] ?? 1)
  }
  if (process.env.TFM_SHOW) console.log(lines.join('\n'))
})

test('powers', async () => {
  const [x, y, z] = ['x', 'y', 'z'].map((n) => global(n, [T]))
  const t = loopSymbol('t', of(T))
  const naive = naiveNest(kernel('powers', [map(z, [t], bin('pow', at(x, t), at(y, t)))], [x, y], [z]))
  const emitted = await wasmKernels([foldLanes(naive, t, { lanes: 4, chains: 1 }), naive])
  const bases = [1e-30, 0.003, 0.5, 1, 1.7, 2, 3.3, 10, 10000, 1e30]
  const exponents = [-3, -0.96875, -0.5, 0, 0.25, 0.5, 1, 2, 3, 7.5]
  const given = bases.flatMap((b) => exponents.map((e) => [b, e]))
  given.push([-2, 3], [-2, 2], [-3, -1], [0, 0], [0, 2], [0, 0.5])
  const [xs, ys] = [0, 1].map((i) => Float32Array.from(given, (g) => g[i]))
  let most = 0
  for (const form of [0, 1]) {
    const zs = new Float32Array(xs.length)
    emitted.call(form, [xs, ys, zs], [xs.length])
    zs.forEach((got, i) => {
      const exact = Math.min(xs[i] ** ys[i], 3.4028234663852886e38)
      const off = Math.abs(got - exact)
      if (Math.abs(exact) > 2 ** -126) most = Math.max(most, off / Math.abs(exact) / floats.roundoff)
      expect(off, `${xs[i]} ** ${ys[i]} is ${got}`).toBeLessThanOrEqual(2 * floats.roundoff * Math.abs(exact) + floats.flush) // prettier-ignore
    })
  }
  if (process.env.TFM_SHOW) console.log(`pow ${most.toFixed(2)}`)
})

test('ends of the range', async () => {
  const most = 3.4028234663852886e38
  const wanted: readonly (readonly [UnaryFn, number, number])[] = [
    ['exp', -most, 0], ['exp', -104, 0], ['exp', 0, 1], ['exp', 89, most], ['exp', most, most], ['expm1', -most, -1], ['expm1', 0, 0],
    ['log', 1, 0], ['log1p', 0, 0], ['tanh', 0, 0], ['tanh', most, 1], ['tanh', -most, -1], ['erf', 0, 0], ['erf', most, 1], ['erf', -most, -1],
    ['sin', 0, 0], ['cos', 0, 1],
  ] // prettier-ignore
  const functions = [...new Set(wanted.map(([f]) => f))]
  const [x, y] = [global('x', [T]), global('y', [T])]
  const naive = functions.map((f) => {
    const t = loopSymbol('t', of(T))
    return { t, nest: naiveNest(kernel(f, [map(y, [t], un(f, at(x, t)))], [x], [y])) }
  })
  const emitted = await wasmKernels([
    ...naive.map(({ nest }) => nest),
    ...naive.map(({ nest, t }) => foldLanes(nest, t, { lanes: 4, chains: 1 })),
  ])
  for (const [f, value, want] of wanted) {
    for (const form of [0, functions.length]) {
      const got = new Float32Array(4)
      emitted.call(functions.indexOf(f) + form, [new Float32Array(4).fill(value), got], [4])
      for (const v of got)
        expect(Math.abs(v - want), `${f}(${value}) is ${v}`).toBeLessThanOrEqual(1e-5 * Math.abs(want))
    }
  }
  // What has no value is not infinite, and no NaN.
  for (const f of ['log', 'log1p'] as const) {
    const got = new Float32Array(1)
    emitted.call(functions.indexOf(f), [Float32Array.of(f === 'log' ? 0 : -1), got], [1])
    expect(got[0]).toBeLessThan(-80)
    expect(Number.isFinite(got[0])).toBe(true)
  }
})
