/** One thread per point of the rows that all stages share; what lies inside a row runs in that thread. Right for every kernel. */
import { arrange, naiveNest } from '../../../src/kernel/build.ts'
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { copier, extentOf, isUnit, loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, ceilDiv, con, mul, of } from '../../../src/types/ix.ts'
import { below, bound, flatten, forLoop } from './kit.ts'

const THREADS = 64

export function each(kernel: StageKernel): NestKernel {
  const { nest, loops, body } = rowsOf(kernel)
  const flat = flatten(loops)
  const groups = ceilDiv(flat.count, THREADS)
  const group = loopSymbol('group', groups)
  const lane = loopSymbol('lane', THREADS)
  const i = bound('i', add(mul(THREADS, of(group)), lane), mul(THREADS, groups))
  const inner = body.map(copier(flat.at(i.v)).stmt)
  const threads = forLoop('local.x', lane, [i.stmt, ...below(of(i.v), flat.count, inner)])
  return { ...nest, body: [forLoop('grid.x', group, [threads])] }
}

/**
 * One thread per row, as `each`, of kernels whose rows are long: neighbouring threads have neighbouring rows of the innermost axis that there are
 * several of, workgroups the other axes. Undefined where these are more than two.
 */
export function alone(kernel: StageKernel): NestKernel | undefined {
  const { nest, loops, body } = rowsOf(kernel)
  const own = loops.findLast((v) => !isUnit(v)) ?? loops.at(-1)
  const others = loops.filter((v) => v !== own && !isUnit(v))
  if (own === undefined || others.length > 2) return undefined
  const group = loopSymbol('group', ceilDiv(extentOf(own), THREADS))
  const lane = loopSymbol('lane', THREADS)
  const i = add(mul(THREADS, of(group)), lane)
  const units = loops.filter((v) => v !== own && isUnit(v)).map((v): [Sym, Ix] => [v, con(0)])
  const inner = body.map(copier(new Map([[own, i], ...units])).stmt)
  const threads = forLoop('local.x', lane, below(i, extentOf(own), inner))
  const groups = forLoop('grid.x', group, [threads])
  const kinds = ['grid.y', 'grid.z'] as const
  return { ...nest, body: [others.reduceRight((s, v, d) => forLoop(kinds[d], v, [s]), groups)] }
}

/** The loops over the rows that all stages share, and what is done for one. */
function rowsOf(kernel: StageKernel): {
  readonly nest: NestKernel
  readonly loops: readonly Sym[]
  readonly body: readonly Stmt[]
} {
  const nest = naiveNest(kernel)
  const loops: Sym[] = []
  let body: readonly Stmt[] = nest.body
  // They are the outermost ones, one inside the other.
  for (let left = arrange(kernel).outer.length; left > 0; left--) {
    const [s] = body
    if (body.length !== 1 || s.k !== 'for' || s.reduces) break
    loops.push(s.v)
    body = s.body
  }
  return { nest, loops, body }
}
