/**
 * Reference and targets side by side: whole outputs against the float64 reference within the simulated bound, and each kernel on inputs that are
 * known exactly within its worst-case bound (docs/decisions/0001-error-bounds.md).
 */
import type { Compiled } from '../compile.ts'
import { interpret } from '../interpret/index.ts'
import { deviations } from '../kernel/pairs.ts'
import type { ProgramName } from '../program/types.ts'
import { dispatchesOf } from '../program/steps.ts'
import type { Target } from '../target.ts'
import type { Sym } from '../types/ix.ts'
import { evaluate } from '../types/ix.ts'
import type { Tensor } from '../types/tensor.ts'
import type { Comparison } from './compare.ts'
import { compare } from './compare.ts'
import type { Argument } from './simulate.ts'
import { makeSimulator } from './simulate.ts'

export { deviations }

export interface Subject {
  readonly target: Target
  readonly compiled: Compiled
  /** Runs the emitted module's `run`. */
  readonly run: (inputs: ReadonlyMap<string, Tensor>) => Promise<ReadonlyMap<string, ArrayLike<number>>>
  /** Runs one kernel of the module on its arguments, which it changes in place. */
  readonly kernel?: (
    index: number,
    args: readonly (Float32Array | Int32Array)[],
    params: readonly number[],
  ) => Promise<void>
}
export interface OutputRow {
  readonly target: string
  readonly fused: boolean
  readonly output: string
  readonly comparison: Comparison
}
export interface KernelRow {
  readonly target: string
  readonly fused: boolean
  readonly program: ProgramName
  readonly dispatch: number
  readonly kernel: string
  readonly label: string
  readonly result: string
  readonly comparison: Comparison
}
export interface DiffOptions {
  readonly inputs: ReadonlyMap<string, Tensor>
  readonly tensor: (name: string) => ArrayLike<number>
  readonly fused: boolean
  readonly onKernel?: (done: number, total: number) => void
}

/** The reference's outputs in float64. */
export function referenceOutputs(
  compiled: Compiled,
  options: Pick<DiffOptions, 'inputs' | 'tensor'>,
): { outputs: ReadonlyMap<string, Tensor>; dims: ReadonlyMap<Sym, number> } {
  const shapes = new Map(compiled.graph.params.map((p) => [p.name, p.shape]))
  const params = {
    get: (name: string): Tensor | undefined => {
      const shape = shapes.get(name)
      return shape && { dtype: 'f32', shape, data: Float64Array.from(options.tensor(name)) }
    },
  }
  const { outputs, dims } = interpret(compiled.graph, { inputs: options.inputs, params })
  return { outputs, dims }
}

/** Compares each output of a target with the reference. */
export async function diffOutputs(
  subject: Subject,
  options: DiffOptions,
  reference: ReturnType<typeof referenceOutputs>,
): Promise<OutputRow[]> {
  const { compiled, target } = subject
  const simulator = makeSimulator({
    module: compiled.lowered.module,
    rules: target.floats,
    mode: 'rms',
    tensor: options.tensor,
  })
  const inputs = new Map([...options.inputs].map(([name, t]) => [name, t.data]))
  const bounds = simulator.run('run', { inputs, dims: reference.dims })
  const got = await subject.run(options.inputs)
  return [...reference.outputs].map(([output, want]): OutputRow => {
    const error = bounds.get(output)!.error
    const bound = (i: number): number => deviations * error[i] + target.floats.roundoff * Math.abs(want.data[i])
    return {
      target: target.name,
      fused: options.fused,
      output,
      comparison: compare(got.get(output)!, want.data, bound, want.shape),
    }
  })
}

interface Snapshot {
  readonly dispatch: number
  readonly before: readonly (Float32Array | Int32Array)[]
  readonly after: readonly Argument[]
  readonly want: readonly { readonly value: Float64Array; readonly error: Float64Array }[]
}

/** Compares each kernel of program `run` on its own. */
export async function diffKernels(
  subject: Subject,
  options: DiffOptions,
  dims: ReadonlyMap<Sym, number>,
): Promise<KernelRow[]> {
  const { compiled, target, kernel } = subject
  if (kernel === undefined) return []
  const { module } = compiled.lowered
  const simulator = makeSimulator({ module, rules: target.floats, mode: 'worst', tensor: options.tensor })
  const snapshots: Snapshot[] = []
  let before: (Float32Array | Int32Array)[] = []
  const program: ProgramName = 'run'
  simulator.run(program, {
    inputs: new Map([...options.inputs].map(([name, t]) => [name, t.data])),
    dims,
    before: (_, args) => {
      before = args.map(({ cells, buffer }) => {
        cells.error.fill(0)
        if (buffer.of !== 'f32') return Int32Array.from(cells.value)
        const rounded = Float32Array.from(cells.value)
        cells.value.set(rounded)
        return rounded
      })
    },
    after: (dispatch, args) => {
      const want = args.map((a) => ({ value: a.cells.value.slice(), error: a.cells.error.slice() }))
      snapshots.push({ dispatch, before, after: args, want })
    },
  })
  const env = (s: Sym): number => dims.get(s)!
  const order = [...dispatchesOf(module.programs.find((p) => p.name === program)!.steps, env)]
  const rows: KernelRow[] = []
  for (const [n, s] of snapshots.entries()) {
    const { kernel: index, label, at } = order[s.dispatch]
    const k = module.kernels[index]
    await kernel(
      index,
      s.before,
      k.params.map((x) => at.get(x) ?? env(x)),
    )
    for (const [i, a] of k.args.entries()) {
      if (a.access === 'read') continue
      const { value, error } = s.want[i]
      const bound = (e: number): number => error[e] + target.floats.flush
      const shape = a.buffer.layout === undefined ? a.buffer.shape.map((d) => evaluate(d, env)) : [value.length]
      rows.push({
        target: target.name,
        fused: options.fused,
        program,
        dispatch: s.dispatch,
        kernel: k.name,
        label,
        result: a.buffer.name,
        comparison: compare(s.before[i], value, bound, shape),
      })
    }
    options.onKernel?.(n + 1, snapshots.length)
  }
  return rows
}
