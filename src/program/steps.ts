/** Walks over host programs. */
import type { Ix, Sym } from '../types/ix.ts'
import type { KernelArg } from '../kernel/stage.ts'
import { evaluate, symbolsOf } from '../types/ix.ts'
import type { HostStep, Module, Slot } from './types.ts'

export interface Dispatched {
  readonly kernel: number
  readonly args: readonly Slot[]
  readonly label: string
  /** The indices of the loops around. */
  readonly at: ReadonlyMap<Sym, number>
  /** What is repeated around it, outermost first: `layer 3`, `t = 5`. */
  readonly within: readonly string[]
}

/** Each dispatch of a program in order, `layers` and loops unrolled, with the slots of that layer. `dims` gives the lengths of loops. */
export function* dispatchesOf(
  steps: readonly HostStep[],
  dims: (s: Sym) => number,
  layer = 0,
  at: ReadonlyMap<Sym, number> = new Map(),
  within: readonly string[] = [],
): Generator<Dispatched> {
  for (const step of steps) {
    if (step.k === 'layers') {
      for (let i = 0; i < step.count; i++) yield* dispatchesOf(step.body, dims, i, at, [...within, `layer ${i}`])
    } else if (step.k === 'scan') {
      const count = evaluate(step.count, dims)
      for (let i = 0; i < count; i++) {
        const t = step.reverse ? count - 1 - i : i
        const inside = [...within, `${step.t.name} = ${t}`]
        yield* dispatchesOf(step.body, dims, layer, new Map([...at, [step.t, t]]), inside)
      }
    } else {
      const args = step.args.map((s): Slot => (s.k === 'perLayer' ? { k: s.of, name: s.names[layer] } : s))
      yield { kernel: step.kernel, args, label: step.label, at, within }
    }
  }
}

/** The kernels that steps run. */
export const kernelsOf = (steps: readonly HostStep[]): number[] =>
  steps.flatMap((s) => (s.k === 'dispatch' ? [s.kernel] : kernelsOf(s.body)))

/** The module without `run`, for callers who have `prefill` and `step` and need no more; kernels that only `run` has are left to the target to drop. */
export const withoutRun = (module: Module): Module => ({
  ...module,
  programs: module.programs.filter((p) => p.name !== 'run'),
})

/** The same steps with other dispatches. */
export const mapDispatches = (
  steps: readonly HostStep[],
  f: (d: HostStep & { k: 'dispatch' }) => HostStep & { k: 'dispatch' },
): HostStep[] => steps.map((s) => (s.k === 'dispatch' ? f(s) : { ...s, body: mapDispatches(s.body, f) }))

/** Equal for equal steps. */
export const stepsKey = (steps: readonly HostStep[]): string =>
  JSON.stringify(steps, (name, x: unknown) => (name === 'count' || name === 't' ? idOf(x as Ix | Sym | number) : x))
const idOf = (x: Ix | Sym | number): number | string => (typeof x === 'number' ? x : `#${x.id}`)

/** Whether a kernel has few rows in every call: only steps have it, or steps too and none of its results has an axis of positions. */
export function fewRows({ programs, kernels, sequence }: Module, kernel: number): boolean {
  const users = programs.filter((p) => kernelsOf(p.steps).includes(kernel))
  const perPosition = (a: KernelArg): boolean =>
    sequence !== undefined &&
    a.access !== 'read' &&
    a.buffer.shape.some((x) => [...symbolsOf(x)].some((s) => s.name === sequence.T.name))
  return (
    users.every((p) => p.name === 'step') ||
    (users.some((p) => p.name === 'step') && !kernels[kernel].args.some(perPosition))
  )
}
