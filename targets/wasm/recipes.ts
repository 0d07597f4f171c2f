/** Schedules by structure: a list of rewrites over the naive nest. Never by what a kernel is called. */
import { naiveNest } from '../../src/kernel/build.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import { cse, hoist, IllegalSchedule, mapTo, scalarise, simplify, tighten } from '../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import { stagePanels, widenKept } from './kept.ts'
import { tiledContraction } from './recipes/contraction.ts'
import { dotContraction } from './recipes/dots.ts'

export interface ScheduleOptions {
  /** Few rows: a contraction is limited by reading its weights. */
  readonly short?: boolean
  /** Pairs of neighbouring vectors become one of 256 bits: twice the rows fit into registers. */
  readonly wide?: boolean
}

type Rewrite = (nest: NestKernel) => NestKernel
/** What every kernel gets: nothing computed twice or inside a loop without need. */
const finish: readonly Rewrite[] = [simplify, scalarise, tighten, cse, hoist, cse]

export function schedule(kernel: StageKernel, options: ScheduleOptions = {}): NestKernel {
  return finish.reduce((nest, rewrite) => rewrite(nest), widenKept(shape(kernel, options)))
}

function shape(kernel: StageKernel, { short = false, wide = false }: ScheduleOptions): NestKernel {
  const few = short ? dotContraction(kernel) : undefined
  if (few !== undefined) return few
  const made = structureOf(kernel).k === 'contraction' ? tiledContraction(kernel, { rows: wide ? 4 : 2 }) : undefined
  return stagePanels(made ?? threaded(naiveNest(kernel)))
}

/** The outermost loop is shared out among threads, where its iterations may run in any order. */
function threaded(nest: NestKernel): NestKernel {
  const loops = nest.body.filter((s) => s.k === 'for')
  if (loops.length !== 1) return nest
  try {
    return mapTo(nest, loops[0].v, 'thread')
  } catch (e) {
    if (e instanceof IllegalSchedule) return nest
    throw e
  }
}
