// Rows of the state: which sequence of a batch goes on in which row.
import type { Session } from '../../runtime/session.ts'
import { aligned, type Machine } from './machine.ts'
import type { Linear, WasmSpec } from './session.ts'

/** Row i of all state becomes that of row `rows[i]`; there may be more rows than before, or fewer. `batch` is the dim of rows. */
export function reorderState(
  spec: WasmSpec,
  machine: Machine,
  session: Session<Linear>,
  batch: string,
  rows: readonly number[],
): void {
  const { engine } = session
  const [held, capacity] = session.kept
  const known = spec.state.flatMap((s) => s.names)
  const gathered = spec.state.filter((s) => s.rows)
  const dims = { ...held, [batch]: rows.length }
  const moved: { name: string; at: number; bytes: number }[] = []
  const { end } = engine
  session.run({ rows }, 'reorder', { ...held, [spec.sequence!.past]: session.past }, () => {
    // Above the state as it is and as it will be.
    let at = end
    for (const { names, size, grows } of spec.state)
      at += names.length * aligned(4 * Math.max(size(held), size(dims)) * (grows ? capacity : 1))
    for (const { names, size, grows } of gathered)
      for (const name of names) {
        moved.push({ name, at, bytes: 4 * size(dims) * (grows ? session.past : 1) })
        machine.point(machine.layout.weights + known.length + moved.length - 1, at)
        at += aligned(4 * size(dims) * (grows ? capacity : 1))
      }
    engine.end = at
    machine.reach(at)
  })
  engine.end = end
  held[batch] = rows.length
  engine.reserve(held, 0)
  engine.reserve(held, capacity)
  const memory = new Uint8Array(machine.memory.buffer)
  for (const { name, at, bytes } of moved) memory.copyWithin(engine.held.get(name)!.at, at, at + bytes)
}
