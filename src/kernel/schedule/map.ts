/** Mapping loops to workgroups and threads. */
import type { Sym } from '../../types/ix.ts'
import { isConst } from '../../types/ix.ts'
import type { LoopKind, NestKernel } from '../nest.ts'
import { visitStmts } from '../walk.ts'
import { IllegalSchedule, replaceLoop, requireIndependent } from './edit.ts'

/** Legal: iterations independent, threads of constant number, no kind twice on one path. That they write disjoint elements, `verify` proves. */
export function mapTo(nest: NestKernel, v: Sym, kind: LoopKind): NestKernel {
  const made = replaceLoop(nest, v, (loop) => {
    if (kind !== 'serial' && kind !== 'unroll') requireIndependent('mapTo', loop)
    if (kind.startsWith('local.') && (isConst(loop.lo) !== 0 || isConst(loop.hi) === undefined)) {
      throw new IllegalSchedule('mapTo', `the number of threads over ${v.name} is not constant`)
    }
    return [{ ...loop, kind }]
  })
  visitStmts(made.body, (s, around) => {
    if (s.k !== 'for' || s.kind === 'serial' || s.kind === 'unroll') return
    const twice = around.find((a) => a.k === 'for' && a.kind === s.kind)
    if (twice !== undefined) throw new IllegalSchedule('mapTo', `${s.v.name} is inside another loop over ${s.kind}`)
  })
  return made
}
