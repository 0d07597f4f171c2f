import { naiveNest } from '../../src/kernel/build.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import { cse, hoist, jam, reorder, simplify, split, widen } from '../../src/kernel/schedule/index.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import type { Example } from './kernels.ts'

/** The register tile of JavaScript: 4 x 4 sums in f64 over one walk along k. */
export function tile4x4(example: Example): NestKernel {
  const s = structureOf(example.kernel)
  if (s.k !== 'contraction') throw new Error('not a contraction')
  const [m, n] = [s.m[0], s.n[0]]
  const rows = split(naiveNest(example.kernel), m, 4, 'peel')
  const swapped = reorder(rows.nest, rows.inner, n)
  const tall = jam(swapped, rows.inner)
  const columns = split(tall, n, 4, 'peel')
  return hoist(cse(simplify(widen(jam(columns.nest, columns.inner)))))
}
