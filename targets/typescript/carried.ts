/** Attention and its like: per row, chunks of keys; products in four sums each, sums over the keys of a chunk for four columns at a time. */
import { naiveNest } from '../../src/kernel/build.ts'
import type { For, NestKernel } from '../../src/kernel/nest.ts'
import { jam, split } from '../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { loopsOf } from '../../src/kernel/walk.ts'
import { inChains } from '../shared/javascript/chains.ts'
import { con, isConst, mod, sub } from '../../src/types/ix.ts'

const columns = 4

export function carriedNest(kernel: StageKernel): NestKernel {
  const nest = naiveNest(kernel, { chunk: 32 })
  return inChains(loopsOf(nest.body).filter(isColumns).reduce(together, nest))
}
/** A loop over a constant number of columns, each of which is one fold. */
function isColumns(s: For): boolean {
  const folds = s.body.filter((t) => t.k === 'for')
  const extent = sub(s.hi, s.lo)
  const inner = folds.length === 1 && folds[0].reduces === true && !folds[0].body.some((t) => t.k === 'for')
  return inner && s.reduces !== true && isConst(extent) !== undefined && mod(extent, columns) === con(0)
}
function together(nest: NestKernel, s: For): NestKernel {
  const { nest: made, inner } = split(nest, s.v, columns, 'exact')
  return jam(made, inner)
}
