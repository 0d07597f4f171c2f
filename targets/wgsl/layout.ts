import type { Layout } from '../../src/kernel/buffer.ts'
import { add, con, mul, sym } from '../../src/types/ix.ts'

/** Row-major: neighbouring threads read neighbouring columns. */
export function panelLayout(k: number, n: number): Layout {
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  return { name: 'rows', axes: [a, b], offset: add(mul(a, n), b), size: con(k * n) }
}
