/** Iterations that are independent in memory: what one of them stores, no other one touches. */
import type { Ix, Sym } from '../../types/ix.ts'
import { coefficientOf, INF, isConst, of, range, sub, substitute, sym, valuesOf } from '../../types/ix.ts'
import type { Buffer } from '../buffer.ts'
import type { Expr } from '../expr.ts'
import type { Facts } from '../facts.ts'
import { visitFacts } from '../facts.ts'
import type { For } from '../nest.ts'
import { effectsOf, exprsOf, loadsOf, ownIndices, symbolsOfIx } from '../walk.ts'
import { IllegalSchedule } from './edit.ts'

interface Touch {
  readonly at: readonly Ix[]
  readonly facts: Facts
  readonly stores: boolean
}

/**
 * Throws unless each buffer that the loop stores to, and that outlives an iteration, is touched in one coordinate that tells the iteration.
 * Such a coordinate is c * v + rest, with rests that differ by less than c, or by more than all iterations span; symbols of inner loops take
 * any of their values.
 */
export function requireOwnCells(rewrite: string, loop: For, facts: Facts): void {
  const { writes } = effectsOf(loop.body)
  if (writes.size === 0) return
  const touched = new Map<Buffer, Touch[]>()
  const own = new Set<Buffer>()
  const loops = new Set<Sym>()
  const note = (b: Buffer, t: Touch): void => {
    const list = touched.get(b)
    if (list === undefined) touched.set(b, [t])
    else list.push(t)
  }
  visitFacts(loop.body, facts, (s, known) => {
    if (s.k === 'alloc') own.add(s.buf)
    if (s.k === 'for' || s.k === 'bind') loops.add(s.v)
    const es = [...exprsOf(s), ...ownIndices(s).flatMap((x) => [...valuesOf(x)].map((v) => v.value as Expr))]
    for (const e of es) for (const l of loadsOf(e)) note(l.buf, { at: l.at, facts: known, stores: false })
    if (s.k === 'store') note(s.buf, { at: s.at, facts: known, stores: true })
  })
  for (const [b, list] of touched) {
    // One store in the loop itself: the iterations' stores keep their order.
    if (own.has(b) || !writes.has(b) || (list.length === 1 && loops.size === 0)) continue
    for (const s of list) {
      if (!s.stores) continue
      for (const t of list) {
        if (s.at.some((_, d) => tells(s, t, d, loop, loops))) continue
        throw new IllegalSchedule(rewrite, `iterations over ${loop.v.name} may touch the same element of ${b.name}`)
      }
    }
  }
}

/** Whether two accesses of different iterations differ in coordinate `d`. */
function tells(s: Touch, t: Touch, d: number, loop: For, loops: ReadonlySet<Sym>): boolean {
  if (valuesOf(s.at[d]).size > 0 || valuesOf(t.at[d]).size > 0) return false
  const [a, b] = [coefficientOf(s.at[d], loop.v), coefficientOf(t.at[d], loop.v)]
  const weight = a && isConst(a.coef)
  if (a === undefined || b === undefined || a.coef !== b.coef || weight === undefined || weight === 0) return false
  const { lo, hi } = range(sub(atAny(a.rest, s.facts, loops), atAny(b.rest, t.facts, loops)))
  const reach = Math.abs(weight) * loop.step
  // Farther apart than all iterations take them: the two halves of a row.
  const span = (isConst(sub(loop.hi, loop.lo)) ?? Infinity) * Math.abs(weight)
  return (lo > -reach && hi < reach) || lo >= span || hi <= -span
}

/** An index at any iteration of the inner loops, independently of other accesses. */
function atAny(x: Ix, facts: Facts, loops: ReadonlySet<Sym>): Ix {
  const any = new Map<Sym, Ix>()
  for (const v of symbolsOfIx(x)) {
    if (!loops.has(v)) continue
    const { lo, hi } = range(facts.refine(of(v)))
    any.set(v, of(sym(v.name, { lo, hi: Number.isFinite(hi) ? hi : INF, role: 'loop' })))
  }
  return substitute(x, any)
}
