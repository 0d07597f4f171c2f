import { expect, test } from 'vitest'
import type { UnaryFn } from '../../../src/kernel/expr.ts'
import { un } from '../../../src/kernel/expr.ts'
import { erf } from '../../../src/ops/special.ts'
import { of } from '../../../src/types/ix.ts'
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
    return kernel(f, [map(y, [t], un(f, at(x, t)))], [x], [y])
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
