// Submissions short enough that a page can paint between them, and that no driver takes for hung.
import type { Dims } from '../../runtime/inputs.ts'
import type { BoundDispatch, ModelSpec, ProgramSpec, Session } from './session.ts'

/** What a submission may take, in ms. */
const budget = 50
/** Dispatches of the first submission of a program whose pace is not known, and elements of its inputs. */
const probe = 8
const few = 64
/** Positions that a call is never cut below. */
const least = 32

/** How many dispatches go into a submission at a pace, in ms for a dispatch and an element of the inputs. */
export const dispatchesFor = (pace: number | undefined, size: number): number =>
  Math.max(1, Math.floor(pace === undefined ? Math.min(probe, (probe * 1024) / size) : budget / (pace * size)))

/** How many positions of so many elements go into a call, so that a usual dispatch is within the budget. */
export const positionsFor = (pace: number | undefined, each: number): number =>
  Math.max(least, Math.floor((pace === undefined ? few : budget / pace) / each))

export class Slices {
  private paces = new Map<ProgramSpec, number>()

  /** How many dispatches of a program go into a submission. A step is one submission. */
  most(program: ProgramSpec, { programs }: ModelSpec, size: number): number {
    return (program.whole ?? program === programs.step) ? Infinity : dispatchesFor(this.paces.get(program), size)
  }

  /** Submits what `count` dispatches of a program were recorded into, and waits for it. */
  async submit(session: Session, program: ProgramSpec, encoder: GPUCommandEncoder, count: number, size: number) {
    const { queue } = session.device
    const start = performance.now()
    queue.submit([encoder.finish()])
    await queue.onSubmittedWorkDone()
    session.alive()
    if (count > 0) this.paces.set(program, (performance.now() - start) / count / size)
  }

  /** Records the dispatches of a program, submits all but the last slice, and gives the encoder of that, and its dispatches. */
  async record(
    session: Session,
    program: ProgramSpec,
    steps: readonly BoundDispatch[],
    dims: Dims,
    size: number,
  ): Promise<[encoder: GPUCommandEncoder, count: number]> {
    for (let at = 0; ;) {
      const end = Math.min(steps.length, at + this.most(program, session.spec, size))
      const encoder = session.device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      for (const step of steps.slice(at, end)) session.dispatch(pass, step, dims)
      pass.end()
      if (end === steps.length) return [encoder, end - at]
      await this.submit(session, program, encoder, end - at, size)
      at = end
    }
  }

  /**
   * How many of the positions from `from` on a call takes next: a prefill whose dispatches are long goes on in several, as calls one after another
   * would, if its inputs and outputs have an axis of positions, or no dim of them at all.
   */
  next(program: ProgramSpec, { programs, sequence }: ModelSpec, dims: Dims, from: number, each: number): number {
    const { T, past } = sequence ?? { T: '', past: '' }
    const rest = dims[T] - from
    const most = positionsFor(this.paces.get(program), each)
    const plain = ({ shape }: { readonly shape: readonly unknown[] }) => shape.every((e) => typeof e !== 'function')
    if (
      program !== programs.prefill ||
      !(rest > most) ||
      ![...program.inputs, ...program.outputs].every(plain) ||
      !program.outputs.every(({ shape }) => shape.includes(T))
    )
      return rest
    const part = { ...dims, [T]: most, [past]: dims[past] + from }
    const after = { ...dims, [T]: rest - most, [past]: part[past] + most }
    return program.checks.every(([, holds]) => holds(part) && holds(after)) ? most : rest
  }
}

/** The elements of positions `from` to `to`, of `count` in all, of an array with `outer` rows of them. */
export function cut<A extends Float32Array | Int32Array>(
  array: A,
  outer: number,
  count: number,
  from: number,
  to: number,
): A {
  const inner = array.length / outer / count
  const out = array.slice(0, outer * (to - from) * inner) as A
  for (let i = 0; i < outer; i++)
    out.set(array.subarray((i * count + from) * inner, (i * count + to) * inner), i * (to - from) * inner)
  return out
}
