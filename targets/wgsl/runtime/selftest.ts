import { TfmError } from '../../runtime/errors.ts'
import { sampleInput, type SelftestReport } from '../../runtime/sample.ts'
import type { Kernel } from './device.ts'

/** `lengths` of the buffers (negative: integers), the dims, and expected elements of the results. */
export interface KernelTest {
  readonly name: string
  readonly run: string
  readonly lengths: readonly number[]
  readonly dims: Readonly<Record<string, number>>
  readonly expect: readonly (readonly [argument: number, at: number, value: number, bound: number])[]
}

/** Every variant of every kernel on made-up inputs, against values that the compiler computed in another way. */
export async function selftestOn(device: GPUDevice, kernels: ReadonlyMap<string, Kernel>, fields: readonly string[], tests: readonly KernelTest[]): Promise<SelftestReport> {
  const report: { name: string; error: number }[] = []
  for (const { name, run, lengths, dims, expect } of tests) {
    const kernel = kernels.get(run)!
    let error = 0
    for (const [n, pipeline] of kernel.pipelines.entries()) {
      const made: GPUBuffer[] = []
      const make = (size: number, usage: number): GPUBuffer => {
        made.push(device.createBuffer({ size, usage }))
        return made[made.length - 1]
      }
      const buffers = lengths.map((length, seed) => {
        const array = length < 0 ? new Int32Array(-length) : new Float32Array(length)
        for (let i = 0; i < array.length; i++) array[i] = sampleInput(seed, i, length < 0)
        const buffer = make(Math.max(16, array.byteLength), 4 | 8 | 128)
        device.queue.writeBuffer(buffer, 0, array)
        return buffer
      })
      const block = make(Math.max(16, 4 * fields.length), 8 | 64)
      device.queue.writeBuffer(block, 0, Int32Array.from(fields, (f) => dims[f] ?? 0))
      const bound = [...(kernel.dims ? [block] : []), ...buffers]
      const entries = bound.map((buffer, i) => ({ binding: kernel.dims ? i : i + 1, resource: { buffer } }))
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, device.createBindGroup({ layout: kernel.layout, entries }))
      pass.dispatchWorkgroups(kernel.entries[n].groups(dims))
      pass.end()
      const back = make(expect.length * 4, 1 | 8)
      expect.forEach(([a, at], i) => encoder.copyBufferToBuffer(buffers[a], at * 4, back, i * 4, 4))
      device.queue.submit([encoder.finish()])
      await back.mapAsync(1)
      const bytes = back.getMappedRange()
      expect.forEach(([a, , value, most], i) => {
        const got = new (lengths[a] < 0 ? Int32Array : Float32Array)(bytes, i * 4, 1)[0]
        error = Math.max(error, Number.isNaN(got) ? Infinity : Math.abs(got - value) / most)
      })
      for (const b of made) b.destroy()
    }
    report.push({ name, error })
  }
  const bad = report.filter((k) => !(k.error <= 1)).map((k) => `${k.name} (${k.error.toPrecision(3)} times its bound)`)
  if (bad.length > 0) throw new TfmError('TFM2030', `these kernels are wrong on this device: ${bad.join(', ')}`)
  return { kernels: report }
}
