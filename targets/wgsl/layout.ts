import type { Layout } from '../../src/kernel/buffer.ts'
import type { WeightFormat } from '../../src/target.ts'
import { add, con, mul, sym } from '../../src/types/ix.ts'
import { keptLayout } from './kept.ts'

/**
 * As the checkpoint has it, so that nothing is packed: row-major [K, N], or [N, K] where a model multiplies by a transpose. Schedules read either
 * with neighbouring threads side by side.
 */
export function panelLayout(k: number, n: number, as: WeightFormat = 'f32', order: 'kn' | 'nk' = 'kn'): Layout {
  const kept = as === 'f32' ? undefined : keptLayout(k, n, as)
  if (kept !== undefined) return kept
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  const offset = order === 'kn' ? add(mul(a, n), b) : add(mul(b, k), a)
  return { name: order === 'kn' ? 'rows' : 'columns', axes: [a, b], offset, size: con(k * n) }
}
