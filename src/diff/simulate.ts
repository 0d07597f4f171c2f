/**
 * Runs a module's host programs over its naive nests on (value, error) pairs: the derived error bound of every stored value. Values are float64
 * from exact f32 weights and inputs; errors follow the target's float rules. Sums are bounded in any order, so one simulation
 * holds for every schedule of the kernels.
 */
import type { Buffer } from '../kernel/buffer.ts'
import { naiveNest } from '../kernel/build.ts'
import { storageOf } from '../kernel/address.ts'
import type { Cells, Executor } from '../kernel/execute.ts'
import { compileExecutor } from '../kernel/execute.ts'
import { withHalfErrors } from '../kernel/half.ts'
import type { ErrorMode } from '../kernel/pairs.ts'
import type { StageKernel } from '../kernel/stage.ts'
import { dispatchesOf } from '../program/steps.ts'
import type { Module, ProgramName, Slot } from '../program/types.ts'
import type { FloatRules } from '../target.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { evaluate } from '../types/ix.ts'
import { elements } from '../types/shape.ts'

export interface SimulationOptions {
  readonly module: Module
  readonly rules: FloatRules
  readonly mode: ErrorMode
  /** Checkpoint tensors, row-major. */
  readonly tensor: (name: string) => ArrayLike<number>
}

/** Cells of one kernel argument as a dispatch saw or left them. */
export interface Argument {
  readonly slot: Slot
  readonly buffer: Buffer
  readonly cells: Cells
}
export interface RunOptions {
  readonly inputs: ReadonlyMap<string, ArrayLike<number>>
  readonly dims: ReadonlyMap<Sym, number>
  /** Sees each dispatch's arguments; before it runs, so that a caller can put in other inputs, and after. */
  readonly before?: (index: number, args: readonly Argument[]) => void
  readonly after?: (index: number, args: readonly Argument[]) => void
}
export interface Simulator {
  readonly run: (program: ProgramName, options: RunOptions) => ReadonlyMap<string, Cells>
  readonly state: Map<string, Cells>
}

const cells = (n: number): Cells => ({ value: new Float64Array(n), error: new Float64Array(n) })
const exact = (data: ArrayLike<number>): Cells => ({
  value: Float64Array.from(data),
  error: new Float64Array(data.length),
})

export function makeSimulator({ module, rules, mode, tensor }: SimulationOptions): Simulator {
  const executors = new Map<StageKernel, Executor>()
  const executor = (k: StageKernel): Executor => {
    let e = executors.get(k)
    if (e === undefined) executors.set(k, (e = compileExecutor(naiveNest(withHalfErrors(k)), rules, mode)))
    return e
  }
  const weights = new Map<string, Cells>()
  const weight = (name: string): Cells => {
    let w = weights.get(name)
    if (w === undefined) weights.set(name, (w = pack(name)))
    return w
  }
  const pack = (name: string): Cells => {
    const slot = module.weights.find((w) => w.name === name)
    if (slot === undefined) throw new Error(`internal: no weight slot ${name}`)
    if (slot.pack === undefined) return exact(tensor(slot.from[0]))
    const out = cells(evaluate(slot.layout.size, unbound))
    const buffers = new Map(
      slot.pack.args.map((a, i) => [a.buffer, i < slot.from.length ? exact(tensor(slot.from[i])) : out]),
    )
    executor(slot.pack)(buffers, new Map())
    for (let i = 0; i < out.value.length; i++) out.value[i] = Math.fround(out.value[i])
    const least = slot.layout.kept?.as === 'f16' ? (rules.flushHalf ?? 0) : 0
    for (const [i, x] of out.value.entries()) if (Math.abs(x) < least) out.error[i] = Math.abs(x)
    return out
  }

  const state = new Map<string, Cells>()
  const run: Simulator['run'] = (programName, { inputs, dims, before, after }) => {
    const program = module.programs.find((p) => p.name === programName)
    if (program === undefined) throw new Error(`internal: ${module.name} has no program ${programName}`)
    const env = (s: Sym): number => {
      const n = dims.get(s)
      if (n === undefined) throw new Error(`internal: dim ${s.name} is not bound`)
      return n
    }
    const count = (size: Ix): number => evaluate(size, env)
    const slots = program.slots.map((size) => cells(count(size)))
    const outputs = new Map(program.outputs.map((o) => [o.name, cells(count(elements(o.shape)))]))
    const given = new Map([...inputs].map(([name, data]) => [name, exact(data)]))
    for (const { name, shape, fill } of program.inputs)
      if (fill !== undefined && !given.has(name))
        given.set(name, exact(new Float64Array(count(elements(shape))).fill(fill)))
    const cellsOf = (slot: Slot, buffer: Buffer): Cells => {
      switch (slot.k) {
        case 'weight':
          return weight(slot.name)
        case 'input':
          return given.get(slot.name)!
        case 'output':
          return outputs.get(slot.name)!
        case 'activation':
          return slots[slot.index]
        case 'state':
          return grown(slot.name, count(storageOf(buffer)))
        case 'perLayer':
          throw new Error('internal: layers are unrolled here')
      }
    }
    const grown = (name: string, n: number): Cells => {
      const old = state.get(name)
      if (old !== undefined && old.value.length >= n) return old
      const fresh = cells(n)
      if (old !== undefined) {
        fresh.value.set(old.value)
        fresh.error.set(old.error)
      }
      state.set(name, fresh)
      return fresh
    }
    let index = 0
    for (const d of dispatchesOf(program.steps, env)) {
      const kernel = module.kernels[d.kernel]
      const args = kernel.args.map((a, i): Argument => ({
        slot: d.args[i],
        buffer: a.buffer,
        cells: cellsOf(d.args[i], a.buffer),
      }))
      before?.(index, args)
      const values = new Map(kernel.params.map((s) => [s, d.at.get(s) ?? env(s)]))
      executor(kernel)(new Map(args.map((a) => [a.buffer, a.cells])), values)
      after?.(index, args)
      index++
    }
    return outputs
  }
  return { run, state }
}

const unbound = (s: Sym): number => {
  throw new Error(`internal: a weight depends on ${s.name}`)
}
