/** Runs printed kernels on the test device and compares them with the executor of the scheduled nest, within its error bounds. */
import type { Cells } from '../../../src/kernel/execute.ts'
import { compileExecutor } from '../../../src/kernel/execute.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { Sym } from '../../../src/types/ix.ts'
import { evaluate } from '../../../src/types/ix.ts'
import { floats } from '../../../targets/wgsl/floats.ts'
import type { PrintedKernel } from '../../../targets/wgsl/kernel.ts'
import { codeFor, dimsOf, printKernel } from '../../../targets/wgsl/kernel.ts'
import type { Feature } from '../../../targets/wgsl/runtime/device.ts'
import type { ScheduleOptions, Scheduled } from '../../../targets/wgsl/recipes.ts'
import { schedule } from '../../../targets/wgsl/recipes.ts'
import { naiveNest } from '../../../src/kernel/build.ts'
import { testDevice } from '../../support/gpu.ts'
import { kept } from '../../support/kept-words.ts'
import type { Values } from '../../kernel/run.ts'
import { inputsOf } from '../../kernel/run.ts'

export interface Compiled {
  readonly kernel: StageKernel
  readonly scheduled: Scheduled
  readonly printed: PrintedKernel
  readonly layout: GPUBindGroupLayout
  readonly pipelines: readonly GPUComputePipeline[]
}

export function print(
  kernel: StageKernel,
  dims: readonly Sym[],
  options: ScheduleOptions = {},
): { readonly scheduled: Scheduled; readonly printed: PrintedKernel } {
  const scheduled = schedule(kernel, options)
  return { scheduled, printed: printKernel(kernel, scheduled, dimsOf(dims)) }
}

/** All variants as pipelines on a device: by default the one that runs; `features` are those that the code uses. */
export async function compile(
  kernel: StageKernel,
  dims: readonly Sym[],
  options: ScheduleOptions = {},
  on?: GPUDevice,
  features: readonly Feature[] = [],
): Promise<Compiled> {
  const device = on ?? (await testDevice())
  const { scheduled, printed } = print(kernel, dims, options)
  const layout = device.createBindGroupLayout({
    entries: [
      ...(printed.usesDims
        ? [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } } as const]
        : []),
      ...printed.written.map(
        (w, i) =>
          ({
            binding: i + 1,
            visibility: GPUShaderStage.COMPUTE,
            buffer: { type: w ? 'storage' : 'read-only-storage' },
          }) as const,
      ),
    ],
  })
  const module = device.createShaderModule({ code: codeFor(printed, features) })
  const pipelines = await Promise.all(
    printed.entries.map((e) =>
      device.createComputePipelineAsync({
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: e.entry },
      }),
    ),
  )
  return { kernel, scheduled, printed, layout, pipelines }
}

