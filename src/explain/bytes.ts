/** Memory traffic of kernels, counted from their stages: what must be read and written once. */
import { exprsOfStage } from '../kernel/rows.ts'
import type { StageKernel } from '../kernel/stage.ts'
import { storageOf } from '../kernel/address.ts'
import { inlineStages } from '../kernel/inline.ts'
import { loadsOf } from '../kernel/walk.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, evaluate, mul, valuesOf } from '../types/ix.ts'
import { elements } from '../types/shape.ts'

export interface Traffic {
  readonly read: Ix
  readonly written: Ix
}

const bytesPerElement = 4

/**
 * Bytes that a kernel moves if each argument is touched once. A table that is only gathered from counts the gathered rows; a cache that is only
 * appended to counts the new rows.
 */
export function trafficOf(kernel: StageKernel): Traffic {
  const stages = inlineStages(kernel.stages)
  let [read, written] = [con(0), con(0)]
  for (const a of kernel.args) {
    if (a.access !== 'read') {
      const stored = stages.filter((s) => s.out === a.buffer).map((s) => elements(s.domain.map((d) => add(d.hi, 1))))
      const guarded = stages.some((s) => s.out === a.buffer && s.guard !== undefined)
      const whole = elements(a.buffer.shape)
      const size = guarded && a.role !== 'state' ? whole : (stored[0] ?? whole)
      written = add(written, mul(size, bytesPerElement))
      if (a.access === 'write') continue
    }
    read = add(read, mul(readSize(stages, a.buffer), bytesPerElement))
  }
  return { read, written }
}

function readSize(stages: ReturnType<typeof inlineStages>, buffer: Buffer): Ix {
  let gathered: Ix | undefined
  for (const s of stages) {
    for (const l of exprsOfStage(s).flatMap((e) => [...loadsOf(e)])) {
      if (l.buf !== buffer) continue
      if (l.at.every((x) => valuesOf(x).size === 0)) return storageOf(buffer)
      gathered ??= elements(s.domain.map((d) => add(d.hi, 1)))
    }
  }
  return gathered ?? storageOf(buffer)
}

/** A count at concrete dims; dims that are not given are 1. */
export const at = (x: Ix, dims: ReadonlyMap<Sym, number>): number => evaluate(x, (s) => dims.get(s) ?? 1)
