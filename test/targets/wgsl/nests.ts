/** Nests with a barrier taken away, which must be seen. */
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import { mapStmts, visitStmts } from '../../../src/kernel/walk.ts'

/** The nest without its nth barrier. */
export function withoutBarrier(nest: NestKernel, n: number): NestKernel {
  let seen = 0
  const body = mapStmts(nest.body, (s): readonly Stmt[] => (s.k === 'barrier' && seen++ === n ? [] : [s]))
  return { ...nest, body }
}
/** How many it has. */
export const barriers = (nest: NestKernel): number => {
  let n = 0
  visitStmts(nest.body, (s) => {
    if (s.k === 'barrier') n++
  })
  return n
}
