/** How many vectors a step of a loop takes. */
import type { Expr } from '../../../src/kernel/expr.ts'
import { operands } from '../../../src/kernel/expr.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import { exprsOf, visitStmts } from '../../../src/kernel/walk.ts'
import { mathFunctions } from '../math.ts'

/** Four where statements compute elementary functions, which are printed side by side (`text/interleave.ts`); else one. */
export function chainsOf(body: readonly Stmt[]): number {
  let long = false
  visitStmts(body, (s) => {
    long ||= exprsOf(s).some(isLong)
  })
  return long ? 4 : 1
}
const isLong = (e: Expr): boolean => (e.k === 'un' && e.f in mathFunctions) || operands(e).some(isLong)
