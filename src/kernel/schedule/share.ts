/** Rows shared out among threads. */
import type { Ix, Sym } from '../../types/ix.ts'
import { coefficientOf, con, mod, of } from '../../types/ix.ts'
import { offsetOf } from '../address.ts'
import { Facts } from '../facts.ts'
import type { For, LoopKind, NestKernel } from '../nest.ts'
import { races } from '../races.ts'
import { exprsOf, indicesOf, ownIndices, symbolsOfExpr, visitExpr, visitStmts } from '../walk.ts'
import { coalesce } from './coalesce.ts'
import { IllegalSchedule } from './edit.ts'
import { mapTo } from './map.ts'

/**
 * The outermost loops as loops that threads share. Loops around each other become one, so that there is something to share also where the
 * outer one has a single iteration; the innermost only where addresses stay linear. A nest that cannot be shared stays as it is.
 */
export function shareRows(nest: NestKernel, kind: LoopKind = 'thread'): NestKernel {
  let made = nest
  for (const s of nest.body) if (s.k === 'for') made = shareLoop(made, s, kind)
  const shared = made !== nest && races(made, Facts.given(made.params, [])).length === 0
  return shared ? made : nest
}

function shareLoop(nest: NestKernel, outermost: For, kind: LoopKind): NestKernel {
  let made = nest
  let loop = outermost
  try {
    for (let inner = onlyLoop(loop); inner !== undefined; inner = onlyLoop(loop)) {
      const joined = coalesce(made, loop.v, inner.v)
      const next = joined.nest.body.find((s): s is For => s.k === 'for' && s.v === joined.v)!
      // Of a quotient or remainder, a condition says little.
      if (isGuarded(next)) break
      // Steps of several vectors do not go on in the next row.
      if (!next.body.some((s) => s.k === 'for') && (!isLinear(next) || mod(inner.hi, 16) !== con(0))) break
      made = joined.nest
      loop = next
    }
  } catch (e) {
    if (!(e instanceof IllegalSchedule)) throw e
  }
  try {
    return mapTo(made, loop.v, kind)
  } catch (e) {
    if (e instanceof IllegalSchedule) return nest
    throw e
  }
}

const onlyLoop = (loop: For): For | undefined =>
  loop.body.length === 1 && loop.body[0].k === 'for' ? loop.body[0] : undefined

function isGuarded(loop: For): boolean {
  let found = false
  visitStmts(loop.body, (s) => (found ||= s.k === 'if' && symbolsOfExpr(s.c).has(loop.v)))
  return found
}

/** Whether all addresses are linear in the loop's symbol, and nothing else depends on it. */
function isLinear(loop: For): boolean {
  const v: Sym = loop.v
  const linear = (x: Ix): boolean => coefficientOf(x, v) !== undefined
  let all = true
  visitStmts(loop.body, (s) => {
    if (s.k === 'store') all &&= linear(offsetOf(s.buf, s.at))
    else all &&= ownIndices(s).every((x) => linear(x))
    for (const e of exprsOf(s)) {
      visitExpr(e, (x) => {
        if (x.k === 'load') all &&= linear(offsetOf(x.buf, x.at))
        else all &&= indicesOf(x).every((y) => y === of(v) || linear(y))
      })
    }
  })
  return all
}
