// Submissions short enough that a page can paint between them, and that no driver takes for hung.
import type { Dims } from '../../runtime/inputs.ts'
import type { BoundDispatch, ProgramSpec, Session } from './session.ts'

/** What a submission may take, in ms. */
const budget = 50
/** Dispatches of the first submission of a program whose pace is not known. */
const probe = 8

/** How many dispatches go into a submission at a pace, in ms for a dispatch and an element of the inputs. */
export const dispatchesFor = (pace: number | undefined, size: number): number =>
  pace === undefined ? probe : Math.max(1, Math.floor(budget / (pace * size)))

export class Slices {
  private paces = new Map<ProgramSpec, number>()

  /** Records the dispatches of a program, submits all but the last slice, and gives the encoder of that. A step is one submission. */
  async record(
    session: Session,
    program: ProgramSpec,
    steps: readonly BoundDispatch[],
    dims: Dims,
    size: number,
  ): Promise<GPUCommandEncoder> {
    const { device, spec } = session
    const whole = program.whole ?? program === spec.programs.step
    for (let at = 0; ;) {
      const end = whole ? steps.length : Math.min(steps.length, at + dispatchesFor(this.paces.get(program), size))
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      for (const step of steps.slice(at, end)) session.dispatch(pass, step, dims)
      pass.end()
      if (end === steps.length) return encoder
      const start = performance.now()
      device.queue.submit([encoder.finish()])
      await device.queue.onSubmittedWorkDone()
      session.alive()
      this.paces.set(program, (performance.now() - start) / (end - at) / size)
      at = end
    }
  }
}
