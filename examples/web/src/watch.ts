/** Counts what a graphics card is asked for, by the names of the kernels: WebGPU's own calls are watched, so that modules stay as they are. */

export interface Count {
  dispatches: number
  workgroups: number
}
const counts = new Map<string, Count>()

/** Starts anew. */
export const forgetCounts = (): void => counts.clear()
export const countsNow = (): ReadonlyMap<string, Count> =>
  new Map([...counts].map(([name, count]) => [name, { ...count }]))

const encoder = (globalThis as { GPUComputePassEncoder?: { readonly prototype: GPUComputePassEncoder } })
  .GPUComputePassEncoder
if (encoder) {
  const { setPipeline, dispatchWorkgroups } = encoder.prototype
  const current = new WeakMap<GPUComputePassEncoder, string>()
  encoder.prototype.setPipeline = function (pipeline) {
    current.set(this, pipeline.label)
    return setPipeline.call(this, pipeline)
  }
  encoder.prototype.dispatchWorkgroups = function (x, y = 1, z = 1) {
    const name = current.get(this) ?? ''
    const count = counts.get(name) ?? { dispatches: 0, workgroups: 0 }
    count.dispatches++
    count.workgroups += x * y * z
    counts.set(name, count)
    return dispatchWorkgroups.call(this, x, y, z)
  }
}
