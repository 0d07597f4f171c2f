// Programs with loops: each step has a block of dims of its own, with its t, so that many of them are one submission.
import type { Dims } from '../../runtime/inputs.ts'
import type { Dispatch, ProgramSpec, Session, Step, Store } from './session.ts'
import type { Slices } from './slices.ts'

/** The dispatches of each list of steps, in order. */
const dispatches = new WeakMap<readonly Step[], { readonly steps: readonly Dispatch[] }>()

/** All steps of a program in compute passes. What is a slice, and what one submission has no blocks for, is submitted before; the caller submits the rest. */
export async function recordLoops(
  session: Session,
  program: ProgramSpec,
  store: Store,
  dims: Dims,
  slices: Slices,
  size: number,
): Promise<[encoder: GPUCommandEncoder, count: number]> {
  const { device, dimsBuffer: buffer, spec } = session
  const block = 256 * Math.ceil(spec.dims.length / 64)
  const most = buffer.size / block
  const words = new Int32Array(buffer.size / 4)
  let [used, count] = [0, 0]
  let encoder = device.createCommandEncoder()
  let pass = encoder.beginComputePass()
  const finish = () => {
    pass.end()
    device.queue.writeBuffer(buffer, 0, words, 0, (used * block) / 4)
    used = 0
  }
  /** Where the block of these dims lies. */
  const place = (d: Dims): number => {
    spec.dims.forEach((name, i) => (words[(used * block) / 4 + i] = d[name] ?? 0))
    return block * used++
  }
  /** Stops where a slice ends. */
  function* run(steps: readonly Step[], d: Dims): Generator<void> {
    const own = dispatches.get(steps) ?? { steps: steps.filter((s): s is Dispatch => !('t' in s)) }
    dispatches.set(steps, own)
    const bound = session.bind(own, store)
    let [next, at, piece] = [0, -1, encoder]
    for (const step of steps) {
      if ('t' in step) {
        const { t, count, reverse } = step
        const n = count(d)
        for (let i = 0; i < n; i++) yield* run(step.steps, { ...d, [t]: reverse ? n - 1 - i : i })
        continue
      }
      if (count >= limit || used === most) yield
      if (at < 0 || piece !== encoder) at = place(d)
      piece = encoder
      session.dispatch(pass, bound[next++], d, at)
      count++
    }
  }
  let limit = slices.most(program, spec, size)
  for (const _ of run(program.steps, dims)) {
    finish()
    await slices.submit(session, program, encoder, count, size)
    count = 0
    limit = slices.most(program, spec, size)
    encoder = device.createCommandEncoder()
    pass = encoder.beginComputePass()
  }
  finish()
  return [encoder, count]
}