/** Runs one variant; results of written arguments, in order. What nothing wrote stays NaN (or -7 where integer). */
export async function runOnDevice(
  c: Compiled,
  variant: number,
  params: Values,
  dims: readonly Sym[],
  inputs: readonly Cells[],
  limit = 65535,
): Promise<readonly Float64Array[]> {
  const device = await testDevice()
  const { STORAGE, COPY_SRC, COPY_DST, UNIFORM, MAP_READ } = GPUBufferUsage
  const buffers = c.kernel.args.map((a, i) => {
    const integer = a.buffer.of === 'i32' || a.buffer.of === 'bool'
    const data = a.buffer.layout?.kept
      ? kept(a.buffer.layout, inputs[i].value).bytes
      : integer
        ? Int32Array.from(inputs[i].value, (x) => (Number.isNaN(x) ? -7 : x))
        : Float32Array.from(inputs[i].value)
    const buffer = device.createBuffer({ size: Math.max(4, data.byteLength), usage: STORAGE | COPY_SRC | COPY_DST })
    device.queue.writeBuffer(buffer, 0, data)
    return buffer
  })
  const uniform = device.createBuffer({ size: Math.max(16, 4 * dims.length), usage: UNIFORM | COPY_DST })
  device.queue.writeBuffer(
    uniform,
    0,
    Int32Array.from(dims, (s) => params.get(s) ?? 0),
  )
  const group = device.createBindGroup({
    layout: c.layout,
    entries: [
      ...(c.printed.usesDims ? [{ binding: 0, resource: { buffer: uniform } }] : []),
      ...buffers.map((buffer, i) => ({ binding: i + 1, resource: { buffer } })),
    ],
  })
  const groups = evaluate(c.printed.entries[variant].groups, (s) => params.get(s) ?? 0)
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(c.pipelines[variant])
  pass.setBindGroup(0, group)
  pass.dispatchWorkgroups(Math.min(groups, limit), Math.ceil(groups / limit))
  pass.end()
  const outs = c.kernel.args.map((a, i) => ({ a, i })).filter(({ a }) => a.access !== 'read')
  const staged = outs.map(({ i }) => {
    const to = device.createBuffer({ size: buffers[i].size, usage: MAP_READ | COPY_DST })
    encoder.copyBufferToBuffer(buffers[i], 0, to, 0, buffers[i].size)
    return to
  })
  device.queue.submit([encoder.finish()])
  const results: Float64Array[] = []
  for (const [n, to] of staged.entries()) {
    await to.mapAsync(GPUMapMode.READ)
    const bytes = to.getMappedRange().slice(0)
    const integer = outs[n].a.buffer.of === 'i32' || outs[n].a.buffer.of === 'bool'
    results.push(
      Float64Array.from(integer ? new Int32Array(bytes) : new Float32Array(bytes)).slice(
        0,
        inputs[outs[n].i].value.length,
      ),
    )
  }
  for (const b of [...buffers, ...staged, uniform]) b.destroy()
  return results
}

/** The largest error over its bound, of all results; throws where a result lies outside, or where anything else was written. */
export async function check(
  c: Compiled,
  variant: number,
  params: Values,
  dims: readonly Sym[],
  seed = 1,
  limit = 65535,
): Promise<number> {
  const start = inputsOf(c.kernel.args, params, seed).map((x, i) => {
    const { layout } = c.kernel.args[i].buffer
    return layout?.kept ? { ...x, value: kept(layout, x.value).values } : x
  })
  const copy = (): Cells[] => start.map((x) => ({ value: x.value.slice(), error: x.error.slice() }))
  const nest = c.scheduled.variants[variant].nest
  const bounded = copy()
  const named = new Map([...params, ...(c.scheduled.constants ?? [])])
  compileExecutor(nest, floats, 'worst', { checked: true })(
    new Map(nest.args.map((a, i) => [a.buffer, bounded[i]])),
    named,
  )
  const exact = copy()
  compileExecutor(naiveNest(c.kernel), floats, 'worst', { checked: true })(
    new Map(c.kernel.args.map((a, i) => [a.buffer, exact[i]])),
    params,
  )
  const got = await runOnDevice(c, variant, params, dims, start, limit)
  const written = c.kernel.args.map((a, i) => ({ a, i })).filter(({ a }) => a.access !== 'read')
  let worst = 0
  written.forEach(({ a, i }, n) => {
    for (let j = 0; j < got[n].length; j++) {
      const where = `${c.kernel.name}${c.scheduled.variants[variant].suffix}: ${a.buffer.name}[${j}] of ${got[n].length}`
      const [want, error, is] = [exact[i].value[j], bounded[i].error[j], got[n][j]]
      if (Number.isNaN(want)) {
        if (!Number.isNaN(is) && is !== -7) throw new Error(`${where} was written: ${is}`)
        continue
      }
      const off = Math.abs(is - want)
      if (!(off <= error + 1e-12)) throw new Error(`${where} is ${is}, not ${want} within ${error}`)
      if (error > 0) worst = Math.max(worst, off / error)
    }
  })
  return worst
}
