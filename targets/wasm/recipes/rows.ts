/** Rows and maps: few passes over each row, vectors along it where they can be, rows shared out among threads. */
import { naiveNest } from '../../../src/kernel/build.ts'
import type { NestKernel } from '../../../src/kernel/nest.ts'
import {
  fuseAll,
  hoist,
  reciprocals,
  reuse,
  scalarise,
  shareRows,
  simplify,
  vectorise,
} from '../../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'

type Rewrite = (nest: NestKernel) => NestKernel
const passes: readonly Rewrite[] = [simplify, reuse, scalarise, hoist, fuseAll, shareRows, vectorise, reciprocals]

/** What serves every nest: nothing is known of it. */
export const rowsNest = (kernel: StageKernel): NestKernel => vectorNest(naiveNest(kernel))
export const vectorNest = (nest: NestKernel): NestKernel => passes.reduce((n, rewrite) => rewrite(n), nest)
