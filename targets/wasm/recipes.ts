/** Schedules by structure: a list of rewrites over the naive nest. Never by what a kernel is called. */
import type { NestKernel } from '../../src/kernel/nest.ts'
import { cse, hoist, scalarise, simplify, tighten } from '../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import type { Choice } from '../../src/target.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import { stagePanels, widenKept } from './kept.ts'
import { carriedNest } from './recipes/carried.ts'
import { tiledContraction } from './recipes/contraction.ts'
import { dotContraction } from './recipes/dots.ts'
import { rowsNest } from './recipes/rows.ts'

export interface ScheduleOptions {
  /** Few rows: a contraction is limited by reading its weights. */
  readonly short?: boolean
  /** Pairs of neighbouring vectors become one of 256 bits: twice the rows fit into registers. */
  readonly wide?: boolean
  /** Instead of what follows from the above. */
  readonly choice?: Choice
}

type Rewrite = (nest: NestKernel) => NestKernel
/** What every kernel gets: nothing computed twice or inside a loop without need. */
const finish: readonly Rewrite[] = [simplify, scalarise, tighten, cse, hoist, cse]

const made = new WeakMap<StageKernel, Map<string, NestKernel>>()

/** Kernels never change, and both forms of a module are printed from the same nests: what was made is kept. */
export function schedule(kernel: StageKernel, options: ScheduleOptions = {}): NestKernel {
  let known = made.get(kernel)
  if (known === undefined) made.set(kernel, (known = new Map()))
  const key = `${options.short ?? false} ${options.wide ?? false} ${options.choice?.rows}`
  let nest = known.get(key)
  if (nest === undefined)
    known.set(key, (nest = finish.reduce((n, rewrite) => rewrite(n), widenKept(shape(kernel, options)))))
  return nest
}

function shape(kernel: StageKernel, { short = false, wide = false, choice }: ScheduleOptions): NestKernel {
  const few = short && choice === undefined ? dotContraction(kernel) : undefined
  if (few !== undefined) return few
  const tiled =
    structureOf(kernel).k === 'contraction' ? tiledContraction(kernel, { wide, rows: choice?.rows }) : undefined
  return stagePanels(tiled ?? carriedNest(kernel) ?? rowsNest(kernel))
}
