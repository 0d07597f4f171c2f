/** Where things lie in linear memory: the control block, and the numbers of tensors in the table of addresses. */
import type { HostStep, Module, Program, Slot } from '../../src/program/types.ts'

/** Bytes of the control block. What threads write lies on cache lines of its own. */
export const control = {
  /** Counts calls; threads wait on it. */
  epoch: 16,
  /** The program of the call; -1 ends a thread. */
  program: 20,
  /** Set by a thread that failed: the others stop. */
  failed: 24,
  /** Threads that sleep until the next call. */
  idle: 28,
  /** Whether thread 0 may sleep: that of a page may not. */
  sleeps: 32,
  arrived: 64,
  phase: 128,
  /** Threads that sleep in the barrier. */
  asleep: 192,
  dims: 256,
} as const
/** The most dims of a call. */
export const mostDims = 192
export const tableStart = 1024

/** Entries of a run of names: entry `base + i * stride` in iteration i. */
export interface Run {
  readonly base: number
  readonly stride: number
}
export interface TableLayout {
  /** Entries of weights come first, then those of state; ports and activations of every program begin here. */
  readonly ports: number
  readonly size: number
  readonly weight: (name: string) => number
  readonly state: (name: string) => number
  /** Entries that repeat others, so that a run has one stride. */
  readonly repeats: readonly { readonly entry: number; readonly of: number }[]
  /** Names in the order of their entries. */
  readonly states: readonly string[]
  readonly run: (slot: Slot & { k: 'perLayer' }) => Run
  /** The entry of a slot that does not change from layer to layer. */
  readonly entry: (program: Program, slot: Exclude<Slot, { k: 'perLayer' }>) => number
}

/** `weightNames` and `stateNames` in the order of their entries; `staged` entries are needed to pack a tensor. */
export function tableLayout(
  module: Module,
  weightNames: readonly string[],
  stateNames: readonly string[],
  staged: number,
): TableLayout {
  const weights = new Map(weightNames.map((name, i) => [name, i]))
  const named = new Set(stateNames)
  for (const p of module.programs) for (const name of statesOf(p.steps)) named.add(name)
  const states = [...named]
  const stateAt = new Map(states.map((name, i) => [name, weights.size + i]))
  const find = (of: 'weight' | 'state', name: string): number => {
    const found = (of === 'weight' ? weights : stateAt).get(name)
    if (found === undefined) throw new Error(`internal: no ${of} ${name}`)
    return found
  }
  const repeats: { entry: number; of: number }[] = []
  const runs = new Map<string, Run>()
  let next = weights.size + states.length
  const place = (slot: Slot & { k: 'perLayer' }): Run => {
    const entries = slot.names.map((name) => find(slot.of, name))
    const stride = entries.length > 1 ? entries[1] - entries[0] : 0
    if (entries.every((e, i) => e === entries[0] + i * stride)) return { base: entries[0], stride }
    const base = next
    for (const of of entries) repeats.push({ entry: next++, of })
    return { base, stride: 1 }
  }
  const key = (slot: Slot & { k: 'perLayer' }): string => JSON.stringify([slot.of, slot.names])
  for (const p of module.programs)
    for (const slot of slotsOf(p.steps))
      if (slot.k === 'perLayer' && !runs.has(key(slot))) runs.set(key(slot), place(slot))
  const ports = next
  const most = Math.max(staged, ...module.programs.map((p) => p.inputs.length + p.outputs.length + p.slots.length))
  return {
    ports,
    size: ports + most,
    weight: (name) => find('weight', name),
    state: (name) => find('state', name),
    repeats,
    states,
    run: (slot) => runs.get(key(slot))!,
    entry: (program, slot) => {
      switch (slot.k) {
        case 'weight':
        case 'state':
          return find(slot.k, slot.name)
        case 'input':
          return ports + indexOf(program.inputs, slot.name)
        case 'output':
          return ports + program.inputs.length + indexOf(program.outputs, slot.name)
        case 'activation':
          return ports + program.inputs.length + program.outputs.length + slot.index
      }
    },
  }
}

function indexOf(ports: Program['inputs'], name: string): number {
  const found = ports.findIndex((p) => p.name === name)
  if (found < 0) throw new Error(`internal: no port ${name}`)
  return found
}
const slotsOf = (steps: readonly HostStep[]): Slot[] =>
  steps.flatMap((s) => (s.k === 'dispatch' ? [...s.args] : slotsOf(s.body)))
const statesOf = (steps: readonly HostStep[]): string[] =>
  slotsOf(steps).flatMap((s) => {
    if (s.k === 'state') return [s.name]
    return s.k === 'perLayer' && s.of === 'state' ? [...s.names] : []
  })
