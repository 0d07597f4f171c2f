// Rows of the state: which sequence of a batch goes on in which row.
import type { ModelSpec, Session } from '../../runtime/session.ts'
import type { Arrays, Runnable } from './session.ts'

/** Row i of all state becomes that of row `rows[i]`; there may be more rows than before, or fewer. `batch` is the dim of rows. */
export function reorderState(
  spec: ModelSpec<Runnable>,
  session: Session<Arrays>,
  batch: string,
  rows: readonly number[],
): void {
  const arrays = session.engine.state
  const [held, capacity] = session.kept
  const names: string[] = []
  session.run({ rows }, 'reorder', { ...held, [spec.sequence!.past]: session.past }, () => {
    held[batch] = rows.length
    for (const { size, grows, ints, ...s } of spec.state.filter((s) => s.rows)) {
      const length = size(held) * (grows ? capacity : 1)
      for (const name of s.names) {
        names.push(name)
        if (arrays[`~${name}`]?.length !== length) arrays[`~${name}`] = new (ints ? Int32Array : Float32Array)(length)
      }
    }
  })
  for (const name of names) [arrays[name], arrays[`~${name}`]] = [arrays[`~${name}`], arrays[name]]
}
