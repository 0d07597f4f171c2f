/**
 * How WebAssembly computes, for derived error bounds: IEEE f32, round to nearest; quotients and square roots are exact to half a unit.
 * Functions are our own (`math.ts`); the numbers cover what was measured (docs/targets/wasm.md has the table).
 */
import type { FloatRules } from '../../src/target.ts'

export const floats: FloatRules = {
  roundoff: 2 ** -24,
  accumulate: 2 ** -24,
  // A quotient may be a product with the reciprocal, which is rounded too.
  ulp: { div: 2, exp: 3, expm1: 4, log: 3, log1p: 4, tanh: 8, erf: 9, sin: 2, cos: 2, pow: 2 },
  expSlope: 0,
  // Exponentials below the normal numbers are 0.
  flush: 2 ** -126,
}
