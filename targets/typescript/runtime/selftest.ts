import { TfmError } from '../../runtime/errors.ts'

// Kernels on made-up inputs, against values that the compiler computed in another way.

/** Per kernel: how far its results were off, as a part of what rounding may cause (at most 1). */
export interface SelftestReport {
  readonly kernels: readonly { readonly name: string; readonly error: number }[]
}
/** `lengths` of the array arguments (negative: integers), which of them are results, the dims, and expected elements of the results. */
export interface KernelTest {
  readonly name: string
  readonly run: (...args: never[]) => void
  readonly lengths: readonly number[]
  readonly dims: readonly number[]
  readonly expect: readonly (readonly [argument: number, at: number, value: number, bound: number])[]
}

/** Element `i` of argument `seed`: Wang's integer hash of both as a number in [-1, 1), or 1, and 0 once in eight, for integers. */
export function sampleInput(seed: number, i: number, integer: boolean): number {
  let x = (Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b)) >>> 0
  x = Math.imul(x ^ (x >>> 16) ^ 61, 9)
  x = Math.imul(x ^ (x >>> 4), 0x27d4eb2d)
  x = (x ^ (x >>> 15)) >>> 0
  return integer ? Number((x & 7) > 0) : Math.fround(x / 2 ** 31 - 1)
}

export function selftest(tests: readonly KernelTest[]): SelftestReport {
  const kernels = tests.map(({ name, run, lengths, dims, expect }) => {
    const args = lengths.map((length, seed) => {
      const array = length < 0 ? new Int32Array(-length) : new Float32Array(length)
      for (let i = 0; i < array.length; i++) array[i] = sampleInput(seed, i, length < 0)
      return array
    })
    ;(run as (...args: unknown[]) => void)(...args, ...dims)
    return { name, error: Math.max(0, ...expect.map(([a, at, value, bound]) => Math.abs(args[a][at] - value) / bound)) }
  })
  const bad = kernels.filter((k) => !(k.error <= 1)).map((k) => `${k.name} (${k.error.toPrecision(3)} times its bound)`)
  if (bad.length > 0) throw new TfmError('TFM2030', `these kernels are wrong on this device: ${bad.join(', ')}`)
  return { kernels }
}
