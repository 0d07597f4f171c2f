/**
 * How WGSL computes, for derived error bounds (WGSL 14.6 "Floating Point Evaluation"): rounding may be directed, so a unit is 2^-23; `a * b + c`
 * may be fused and sums reordered; denormals may be flushed; quotients are within 2.5 units, square roots within those of 1 / inverseSqrt.
 * Functions are our own (`math.ts`): the numbers cover what was measured with exact + - *, and directed rounding of each step.
 */
import type { FloatRules } from '../../src/target.ts'

export const floats: FloatRules = {
  roundoff: 2 ** -23,
  accumulate: 2 ** -23,
  ulp: { div: 2.5, sqrt: 5, exp: 6, expm1: 10, log: 8, log1p: 8, tanh: 10, erf: 10, sin: 8, cos: 8, pow: 200 },
  expSlope: 0,
  flush: 2 ** -126,
  // Intermediate values of `unpack2x16float` may be flushed, too.
  flushHalf: 2 ** -14,
  half: { unit: 2 ** -10, flush: 2 ** -14 },
}
