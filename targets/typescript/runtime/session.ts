// Storage as typed arrays: weights, state, and activation memory that calls share.
import type { Dims } from '../../runtime/inputs.ts'
import type { Engine, ModelSpec, ProgramSpec, Session, Values } from '../../runtime/session.ts'
import { count } from '../../runtime/inputs.ts'
import { openSession } from '../../runtime/session.ts'

/** Named storage: weights, state, or the inputs and outputs of a call. */
export class Store {
  arrays: Values = Object.create(null)
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
export interface Runnable extends ProgramSpec {
  run(m: Memory, d: Dims): void
}
export interface Arrays extends Engine<Runnable> {
  readonly state: Values
}

export function openArrays(spec: ModelSpec<Runnable>, weights: Store, slots: ArrayBuffer[] = []): Session<Arrays> {
  const slot = (i: number, length: number) =>
    slots[i]?.byteLength >= length * 4 ? slots[i] : (slots[i] = new ArrayBuffer(length * 4))
  const f32 = (i: number, length: number) => new Float32Array(slot(i, length), 0, length)
  const i32 = (i: number, length: number) => new Int32Array(slot(i, length), 0, length)

  const engine = (state: Store): Arrays => ({
    get state() {
      return state.arrays
    },
    reserve(d, positions) {
      for (const { names, size, grows, ints } of spec.state) {
        if (grows !== positions > 0) continue
        for (const name of names) {
          const made = new (ints ? Int32Array : Float32Array)(size(d) * (positions || 1))
          if (grows && state.arrays[name]) made.set(state.arrays[name])
          state.arrays[name] = made
        }
      }
    },
    execute(program, inputs, outputs, d) {
      const values = new Store()
      values.arrays = inputs
      for (const { name, dtype } of program.outputs)
        values.arrays[name] = new (dtype === 'f32' ? Float32Array : Int32Array)(count(outputs[name]))
      program.run({ weights, state, values, f32, i32 }, d)
      return values.arrays
    },
    forget: () => void (state = new Store()),
    fresh: () => engine(new Store()),
    dispose() {
      weights = new Store()
      slots = []
    },
  })
  return openSession<Runnable, Arrays>(spec, engine(new Store()))
}
