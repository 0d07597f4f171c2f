/** Attention and its like: per row, chunks of keys; within a chunk four keys, then four columns at a time. */
import { naiveNest } from '../../src/kernel/build.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'

export const carriedNest = (kernel: StageKernel): NestKernel => naiveNest(kernel, { chunk: 32 })
