// Programs on linear memory: state above the weights, above it what only a call needs.
import type { Dims } from '../../runtime/inputs.ts'
import { checked, count } from '../../runtime/inputs.ts'
import type { Engine, ModelSpec, ProgramSpec, Session, Values } from '../../runtime/session.ts'
import { openSession } from '../../runtime/session.ts'
import { aligned, type Machine } from './machine.ts'

export interface Numbered extends ProgramSpec {
  /** Its number in the module. */
  program: number
  /** Elements of each activation slot. */
  slots: ((d: Dims) => number)[]
}
export type WasmSpec = ModelSpec<Numbered>
export interface Linear extends Engine<Numbered> {
  /** Where state begins and ends. */
  readonly from: number
  end: number
  /** Addresses and bytes of states by name. */
  readonly held: Map<string, { at: number; bytes: number }>
}

/** `from` is where the weights end. */
export function openLinear(spec: WasmSpec, machine: Machine, from: number): Session<Linear> {
  const names = spec.state.flatMap((s) => s.names)
  const entry = new Map(names.map((name, i) => [name, machine.layout.weights + i]))

  const engine = (from: number): Linear => {
    const held: Linear['held'] = new Map()
    const made: Linear = {
      from,
      end: from,
      held,
      checks: true,
      reserve(d, positions) {
        const moves: { name: string; old?: { at: number; bytes: number }; at: number; bytes: number }[] = []
        let end = from
        for (const { names, size, grows } of spec.state)
          for (const name of names) {
            const old = held.get(name)
            const bytes = grows !== positions > 0 ? (old?.bytes ?? 0) : size(d) * 4 * (positions || 1)
            const at = Math.max(end, old?.at ?? 0)
            moves.push({ name, old, at, bytes })
            end = at + aligned(bytes)
          }
        machine.reach(end)
        const memory = new Uint8Array(machine.memory.buffer)
        // Nothing moves down, so that what is last goes first.
        for (const { name, old, at, bytes } of moves.reverse()) {
          if (old) memory.copyWithin(at, old.at, old.at + Math.min(old.bytes, bytes))
          held.set(name, { at, bytes })
        }
        made.end = end
      },
      execute(program, inputs, outputs, d) {
        let end = made.end
        const place = (elements: number) => {
          const at = end
          end += aligned(elements * 4)
          return at
        }
        const { inputs: given, outputs: wanted, slots } = program
        const ports = given.map(({ name }) => place(inputs[name].length))
        const results = wanted.map(({ name }) => place(count(outputs[name])))
        const places = [...ports, ...results, ...slots.map((size) => place(size(d)))]
        machine.reach(end)
        given.forEach((port, i) => {
          const { [port.name]: values } = inputs
          if (port.dtype !== 'f32') return machine.i32(ports[i], values.length).set(values)
          machine.f32(ports[i], values.length).set(values)
          if (machine.strange(ports[i], values.length)) checked(port, values, d)
        })
        for (const [name, { at }] of held) machine.point(entry.get(name)!, at)
        places.forEach((at, i) => machine.point(machine.layout.ports + i, at))
        machine.call(program.program, d)
        const values: Values = Object.create(null)
        // Copies: memory is moved and used again.
        wanted.forEach(({ name, dtype }, i) => {
          values[name] = (dtype === 'f32' ? machine.f32 : machine.i32)(results[i], count(outputs[name])).slice()
        })
        return values
      },
      forget() {
        held.clear()
        made.end = from
      },
      fresh: () => engine(made.end),
      dispose: () => machine.dispose(),
    }
    return made
  }
  return openSession<Numbered, Linear>(spec, engine(from))
}
