/** How long each kernel of a model takes within a call, on how much. */
import { at, trafficOf } from '../explain/bytes.ts'
import { flopsOf } from '../explain/work.ts'
import type { StageKernel } from '../kernel/stage.ts'
import { dispatchesOf, type Dispatched } from '../program/steps.ts'
import type { Module, ProgramName } from '../program/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { symbolsOf } from '../types/ix.ts'
import type { Heard } from './listen.ts'

/** What a dispatch of a kernel does. Bytes count each argument once. */
export interface Work {
  readonly flops: number
  readonly bytes: number
}
/** One dispatch of a call. */
export interface DispatchTime extends Work {
  readonly name: string
  /** The kernel; none for what a target does besides. */
  readonly kernel: StageKernel | undefined
  readonly entry?: string
  readonly groups?: readonly number[]
  readonly program: ProgramName
  /** `layer 3`. */
  readonly within: readonly string[]
  readonly milliseconds: number
}
/** A kernel in one call of a program: how often it ran, for how long, on how much. */
export interface KernelTime extends Work {
  readonly name: string
  readonly calls: number
  readonly milliseconds: number
}

type Sizes = Readonly<Record<string, number>>

/**
 * The dispatches of programs that ran one after the other, from what was heard. Undefined if that is not what these programs do. Where names were
 * heard, a kernel may have been cut into several dispatches, of one name or of those that `passes` says, and what a program does not know may stand
 * between its kernels.
 */
export function dispatchTimes(
  module: Module,
  programs: readonly ProgramName[],
  sizes: Sizes,
  heard: readonly Heard[],
  passes: ReadonlyMap<string, { readonly of: string; readonly last: boolean }> = new Map(),
): DispatchTime[] | undefined {
  const expected = programs.flatMap((name) => {
    const program = module.programs.find((p) => p.name === name)
    const runs = program === undefined ? [] : [...dispatchesOf(program.steps, (s) => sizes[s.name] ?? 1)]
    return runs.map((d) => ({ ...d, program: name }))
  })
  const work = workOf(module, sizes)
  const out: DispatchTime[] = []
  let next = 0
  for (const { name, ...time } of heard) {
    const d = expected[next]
    const own = d && module.kernels[d.kernel]
    const pass = passes.get(name ?? '')
    if (own && pass?.of === own.name) {
      const done = pass.last ? work(d) : { flops: 0, bytes: 0 }
      out.push({ ...time, entry: name!, ...done, name: own.name, kernel: own, program: d.program, within: d.within })
      if (pass.last) next++
      continue
    }
    if (own && (name === undefined || name === own.name)) {
      out.push({ ...time, ...work(d), name: own.name, kernel: own, program: d.program, within: d.within })
      next++
      continue
    }
    if (name === undefined) return undefined
    const last = out[out.length - 1]
    const more = last?.name === name ? last : { kernel: undefined, program: last?.program ?? programs[0], within: [] }
    out.push({ ...more, ...time, name, flops: 0, bytes: 0 })
  }
  return next === expected.length ? out : undefined
}

/** What dispatches do at given sizes, each kind of dispatch computed once. */
function workOf(module: Module, sizes: Sizes): (d: Dispatched) => Work {
  const known = new Map<string, Work>()
  return ({ kernel, at: loops }) => {
    const key = [kernel, ...[...loops].map(([s, t]) => `${s.name}=${t}`)].join()
    let found = known.get(key)
    if (found === undefined) {
      const k = module.kernels[kernel]
      const { read, written } = trafficOf(k)
      const flops = flopsOf(k)
      const count = (x: Ix): number => at(x, dimsOf([read, written, flops], sizes, loops))
      known.set(key, (found = { flops: count(flops), bytes: count(read) + count(written) }))
    }
    return found
  }
}
const dimsOf = (counts: readonly Ix[], sizes: Sizes, loops: ReadonlyMap<Sym, number>): ReadonlyMap<Sym, number> =>
  new Map([...counts.flatMap((x) => [...symbolsOf(x)]).map((s): [Sym, number] => [s, sizes[s.name] ?? 1]), ...loops])

/** The same by kernel, most time first. */
export function byKernel(dispatches: readonly DispatchTime[]): KernelTime[] {
  const found = new Map<string, KernelTime>()
  for (const { name, milliseconds, flops, bytes } of dispatches) {
    const sum = found.get(name) ?? { name, calls: 0, milliseconds: 0, flops: 0, bytes: 0 }
    found.set(name, {
      name,
      calls: sum.calls + 1,
      milliseconds: sum.milliseconds + milliseconds,
      flops: sum.flops + flops,
      bytes: sum.bytes + bytes,
    })
  }
  return [...found.values()].sort((a, b) => b.milliseconds - a.milliseconds)
}
