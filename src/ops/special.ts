/** Scalar functions that `Math` lacks, in float64. */

/**
 * The error function 2/√π ∫₀ˣ exp(-t²) dt, within 1e-15. Below 3 by the series 2/√π · exp(-x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·…·(2n+1)), all of
 * whose terms are positive (Abramowitz & Stegun 7.1.6); above by the continued fraction of erfc (7.1.14).
 */
export function erf(x: number): number {
  if (Number.isNaN(x)) return x
  const a = Math.abs(x)
  if (a >= 6) return Math.sign(x)
  const square = a * a
  if (a < 3) {
    let term = a
    let sum = a
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * square) / (2 * n + 1)
      sum += term
    }
    return (Math.sign(x) * 2 * Math.exp(-square) * sum) / Math.sqrt(Math.PI)
  }
  let f = 0
  for (let n = 60; n >= 1; n--) f = n / 2 / (a + f)
  return Math.sign(x) * (1 - Math.exp(-square) / ((a + f) * Math.sqrt(Math.PI)))
}

/** To the nearest integer, ties to even. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x)
  const rest = x - down
  if (rest < 0.5) return down
  if (rest > 0.5) return down + 1
  return down % 2 === 0 ? down : down + 1
}
