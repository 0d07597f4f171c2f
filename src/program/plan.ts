/** Memory: activations share slots by lifetime. A slot is one allocation; its size is a polynomial in the dims. */
import type { Ix } from '../types/ix.ts'
import { proveLe } from '../types/ix.ts'

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
