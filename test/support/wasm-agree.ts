/** Emitted kernels against the executor of the kernel IR. */
import { expect } from 'vitest'
import { naiveNest } from '../../src/kernel/build.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import type { Sym } from '../../src/types/ix.ts'
import { inputsOf, run } from '../kernel/run.ts'
import type { WasmKernels } from './wasm-kernels.ts'

const exact = { roundoff: 0, accumulate: 0, ulp: {}, expSlope: 0, flush: 0 }

/** The emitted kernel and the naive nest agree at these params; what the nest does not write stays unwritten. */
export function expectEqual(
  kernel: StageKernel,
  emitted: WasmKernels,
  params: readonly (readonly [Sym, number])[],
  seed = 1,
  place = 0,
): void {
  const values = new Map(params)
  const cells = inputsOf(kernel.args, values, seed)
  const arrays = kernel.args.map((a, i) =>
    a.buffer.of === 'f32' ? Float32Array.from(cells[i].value) : Int32Array.from(cells[i].value),
  )
  emitted.call(place, arrays, kernel.params.map((s) => values.get(s)!)) // prettier-ignore
  const wanted = run(naiveNest(kernel), values, { inputs: cells, rules: exact })
  const results = arrays.filter((_, i) => kernel.args[i].access !== 'read')
  results.forEach((got, r) => {
    for (let i = 0; i < got.length; i++) {
      const want = wanted[r].value[i]
      if (Number.isNaN(want)) {
        if (got instanceof Float32Array && !Number.isNaN(got[i]))
          expect.fail(`${kernel.name}: result ${r} at ${i} is written`)
      } else if (Math.abs(got[i] - want) > 4e-6 * Math.max(1, Math.abs(want)) || Number.isNaN(got[i])) {
        const at = params.map(([s, n]) => `${s.name} = ${n}`).join(', ')
        expect.fail(
          `${kernel.name} at ${at}: result ${r} at ${i} is ${got[i]}, expected ${want}\n${emitted.text.slice(0, 6000)}`,
        )
      }
    }
  })
}
