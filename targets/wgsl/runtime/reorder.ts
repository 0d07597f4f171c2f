// Rows of the state: which sequence of a batch goes on in which row.
import type { Session } from './session.ts'

/** Row i of all state becomes that of row `rows[i]`; there may be more rows than before, or fewer. `batch` is the dim of rows. */
export function reorderState(session: Session, batch: string, rows: readonly number[]): Promise<void> {
  const { sequence: seq, spec, device, buffers } = session
  return session.inTurn(async () => {
    const { past, max } = spec.sequence!
    const dims = { ...seq.held, [batch]: rows.length }
    const moved = spec.state.flatMap(({ names, size, grows, rows }) =>
      (rows ? names : []).map((name) => {
        const each = size(dims) * 4
        return { name, used: each * (grows ? seq.past : 1), room: each * (grows ? Math.min(2 * seq.past, max) : 1) }
      }),
    )
    await session.execute(spec.programs.reorder!, { rows }, { ...seq.held, [past]: seq.past }, 's', () => {
      for (const { name, used, room } of moved)
        if (!buffers.has(`s:~${name}`, used)) buffers.reserve(`s:~${name}`, room)?.destroy()
    })
    const encoder = device.createCommandEncoder()
    for (const { name, used, room } of moved) {
      if (!buffers.has(`s:${name}`, used)) buffers.reserve(`s:${name}`, room)?.destroy()
      encoder.copyBufferToBuffer(buffers.get(`s:~${name}`), 0, buffers.get(`s:${name}`), 0, used)
    }
    device.queue.submit([encoder.finish()])
    seq.held = dims
  })
}
