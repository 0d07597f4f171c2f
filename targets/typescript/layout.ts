import type { Layout } from '../../src/kernel/buffer.ts'
import { add, con, mul, sym } from '../../src/types/ix.ts'

/** Columns one after the other, as they are copied to scratch: a linear layer's [N, K] as it is stored, [K, N] transposed. */
export function panelLayout(k: number, n: number): Layout {
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  return { name: 'columns', axes: [a, b], offset: add(mul(b, k), a), size: con(k * n) }
}
