/** Sizes at given dims. */
import type { Module } from '../program/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { con, evaluate, IxOverflow, substitute } from '../types/ix.ts'

/** The dims of a call. */
export type Env = (s: Sym) => number

/** Exact; infinite beyond what numbers can count. */
export function value(x: Ix, env: Env): number {
  try {
    return evaluate(x, env)
  } catch (thrown) {
    if (thrown instanceof IxOverflow) return Infinity
    throw thrown
  }
}
export const bytesAt = (x: Ix, env: Env): number => 4 * value(x, env)
/** Bytes of the buffer for a tensor: kernels read whole vectors of four. */
export const buffer = (bytes: number): number => Math.max(16, Math.ceil(bytes / 16) * 16)

export interface State {
  readonly name: string
  /** Elements: of one position, where it grows. */
  readonly size: Ix
  readonly grows: boolean
  /** Whether `reorder` gathers its rows. */
  readonly rows: boolean
}
/** `only`: those that do not grow. */
export function statesOf({ state, sequence }: Module, only: boolean): State[] {
  return state.flatMap((s) => {
    const grows = s.axis !== undefined
    if (only && grows) return []
    const one = grows && sequence ? new Map([[sequence.T, con(1)], [sequence.past, con(0)]]) : new Map<Sym, Ix>() // prettier-ignore
    return [{ name: s.name, size: substitute(s.layout.size, one), grows, rows: s.rows === true }]
  })
}

/** Positions that a cache has room for: doubled as they come, as far as a binding goes. */
export function roomFor(positions: number, each: number, max: number, most: number): number {
  return Math.min(
    Math.max(2 ** Math.ceil(Math.log2(positions)), 64),
    max,
    Math.floor((Math.floor(most / 16) * 16) / each),
  )
}
