/** Results of a target within the simulated bound of rounding errors. */
import { expect } from 'vitest'
import { deviations } from '../../src/kernel/pairs.ts'
import type { Cells } from '../../src/kernel/execute.ts'
import type { Target } from '../../src/target.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import type { Result } from './tensors.ts'

/** Each element of `got`, and what the kernels simulated in exact arithmetic give, within the bound about `want`. */
export function expectInBounds(got: Result, want: Tensor, simulated: Cells, target: Target, where: string): void {
  expect(got.shape, where).toEqual(want.shape)
  const { value, error } = simulated
  for (let i = 0; i < want.data.length; i++) {
    const bound = deviations * error[i] + 4 * target.floats.roundoff * (1 + Math.abs(want.data[i]))
    const off = Math.max(Math.abs(got.data[i] - want.data[i]), Math.abs(value[i] - want.data[i]))
    if (!(off <= bound))
      throw new Error(`${where}, element ${i}: ${got.data[i]}, simulated ${value[i]}, want ${want.data[i]} ± ${bound}`)
  }
}
