/** Runs printed kernels on the test device and compares them with the executor of the scheduled nest, within its error bounds. */
import type { Cells } from '../../../src/kernel/execute.ts'
import { compileExecutor } from '../../../src/kernel/execute.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { KernelArg, StageKernel } from '../../../src/kernel/stage.ts'
import type { Sym } from '../../../src/types/ix.ts'
import { evaluate } from '../../../src/types/ix.ts'
import { floats } from '../../../targets/wgsl/floats.ts'
import type { PrintedKernel } from '../../../targets/wgsl/kernel.ts'
import { codeFor, dimsOf, printKernel } from '../../../targets/wgsl/kernel.ts'
import type { PrintedPasses, Passes } from '../../../targets/wgsl/passes.ts'
import { entryAt, printPasses } from '../../../targets/wgsl/passes.ts'
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
  const { scheduled, printed } = print(kernel, dims, options)
  return pipelinesOf(kernel, scheduled, printed, on, features)
}
async function pipelinesOf(
  kernel: StageKernel,
  scheduled: Scheduled,
  printed: PrintedKernel,
  on?: GPUDevice,
  features: readonly Feature[] = [],
): Promise<Compiled> {
  const device = on ?? (await testDevice())
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

/** The passes of a kernel on a device. */
export interface CompiledPasses {
  readonly kernel: StageKernel
  readonly passes: Passes
  readonly printed: PrintedPasses
  readonly list: readonly Compiled[]
}
export async function compilePasses(
  kernel: StageKernel,
  dims: readonly Sym[],
  options: ScheduleOptions = {},
  on?: GPUDevice,
  features: readonly Feature[] = [],
  alternative = false,
): Promise<CompiledPasses> {
  const { spread, passes: own } = schedule(kernel, options)
  const passes = (alternative ? undefined : spread) ?? own
  if (passes === undefined) throw new Error(`${kernel.name} has no passes`)
  const printed = printPasses(kernel, passes, dimsOf(dims), [], () => false, new Set())
  const list = printed.list.map((x, i) =>
    pipelinesOf(x.kernel, passes.list[i].scheduled, x.printed, on, x.printed.parts.some((p) => p.form) ? features : []),
  )
  return { kernel, passes, printed, list: await Promise.all(list) }
}

/** A dispatch of a variant, and the numbers of the buffers that it takes. */
interface Dispatch {
  readonly c: Compiled
  readonly variant: number
  readonly args: readonly number[]
}

/** Dispatches one after the other, on buffers with these contents; what they hold afterwards. */
async function runAll(
  list: readonly Dispatch[],
  args: readonly KernelArg[],
  params: Values,
  dims: readonly Sym[],
  inputs: readonly Cells[],
  limit: number,
): Promise<readonly Float64Array[]> {
  const device = await testDevice()
  const { STORAGE, COPY_SRC, COPY_DST, UNIFORM, MAP_READ } = GPUBufferUsage
  const buffers = args.map((a, i) => {
    const integer = a.buffer.of === 'i32' || a.buffer.of === 'bool'
    const data = a.buffer.layout?.kept
      ? kept(a.buffer.layout, inputs[i].value).bytes
      : integer
        ? Int32Array.from(inputs[i].value, (x) => (Number.isNaN(x) ? -7 : x))
        : Float32Array.from(inputs[i].value)
    const buffer = device.createBuffer({ size: Math.max(16, data.byteLength), usage: STORAGE | COPY_SRC | COPY_DST })
    device.queue.writeBuffer(buffer, 0, data)
    return buffer
  })
  const uniform = device.createBuffer({ size: Math.max(16, 4 * dims.length), usage: UNIFORM | COPY_DST })
  device.queue.writeBuffer(
    uniform,
    0,
    Int32Array.from(dims, (s) => params.get(s) ?? 0),
  )
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  for (const { c, variant, args } of list) {
    const group = device.createBindGroup({
      layout: c.layout,
      entries: [
        ...(c.printed.usesDims ? [{ binding: 0, resource: { buffer: uniform } }] : []),
        ...args.map((a, i) => ({ binding: i + 1, resource: { buffer: buffers[a] } })),
      ],
    })
    const groups = evaluate(c.printed.entries[variant].groups, (s) => params.get(s) ?? 0)
    pass.setPipeline(c.pipelines[variant])
    pass.setBindGroup(0, group)
    pass.dispatchWorkgroups(Math.min(groups, limit), Math.ceil(groups / limit))
  }
  pass.end()
  const staged = buffers.map((buffer) => {
    const to = device.createBuffer({ size: buffer.size, usage: MAP_READ | COPY_DST })
    encoder.copyBufferToBuffer(buffer, 0, to, 0, buffer.size)
    return to
  })
  device.queue.submit([encoder.finish()])
  const results: Float64Array[] = []
  for (const [n, to] of staged.entries()) {
    await to.mapAsync(GPUMapMode.READ)
    const bytes = to.getMappedRange().slice(0)
    const integer = args[n].buffer.of === 'i32' || args[n].buffer.of === 'bool'
    const all = Float64Array.from(integer ? new Int32Array(bytes) : new Float32Array(bytes))
    results.push(all.slice(0, inputs[n].value.length))
  }
  for (const b of [...buffers, ...staged, uniform]) b.destroy()
  return results
}

/** Runs one variant; results of written arguments, in order. What nothing wrote stays NaN (or -7 where integer). */
export async function runOnDevice(
  c: Compiled,
  variant: number,
  params: Values,
  dims: readonly Sym[],
  inputs: readonly Cells[],
): Promise<readonly Float64Array[]> {
  const { args } = c.kernel
  const all = await runAll([{ c, variant, args: [...args.keys()] }], args, params, dims, inputs, 65535)
  return all.filter((_, i) => args[i].access !== 'read')
}

/** The largest error over its bound, of all results; throws where a result lies outside, or where anything else was written. */
export const check = (
  c: Compiled,
  variant: number,
  params: Values,
  dims: readonly Sym[],
  seed = 1,
  limit = 65535,
): Promise<number> =>
  checkAll(c.kernel, [{ c, variant, args: [...c.kernel.args.keys()] }], [], params, dims, seed, limit)

/** The same of a kernel's passes, each in the variant that a host takes. What scratch holds before is NaN. */
export function checkPasses(p: CompiledPasses, params: Values, dims: readonly Sym[], seed = 1): Promise<number> {
  const list = p.list.map((c, i) => {
    const variant = entryAt(c.printed, (s) => params.get(s) ?? 0)
    return { c, variant, args: p.printed.list[i].args }
  })
  return checkAll(p.kernel, list, p.passes.scratch, params, dims, seed, 65535)
}

async function checkAll(
  kernel: StageKernel,
  list: readonly Dispatch[],
  scratch: readonly Buffer[],
  params: Values,
  dims: readonly Sym[],
  seed: number,
  limit: number,
): Promise<number> {
  const args = [
    ...kernel.args,
    ...scratch.map((buffer): KernelArg => ({ buffer, access: 'write', role: 'activation' })),
  ]
  const start = inputsOf(args, params, seed).map((x, i) => {
    const { layout } = args[i].buffer
    return layout?.kept ? { ...x, value: kept(layout, x.value).values } : x
  })
  const copy = (): Cells[] => start.map((x) => ({ value: x.value.slice(), error: x.error.slice() }))
  const bounded = copy()
  for (const { c, variant, args } of list) {
    const { nest } = c.scheduled.variants[variant]
    const named = new Map([...params, ...(c.scheduled.constants ?? [])])
    const cells = new Map(nest.args.map((a, i) => [a.buffer, bounded[args[i]]]))
    compileExecutor(nest, floats, 'worst', { checked: true })(cells, named)
  }
  const exact = copy()
  compileExecutor(naiveNest(kernel), floats, 'worst', { checked: true })(
    new Map(kernel.args.map((a, i) => [a.buffer, exact[i]])),
    params,
  )
  const got = await runAll(list, args, params, dims, start, limit)
  const suffix = list.map(({ c, variant }) => c.scheduled.variants[variant].suffix).join()
  let worst = 0
  kernel.args.forEach((a, i) => {
    if (a.access === 'read') return
    for (let j = 0; j < got[i].length; j++) {
      const where = `${kernel.name}${suffix}: ${a.buffer.name}[${j}] of ${got[i].length}`
      const [want, error, is] = [exact[i].value[j], bounded[i].error[j], got[i][j]]
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
