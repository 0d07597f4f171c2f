/** Emitted kernels, loaded and run on the same inputs as the naive nest in float64. */
import { expect } from 'vitest'
import { naiveNest } from '../../../src/kernel/build.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { Sym } from '../../../src/types/ix.ts'
import { emitKernelsOnly } from '../../../targets/typescript/host.ts'
import type { ScheduleOptions } from '../../../targets/typescript/recipes.ts'
import { inputsOf, run } from '../../kernel/run.ts'

type Storage = Float32Array | Int32Array
type Run = (...args: (Storage | number)[]) => void
const exact = { roundoff: 0, accumulate: 0, ulp: {}, expSlope: 0, flush: 0 }

export async function load<T>(text: string): Promise<T> {
  return (await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)) as T
}

export async function compile(kernel: StageKernel, options: ScheduleOptions = {}): Promise<Run> {
  const module = await load<Record<string, Run>>(emitKernelsOnly([kernel], 'js', options))
  return module[Object.keys(module)[0]]
}

/** The emitted kernel and the naive nest agree at these params; what the nest does not write stays unwritten. */
export function expectEqual(
  kernel: StageKernel,
  emitted: Run,
  params: readonly (readonly [Sym, number])[],
  seed = 1,
): void {
  const values = new Map(params)
  const cells = inputsOf(kernel.args, values, seed)
  const arrays = kernel.args.map((a, i) =>
    a.buffer.of === 'f32' ? Float32Array.from(cells[i].value) : Int32Array.from(cells[i].value),
  )
  emitted(...arrays, ...kernel.params.map((s) => values.get(s)!))
  const wanted = run(naiveNest(kernel), values, { inputs: cells, rules: exact })
  const results = arrays.filter((_, i) => kernel.args[i].access !== 'read')
  results.forEach((got, r) => {
    for (let i = 0; i < got.length; i++) {
      const want = wanted[r].value[i]
      if (Number.isNaN(want)) {
        if (got instanceof Float32Array) expect(got[i], `${kernel.name} result ${r} at ${i}`).toBeNaN()
      } else if (Math.abs(got[i] - want) > 2e-6 * Math.max(1, Math.abs(want)) || Number.isNaN(got[i])) {
        expect.fail(
          `${kernel.name} at ${params.map(([s, n]) => `${s.name} = ${n}`).join(', ')}: result ${r} at ${i} is ${got[i]}, expected ${want}`,
        )
      }
    }
  })
}
