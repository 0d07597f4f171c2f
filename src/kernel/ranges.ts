import { proveLe, proveLt, valuesOf } from '../types/ix.ts'
import type { Expr } from './expr.ts'
import { loadsOf } from './walk.ts'

/** Whether a load is provably within its buffer wherever its symbols are within theirs. */
export function inRange(l: Expr & { k: 'load' }): boolean {
  return (
    l.at.every((x, d) => proveLe(0, x) && proveLt(x, l.buf.shape[d])) &&
    l.at.every((x) => [...valuesOf(x)].every((v) => loadsOf(v.value as Expr).every(inRange)))
  )
}
