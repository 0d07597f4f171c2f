/**
 * Rolling: a repeated run of dispatches becomes one `layers` step whose weight and state names are listed per iteration, so that a layer is
 * emitted once. Works on any program, whatever its source looked like.
 */
import type { HostStep, Slot } from './types.ts'

type Dispatch = Extract<HostStep, { k: 'dispatch' }>

/** Equal, or weights or states of one kind that may differ per iteration. */
const rollable = (a: Slot, b: Slot): boolean => {
  if (a.k !== b.k) return false
  if (a.k === 'weight' || a.k === 'state') return true
  if (a.k === 'activation') return b.k === 'activation' && a.index === b.index
  return (a.k === 'input' || a.k === 'output') && 'name' in b && a.name === b.name
}
const same = (a: Dispatch, b: Dispatch): boolean =>
  a.kernel === b.kernel && a.args.length === b.args.length && a.args.every((x, i) => rollable(x, b.args[i]))

/** Longest period that is worth looking for, in dispatches a layer. */
const longestPeriod = 64

export function roll(steps: readonly Dispatch[]): HostStep[] {
  const out: HostStep[] = []
  let i = 0
  while (i < steps.length) {
    const found = bestAt(steps, i)
    if (found === undefined) {
      out.push(steps[i++])
      continue
    }
    const { period, count } = found
    const body: Dispatch[] = []
    for (let j = 0; j < period; j++) {
      const first = steps[i + j]
      const args = first.args.map((slot, a): Slot => {
        if (slot.k !== 'weight' && slot.k !== 'state') return slot
        const names = Array.from({ length: count }, (_, n) => (steps[i + n * period + j].args[a] as typeof slot).name)
        return names.every((n) => n === names[0]) ? slot : { k: 'perLayer', of: slot.k, names }
      })
      body.push({ ...first, args })
    }
    out.push({ k: 'layers', count, body })
    i += period * count
  }
  return out
}

/** The period that saves most when rolling from `start`; undefined if starting later or not at all is as good. */
function bestAt(steps: readonly Dispatch[], start: number): { period: number; count: number } | undefined {
  let best: { period: number; count: number } | undefined
  for (let period = 1; period <= Math.min(longestPeriod, (steps.length - start) / 2); period++) {
    let count = 1
    while (repeats(steps, start, period, count)) count++
    if (count > 1 && (best === undefined || period * (count - 1) > best.period * (best.count - 1)))
      best = { period, count }
  }
  return best
}

function repeats(steps: readonly Dispatch[], start: number, period: number, n: number): boolean {
  if (start + (n + 1) * period > steps.length) return false
  for (let j = 0; j < period; j++) if (!same(steps[start + j], steps[start + n * period + j])) return false
  return true
}
