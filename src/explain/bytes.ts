/** Memory traffic of kernels, counted from their stages: what must be read and written once. */
import { exprsOfStage } from '../kernel/rows.ts'
import type { KernelArg, StageKernel } from '../kernel/stage.ts'
import { storageOf } from '../kernel/address.ts'
import { inlineStages } from '../kernel/inline.ts'
import { extentOf, loadsOf } from '../kernel/walk.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Ix, Sym } from '../types/ix.ts'
import {
  add,
  coefficientOf,
  con,
  evaluate,
  floorDiv,
  isConst,
  mul,
  proveLe,
  sub,
  symbolsOf,
  valuesOf,
} from '../types/ix.ts'
import { elements } from '../types/shape.ts'

export interface Traffic {
  readonly read: Ix
  readonly written: Ix
}
/** The traffic of one argument. */
export interface ArgTraffic extends Traffic {
  readonly role: KernelArg['role']
}

const bytesPerElement = 4

/**
 * Bytes that a kernel moves if each argument is touched once. A table that is only gathered from, or read along a range of rows, counts those
 * rows; a cache that is only appended to counts the new rows.
 */
export function trafficOf(kernel: StageKernel): Traffic {
  const args = argTraffic(kernel)
  return { read: add(con(0), ...args.map((a) => a.read)), written: add(con(0), ...args.map((a) => a.written)) }
}

/** The same for each argument of the kernel, in order. */
export function argTraffic(kernel: StageKernel): ArgTraffic[] {
  const stages = inlineStages(kernel.stages)
  return kernel.args.map(({ access, buffer, role }) => {
    const read = access === 'write' ? con(0) : readBytes(stages, buffer)
    if (access === 'read') return { role, read, written: con(0) }
    const stored = stages.filter((s) => s.out === buffer).map((s) => elements(s.domain.map((d) => add(d.hi, 1))))
    const guarded = stages.some((s) => s.out === buffer && s.guard !== undefined)
    const whole = elements(buffer.shape)
    const size = guarded && role !== 'state' ? whole : (stored[0] ?? whole)
    return { role, read, written: mul(size, bytesPerElement) }
  })
}

/** Weights in fewer bits count all that is stored of them, or of the rows that are gathered their part of that. */
function readBytes(stages: ReturnType<typeof inlineStages>, buffer: Buffer): Ix {
  const size = readSize(stages, buffer)
  const { kept } = buffer.layout ?? {}
  if (kept === undefined) return mul(size, bytesPerElement)
  return size === storageOf(buffer) ? con(kept.bytes) : floorDiv(mul(size, kept.bytes), storageOf(buffer))
}

function readSize(stages: ReturnType<typeof inlineStages>, buffer: Buffer): Ix {
  const whole = storageOf(buffer)
  let gathered: Ix | undefined
  const touched = new Set<Ix>()
  for (const s of stages) {
    for (const l of exprsOfStage(s).flatMap((e) => [...loadsOf(e)])) {
      if (l.buf !== buffer) continue
      if (l.at.some((x) => valuesOf(x).size > 0)) gathered ??= elements(s.domain.map((d) => add(d.hi, 1)))
      else touched.add(elements(l.at.map((x, i) => spanOf(x) ?? buffer.shape[i])))
    }
  }
  if (touched.size === 0) return gathered ?? whole
  // Several loads at different places may touch more than each.
  const [one] = touched
  return touched.size === 1 && proveLe(one, whole) ? one : whole
}

/** How many places an index takes along its axis; undefined where that is not plain to see. */
function spanOf(x: Ix): Ix | undefined {
  let span: Ix = con(1)
  for (const s of symbolsOf(x)) {
    if (s.role !== 'loop') continue
    const coef = coefficientOf(x, s)
    const n = coef && isConst(coef.coef)
    if (n === undefined) return undefined
    span = add(span, mul(Math.abs(n), sub(extentOf(s), 1)))
  }
  return span
}

/** A count at concrete dims; dims that are not given are 1. */
export const at = (x: Ix, dims: ReadonlyMap<Sym, number>): number => evaluate(x, (s) => dims.get(s) ?? 1)
