/** Bounds that a condition filling a loop implies become the loop's own: `for j: if j <= i: …` runs to i. */
import type { NestKernel } from '../nest.ts'
import { conjunction, conjuncts, tightenBounds } from '../bounds.ts'
import { guardBy } from '../build.ts'
import { mapStmts } from '../walk.ts'

/** Legal for serial loops of step 1: excluded iterations did nothing. */
export function tighten(nest: NestKernel): NestKernel {
  const body = mapStmts(nest.body, (s) => {
    const [inside] = s.k === 'for' ? s.body : []
    if (s.k !== 'for' || s.step !== 1 || s.kind !== 'serial' || s.body.length !== 1 || inside.k !== 'if') return [s]
    const t = tightenBounds(s.v, s.lo, s.hi, conjuncts(inside.c))
    if (t.lo === s.lo && t.hi === s.hi) return [s]
    return [{ ...s, lo: t.lo, hi: t.hi, body: guardBy(conjunction(t.rest), inside.body) }]
  })
  return { ...nest, body }
}
