/** A weight layout and exact arithmetic, for tests of lowering that need no target. */
import type { Layout } from '../../src/kernel/buffer.ts'
import { add, con, floorDiv, mod, mul, sym } from '../../src/types/ix.ts'

/** B[k, n] at (n // 4, k, n % 4). */
export const panelLayout = (k: number, n: number): Layout => {
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  const offset = add(mul(floorDiv(b, 4), 4 * k), mul(a, 4), mod(b, 4))
  return { name: 'panel4', axes: [a, b], offset, size: con(Math.ceil(n / 4) * 4 * k) }
}
export const exactRules = { roundoff: 0, accumulate: 0, ulp: {}, expSlope: 0, flush: 0 }
