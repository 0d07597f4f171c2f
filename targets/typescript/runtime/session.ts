// Calls of compiled programs: dims, activation memory, and the state kept between calls.
import type { Dims, PortSpec, Tensor } from '../../runtime/inputs.ts'
import { TfmError } from '../../runtime/errors.ts'
import { bindInputs, count, extent } from '../../runtime/inputs.ts'

/** Named storage: weights, state, or the inputs and outputs of a call. */
export class Store {
  arrays: Record<string, Float32Array | Int32Array> = Object.create(null)
  f32 = (name: string) => this.arrays[name] as Float32Array
  i32 = (name: string) => this.arrays[name] as Int32Array
}
/** What a program runs on. Activation slot `i` is read as floats or as integers. */
export interface Memory {
  weights: Store
  state: Store
  values: Store
  f32(slot: number, length: number): Float32Array
  i32(slot: number, length: number): Int32Array
}
export interface ProgramSpec {
  inputs: PortSpec[]
  outputs: PortSpec[]
  /** Conditions on dims as the source states them. */
  checks: [text: string, holds: (d: Dims) => boolean][]
  run(m: Memory, d: Dims): void
}
type Name = 'run' | 'prepare' | 'prefill' | 'step' | 'reorder'
export interface ModelSpec {
  programs: { [name in Name]?: ProgramSpec }
  /** States of one size. `grows`: the size is for one position, and positions come first. `rows`: `reorder` gathers them. */
  state: { names: string[]; size: (d: Dims) => number; grows: boolean; ints?: boolean; rows?: boolean }[]
  /** The dims of new and past positions, and how many there may be. */
  sequence?: { T: string; past: string; max: number }
}
type Results = Record<string, Tensor<Float32Array | Int32Array>>
type Given = Readonly<Record<string, unknown>>

/** One entry, or a list of them, for each layer. */
export function layers<T>(count: number, entry: (i: number) => T | T[]): T[] {
  return [...Array(count).keys()].flatMap(entry)
}

export interface Session {
  readonly past: number
  /** A program that continues nothing; `before` is called once its inputs have been checked. */
  run(inputs: Given, name?: Name, dims?: Dims, before?: () => void): Results
  /** Positions after the past ones. The first call also takes what does not depend on positions (an encoder's inputs). */
  advance(name: Name, inputs: Given): Results
  /** Another session on the same weights. */
  fresh(): Session
  /** The state, the dims it holds on to, and how many positions there is room for. */
  kept(): [Store, Dims, number]
  reset(): void
  dispose(): void
}

export function openSession(spec: ModelSpec, weights: Store, slots: ArrayBuffer[] = []): Session {
  let [past, capacity] = [0, 0]
  let state = new Store()
  /** Dims that the state holds on to. */
  let held: Dims | undefined

  const slot = (i: number, length: number) =>
    slots[i]?.byteLength >= length * 4 ? slots[i] : (slots[i] = new ArrayBuffer(length * 4))

  const execute = (program: ProgramSpec, inputs: Given, dims: Dims, before?: () => void) => {
    const values = new Store()
    values.arrays = bindInputs(program.inputs, inputs, dims)
    for (const [text, holds] of program.checks)
      if (!holds(dims)) throw new TfmError('TFM2004', `${text} does not hold at ${JSON.stringify(dims)}`)
    before?.()
    const outputs: Results = {}
    for (const port of program.outputs) {
      const shape = port.shape.map((e) => extent(e, dims))
      const data = new (port.dtype === 'f32' ? Float32Array : Int32Array)(count(shape))
      outputs[port.name] = { data, shape }
      values.arrays[port.name] = data
    }
    const f32 = (i: number, length: number) => new Float32Array(slot(i, length), 0, length)
    const i32 = (i: number, length: number) => new Int32Array(slot(i, length), 0, length)
    program.run({ weights, state, values, f32, i32 }, dims)
    return outputs
  }

  const find = (name: Name) => {
    const program = spec.programs[name]
    if (!program) throw new TfmError('TFM2007', `the model has no ${name}, or was disposed`)
    return program
  }

  /** Room for `positions` in the caches; grown by doubling, the past kept. */
  const reserve = (d: Dims, positions: number) => {
    const grown = positions > capacity
    if (grown) capacity = Math.min(Math.max(positions, 2 * capacity, 64), spec.sequence!.max)
    for (const { names, size, grows, ints } of spec.state) {
      if (grows ? !grown : positions > 0) continue
      for (const name of names) {
        const made = new (ints ? Int32Array : Float32Array)(size(d) * (grows ? capacity : 1))
        if (grows && state.arrays[name]) made.set(state.arrays[name])
        state.arrays[name] = made
      }
    }
  }

  const reset = () => {
    past = capacity = 0
    held = undefined
    state = new Store()
  }

  return {
    get past() {
      return past
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
        execute(prepare, first, kept, () => reserve(kept, 0))
      }
      const dims: Dims = { ...kept, [P]: past }
      const outputs = execute(program, own, dims, () => {
        const total = past + (dims[T] ??= 1)
        if (total > max) throw new TfmError('TFM2006', `${past} past and ${dims[T]} new positions, at most ${max}`)
        reserve(dims, total)
      })
      past += dims[T]
      delete dims[T]
      delete dims[P]
      held = dims
      return outputs
    },
    fresh: () => openSession(spec, weights, slots),
    kept: () => [state, held!, capacity],
    reset,
    dispose() {
      reset()
      spec = { programs: {}, state: [] }
      weights = new Store()
      slots = []
    },
  }
}
