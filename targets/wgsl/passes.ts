/**
 * Passes: a variant of a kernel that is several dispatches in sequence, each a kernel of its own, which hand data over through scratch
 * (docs/decisions/0014). Modules and programs know nothing of it; where tables are printed, a step becomes a line for each pass.
 */
import { storageOf } from '../../src/kernel/address.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { kernelsOf } from '../../src/program/steps.ts'
import type { Module, Program } from '../../src/program/types.ts'
import type { Condition } from '../../src/target.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { con, evaluate, max } from '../../src/types/ix.ts'
import type { PassTest } from '../shared/selftest.ts'
import { quote } from '../shared/text.ts'
import type { PartOf } from './by-part.ts'
import type { Dims, PrintedKernel } from './kernel.ts'
import { printKernel } from './kernel.ts'
import type { Scheduled } from './recipes.ts'
import type { Alternative } from './runtime/device.ts'

/** A dispatch: its arguments are some of those of the kernel that it is a part of, and scratch. */
export interface Pass {
  readonly kernel: StageKernel
  readonly scheduled: Scheduled
  /** The part of an argument that a buffer of it stands for. */
  readonly part?: PartOf
}
export interface Passes {
  /** In order. What one leaves in scratch the next ones read; nothing needs it after the last. */
  readonly list: readonly Pass[]
  /** Global buffers; sizes are polynomials in dims. */
  readonly scratch: readonly Buffer[]
  /** Elements of scratch at any dims, as many as its shape says where the passes run. Absent: that of its shape everywhere. */
  readonly sizes?: readonly Ix[]
  /** Taken where this holds, the kernel's other variants elsewhere. Absent: always. */
  readonly where?: Condition
  /** Taken on devices that do better with it only. */
  readonly when?: Alternative
}

/** Which part of an argument a dispatch takes, where that is one of several. */
export interface TakenPart {
  readonly part?: { readonly argument: number; readonly number: number }
}
/** A pass as it is printed. */
export interface PrintedPass extends TakenPart {
  readonly kernel: StageKernel
  readonly printed: PrintedKernel
  /** Numbers of the kernel's arguments; behind the last of them comes scratch. */
  readonly args: readonly number[]
}
/** The parts of an argument that a dispatch takes, of so many. */
export const partsTaken = ({ part }: TakenPart, argument: number, count: number): readonly number[] =>
  part?.argument === argument ? [part.number] : Array.from({ length: count }, (_, i) => i)
export interface PrintedPasses {
  readonly list: readonly PrintedPass[]
  /** Elements of each buffer of scratch. */
  readonly scratch: readonly Ix[]
  readonly where?: Condition
  readonly when?: Alternative
}

/** The passes of a kernel. `taken` are the names of kernels so far. */
export function printPasses(
  kernel: StageKernel,
  { list, scratch, sizes = scratch.map(storageOf), where, when }: Passes,
  dims: Dims,
  split: readonly (readonly number[] | undefined)[],
  readers: (s: Scheduled) => boolean,
  taken: Set<string>,
): PrintedPasses {
  const all = [...kernel.args.map((a) => a.buffer), ...scratch]
  return {
    list: list.map((pass): PrintedPass => {
      const { part } = pass
      const args = pass.kernel.args.map((a) => all.indexOf(a.buffer === part?.buffer ? part.of : a.buffer))
      if (args.includes(-1)) throw new Error(`internal: ${pass.kernel.name} takes what ${kernel.name} does not have`)
      let { name } = pass.kernel
      while (taken.has(name)) name += '_'
      taken.add(name)
      const argument = part ? all.indexOf(part.of) : -1
      const own = args.map((a) => (a === argument ? undefined : split[a]))
      const printed = printKernel({ ...pass.kernel, name }, pass.scheduled, dims, own, readers(pass.scheduled))
      return {
        kernel: pass.kernel,
        printed: { ...printed, ...(where ? { where } : {}), ...(when ? { when } : {}) },
        args,
        ...(part ? { part: { argument, number: part.number } } : {}),
      }
    }),
    scratch: sizes,
    ...(where ? { where } : {}),
    ...(when ? { when } : {}),
  }
}

/** What hosts have in their table: passes before the kernel's other variants, which run where passes do not. */
export function dispatched(kernels: readonly PrintedKernel[]): readonly PrintedKernel[] {
  return kernels.flatMap((k) => {
    if (k.passes === undefined && k.spread === undefined) return [k]
    const { list = [], where, when } = k.passes ?? {}
    const spread = k.spread?.list.map(({ printed: { where: at, ...printed } }): PrintedKernel =>
      when ? { ...printed, here: at!, unless: when } : { ...printed, where: at! },
    )
    const own: PrintedKernel = {
      ...k,
      ...(where ? { elsewhere: where } : {}),
      ...(when ? { unless: when } : {}),
      ...(k.spread ? { [when ? 'nothere' : 'elsewhere']: k.spread.where } : {}),
    }
    return [...list.map((x) => x.printed), ...(spread ?? []), ...(k.entries.length === 0 ? [] : [own])]
  })
}

/** All that a kernel may run instead of its variants. */
export const passesOf = (k: PrintedKernel): readonly PrintedPasses[] =>
  [k.passes, k.spread].filter((x) => x !== undefined)

/** Programs with their scratch as activation slots behind those that were planned: one for all kernels that have passes. */
export function withScratch(module: Module, kernels: readonly PrintedKernel[]): Module {
  const sizes = (program: Program): readonly Ix[] => {
    const all = [...new Set(kernelsOf(program.steps))].flatMap((k) => (kernels[k] ? passesOf(kernels[k]) : []))
    const count = Math.max(0, ...all.map((x) => x.scratch.length))
    return Array.from({ length: count }, (_, i) => all.reduce((n: Ix, x) => max(n, x.scratch[i] ?? con(0)), con(0)))
  }
  return {
    ...module,
    programs: module.programs.map((program) => ({ ...program, slots: [...program.slots, ...sizes(program)] })),
  }
}

/** How a self-test runs the passes: each with the numbers of the buffers that it takes, a weight in parts being several. */
export function passTest(
  { list, scratch, where, when }: PrintedPasses,
  split: readonly (readonly number[] | undefined)[],
): PassTest {
  const counts = [...split.map((x) => x?.length ?? 1), ...scratch.map(() => 1)]
  const first = counts.map((_, i) => counts.slice(0, i).reduce((n, x) => n + x, 0))
  const text = list.map((x) => {
    const buffers = x.args.flatMap((a) => partsTaken(x, a, counts[a]).map((part) => first[a] + part))
    return `[${[quote(x.printed.name), ...buffers].join(', ')}]`
  })
  return { text: `passes: [${text.join(', ')}]`, scratch, ...(where && !when ? { where } : {}) }
}

/** What a dispatch of a kernel runs at these dims, without alternatives, and on which of its arguments: itself, or its passes. */
export function runsOf(k: PrintedKernel, dims: (s: Sym) => number): readonly Omit<PrintedPass, 'kernel'>[] {
  const { list, where = [], when } = k.spread ?? k.passes ?? { list: [] }
  const passes = list.length > 0 && !when && where.every(([a, b]) => evaluate(a, dims) <= evaluate(b, dims))
  return passes ? list : [{ printed: k, args: [...k.written.keys()] }]
}
/** The entry of a kernel that runs at these dims. */
export function entryAt({ rows, entries }: PrintedKernel, dims: (s: Sym) => number): number {
  const count = rows === undefined ? 0 : evaluate(rows, dims)
  return entries.findIndex((e) => !e.when && (e.upTo === undefined || count <= e.upTo))
}
