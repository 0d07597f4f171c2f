import { TfmError } from '../../runtime/errors.ts'
import { sampleInput, type SelftestReport } from '../../runtime/sample.ts'
import { Buffers } from './buffers.ts'
import type { Kernel } from './device.ts'
import type { Keep, Keeper } from './load.ts'

/** `lengths` of the buffers (negative: integers), the dims, and expected elements of the results. */
export interface KernelTest {
  readonly name: string
  readonly run: string
  /** Kernels in sequence that make the same, with their buffers. */
  readonly passes?: readonly (readonly [kernel: string, ...buffers: readonly number[]])[]
  readonly lengths: readonly number[]
  readonly dims: Readonly<Record<string, number>>
  /** Arguments that are kept in fewer bits. */
  readonly keep?: Readonly<Record<number, Keep>>
  readonly expect: readonly (readonly [argument: number, at: number, value: number, bound: number])[]
}

/** Dispatches in sequence: an entry of a kernel, and its buffers. */
type Way = readonly (readonly [Kernel, entry: number, buffers: readonly number[]])[]
type Form = ReadonlyMap<string, Kernel>
/** Ways to make what a test expects. */
export type Ways = (test: KernelTest, form: Form, whole: Form) => readonly Way[]
/** Each variant. */
export const variantsOf: Ways = ({ run, lengths }, form) =>
  form.get(run)?.pipelines.map((_, n) => [[form.get(run)!, n, [...lengths.keys()]]]) ?? []

/** Every variant of every kernel, in each of `forms`, on made-up inputs, against values that the compiler computed in another way. */
export async function selftestOn(
  device: GPUDevice,
  forms: readonly Form[],
  fields: readonly string[],
  tests: readonly KernelTest[],
  keeper?: Keeper,
  ways = variantsOf,
): Promise<SelftestReport> {
  const report: { name: string; error: number; passes?: readonly string[] }[] = []
  for (const test of tests) {
    const { name, lengths, dims, expect, keep = {} } = test
    let error = 0
    for (const way of forms.flatMap((f) => ways(test, f, forms[0]))) {
      const buffers = new Buffers(device)
      try {
        lengths.forEach((length, seed) => {
          const as = keep[seed]
          buffers.fill(`t:${seed}`, as ? keeper!.bytes(as)[0] : Math.abs(length) * 4, (memory) => {
            const array = length < 0 ? new Int32Array(memory) : as ? new Float32Array(length) : new Float32Array(memory)
            for (let i = 0; i < array.length; i++) array[i] = sampleInput(seed, i, length < 0)
            if (as) keeper!.matrix(as, [memory], array as Float32Array)
          })
        })
        const block = fields.map((f) => dims[f] ?? 0)
        buffers.fill('t:dims', 4 * block.length, (memory) => new Int32Array(memory).set(block), 64)
        buffers.fill('t:back', expect.length * 4, () => {}, 1 | 8)
        const back = buffers.get('t:back')
        const encoder = device.createCommandEncoder()
        const pass = encoder.beginComputePass()
        for (const [kernel, n, at] of way) {
          const of = kernel.dims ? ['dims', ...at] : at
          const entries = of.map((t, i) => ({
            binding: kernel.dims ? i : i + 1,
            resource: { buffer: buffers.get(`t:${t}`) },
          }))
          pass.setPipeline(kernel.pipelines[n])
          pass.setBindGroup(0, device.createBindGroup({ layout: kernel.layout, entries }), kernel.dims ? [0] : [])
          pass.dispatchWorkgroups(kernel.entries[n].groups(dims))
        }
        pass.end()
        expect.forEach(([a, at], i) => encoder.copyBufferToBuffer(buffers.get(`t:${a}`), at * 4, back, i * 4, 4))
        device.queue.submit([encoder.finish()])
        await back.mapAsync(1)
        const bytes = back.getMappedRange()
        expect.forEach(([a, , value, most], i) => {
          const [got] = new (lengths[a] < 0 ? Int32Array : Float32Array)(bytes, i * 4, 1)
          const off = Math.abs(got - value) / most
          if (!(off <= error)) error = off
        })
      } finally {
        buffers.destroy()
      }
    }
    report.push({ name, error, ...(test.passes && { passes: test.passes.map(([pass]) => pass) }) })
  }
  const bad = report.filter((k) => !(k.error <= 1)).map((k) => `${k.name} (${k.error.toPrecision(3)} times its bound)`)
  if (bad.length > 0) throw new TfmError('TFM2030', `these kernels are wrong on this device: ${bad.join(', ')}`)
  return { kernels: report }
}
