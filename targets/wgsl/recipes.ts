/**
 * Schedules by structure: what a kernel computes (a contraction, rows, a carried reduction, points), never what it is called. A kernel has one
 * to three variants for different numbers of rows; the host takes the first whose `upTo` is not exceeded.
 */
import { inlineStages } from '../../src/kernel/inline.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { structureOf } from '../../src/kernel/structure.ts'
import type { Ix } from '../../src/types/ix.ts'
import { isConst } from '../../src/types/ix.ts'
import { carried } from './recipes/carried.ts'
import { few, productOf, tiled } from './recipes/contraction.ts'
import { each } from './recipes/each.ts'
import { epilogueOf } from './recipes/epilogue.ts'
import { rows } from './recipes/rows.ts'

export interface Variant {
  /** What follows the kernel's name: empty for the most general one. */
  readonly suffix: string
  readonly schedule: 'tiled' | 'few' | 'rows' | 'carried' | 'each'
  readonly nest: NestKernel
  /** Taken when the number of rows is at most this. The last variant has none. */
  readonly upTo?: number
}
export interface Scheduled {
  /** What variants are chosen by. */
  readonly rows?: Ix
  readonly variants: readonly Variant[]
}

export interface ScheduleOptions {
  /** Whether the kernel is used with one position per sequence, with many, or both: which numbers of rows to be good at. Default 'many'. */
  readonly used?: 'one' | 'many' | 'both'
}

/** Rows up to which `few` is taken, and how many of them a workgroup makes. */
const FEW = 16
const FEW_ROWS = 4

export function schedule(given: StageKernel, options: ScheduleOptions = {}): Scheduled {
  const kernel: StageKernel = { ...given, stages: inlineStages(given.stages) }
  const structure = structureOf(kernel)
  const only = (name: Variant['schedule'], nest: NestKernel): Scheduled => ({ variants: [{ suffix: '', schedule: name, nest }] })
  switch (structure.k) {
    case 'contraction': {
      const first = kernel.stages[0] === structure.stage && !(structure.stage.body.k === 'reduce' && structure.stage.body.where)
      const epilogue = first ? epilogueOf(structure.stage, structure.epilogue) : undefined
      if (epilogue === undefined) return only('each', each(given))
      const p = productOf(kernel, structure, epilogue)
      const count = isConst(p.rows.count)
      const one: Variant = { suffix: '_one', schedule: 'few', nest: few(p, 1), upTo: 1 }
      const some: Variant = { suffix: '_few', schedule: 'few', nest: few(p, FEW_ROWS), upTo: FEW }
      const many: Variant = { suffix: '', schedule: 'tiled', nest: tiled(p) }
      const wanted = count !== undefined ? (count === 1 ? [one] : count <= FEW ? [some] : [many]) : { one: [one, some], many: [some, many], both: [one, some, many] }[options.used ?? 'many']
      const last = wanted[wanted.length - 1]
      const { upTo: _, ...open } = last
      return { rows: p.rows.count, variants: [...wanted.slice(0, -1), { ...open, suffix: '' }] }
    }
    case 'carried': {
      const nest = carried(kernel)
      return nest === undefined ? only('each', each(given)) : only('carried', nest)
    }
    case 'rows': {
      const nest = rows(kernel)
      return nest === undefined ? only('each', each(given)) : only('rows', nest)
    }
    case 'map':
      return only('each', each(given))
  }
}
