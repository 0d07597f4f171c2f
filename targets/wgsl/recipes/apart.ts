/**
 * Rows that a contraction reads, as a pass of their own: the first makes them, in scratch, with what else is stored of them; the second is a
 * contraction as any. A dispatch more than `prologue`, and each row is made once: for devices where barriers cost more than dispatches.
 */
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { load } from '../../../src/kernel/expr.ts'
import { mapStage } from '../../../src/kernel/inline.ts'
import type { Split } from '../../../src/kernel/prologue.ts'
import { exprsOfStage } from '../../../src/kernel/rows.ts'
import type { KernelArg, Stage, StageKernel } from '../../../src/kernel/stage.ts'
import { loadsOf, mapper } from '../../../src/kernel/walk.ts'
import type { Passes } from '../passes.ts'
import type { Scheduled } from '../recipes.ts'

export function apart({ rows, operand, rest }: Split, schedule: (k: StageKernel) => Scheduled): Passes {
  const scratch = newBuffer(operand.name, operand.of, 'global', operand.shape)
  const renamed = mapper({ load: (b, at, v) => (b === operand ? load(scratch, at, v) : undefined) })
  const moved = (s: Stage): Stage => ({ ...mapStage(s, renamed), out: s.out === operand ? scratch : s.out })
  const pass = (from: StageKernel, suffix: string, access: KernelArg['access']) => {
    const stages = from.stages.map(moved)
    const read = new Set(stages.flatMap(exprsOfStage).flatMap(loadsOf).map((l) => l.buf)) // prettier-ignore
    const stored = new Set(stages.map((s) => s.out))
    const args = from.args.filter((a) => read.has(a.buffer) || stored.has(a.buffer))
    const kernel: StageKernel = {
      ...from,
      name: `${from.name}_${suffix}`,
      stages,
      args: [
        ...args.map((a) => (stored.has(a.buffer) ? a : { ...a, access: 'read' as const })),
        { buffer: scratch, access, role: 'activation' },
      ],
    }
    return { kernel, scheduled: schedule(kernel) }
  }
  return { list: [pass(rows, 'rows', 'write'), pass(rest, 'products', 'read')], scratch: [scratch] }
}
