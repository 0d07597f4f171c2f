/** What one call of a program costs on a device: dispatches, bytes, operations. */
import { dispatchesOf } from '../program/steps.ts'
import type { Module } from '../program/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { evaluate } from '../types/ix.ts'
import { trafficOf } from './bytes.ts'
import { flopsOf } from './work.ts'

export interface Totals {
  readonly dispatches: number
  /** Those that no layer holds. */
  readonly outside: number
  /** Different kernels. */
  readonly kernels: number
  /** Bytes, each argument of each dispatch once. */
  readonly read: number
  readonly written: number
  readonly flops: number
}

/** The totals of a program at sizes of dims by name; others are 1. Throws if the module has no such program. */
export function dispatchTotals(module: Module, program: string, sizes: Readonly<Record<string, number>>): Totals {
  const found = module.programs.find((p) => p.name === program)
  if (found === undefined) throw new Error(`internal: no program ${program}`)
  const known = module.kernels.map((k) => ({ ...trafficOf(k), flops: flopsOf(k) }))
  const sum = { dispatches: 0, outside: 0, read: 0, written: 0, flops: 0 }
  const kernels = new Set<number>()
  for (const { kernel, at, within } of dispatchesOf(found.steps, (s) => sizes[s.name] ?? 1)) {
    const count = (x: Ix): number => evaluate(x, (s: Sym) => at.get(s) ?? sizes[s.name] ?? 1)
    const { read, written, flops } = known[kernel]
    kernels.add(kernel)
    sum.dispatches++
    if (within.length === 0) sum.outside++
    sum.read += count(read)
    sum.written += count(written)
    sum.flops += count(flops)
  }
  return { ...sum, kernels: kernels.size }
}
