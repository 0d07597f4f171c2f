/** What every kernel in JavaScript gets: f64 values between loads and stores, nothing computed twice or inside a loop without need. */
import { naiveNest } from '../../../src/kernel/build.ts'
import type { NestKernel } from '../../../src/kernel/nest.ts'
import { cse, hoist, scalarise, simplify, tighten, widen } from '../../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { reciprocals } from './chains.ts'
import { tidy } from './tidy.ts'

type Rewrite = (nest: NestKernel) => NestKernel
const rewrites: readonly Rewrite[] = [simplify, scalarise, widen, tighten, reciprocals, cse, hoist, cse, tidy]

export const finish = (nest: NestKernel): NestKernel => rewrites.reduce((made, rewrite) => rewrite(made), nest)

/** Loops as they stand: what packing needs, which runs once. */
export const plainSchedule = (kernel: StageKernel): NestKernel => finish(naiveNest(kernel))
