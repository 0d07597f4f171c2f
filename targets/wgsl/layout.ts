import type { Layout } from '../../src/kernel/buffer.ts'
import type { WeightFormat } from '../../src/target.ts'
import { add, con, mul, sym } from '../../src/types/ix.ts'
import { keptLayout } from './kept.ts'

/** Row-major: neighbouring threads read neighbouring columns. */
export function panelLayout(k: number, n: number, as: WeightFormat = 'f32'): Layout {
  const kept = as === 'f32' ? undefined : keptLayout(k, n, as)
  if (kept !== undefined) return kept
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  return { name: 'rows', axes: [a, b], offset: add(mul(a, n), b), size: con(k * n) }
}
