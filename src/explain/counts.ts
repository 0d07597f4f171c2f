/**
 * What a call of a program does, kernel by kernel: dispatches, bytes that must move, arithmetic. `tfmc explain` and `tfmc profile` print these
 * numbers; at T = 1 they are those of a token.
 */
import { dispatchesOf } from '../program/steps.ts'
import type { Module, Program } from '../program/types.ts'
import type { Sym } from '../types/ix.ts'
import { argTraffic, at } from './bytes.ts'
import { flopsOf } from './work.ts'

/** Totals of one kernel in one call of a program; bytes count each argument of a dispatch once (`bytes.ts`). */
export interface KernelCount {
  /** Index into the module's kernels. */
  readonly kernel: number
  readonly name: string
  readonly dispatches: number
  /** Bytes of weights read. */
  readonly weights: number
  /** Bytes of state read: caches, and what `prepare` kept. */
  readonly state: number
  /** Bytes of inputs and activations read. */
  readonly other: number
  readonly written: number
  /** Floating-point operations (`work.ts`). */
  readonly flops: number
}

/** The kernels of one call in the order in which they first run. Dims that are not given are 1. */
export function countsOf(module: Module, program: Program, dims: ReadonlyMap<Sym, number>): KernelCount[] {
  const found = new Map<number, KernelCount>()
  const known = new Map<number, Counting>()
  for (const { kernel, at: loops } of dispatchesOf(program.steps, (s) => dims.get(s) ?? 1)) {
    const counting = known.get(kernel) ?? countingOf(module, kernel)
    known.set(kernel, counting)
    const one = counting(loops.size === 0 ? dims : new Map([...dims, ...loops]))
    const sum = found.get(kernel)
    found.set(kernel, sum === undefined ? one : added(sum, one))
  }
  return [...found.values()]
}

/** The sum over kernels, as if they were one of this name. */
export const totalOf = (counts: readonly KernelCount[], name = 'all'): KernelCount =>
  counts.reduce(
    (sum, c) => ({ ...added(sum, c), kernel: -1, name }),
    { kernel: -1, name, dispatches: 0, weights: 0, state: 0, other: 0, written: 0, flops: 0 },
  ) // prettier-ignore

/** All bytes, read and written. */
export const movedBytes = (c: KernelCount): number => c.weights + c.state + c.other + c.written

type Counting = (dims: ReadonlyMap<Sym, number>) => KernelCount

function countingOf({ kernels }: Module, kernel: number): Counting {
  const args = argTraffic(kernels[kernel])
  const flops = flopsOf(kernels[kernel])
  return (dims) => {
    const sum = (of: (a: (typeof args)[number]) => boolean): number =>
      args.filter(of).reduce((n, a) => n + at(a.read, dims), 0)
    return {
      kernel,
      name: kernels[kernel].name,
      dispatches: 1,
      weights: sum((a) => a.role === 'weight'),
      state: sum((a) => a.role === 'state'),
      other: sum((a) => a.role !== 'weight' && a.role !== 'state'),
      written: args.reduce((n, a) => n + at(a.written, dims), 0),
      flops: at(flops, dims),
    }
  }
}

const added = (a: KernelCount, b: KernelCount): KernelCount => ({
  ...a,
  dispatches: a.dispatches + b.dispatches,
  weights: a.weights + b.weights,
  state: a.state + b.state,
  other: a.other + b.other,
  written: a.written + b.written,
  flops: a.flops + b.flops,
})
