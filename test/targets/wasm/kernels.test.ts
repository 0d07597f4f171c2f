import { describe, expect, test } from 'vitest'
import { naiveNest } from '../../../src/kernel/build.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { Sym } from '../../../src/types/ix.ts'
import { wasmKernels } from '../../support/wasm-kernels.ts'
import type { WasmKernels } from '../../support/wasm-kernels.ts'
import * as examples from '../../kernel/kernels.ts'
import { P, T } from '../../kernel/kernels.ts'
import { inputsOf, run } from '../../kernel/run.ts'

const exact = { roundoff: 0, accumulate: 0, ulp: {}, expSlope: 0, flush: 0 }

/** The emitted kernel and the naive nest agree at these params; what the nest does not write stays unwritten. */
function expectEqual(
  kernel: StageKernel,
  emitted: WasmKernels,
  params: readonly (readonly [Sym, number])[],
  seed = 1,
): void {
  const values = new Map(params)
  const cells = inputsOf(kernel.args, values, seed)
  const arrays = kernel.args.map((a, i) =>
    a.buffer.of === 'f32' ? Float32Array.from(cells[i].value) : Int32Array.from(cells[i].value),
  )
  emitted.call(0, arrays, kernel.params.map((s) => values.get(s)!)) // prettier-ignore
  const wanted = run(naiveNest(kernel), values, { inputs: cells, rules: exact })
  const results = arrays.filter((_, i) => kernel.args[i].access !== 'read')
  results.forEach((got, r) => {
    for (let i = 0; i < got.length; i++) {
      const want = wanted[r].value[i]
      if (Number.isNaN(want)) {
        if (got instanceof Float32Array) expect(got[i], `${kernel.name} result ${r} at ${i}`).toBeNaN()
      } else if (Math.abs(got[i] - want) > 4e-6 * Math.max(1, Math.abs(want)) || Number.isNaN(got[i])) {
        const at = params.map(([s, n]) => `${s.name} = ${n}`).join(', ')
        expect.fail(`${kernel.name} at ${at}: result ${r} at ${i} is ${got[i]}, expected ${want}\n${emitted.text}`)
      }
    }
  })
}
const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 33]

describe('emitted kernels equal the naive nest', () => {
  test.each([1, 2, 3])('with %i threads', async (threads) => {
    for (const name of ['matmul', 'layernorm', 'softmax', 'embedding', 'permuted'] as const) {
      const { kernel } = examples[name]()
      const emitted = await wasmKernels([kernel], { threads })
      for (const t of sizes) expectEqual(kernel, emitted, [[T, t]], t)
    }
    const { kernel } = examples.attention(2, 8)
    const emitted = await wasmKernels([kernel], { threads })
    for (const t of [1, 2, 3, 31, 32, 33, 65]) for (const p of [0, 1, 31, 40]) expectEqual(kernel, emitted, [[T, t], [P, p]]) // prettier-ignore
  })
})
