import type { FloatRules } from '../../src/target.ts'

/**
 * Every value between a load and a store is float64; stores round to float32. V8's transcendental functions are fdlibm's, within 1 ulp of
 * float64; erf is our own, 2e-10 (`math.ts`), stated here in units of the roundoff of float32.
 */
export const floats: FloatRules = {
  roundoff: 2 ** -24,
  accumulate: 2 ** -53,
  ulp: { erf: 0.004 },
  expSlope: 0,
  // Half the distance of two subnormals.
  flush: 2 ** -150,
}
