import { TfmError } from '../../runtime/errors.ts'
import { sampleInput, type SelftestReport } from '../../runtime/sample.ts'
import { aligned, type Machine } from './machine.ts'

/** The number of a kernel alone, `lengths` of its tensors (negative: integers), the dims, and expected elements of the results. */
export interface KernelTest {
  name: string
  run: number
  lengths: number[]
  dims: Record<string, number>
  expect: [argument: number, at: number, value: number, bound: number][]
}

/** Kernels on made-up inputs, in the memory above `end`, against values that the compiler computed in another way. */
export function selftest(machine: Machine, end: number, tests: readonly KernelTest[]): SelftestReport {
  const kernels = tests.map(({ name, run, lengths, dims, expect }) => {
    let top = end
    const places = lengths.map((length) => {
      const at = top
      top += aligned(4 * Math.abs(length))
      return at
    })
    machine.reach(top)
    const view = (i: number) => (lengths[i] < 0 ? machine.i32 : machine.f32)(places[i], Math.abs(lengths[i]))
    lengths.forEach((length, seed) => {
      const array = view(seed)
      for (let i = 0; i < array.length; i++) array[i] = sampleInput(seed, i, length < 0)
      machine.point(machine.layout.ports + seed, places[seed])
    })
    machine.call(run, dims)
    return { name, error: Math.max(0, ...expect.map(([a, at, value, bound]) => Math.abs(view(a)[at] - value) / bound)) }
  })
  const bad = kernels.filter((k) => !(k.error <= 1)).map((k) => `${k.name} (${k.error.toPrecision(3)} times its bound)`)
  if (bad.length) throw new TfmError('TFM2030', `these kernels are wrong on this device: ${bad.join(', ')}`)
  return { kernels }
}
