import type { ExecuteOptions } from '../../src/kernel/execute.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import { printNest } from '../../src/kernel/print.ts'
import { P, T } from './kernels.ts'
import { run } from './run.ts'

/** Both compute the same, also where nothing is stored. */
export function expectSame(
  a: NestKernel,
  b: NestKernel,
  t: number,
  p: number,
  options: ExecuteOptions = {},
  tolerance = 1e-12,
): void {
  const params = new Map([[T, t], [P, p]]) // prettier-ignore
  const [x, y] = [run(a, params), run(b, params, options)]
  x.forEach((cells, i) => {
    cells.value.forEach((v, at) => {
      const w = y[i].value[at]
      if (!(Number.isNaN(v) && Number.isNaN(w)) && !(Math.abs(v - w) <= tolerance * Math.max(1, Math.abs(v)))) {
        throw new Error(`T=${t}, P=${p}: result ${i} at ${at} is ${w}, not ${v}\n${printNest(b)}`)
      }
    })
  })
}
