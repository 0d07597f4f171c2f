/**
 * The best blocked JavaScript matmul we know, written by hand for products of 768: columns of the right operand are held as float64 in
 * constant scratch, 4 sums in locals run over them for one row at a time (docs/decisions/0004-typescript-register-tile.md compares the
 * alternatives). What emitted code is measured against.
 */
export interface Problem {
  readonly m: number
  readonly n: number
}

export const products = 768
const [K, block] = [products, 64]
const columns = new Float64Array(block * K)
const span = columns.length - 3 * K
const w0 = columns.subarray(0, span)
const w1 = columns.subarray(K, span + K)
const w2 = columns.subarray(2 * K, span + 2 * K)
const w3 = columns.subarray(3 * K, span + 3 * K)
const row = new Float64Array(K)
const tile = new Float64Array(16)

function sums(at: number): void {
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  for (let k = 0; k < 768; k++) {
    const i = (at + k) | 0
    const x = row[k]
    s0 += w0[i] * x
    s1 += w1[i] * x
    s2 += w2[i] * x
    s3 += w3[i] * x
  }
  tile[0] = s0
  tile[1] = s1
  tile[2] = s2
  tile[3] = s3
}

/** c[m, n] = a[m, 768] b[n, 768]; n is a multiple of 64. */
export function blockedMatmul(a: Float32Array, b: Float32Array, c: Float32Array, { m, n }: Problem): void {
  for (let j = 0; j < n; j += block) {
    columns.set(b.subarray(j * K, (j + block) * K))
    for (let i = 0; i < m; i++) {
      row.set(a.subarray(i * K, (i + 1) * K))
      for (let t = 0; t < block; t += 4) {
        sums(t * K)
        const at = i * n + j + t
        c[at] = tile[0]
        c[at + 1] = tile[1]
        c[at + 2] = tile[2]
        c[at + 3] = tile[3]
      }
    }
  }
}
