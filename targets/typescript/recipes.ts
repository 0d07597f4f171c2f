/** Schedules by structure: a list of rewrites over the naive nest. Never by what a kernel is called. */
import { fuse, IllegalSchedule } from '../../src/kernel/schedule/index.ts'
import { loopsOf } from '../../src/kernel/walk.ts'
import { naiveNest } from '../../src/kernel/build.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import { carriedNest } from './carried.ts'
import { columnContraction } from './columns.ts'
import { tiledContraction } from './contraction.ts'
import { finish } from '../shared/javascript/finish.ts'

export interface ScheduleOptions {
  /** Few rows: a contraction takes them one by one, eight columns at a time. */
  readonly short?: boolean
}

export function schedule(kernel: StageKernel, { short = false }: ScheduleOptions = {}): NestKernel {
  return finish(shape(kernel, short))
}

function shape(kernel: StageKernel, short: boolean): NestKernel {
  switch (structureOf(kernel).k) {
    case 'contraction':
      return (
        columnContraction(kernel) ??
        tiledContraction(kernel, short ? { rows: 1, columns: 4 } : { rows: 3, columns: 2 }) ??
        naiveNest(kernel)
      )
    case 'carried':
      return carriedNest(kernel)
    case 'rows':
      return fusedLoops(naiveNest(kernel))
    case 'map':
      return naiveNest(kernel)
  }
}

/** Neighbouring loops over the same range in one, where that is legal: what is read again is read once. */
function fusedLoops(nest: NestKernel): NestKernel {
  let made = nest
  for (const s of loopsOf(nest.body)) {
    const inner = s.body.filter((t) => t.k === 'for')
    inner.slice(1).reduce((first, second) => {
      if (first.lo !== second.lo || first.hi !== second.hi) return second
      try {
        made = fuse(made, first.v, second.v)
        return first
      } catch (thrown) {
        if (!(thrown instanceof IllegalSchedule)) throw thrown
        return second
      }
    }, inner[0])
  }
  return made
}
