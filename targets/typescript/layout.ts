import type { Layout } from '../../src/kernel/buffer.ts'
import { add, con, floorDiv, mod, mul, sym } from '../../src/types/ix.ts'

/**
 * Panels of four columns, as a register tile reads them: (n/4, k, n%4). Columns are padded with zeros to a multiple of eight, so that
 * two panels can always be read side by side.
 */
export function panelLayout(k: number, n: number): Layout {
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  const offset = add(mul(floorDiv(b, 4), 4 * k), mul(a, 4), mod(b, 4))
  return { name: 'panels of 4', axes: [a, b], offset, size: con(Math.ceil(n / 8) * 8 * k) }
}
