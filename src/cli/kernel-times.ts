/** How long each kernel of a model takes within a call, where the emitted code is JavaScript that can be listened to. */
import { at, trafficOf } from '../explain/bytes.ts'
import { flopsOf } from '../explain/work.ts'
import { dispatchesOf } from '../program/steps.ts'
import type { Module, ProgramName } from '../program/types.ts'
import type { Artifact } from '../target.ts'
import type { Sym } from '../types/ix.ts'

/** A kernel in one call of a program: how often it ran, for how long, on how much. Bytes count each argument once. */
export interface KernelTime {
  readonly name: string
  readonly calls: number
  readonly milliseconds: number
  readonly flops: number
  readonly bytes: number
}

/** What the instrumented module exports besides. */
export interface Listener {
  /** Milliseconds of each call of a kernel, in order, while it is there. */
  times: number[] | undefined
}

/**
 * The JavaScript of the TypeScript target, with an export `kernelTimes` that listens to the functions which programs call. Undefined for text of
 * another form.
 */
export function listening(artifacts: readonly Artifact[]): readonly Artifact[] | undefined {
  const main = artifacts.find((a) => a.path.endsWith('.js'))
  if (main === undefined) return undefined
  const section = (title: string): string | undefined =>
    new RegExp(`^// -+ ${title} -+\\n([^]*?)(?=^// -+ \\w)`, 'm').exec(main.text)?.[1]
  const [kernels, programs] = [section('Kernels'), section('Programs')]
  if (kernels === undefined || programs === undefined) return undefined
  const names = [...kernels.matchAll(/^function ([\w$]+)\(/gm)].map(([, name]) => name)
  const called = names.filter((name) => new RegExp(`^ *${name.replaceAll('$', '\\$')}\\(`, 'm').test(programs))
  if (called.length === 0) return undefined
  const more = [
    'export const kernelTimes = { times: undefined }',
    'function heard(f) {',
    '  return (...args) => {',
    '    if (kernelTimes.times === undefined) return f(...args)',
    '    const start = performance.now()',
    '    const result = f(...args)',
    '    kernelTimes.times.push(performance.now() - start)',
    '    return result',
    '  }',
    '}',
    ...called.map((name) => `${name} = heard(${name})`),
  ]
  return artifacts.map((a) => (a === main ? { ...a, text: `${a.text}\n${more.join('\n')}\n` } : a))
}

/**
 * What kernels did in a call of `name`, from the times of its dispatches, most time first. Undefined if these are not that program's: a target
 * may cut a dispatch in pieces.
 */
export function kernelTimes(
  module: Module,
  name: ProgramName,
  dims: ReadonlyMap<Sym, number>,
  times: readonly number[],
): KernelTime[] | undefined {
  const program = module.programs.find((p) => p.name === name)
  if (program === undefined) return undefined
  const runs = [...dispatchesOf(program.steps, (s) => dims.get(s) ?? 1)]
  if (runs.length !== times.length) return undefined
  const found = new Map<number, KernelTime>()
  for (const [i, { kernel: index, at: loops }] of runs.entries()) {
    const kernel = module.kernels[index]
    const { read, written } = trafficOf(kernel)
    const sizes = new Map([...dims, ...loops])
    const sum = found.get(index) ?? { name: kernel.name, calls: 0, milliseconds: 0, flops: 0, bytes: 0 }
    found.set(index, {
      name: kernel.name,
      calls: sum.calls + 1,
      milliseconds: sum.milliseconds + times[i],
      flops: sum.flops + at(flopsOf(kernel), sizes),
      bytes: sum.bytes + at(read, sizes) + at(written, sizes),
    })
  }
  return [...found.values()].sort((a, b) => b.milliseconds - a.milliseconds)
}

/** How many kernels a program runs; none where there is no such program. */
export function dispatchCount(module: Module, name: ProgramName, dims: ReadonlyMap<Sym, number>): number {
  const program = module.programs.find((p) => p.name === name)
  return program === undefined ? 0 : [...dispatchesOf(program.steps, (s) => dims.get(s) ?? 1)].length
}
