/** The module as text: kernels, packing, programs, and what calls them. */
import type { Module } from '../../src/program/types.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { assemble } from './assemble.ts'
import { fewRows } from '../../src/program/steps.ts'
import type { TableLayout } from './layout.ts'
import type { Packs } from './packs.ts'
import { controlLines, packLines, programLines } from './programs.ts'
import type { Tuning } from '../../src/target.ts'
import { schedule, type ScheduleOptions } from './recipes.ts'
import { choiceFor } from './tuning.ts'
import { printKernel } from './text/kernel.ts'
import { moduleText } from './text/module.ts'
import { printer } from './text/printer.ts'

export interface Wat {
  readonly text: string
  /** Working storage of a thread. */
  readonly scratch: number
  /** The number of each program of the module, then of packing kernels, then of kernels alone. */
  readonly numbers: { readonly programs: number; readonly packs: number; readonly kernels: number }
}
export interface WatOptions {
  readonly relaxed?: boolean
  /** Whether each kernel can be called alone, for tests. */
  readonly alone?: boolean
  readonly tuning?: Tuning | undefined
  readonly wide?: boolean
}

const scheduled = (kernel: StageKernel, short: boolean, { tuning, wide = false }: WatOptions): ScheduleOptions => {
  const choice = choiceFor(tuning, kernel, short)
  return { short, wide, ...(choice ? { choice } : {}) }
}

/** Names that functions of the module have besides. */
const taken = ['$memory', '$place', '$next_phase', '$next_call', '$barrier', '$perform', '$call', '$serve', '$strange']

export function printWat(
  module: Module,
  table: TableLayout,
  packs: Packs,
  dims: readonly string[],
  options: WatOptions,
): Wat {
  const p = printer({ relaxed: options.relaxed ?? false, taken })
  const kernels = module.kernels.map((k, i) => printKernel(schedule(k, scheduled(k, fewRows(module, i), options)), p))
  const packing = packs.kernels.map((k) => printKernel(schedule(k), p))
  const parts = { module, table, dims, kernels: kernels.map((k) => k.name), p }
  const programNames = module.programs.map((program) => p.names.name(program.name))
  const programs = module.programs.map((program, i) => programLines(program, programNames[i], parts))
  const caller = (k: (typeof packs.kernels)[number], name: string, wish: string) => {
    const made = p.names.name(wish)
    return { name: made, lines: packLines(k, name, made, table.ports, dims) }
  }
  const packers = packs.kernels.map((k, i) => caller(k, packing[i].name, 'packed'))
  const alone = options.alone ? module.kernels.map((k, i) => caller(k, kernels[i].name, 'alone')) : []
  const numbered = [...programNames, ...[...packers, ...alone].map((c) => c.name)]
  const doc = [`${module.name}, compiled by tfm from ${module.source}. Do not edit.`]
  const functions = [
    ...kernels.map((k) => k.lines),
    ...packing.map((k) => k.lines),
    ...[...packers, ...alone].map((c) => c.lines),
    ...programs,
    ...controlLines(numbered),
  ]
  const text = moduleText(p, { doc, functions })
  return {
    text,
    scratch: p.scratchBytes(),
    numbers: { programs: 0, packs: programNames.length, kernels: programNames.length + packers.length },
  }
}

/** Kernels alone, by the names under which the binary exports them. */
export async function kernelsBinary(
  kernels: readonly StageKernel[],
  options: (kernel: number) => ScheduleOptions = () => ({}),
): Promise<{ readonly names: readonly string[]; readonly scratch: number; readonly bytes: Uint8Array<ArrayBuffer> }> {
  const p = printer({ taken })
  const printed = kernels.map((k, i) => printKernel(schedule(k, options(i)), p))
  const exports = new Map(printed.map((k) => [k.name.slice(1), k.name]))
  const text = moduleText(p, { functions: printed.map((k) => k.lines), exports })
  return { names: [...exports.keys()], scratch: p.scratchBytes(), bytes: await assemble(text) }
}
