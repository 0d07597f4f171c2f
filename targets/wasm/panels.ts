import type { Layout } from '../../src/kernel/buffer.ts'
import { add, con, floorDiv, mod, mul, sym } from '../../src/types/ix.ts'

/** Columns of a panel: four vectors, as the register tile reads them, and one cache line. */
export const PANEL = 16

/** Panels of 16 columns, one after another, each with its rows side by side: (n/16, k, n%16). Columns are padded with zeros to a whole panel. */
export function panelLayout(k: number, n: number): Layout {
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  const offset = add(mul(floorDiv(b, PANEL), PANEL * k), mul(a, PANEL), mod(b, PANEL))
  return { name: `panels of ${PANEL}`, axes: [a, b], offset, size: con(Math.ceil(n / PANEL) * PANEL * k) }
}
