import type { FloatRules } from '../../src/target.ts'

/**
 * Every value between a load and a store is float64; stores round to float32. V8's transcendental functions are fdlibm's, within 1 ulp of
 * float64; exp (2e-13), expm1, tanh (2e-11) and erf (2e-10) are our own (`shared/javascript/math.ts`), stated here in units of the roundoff of
 * float32.
 */
export const floats: FloatRules = {
  roundoff: 2 ** -24,
  accumulate: 2 ** -53,
  ulp: { exp: 0.000004, expm1: 0.0004, tanh: 0.0004, erf: 0.004 },
  expSlope: 0,
  // Half the distance of two subnormals.
  flush: 2 ** -150,
}
