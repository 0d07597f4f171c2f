/**
 * The best blocked JavaScript matmul we know, written by hand: 4 x 4 sums in float64 locals, the right operand packed in panels of four columns
 * (bench/experiments/contraction.mjs compares the alternatives). What emitted code is measured against.
 */
export interface Problem {
  readonly m: number
  readonly k: number
  readonly n: number
}

// prettier-ignore
/** c[m, n] = a[m, k] b[k, n]; m and n are multiples of 4, b lies at (n / 4, k, n % 4). */
export function blockedMatmul(a: Float32Array, b: Float32Array, c: Float32Array, { m, k, n }: Problem): void {
  for (let i = 0; i < m; i += 4) {
    const r0 = i * k, r1 = r0 + k, r2 = r1 + k, r3 = r2 + k
    for (let j = 0; j < n; j += 4) {
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0
      let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0
      for (let p = 0, q = j * k; p < k; p++, q += 4) {
        const b0 = b[q], b1 = b[q + 1], b2 = b[q + 2], b3 = b[q + 3]
        const a0 = a[r0 + p], a1 = a[r1 + p], a2 = a[r2 + p], a3 = a[r3 + p]
        s00 += a0 * b0; s01 += a0 * b1; s02 += a0 * b2; s03 += a0 * b3
        s10 += a1 * b0; s11 += a1 * b1; s12 += a1 * b2; s13 += a1 * b3
        s20 += a2 * b0; s21 += a2 * b1; s22 += a2 * b2; s23 += a2 * b3
        s30 += a3 * b0; s31 += a3 * b1; s32 += a3 * b2; s33 += a3 * b3
      }
      const o0 = i * n + j, o1 = o0 + n, o2 = o1 + n, o3 = o2 + n
      c[o0] = s00; c[o0 + 1] = s01; c[o0 + 2] = s02; c[o0 + 3] = s03
      c[o1] = s10; c[o1 + 1] = s11; c[o1 + 2] = s12; c[o1 + 3] = s13
      c[o2] = s20; c[o2 + 1] = s21; c[o2 + 2] = s22; c[o2 + 3] = s23
      c[o3] = s30; c[o3 + 1] = s31; c[o3 + 2] = s32; c[o3 + 3] = s33
    }
  }
}
