import type { Layout } from '../../src/kernel/buffer.ts'
import { add, con, floorDiv, mod, mul, sym } from '../../src/types/ix.ts'

/** Panels of 16 columns, as a register tile reads them: (n/16, k, n%16). Columns are padded with zeros to a multiple of 16. */
export function panelLayout(k: number, n: number): Layout {
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  const offset = add(mul(floorDiv(b, 16), 16 * k), mul(a, 16), mod(b, 16))
  return { name: 'panels of 16', axes: [a, b], offset, size: con(Math.ceil(n / 16) * 16 * k) }
}
