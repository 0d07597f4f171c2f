/** What a nest costs, roughly: operations of one instruction each, to choose between schedules. */
import { INF, range, sub } from '../../types/ix.ts'
import type { BinaryFn, Expr, UnaryFn } from '../expr.ts'
import type { Facts } from '../facts.ts'
import type { For, Stmt } from '../nest.ts'
import { exprsOf, localsOf, tripCount, visitExpr } from '../walk.ts'

/** Iterations of a loop whose extent nobody knows. */
const usual = 64
/** Vectors that fit into registers, with room for operands. */
const registers = 12

const functions: Partial<Record<UnaryFn, number>> = {
  neg: 1, abs: 1, not: 1, sign: 3, floor: 1, ceil: 1, round: 1, sqrt: 6, exp: 12, expm1: 16, log: 14, log1p: 16, sin: 16, cos: 16, tanh: 16, erf: 20,
} // prettier-ignore
const operations: Partial<Record<BinaryFn, number>> = { div: 4, mod: 6, floordiv: 5, pow: 30 }

function costOfNode(e: Expr): number {
  switch (e.k) {
    case 'const':
    case 'local':
      return 0
    case 'index':
      return 0.25
    case 'load':
      return 1
    case 'splat':
      return e.x.k === 'load' || e.x.k === 'const' ? 0 : 1
    case 'vec':
      return e.xs.every((x) => x.k === 'const') ? 0 : e.xs.length - 1
    case 'across':
      return 4
    case 'un':
      return functions[e.f] ?? 1
    case 'bin':
      return operations[e.f] ?? 1
    default:
      return 1
  }
}

/** Of one evaluation; what occurs twice is computed once. */
export function costOfExpr(e: Expr, seen = new Set<Expr>()): number {
  let cost = 0
  visitExpr(e, (x) => (cost += costOfNode(x)), seen)
  return cost
}

export function costOf(body: readonly Stmt[], facts: Facts): number {
  const seen = new Set<Expr>()
  let known = facts
  let cost = 0
  for (const s of body) {
    for (const e of exprsOf(s)) cost += costOfExpr(e, seen)
    if (s.k === 'store') cost += 1
    else if (s.k === 'if') cost += 1 + costOf(s.body, known.assume(s.c))
    else if (s.k === 'for') cost += tripsOf(s, known) * costOfIteration(s, known)
    else if (s.k === 'bind') known = known.bind(s.v, s.ix)
  }
  return cost
}

/** A fold waits for the sum before, a function for its own steps; more vectors than registers are moved to memory and back. */
function costOfIteration(s: For, facts: Facts): number {
  const vectors = new Set<object>()
  let sums = 0
  let steps = 0
  for (const t of s.body) {
    for (const e of exprsOf(t)) {
      for (const v of localsOf(e)) if (v.lanes > 1) vectors.add(v)
      visitExpr(e, (x) => (steps = Math.max(steps, x.k === 'un' ? (functions[x.f] ?? 0) / 2 : 0)))
    }
    if (t.k === 'assign') sums = 4
  }
  const spilled = Math.max(0, vectors.size - registers)
  return Math.max(2 + costOf(s.body, facts.enter(s)) + steps, sums) + 2 * spilled
}

/** How often a loop runs; of what is left over by steps of a larger loop, half of what may be. */
function tripsOf(s: For, facts: Facts): number {
  const exact = tripCount(s)
  if (exact !== undefined) return exact
  if (s.hi === INF) return usual / s.step
  const most = Math.min(range(sub(s.hi, s.lo)).hi, range(sub(facts.refine(s.hi), facts.refine(s.lo))).hi)
  return most < 16 ? most / s.step / 2 : Math.min(most, usual) / s.step
}
