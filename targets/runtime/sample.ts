/** Errors of kernels as parts of what rounding may cause (at most 1). `passes` do the same in sequence. */
export interface SelftestReport {
  readonly kernels: readonly { readonly name: string; readonly error: number; readonly passes?: readonly string[] }[]
}

/** Element `i` of argument `seed`: Wang's integer hash of both as a number in [-1, 1), or 1, and 0 once in eight, for integers. */
export function sampleInput(seed: number, i: number, integer: boolean): number {
  let x = (Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b)) >>> 0
  x = Math.imul(x ^ (x >>> 16) ^ 61, 9)
  x = Math.imul(x ^ (x >>> 4), 0x27d4eb2d)
  x = (x ^ (x >>> 15)) >>> 0
  return integer ? Number((x & 7) > 0) : Math.fround(x / 2 ** 31 - 1)
}
