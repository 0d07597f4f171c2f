// Calls of compiled programs: dims, activation memory, and the state kept between calls.
import type { Dims, PortSpec, Tensor } from '../../runtime/inputs.ts'
import { TfmError } from '../../runtime/errors.ts'
import { bindInputs, extent } from '../../runtime/inputs.ts'

type Arrays = Record<string, Float32Array | Int32Array>
/** Named storage: weights, state, or the inputs and outputs of a call. */
export class Store {
  readonly arrays: Arrays = Object.create(null)
  f32(name: string): Float32Array {
    return this.arrays[name] as Float32Array
  }
  i32(name: string): Int32Array {
    return this.arrays[name] as Int32Array
  }
}
/** What a program runs on. Activation slot `i` is read as floats or as integers. */
export interface Memory {
  readonly weights: Store
  readonly state: Store
  readonly values: Store
  f32(slot: number, length: number): Float32Array
  i32(slot: number, length: number): Int32Array
}
export interface ProgramSpec {
  readonly inputs: readonly PortSpec[]
  readonly outputs: readonly PortSpec[]
  /** Conditions on dims as the source states them. */
  readonly checks: readonly (readonly [text: string, holds: (d: Dims) => boolean])[]
  readonly run: (m: Memory, d: Dims) => void
}
/** States of one size. `grows`: the size is for one position, and positions come first. */
export interface StateSpec {
  readonly names: readonly string[]
  readonly size: (d: Dims) => number
  readonly grows: boolean
  readonly ints?: boolean
}
export interface ModelSpec {
  readonly programs: Partial<Record<'run' | 'prepare' | 'prefill' | 'step', ProgramSpec>>
  readonly state: readonly StateSpec[]
  /** The dims of new and past positions, and how many there may be. */
  readonly sequence?: { readonly T: string; readonly past: string; readonly max: number }
}
type Results = Record<string, Tensor<Float32Array | Int32Array>>
type Given = Readonly<Record<string, unknown>>

/** One entry, or a list of them, for each layer. */
export function layers<T>(count: number, entry: (i: number) => T | readonly T[]): T[] {
  return Array.from({ length: count }, (_, i) => i).flatMap((i) => entry(i))
}

export class Session {
  past = 0
  private spec: ModelSpec
  private memory: Memory
  private slots: ArrayBuffer[] = []
  private capacity = 0
  /** Dims that the state holds on to. */
  private held: Dims | undefined

  constructor(spec: ModelSpec, weights: Store) {
    this.spec = spec
    const slot = (i: number, length: number): ArrayBuffer => {
      const found = this.slots[i]
      return found && found.byteLength >= length * 4 ? found : (this.slots[i] = new ArrayBuffer(length * 4))
    }
    this.memory = {
      weights,
      state: new Store(),
      values: new Store(),
      f32: (i, length) => new Float32Array(slot(i, length), 0, length),
      i32: (i, length) => new Int32Array(slot(i, length), 0, length),
    }
  }

  run(inputs: Given): Results {
    return this.execute(this.program('run'), inputs, {})
  }

  /** Positions after the past ones. The first call also takes what does not depend on positions (an encoder's inputs). */
  advance(name: 'prefill' | 'step', inputs: Given): Results {
    const program = this.program(name)
    const { prepare } = this.spec.programs
    const { T, past, max } = this.spec.sequence!
    const own: Record<string, unknown> = { ...inputs }
    let held = this.held
    if (prepare) {
      const once = prepare.inputs.map((p) => p.name)
      const first = Object.fromEntries(once.map((n) => [n, inputs[n]]))
      for (const n of once) if (!program.inputs.some((p) => p.name === n)) delete own[n]
      if (held && Object.keys(own).length < Object.keys(inputs).length)
        throw new TfmError('TFM2007', `${once.join(', ')}: already taken; reset() starts anew`)
      if (!held) this.execute(prepare, first, (held = {}), (d) => this.reserve(d, 0))
    }
    const dims: Dims = { ...held, [past]: this.past }
    const outputs = this.execute(program, own, dims, (d) => {
      const total = this.past + (d[T] ??= 1)
      if (total > max) throw new TfmError('TFM2006', `${this.past} past and ${d[T]} new positions, at most ${max}`)
      this.reserve(d, total)
    })
    this.past += dims[T]
    delete dims[T]
    delete dims[past]
    this.held = dims
    return outputs
  }

  /** Another session on the same weights. */
  fresh(): Session {
    const other = new Session(this.spec, this.memory.weights)
    other.slots = this.slots
    return other
  }

  reset(): void {
    this.past = 0
    this.capacity = 0
    this.held = undefined
    this.memory = { ...this.memory, state: new Store() }
  }

  dispose(): void {
    this.reset()
    this.spec = { programs: {}, state: [] }
    this.slots = []
    this.memory = { ...this.memory, weights: new Store(), values: new Store() }
  }

  private program(name: 'run' | 'prefill' | 'step'): ProgramSpec {
    const program = this.spec.programs[name]
    if (!program) throw new TfmError('TFM2007', `the model has no ${name}, or was disposed`)
    return program
  }

  private execute(program: ProgramSpec, inputs: Given, dims: Dims, before?: (d: Dims) => void): Results {
    const values = new Store()
    Object.assign(values.arrays, bindInputs(program.inputs, inputs, dims))
    for (const [text, holds] of program.checks)
      if (!holds(dims)) throw new TfmError('TFM2004', `${text} does not hold at ${JSON.stringify(dims)}`)
    before?.(dims)
    const outputs: Results = {}
    for (const port of program.outputs) {
      const shape = port.shape.map((e) => extent(e, dims))
      const length = shape.reduce((n, x) => n * x, 1)
      const data = port.dtype === 'f32' ? new Float32Array(length) : new Int32Array(length)
      values.arrays[port.name] = data
      outputs[port.name] = { data, shape }
    }
    program.run({ ...this.memory, values }, dims)
    return outputs
  }

  /** Room for `positions` in the caches; grown by doubling, the past kept. */
  private reserve(d: Dims, positions: number): void {
    const { arrays } = this.memory.state
    const grown = positions > this.capacity
    if (grown) this.capacity = Math.min(Math.max(positions, 2 * this.capacity, 64), this.spec.sequence!.max)
    for (const s of this.spec.state) {
      if (s.grows ? !grown : positions > 0) continue
      for (const name of s.names) {
        const length = s.size(d) * (s.grows ? this.capacity : 1)
        const made = s.ints ? new Int32Array(length) : new Float32Array(length)
        if (s.grows && arrays[name]) made.set(arrays[name])
        arrays[name] = made
      }
    }
  }
}
