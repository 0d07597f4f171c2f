import { naiveNest } from '../../src/kernel/build.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
export const schedule = (kernel: StageKernel): NestKernel => naiveNest(kernel)
