/**
 * Contractions in f16 with sums in f32: what it is, and how far it may be off.
 *
 * Of x w, where w is f16, each block of 16 neighbours of a row of x is scaled by a power of two that brings its largest magnitude into [16, 32) and rounded
 * to f16. Products and their sum over the block are f16; the sum, scaled back, is added in f32: a blocked summation in two precisions (Blanchard, Higham
 * and Mary 2020, "A Class of Fast and Accurate Summation Algorithms", SIAM J. Sci. Comput. 42). With |w| <= 120 no sum of a block is beyond
 * 16 * 32 * 120 (1 + 2^-10)^17 < 62,500, whichever way its parts are rounded, so nothing overflows (65,504) whatever the size of x.
 *
 * A product takes part in a rounding of x, its own, and at most 16 of sums: relatively off by (1 + u)^18 - 1 at most (Higham 2002, lemma 3.1); taken for
 * independent, the roundings of a block add up to at most (2 + 1 + 2 + ... + 16) u^2 of the sum of its squared products. What is below 2^-14 when scaled
 * may be flushed to 0, in x, in products and in sums: at most (|w| + 2) 2^-14 for each product, times what the block is scaled back by, which is 1 / 16 of
 * its largest |x| or less.
 */
import type { Expr } from './expr.ts'
import { bin, constant, load, un } from './expr.ts'
import { newBuffer } from './buffer.ts'
import { inlineStages } from './inline.ts'
import type { Stage, StageKernel } from './stage.ts'
import { structureOf } from './structure.ts'
import { extentOf, isUnit, symbolsOfExpr } from './walk.ts'
import { of } from '../types/ix.ts'

/** Products that are summed in f16. */
export const SHORT = 16
/** What a block's largest magnitude is scaled to: from here to twice as much. */
export const SCALED = 16
/** The largest magnitude of a weight. */
export const LARGEST_WEIGHT = 120

/** How a target computes in f16. */
export interface HalfRules {
  /** Unit roundoff. */
  readonly unit: number
  /** Magnitudes below this may be taken for 0. */
  readonly flush: number
}
/** How far a product may be off when it has taken part in all: relatively, and per unit of (|w| + 2) times the largest |x|. */
export function halfErrors(
  { unit, flush }: HalfRules,
  worst: boolean,
): { readonly relative: number; readonly lost: number } {
  const relative = worst ? (1 + unit) ** (SHORT + 2) - 1 : unit * Math.sqrt(2 + (SHORT * (SHORT + 1)) / 2)
  return { relative, lost: ((1 + unit) ** SHORT * flush) / SCALED }
}

/** The contraction of a kernel that may be computed so, and all stages beside it. */
export function halfContraction(kernel: StageKernel) {
  const stages = inlineStages(kernel.stages)
  const structure = structureOf({ ...kernel, stages })
  return structure.k === 'contraction' && structure.b.buf.layout?.kept?.arithmetic === 'f16'
    ? { ...structure, stages }
    : undefined
}

/**
 * The kernel for the error model: the same values; products of such a contraction are off by what f16 may cost (`in_f16`), whichever schedule of it
 * runs. Itself where there is none.
 */
export function withHalfErrors(kernel: StageKernel): StageKernel {
  const c = halfContraction(kernel)
  if (c === undefined || c.stage.body.k !== 'reduce') return kernel
  const { body } = c.stage
  const rows = c.stage.domain.filter((s) => !isUnit(s) && symbolsOfExpr(c.a).has(s))
  const type = body.e.of
  const largest = newBuffer('largest', type, 'virtual', rows.map(extentOf))
  const first: Stage = {
    name: 'largest',
    out: largest,
    domain: rows,
    body: { k: 'reduce', fold: 'max', axes: body.axes, e: un('abs', c.a), empty: 0 },
  }
  const scale: Expr = bin('mul', bin('add', un('abs', c.b), constant(2, type)), load(largest, rows.map(of)))
  const halved: Stage = { ...c.stage, body: { ...body, e: bin('in_f16', body.e, scale) } }
  const at = c.stages.indexOf(c.stage)
  return { ...kernel, stages: [...c.stages.slice(0, at), first, halved, ...c.stages.slice(at + 1)] }
}
