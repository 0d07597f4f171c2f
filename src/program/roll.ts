/**
 * Rolling: a repeated run of steps becomes one `layers` step whose weight and state names are listed per iteration, so that a layer is
 * emitted once. Works on any program, whatever its source looked like.
 */
import type { HostStep, Slot } from './types.ts'

/** What is not rolled yet. */
type Step = Exclude<HostStep, { k: 'layers' }>

/** Equal, or weights or states of one kind that may differ per iteration. */
const rollable = (a: Slot, b: Slot): boolean => {
  if (a.k !== b.k) return false
  if (a.k === 'weight' || a.k === 'state') return true
  if (a.k === 'perLayer') return false
  if (a.k === 'activation') return b.k === 'activation' && a.index === b.index
  return (a.k === 'input' || a.k === 'output') && 'name' in b && a.name === b.name
}
const same = (a: HostStep, b: HostStep): boolean => {
  if (a.k === 'dispatch')
    return (
      b.k === 'dispatch' &&
      a.kernel === b.kernel &&
      a.args.length === b.args.length &&
      a.args.every((x, i) => rollable(x, b.args[i]))
    )
  if (a.k === 'scan' && b.k === 'scan' && (a.t !== b.t || a.count !== b.count || a.reverse !== b.reverse)) return false
  // Layers in a loop stay as they are.
  return (
    a.k === 'scan' && b.k === 'scan' && a.body.length === b.body.length && a.body.every((x, i) => same(x, b.body[i]))
  )
}

/** One step for several that are the same but for the names of weights and states. */
function joined(steps: readonly HostStep[]): HostStep {
  const [first] = steps
  if (first.k !== 'dispatch') {
    const bodies = steps.map((s) => (s as typeof first).body)
    return { ...first, body: first.body.map((_, i) => joined(bodies.map((b) => b[i]))) }
  }
  const args = first.args.map((slot, a): Slot => {
    if (slot.k !== 'weight' && slot.k !== 'state') return slot
    const names = steps.map((s) => ((s as typeof first).args[a] as typeof slot).name)
    return names.every((n) => n === names[0]) ? slot : { k: 'perLayer', of: slot.k, names }
  })
  return { ...first, args }
}

/** Longest period that is worth looking for, in steps a layer. */
const longestPeriod = 64

export function roll(steps: readonly Step[]): HostStep[] {
  const out: HostStep[] = []
  let i = 0
  while (i < steps.length) {
    const found = bestAt(steps, i)
    if (found === undefined) {
      out.push(steps[i++])
      continue
    }
    const { period, count } = found
    const body = Array.from({ length: period }, (_, j) =>
      joined(Array.from({ length: count }, (_, n) => steps[i + n * period + j])),
    )
    out.push({ k: 'layers', count, body })
    i += period * count
  }
  return out
}

/** The period that saves most when rolling from `start`; undefined if starting later or not at all is as good. */
function bestAt(steps: readonly Step[], start: number): { period: number; count: number } | undefined {
  let best: { period: number; count: number } | undefined
  for (let period = 1; period <= Math.min(longestPeriod, (steps.length - start) / 2); period++) {
    let count = 1
    while (repeats(steps, start, period, count)) count++
    if (count > 1 && (best === undefined || period * (count - 1) > best.period * (best.count - 1)))
      best = { period, count }
  }
  return best
}

function repeats(steps: readonly Step[], start: number, period: number, n: number): boolean {
  if (start + (n + 1) * period > steps.length) return false
  for (let j = 0; j < period; j++) if (!same(steps[start + j], steps[start + n * period + j])) return false
  return true
}
