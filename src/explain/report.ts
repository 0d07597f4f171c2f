/** What `tfmc explain` tells: kernels, dispatches and bytes before and after fusion, every fusion taken or refused, memory. */
import type { Compiled } from '../compile.ts'
import { lineOf } from '../diagnostics/span.ts'
import { dispatchesOf } from '../program/steps.ts'
import type { Receipt } from '../lower/partition.ts'
import type { Program, ProgramName } from '../program/types.ts'
import type { Node } from '../ir/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, mul } from '../types/ix.ts'
import { elements } from '../types/shape.ts'
import { at, trafficOf } from './bytes.ts'

export interface KernelLine {
  readonly name: string
  readonly label: string
  /** Dispatches of it in the program. */
  readonly count: number
  readonly operations: readonly string[]
  readonly read: number
  readonly written: number
}
export interface ProgramReport {
  readonly name: ProgramName
  readonly dims: Readonly<Record<string, number>>
  readonly kernels: readonly KernelLine[]
  readonly dispatches: number
  readonly bytes: number
  readonly unfused: { readonly dispatches: number; readonly bytes: number }
  /** Activation slots: their sizes as written and in bytes at `dims`. */
  readonly slots: readonly { readonly elements: Ix; readonly bytes: number }[]
  /** Bytes of inputs and outputs at `dims`. */
  readonly ports: number
}
/** One receipt, with how many times it occurs (layers repeat). */
export interface FusionLine {
  readonly program: ProgramName
  readonly taken: boolean
  readonly law: string
  readonly from: string
  readonly into: string
  readonly reason: string
  readonly count: number
}
export interface Report {
  readonly model: string
  readonly programs: readonly ProgramReport[]
  readonly fusions: readonly FusionLine[]
  readonly weights: { readonly tensors: number; readonly bytes: number; readonly checkpointBytes: number }
  readonly state: readonly { readonly name: string; readonly elements: Ix; readonly bytes: number }[]
  readonly notSteppable?: string
}

export interface ReportOptions {
  /** Sizes of dims by name; others are 1 (`T` of prefill is 64, `P` 64). */
  readonly dims?: Readonly<Record<string, number>>
}

const defaults: Readonly<Record<string, number>> = { B: 1, T: 64, S: 64, P: 64 }

export function report(fused: Compiled, unfused: Compiled, options: ReportOptions = {}): Report {
  const { module, programs } = fused.lowered
  const sizes = { ...defaults, ...options.dims }
  const dimsOf = (c: Compiled): Map<Sym, number> => {
    const all = [...c.graph.dims, ...(c.derived ? [c.derived.past] : [])]
    return new Map(all.map((s) => [s, sizes[s.name] ?? 1]))
  }
  const dims = dimsOf(fused)
  const total = (c: Compiled, p: Program): { dispatches: number; bytes: number } => {
    const env = dimsOf(c)
    const all = [...dispatchesOf(p.steps, (s) => env.get(s) ?? 1)]
    const moved = c.lowered.module.kernels.map((k) => {
      const t = trafficOf(k)
      return at(add(t.read, t.written), env)
    })
    return { dispatches: all.length, bytes: all.reduce((n, d) => n + moved[d.kernel], 0) }
  }
  const reports = programs.map(({ program, dispatches }): ProgramReport => {
    const other = unfused.lowered.module.programs.find((p) => p.name === program.name)!
    const lines = new Map<number, KernelLine>()
    const runs = new Map<number, number>()
    for (const { kernel } of dispatchesOf(program.steps, (s) => dims.get(s) ?? 1))
      runs.set(kernel, (runs.get(kernel) ?? 0) + 1)
    for (const d of dispatches) {
      const known = lines.get(d.kernel)
      if (known) {
        lines.set(d.kernel, { ...known, label: d.label })
        continue
      }
      const t = trafficOf(module.kernels[d.kernel])
      lines.set(d.kernel, {
        name: module.kernels[d.kernel].name,
        label: d.label,
        count: runs.get(d.kernel) ?? 0,
        operations: operationsOf(d.nodes),
        read: at(t.read, dims),
        written: at(t.written, dims),
      })
    }
    return {
      name: program.name,
      dims: Object.fromEntries(
        [...dims].filter(([s]) => program.name !== 'step' || s.name !== 'T').map(([s, n]) => [s.name, n]),
      ),
      kernels: [...lines.values()],
      ...total(fused, program),
      unfused: total(unfused, other),
      slots: program.slots.map((s) => ({ elements: s, bytes: 4 * at(s, dims) })),
      ports: [...program.inputs, ...program.outputs].reduce((n, p) => n + 4 * at(elements(p.shape), dims), 0),
    }
  })
  return {
    model: module.name,
    programs: reports,
    fusions: programs.flatMap((p) => condensed(p.program.name, p.receipts)),
    weights: {
      tensors: module.weights.length,
      bytes: module.weights.reduce((n, w) => n + (w.layout.kept?.bytes ?? 4 * at(w.layout.size, dims)), 0),
      checkpointBytes: 4 * module.params.reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0),
    },
    state: module.state.map((s) => ({
      name: s.name,
      elements: elements(s.shape),
      bytes: at(mul(elements(s.shape), con(4)), dims),
    })),
    ...(module.notSteppable ? { notSteppable: module.notSteppable } : {}),
  }
}

const nameOf = (n: Node): string => {
  const what = [n.origin.scope, n.origin.name ?? n.op].filter((s) => s !== '').join('.')
  return `${what} (${n.op}, line ${lineOf(n.origin.span)})`
}
const operationsOf = (nodes: readonly Node[]): string[] => [...nodes].sort((a, b) => a.id - b.id).map((n) => n.op)

function condensed(program: ProgramName, receipts: readonly Receipt[]): FusionLine[] {
  const lines = new Map<string, FusionLine>()
  for (const r of receipts) {
    const line = { program, taken: r.taken, law: r.law, from: nameOf(r.from), into: nameOf(r.into), reason: r.reason }
    const key = Object.values(line).join('|')
    lines.set(key, { ...line, count: (lines.get(key)?.count ?? 0) + 1 })
  }
  return [...lines.values()]
}
