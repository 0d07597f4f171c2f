/** One thread per point of the rows that all stages share; what lies inside a row runs in that thread. Right for every kernel. */
import { arrange, naiveNest } from '../../../src/kernel/build.ts'
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { copier, loopSymbol } from '../../../src/kernel/walk.ts'
import type { Sym } from '../../../src/types/ix.ts'
import { add, ceilDiv, mul, of } from '../../../src/types/ix.ts'
import { below, bound, flatten, forLoop } from './kit.ts'

const THREADS = 64

export function each(kernel: StageKernel): NestKernel {
  const nest = naiveNest(kernel)
  const loops: Sym[] = []
  let body: readonly Stmt[] = nest.body
  // The loops over the shared rows are the outermost ones, one inside the other.
  for (let left = arrange(kernel).outer.length; left > 0; left--) {
    const [s] = body
    if (body.length !== 1 || s.k !== 'for' || s.reduces) break
    loops.push(s.v)
    body = s.body
  }
  const flat = flatten(loops)
  const groups = ceilDiv(flat.count, THREADS)
  const group = loopSymbol('group', groups)
  const lane = loopSymbol('lane', THREADS)
  const i = bound('i', add(mul(THREADS, of(group)), lane), mul(THREADS, groups))
  const inner = body.map(copier(flat.at(i.v)).stmt)
  const threads = forLoop('local.x', lane, [i.stmt, ...below(of(i.v), flat.count, inner)])
  return { ...nest, body: [forLoop('grid.x', group, [threads])] }
}
