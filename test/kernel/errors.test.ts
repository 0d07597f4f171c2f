import { expect, test } from 'vitest'
import { naiveNest } from '../../src/kernel/build.ts'
import { un } from '../../src/kernel/expr.ts'
import type { UnaryFn } from '../../src/kernel/expr.ts'
import { erf, halfEven } from '../../src/kernel/pairs.ts'
import { jam, split, widen } from '../../src/kernel/schedule/index.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import { loopSymbol } from '../../src/kernel/walk.ts'
import { of } from '../../src/types/ix.ts'
import { at, global, kernel, map, matmul, T } from './kernels.ts'
import { inputsOf, random, rules, run } from './run.ts'

const exactRules = { ...rules, ulp: {}, expSlope: 0 }

test('the bound holds for sums rounded to f32, and the rms estimate is near the observed error', () => {
  const [K, N] = [256, 8]
  const example = matmul(T, N, K)
  const params = new Map([[T, 8]])
  const nest = naiveNest(example.kernel)
  const worst = run(nest, params, { inputs: inputsOf(example.kernel.args, params) })[0]
  const inputs = inputsOf(example.kernel.args, params)
  const [x, w, b] = inputs
  const rms = run(nest, params, { inputs, mode: 'rms' })[0]
  let squares = 0
  let estimate = 0
  for (let m = 0; m < 8; m++) {
    for (let n = 0; n < N; n++) {
      let sum = 0
      for (let k = 0; k < K; k++) sum = Math.fround(sum + Math.fround(x.value[m * K + k] * w.value[k * N + n]))
      const y = Math.max(Math.fround(sum + b.value[n]), 0)
      const off = Math.abs(y - worst.value[m * N + n])
      expect(off).toBeLessThanOrEqual(worst.error[m * N + n])
      expect(rms.error[m * N + n]).toBeLessThanOrEqual(worst.error[m * N + n])
      if (y > 0) {
        squares += off ** 2
        estimate += rms.error[m * N + n] ** 2
      }
    }
  }
  expect(Math.sqrt(squares / estimate)).toBeGreaterThan(0.1)
  expect(Math.sqrt(squares / estimate)).toBeLessThan(2)
})

const functions: readonly UnaryFn[] = [
  'exp',
  'expm1',
  'log',
  'log1p',
  'sqrt',
  'sin',
  'cos',
  'tanh',
  'erf',
  'abs',
  'neg',
  'floor',
  'round',
  'sign',
]
test.each(functions)('%s moves by no more than its bound when its operand is off', (f) => {
  const [x, y] = [global('x', [T]), global('y', [T])]
  const t = loopSymbol('t', of(T))
  const nest = naiveNest(kernel('f', [map(y, [t], un(f, at(x, t)))], [x], [y]))
  const n = 400
  const next = random(3)
  const off = (e: number): number => e * (2 * next() - 1)
  const value = Float64Array.from({ length: n }, () =>
    ['log', 'sqrt', 'log1p'].includes(f) ? 0.02 + 4 * next() : 8 * next() - 4,
  )
  const error = Float64Array.from(
    { length: n },
    (_, i) => 10 ** -(1 + (i % 6)) * (value[i] > 0 ? Math.min(1, value[i] * 5) : 1),
  )
  const moved = value.map((v, i) => v + off(error[i]))
  const blank = () => ({ value: new Float64Array(n), error: new Float64Array(n) })
  const params = new Map([[T, n]])
  const [a] = run(nest, params, { inputs: [{ value, error }, blank()], rules: exactRules })
  const [b] = run(nest, params, { inputs: [{ value: moved, error: new Float64Array(n) }, blank()], rules: exactRules })
  a.value.forEach((v, i) => expect(Math.abs(v - b.value[i])).toBeLessThanOrEqual(a.error[i] * (1 + 1e-9)))
})

test('erf and rounding to even', () => {
  // Abramowitz & Stegun, table 7.1; the tail from DLMF 7.8.
  expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15)
  expect(erf(-1)).toBeCloseTo(-0.8427007929497149, 15)
  expect(erf(2.5)).toBeCloseTo(0.999593047982555, 14)
  expect(erf(3.5)).toBeCloseTo(0.9999992569016276, 15)
  expect([halfEven(0.5), halfEven(1.5), halfEven(-1.5), halfEven(2.4)]).toEqual([0, 2, -2, 2])
})

test('pairs run at millions per second', () => {
  const size = 128
  const example = matmul(T, size, size)
  const s = structureOf(example.kernel)
  if (s.k !== 'contraction') throw new Error('not a contraction')
  const columns = split(naiveNest(example.kernel), s.n[0], 4, 'exact')
  const nest = widen(jam(columns.nest, columns.inner))
  const params = new Map([[T, size]])
  const inputs = inputsOf(example.kernel.args, params)
  run(nest, params, { inputs, checked: false })
  const start = performance.now()
  run(nest, params, { inputs, checked: false })
  const rate = (2 * size ** 3) / (performance.now() - start) / 1000
  // Far below what an idle machine does; catches an executor that falls off the fast path.
  expect(rate).toBeGreaterThan(5)
})
