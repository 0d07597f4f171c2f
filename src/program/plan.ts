/** Memory: activations share slots by lifetime. A slot is one allocation; its size is a polynomial in the dims. */
import type { Ix } from '../types/ix.ts'
import { proveLe } from '../types/ix.ts'

/** Where a value is written or read: at a step, within loops (each the steps that it runs over), the outermost first. */
export interface Access {
  readonly step: number
  readonly loops: readonly { readonly from: number; readonly to: number }[]
}

/**
 * From the first to the last access, where a loop that holds only some of them counts as a whole: what it reads must be there at every one of
 * its steps, what it stores must stay.
 */
export function lifetimeOf(accesses: readonly Access[]): { readonly from: number; readonly to: number } {
  const [first, ...others] = accesses
  let common = 0
  while (common < first.loops.length && others.every((a) => a.loops[common] === first.loops[common])) common++
  const ranges = accesses.map(({ step, loops }) => loops[common] ?? { from: step, to: step })
  return { from: Math.min(...ranges.map((r) => r.from)), to: Math.max(...ranges.map((r) => r.to)) }
}

/** A value that is written by step `from` and last read by step `to`. */
export interface Lifetime {
  readonly size: Ix
  readonly from: number
  readonly to: number
}

export interface Plan {
  /** The slot of each lifetime, in the order given. */
  readonly slotOf: readonly number[]
  readonly slots: readonly Ix[]
}

/**
 * Linear scan in order of definition. A value takes a free slot of equal size, else the first that is provably large enough, else a
 * new one. Inputs of a step are freed after its outputs are placed, so no step reads what it overwrites. Lowest index wins, which
 * makes repeated layers land on the same slots.
 */
export function planSlots(values: readonly Lifetime[]): Plan {
  const slots: Ix[] = []
  const slotOf: number[] = new Array<number>(values.length).fill(-1)
  const busyUntil: number[] = []
  const order = values.map((_, i) => i).sort((a, b) => values[a].from - values[b].from || a - b)
  for (const i of order) {
    const v = values[i]
    const vacant = (s: number): boolean => busyUntil[s] < v.from
    let best = slots.findIndex((size, s) => vacant(s) && size === v.size)
    if (best < 0) best = slots.findIndex((size, s) => vacant(s) && proveLe(v.size, size))
    if (best < 0) {
      best = slots.length
      slots.push(v.size)
    }
    busyUntil[best] = Math.max(v.to, v.from)
    slotOf[i] = best
  }
  return { slotOf, slots }
}
