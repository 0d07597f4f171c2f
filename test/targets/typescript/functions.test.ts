/** Own functions of the emitted JavaScript against those of JavaScript, which are within an ulp of float64. */
import { expect, test } from 'vitest'
import { mathHelpers } from '../../../targets/shared/javascript/math.ts'
import { printer } from '../../../targets/shared/printer.ts'

type Fn = (x: number) => number
async function own(): Promise<Record<'exp' | 'expm1' | 'tanh', Fn>> {
  const p = printer('js')
  const names = (['exp', 'expm1', 'tanh'] as const).map((h) => p.helper(h))
  const text = [...p.support(), `export { ${names.join(', ')} }`].join('\n')
  return import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)
}
function sweep(f: Fn, exact: Fn, lo: number, hi: number, count: number): number {
  let worst = 0
  for (let i = 0; i <= count; i++) {
    const x = lo + ((hi - lo) * i) / count
    const error = Math.abs(f(x) - exact(x)) / Math.abs(exact(x))
    if (exact(x) !== 0 && !(error <= worst)) worst = error
  }
  return worst
}

test('accuracies are as stated', async () => {
  const { exp, expm1, tanh } = await own()
  expect(sweep(exp, Math.exp, -708, 709, 1e6)).toBeLessThan(2e-13)
  expect(sweep(exp, Math.exp, -1, 1, 1e6)).toBeLessThan(2e-13)
  for (const reach of [1e-12, 1e-6, 1e-3, 0.02, 1, 30, 700]) {
    expect(sweep(expm1, Math.expm1, -reach, reach, 200_001)).toBeLessThan(1e-11)
    expect(sweep(tanh, Math.tanh, -reach, reach, 200_001)).toBeLessThan(2e-11)
  }
})
test('far arguments, zeros and what is no number', async () => {
  const { exp, expm1, tanh } = await own()
  for (const x of [-Infinity, -1e308, -3e38, -745, -709, 0, -0, 709.5, 710, 1e308, Infinity, NaN]) {
    expect(Math.fround(exp(x))).toBe(Math.fround(Math.exp(x)))
    expect(Math.fround(expm1(x)) + 0).toBe(Math.fround(Math.expm1(x)) + 0)
    expect(Math.fround(tanh(x)) + 0).toBe(Math.fround(Math.tanh(x)) + 0)
  }
})
test('names of helpers in a helper are those of the module', () => {
  const p = printer('js', ['exp', 'powers'])
  p.helper('erf')
  const text = p.support().join('\n')
  expect(text).not.toMatch(/(?<![.\w])(exp\(-z|powers\[)/)
  expect(Object.values(mathHelpers).every((h) => h.doc.length > 0)).toBe(true)
})
