/** Arithmetic of kernels, counted from their stages. */
import type { Expr } from '../kernel/expr.ts'
import { operands } from '../kernel/expr.ts'
import { inlineStages } from '../kernel/inline.ts'
import { splitPrologue } from '../kernel/prologue.ts'
import type { Stage, StageKernel } from '../kernel/stage.ts'
import { extentOf } from '../kernel/walk.ts'
import type { Ix } from '../types/ix.ts'
import { add, con, mul } from '../types/ix.ts'
import { elements } from '../types/shape.ts'

/**
 * Floating-point operations of a kernel: each addition, multiplication, comparison, division or function of its stages is one, at every
 * point, and one more for each element that a reduction takes in. A contraction of m × k by k × n is 2 m k n; what a mask or a guard excludes
 * is counted all the same.
 */
export function flopsOf(kernel: StageKernel): Ix {
  // The rows that a contraction makes itself are made once, not for each of its columns.
  const split = splitPrologue(kernel)
  const stages = split ? [...split.rows.stages, ...split.rest.stages] : inlineStages(kernel.stages)
  return stages.reduce((sum: Ix, s) => add(sum, flopsOfStage(s)), con(0))
}

function flopsOfStage({ domain, body }: Stage): Ix {
  const points = elements(domain.map(extentOf))
  switch (body.k) {
    case 'map':
      return mul(points, operationsOf(body.e))
    case 'reduce':
      return mul(points, elements(body.axes.map(extentOf)), operationsOf(body.e) + 1)
    case 'carried': {
      const rows = elements(domain.filter((v) => !body.columns.includes(v)).map(extentOf))
      const chunks = body.chunk.map((s) => {
        // A stage of a chunk meets every element of the axis once: by its domain, by what it reduces, or not at all.
        const axes = s.body.k === 'reduce' ? s.body.axes : []
        return [s.domain, axes].flat().includes(body.axis) ? mul(rows, flopsOfStage(s)) : con(0)
      })
      return add(mul(points, operationsOf(body.finish)), ...chunks)
    }
  }
}

/** Operations on floats of an expression; what occurs twice is computed once. */
function operationsOf(e: Expr, seen = new Set<Expr>()): number {
  if (seen.has(e)) return 0
  seen.add(e)
  const own = (e.k === 'un' || e.k === 'bin') && operands(e).some((x) => x.of === 'f32' || x.of === 'f64') ? 1 : 0
  return operands(e).reduce((n, x) => n + operationsOf(x, seen), own)
}
