// Programs with loops: each step has a block of dims of its own, with its t, so that a program is still one submission.
import type { Dims } from '../../runtime/inputs.ts'
import type { BoundStep, Session } from './session.ts'

/** All steps of a program in compute passes. What one submission has no blocks for is submitted before; the caller submits the rest. */
export function recordLoops(session: Session, all: readonly BoundStep[], dims: Dims): GPUCommandEncoder {
  const { device, dimsBuffer: buffer, block, spec } = session
  const most = buffer.size / block
  const words = new Int32Array(buffer.size / 4)
  let used = 0
  let encoder = device.createCommandEncoder()
  let pass = encoder.beginComputePass()
  const finish = () => {
    pass.end()
    device.queue.writeBuffer(buffer, 0, words, 0, (used * block) / 4)
    used = 0
  }
  /** Where the block of these dims lies. */
  const place = (d: Dims): number => {
    if (used === most) {
      finish()
      device.queue.submit([encoder.finish()])
      encoder = device.createCommandEncoder()
      pass = encoder.beginComputePass()
    }
    spec.dims.forEach((name, i) => (words[(used * block) / 4 + i] = d[name] ?? 0))
    return block * used++
  }
  const run = (steps: readonly BoundStep[], d: Dims) => {
    let at = -1
    let piece = encoder
    for (const step of steps) {
      if ('loop' in step) {
        const { t, count, reverse } = step.loop
        const n = count(d)
        for (let i = 0; i < n; i++) run(step.steps, { ...d, [t]: reverse ? n - 1 - i : i })
      } else {
        if (at < 0 || piece !== encoder) at = place(d)
        piece = encoder
        session.dispatch(pass, step, d, at)
      }
    }
  }
  run(all, dims)
  finish()
  return encoder
}
