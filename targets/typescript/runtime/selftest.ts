import { TfmError } from '../../runtime/errors.ts'
import { sampleInput, type SelftestReport } from '../../runtime/sample.ts'

// Kernels on made-up inputs, against values that the compiler computed in another way.

/** `lengths` of the array arguments (negative: integers), which of them are results, the dims, and expected elements of the results. */
export interface KernelTest {
  name: string
  run: (...args: never[]) => void
  lengths: number[]
  dims: number[]
  expect: [argument: number, at: number, value: number, bound: number][]
}

export function selftest(tests: KernelTest[]): SelftestReport {
  const kernels = tests.map(({ name, run, lengths, dims, expect }) => {
    const args = lengths.map((length, seed) => {
      const array = length < 0 ? new Int32Array(-length) : new Float32Array(length)
      for (let i = 0; i < array.length; i++) array[i] = sampleInput(seed, i, length < 0)
      return array
    })
    run(...([...args, ...dims] as never[]))
    return { name, error: Math.max(0, ...expect.map(([a, at, value, bound]) => Math.abs(args[a][at] - value) / bound)) }
  })
  const bad = kernels.filter((k) => !(k.error <= 1)).map((k) => `${k.name} (${k.error.toPrecision(3)} times its bound)`)
  if (bad.length) throw new TfmError('TFM2030', `these kernels are wrong on this device: ${bad.join(', ')}`)
  return { kernels }
}
