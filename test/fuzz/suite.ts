/** The random models of continuous integration: two files, so that two workers share them. */
import { expect, test } from 'vitest'
import { testDevice } from '../support/gpu.ts'
import { checkGenerated, describe, quantile, subjectsOf } from './batch.ts'

export const seed = 20261
const total = 200
const inTests = 10

/** The models whose index is `half` modulo 2, some to a test. */
export function suite(half: 0 | 1): void {
  const shares: number[] = []
  const widths: number[] = []
  let steppable = 0
  const indices = Array.from({ length: total / 2 }, (_, i) => 2 * i + half)
  for (let at = 0; at < indices.length; at += inTests) {
    const mine = indices.slice(at, at + inTests)
    test(`models ${mine[0]} to ${mine[mine.length - 1]}`, { timeout: 120_000 }, async () => {
      for (const index of mine) {
        const options = { subjects: subjectsOf(index % 8 < 2), device: testDevice }
        const { report, failure } = await checkGenerated(seed, index, options)
        if (failure) expect.fail(describe(failure))
        shares.push(...report.shares)
        widths.push(...report.widths)
        if (report.steppable) steppable++
      }
    })
  }
  test('the comparisons say something: bounds are finite and narrow, and many models step', () => {
    expect(shares.length).toBeGreaterThan(1000)
    expect(widths.filter((w) => !Number.isFinite(w))).toEqual([])
    expect(quantile(widths, 0.5)).toBeLessThan(1e-5)
    expect(quantile(widths, 0.95)).toBeLessThan(1e-2)
    expect(quantile(shares, 0.5)).toBeGreaterThan(0.005)
    expect(steppable).toBeGreaterThan(total / 8)
  })
}
