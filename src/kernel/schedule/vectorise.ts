/** Which loops become lanes: all that may are tried, and what costs least is kept. What cannot be vectors stays scalar. */
import { Facts } from '../facts.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import { costOf } from './cost.ts'
import { IllegalSchedule } from './edit.ts'
import { inStrips } from './strip.ts'

/**
 * Vectors of four throughout: of two loops around each other either may become the lanes, the inner one (elements side by side, folds in
 * partial results) or the outer one, each lane then running the inner loop for itself.
 */
export function vectorise(nest: NestKernel): NestKernel {
  return { ...nest, body: block(nest.body, Facts.given(nest.params, [])) }
}

function block(body: readonly Stmt[], outer: Facts): readonly Stmt[] {
  let facts = outer
  return body.flatMap((s): readonly Stmt[] => {
    if (s.k === 'for') return best(s, facts)
    if (s.k === 'if') return [{ ...s, body: block(s.body, facts.assume(s.c)) }]
    if (s.k === 'bind') facts = facts.bind(s.v, s.ix)
    return [s]
  })
}

function best(s: For, facts: Facts): readonly Stmt[] {
  let chosen: readonly Stmt[] = [{ ...s, body: block(s.body, facts.enter(s)) }]
  if (s.step !== 1) return chosen
  let cost = costOf(chosen, facts)
  for (const chains of [1, 2, 4]) {
    let tried: readonly Stmt[]
    try {
      tried = inStrips(s, facts, { lanes: 4, chains })
    } catch (e) {
      if (e instanceof IllegalSchedule) return chosen
      throw e
    }
    const now = costOf(tried, facts)
    // Longer code must pay.
    if (now >= cost * (chains === 1 ? 1 : 0.95)) continue
    chosen = tried
    cost = now
  }
  return chosen
}
