/** Walks over host programs. */
import type { HostStep, Slot } from './types.ts'

/** Each dispatch of a program in order, `layers` unrolled, with the slots of that iteration. */
export function* dispatchesOf(
  steps: readonly HostStep[],
  iteration = 0,
): Generator<{ kernel: number; args: readonly Slot[]; label: string }> {
  for (const step of steps) {
    if (step.k === 'layers') {
      for (let i = 0; i < step.count; i++) yield* dispatchesOf(step.body, i)
    } else {
      const args = step.args.map((s): Slot => (s.k === 'perLayer' ? { k: s.of, name: s.names[iteration] } : s))
      yield { kernel: step.kernel, args, label: step.label }
    }
  }
}
