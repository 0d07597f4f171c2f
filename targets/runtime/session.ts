// Calls of compiled programs: inputs checked, dims bound, positions counted. Storage and execution are the target's.
import type { Dims, PortSpec, Tensor } from './inputs.ts'
import { TfmError } from './errors.ts'
import { bindInputs, extent } from './inputs.ts'

export interface ProgramSpec {
  inputs: PortSpec[]
  outputs: PortSpec[]
  /** Conditions on dims as the source states them. */
  checks: [text: string, holds: (d: Dims) => boolean][]
}
type ProgramName = 'run' | 'prepare' | 'prefill' | 'step' | 'reorder'
export interface ModelSpec<P extends ProgramSpec> {
  programs: { [name in ProgramName]?: P }
  /** States of one size. `grows`: the size is for one position, and positions come first. `rows`: `reorder` gathers them. */
  state: { names: string[]; size: (d: Dims) => number; grows: boolean; ints?: boolean; rows?: boolean }[]
  /** The dims of new and past positions, and how many there may be. */
  sequence?: { T: string; past: string; max: number }
}
export type Values = Record<string, Float32Array | Int32Array>
export type Results = Record<string, Tensor<Float32Array | Int32Array>>
type Given = Readonly<Record<string, unknown>>

/** Where weights and state lie, and what runs programs on them. */
export interface Engine<P> {
  /** Whether `execute` itself looks for numbers that are none. */
  readonly checks?: boolean
  /** Room for state: `positions` in the caches, what they hold kept; with 0, for state that does not grow. */
  reserve(d: Dims, positions: number): void
  execute(program: P, inputs: Values, outputs: Record<string, number[]>, d: Dims): Values
  /** The state is not needed any more. */
  forget(): void
  /** Another state on the same weights. */
  fresh(): Engine<P>
  dispose(): void
}

/** One entry, or a list of them, for each layer. */
export function layers<T>(count: number, entry: (i: number) => T | T[]): T[] {
  return [...Array(count).keys()].flatMap(entry)
}

export interface Session<E> {
  readonly past: number
  readonly engine: E
  /** The dims that the state holds on to, and how many positions there is room for. */
  readonly kept: [Dims, number]
  /** A program that continues nothing; `before` is called once its inputs have been checked. */
  run(inputs: Given, name?: ProgramName, dims?: Dims, before?: () => void): Results
  /** Positions after the past ones. The first call also takes what does not depend on positions (an encoder's inputs). */
  advance(name: ProgramName, inputs: Given): Results
  /** Another session on the same weights. */
  fresh(): Session<E>
  reset(): void
  dispose(): void
}

export function openSession<P extends ProgramSpec, E extends Engine<P>>(spec: ModelSpec<P>, engine: E): Session<E> {
  let [past, capacity] = [0, 0]
  /** Dims that the state holds on to. */
  let held: Dims | undefined

  const execute = (program: P, inputs: Given, dims: Dims, before?: () => void) => {
    const values = bindInputs(program.inputs, inputs, dims, engine.checks)
    for (const [text, holds] of program.checks)
      if (!holds(dims)) throw new TfmError('TFM2004', `${text} does not hold at ${JSON.stringify(dims)}`)
    before?.()
    const shapes = Object.fromEntries(program.outputs.map((p) => [p.name, p.shape.map((e) => extent(e, dims))]))
    const data = engine.execute(program, values, shapes, dims)
    return Object.fromEntries(program.outputs.map(({ name }) => [name, { data: data[name], shape: shapes[name] }]))
  }

  const find = (name: ProgramName) => {
    const program = spec.programs[name]
    if (!program) throw new TfmError('TFM2007', `the model has no ${name}, or was disposed`)
    return program
  }

  const reset = () => {
    past = capacity = 0
    held = undefined
    engine.forget()
  }

  return {
    engine,
    get past() {
      return past
    },
    get kept(): [Dims, number] {
      return [held!, capacity]
    },
    run: (inputs, name = 'run', dims = {}, before) => execute(find(name), inputs, dims, before),
    advance(name, inputs) {
      const program = find(name)
      const { T, past: P, max } = spec.sequence!
      const { prepare } = spec.programs
      const own = { ...inputs }
      const first: Record<string, unknown> = {}
      const kept = held ?? {}
      for (const { name } of prepare?.inputs ?? []) {
        first[name] = own[name]
        if (program.inputs.some((p) => p.name === name)) continue
        if (held && name in own) throw new TfmError('TFM2007', `${name}: already taken; reset() starts anew`)
        delete own[name]
      }
      if (prepare && !held) {
        // What is kept may have dims that only the inputs of positions give.
        bindInputs([...prepare.inputs, ...program.inputs], { ...first, ...own }, kept)
        delete kept[T]
        execute(prepare, first, kept, () => engine.reserve(kept, 0))
      }
      const dims: Dims = { ...kept, [P]: past }
      const outputs = execute(program, own, dims, () => {
        const total = past + (dims[T] ??= 1)
        if (total > max) throw new TfmError('TFM2006', `${past} past and ${dims[T]} new positions, at most ${max}`)
        if (total <= capacity) return
        // Grown by doubling.
        const room = Math.min(Math.max(total, 2 * capacity, 64), max)
        engine.reserve(dims, room)
        capacity = room
      })
      past += dims[T]
      delete dims[T]
      delete dims[P]
      held = dims
      return outputs
    },
    fresh: () => openSession<P, E>(spec, engine.fresh() as E),
    reset,
    dispose() {
      reset()
      spec = { programs: {}, state: [] }
      engine.dispose()
    },
  }
}
