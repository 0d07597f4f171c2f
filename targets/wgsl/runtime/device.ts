// WebGPU devices: which one, within which limits, and pipelines, compiled in the order of their first use.
import { TfmError } from '../../runtime/errors.ts'
import type { ReadOptions } from '../../runtime/source.ts'
import { within } from './limits.ts'

/** What kernels use where a device has it. */
export type Feature = 'subgroups' | 'shader-f16'
const known: readonly Feature[] = ['subgroups', 'shader-f16']

export interface GpuOptions {
  /** Used as it is, and not destroyed by `dispose`. */
  device?: GPUDevice
  /** What kernels may use of what a device need not have. Default: all of it that the device has; `[]` is none. */
  features?: readonly Feature[]
  /** Where to look for an adapter. Default `navigator.gpu`. */
  gpu?: GPU
}

type Numbers = Readonly<Record<string, number>>
/** A kernel: its code (for a device that has what `has` says), one letter per buffer (`r` read, `w` written), and an entry point for each number of rows. */
export interface KernelSpec {
  readonly code: string | ((has: (feature: Feature) => boolean) => string)
  readonly buffers: string
  /** Whether it reads the block of dims. */
  readonly dims: boolean
  readonly rows?: (d: Numbers) => number
  /** The first whose `upTo` is not below the number of rows is taken. `groups` gives the number of workgroups. */
  readonly entries: readonly {
    readonly name: string
    readonly groups: (d: Numbers) => number
    readonly upTo?: number
  }[]
}
export interface Kernel extends KernelSpec {
  /** What its code uses of what a device need not have. */
  readonly uses: ReadonlySet<Feature>
  readonly layout: GPUBindGroupLayout
  /** By entry, as soon as they are compiled. */
  readonly pipelines: GPUComputePipeline[]
  readonly compiling: Promise<void>[]
}

/** The entry that runs at these dims. */
export function entryFor({ rows, entries }: KernelSpec, dims: Numbers): number {
  const count = rows?.(dims) ?? 0
  return entries.findIndex((e) => e.upTo === undefined || count <= e.upTo)
}

/** A device with all that its adapter offers; `own` if it was made here. */
export async function openDevice({
  device,
  features = known,
  gpu = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu,
}: GpuOptions): Promise<{ device: GPUDevice; own: boolean }> {
  if (device) return { device, own: false }
  if (!gpu)
    throw new TfmError('TFM2101', 'there is no WebGPU here: give load a gpu or a device, or use a browser that has it')
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (!adapter) throw new TfmError('TFM2102', 'WebGPU found no adapter: no graphics driver that it can use')
  const wanted = [
    'maxBufferSize',
    'maxStorageBufferBindingSize',
    'maxStorageBuffersPerShaderStage',
    'maxComputeWorkgroupsPerDimension',
  ] as const
  const requiredLimits = Object.fromEntries(wanted.map((name) => [name, adapter.limits[name]]))
  const requiredFeatures = features.filter((f) => adapter.features.has(f))
  try {
    return { device: await adapter.requestDevice({ requiredLimits, requiredFeatures }), own: true }
  } catch (thrown) {
    throw new TfmError(
      'TFM2102',
      `the adapter ${adapter.info.description || adapter.info.vendor} gave no device: ${thrown}`,
    )
  }
}

/**
 * Begins to compile all kernels, in parallel: first, of those named in `first` and in their order, the entries for most rows, then what is
 * left. What a device cannot hold is said before anything is compiled.
 */
export function compileKernels(
  device: GPUDevice,
  specs: Readonly<Record<string, KernelSpec>>,
  first: ReadonlySet<string>,
  onProgress?: ReadOptions['onProgress'],
  features = known,
): Map<string, Kernel> {
  const { limits } = device
  // Threads and workgroup memory are within what every device has.
  for (const [name, { buffers }] of Object.entries(specs)) {
    within(
      `kernel ${name} needs`,
      buffers.length,
      'storage buffers',
      'maxStorageBuffersPerShaderStage',
      limits.maxStorageBuffersPerShaderStage,
    )
  }
  const names = [...new Set([...first, ...Object.keys(specs)])]
  const kernels = new Map<string, Kernel>()
  const last = (name: string) => specs[name].entries.length - 1
  const total = names.reduce((n, name) => n + last(name) + 1, 0)
  let loaded = 0
  const compile = (name: string, i: number) => {
    const uses = new Set<Feature>()
    const kernel = kernels.get(name) ?? { ...specs[name], uses, layout: layoutOf(device, name, specs[name]), pipelines: [], compiling: [] } // prettier-ignore
    kernels.set(name, kernel)
    const has = (f: Feature) => features.includes(f) && device.features.has(f) && !!uses.add(f)
    const codeOf = ({ code }: KernelSpec) => {
      const text = typeof code === 'string' ? code : code(has)
      return [...uses].map((f) => `enable ${f.replace('shader-', '')};`).join('') + text
    }
    const module = (modules[name] ??= device.createShaderModule({ label: name, code: codeOf(kernel) }))
    const layout = device.createPipelineLayout({ bindGroupLayouts: [kernel.layout] })
    const compute = { module, entryPoint: kernel.entries[i].name }
    const made = device.createComputePipelineAsync({ label: name, layout, compute }).then(
      (pipeline) => void (kernel.pipelines[i] = pipeline),
      (thrown) => {
        const why = thrown instanceof Error ? thrown.message : thrown
        throw new TfmError('TFM2104', `kernel ${name} was not accepted: ${why}`)
      },
    )
    kernel.compiling[i] = made
    // Whoever needs the pipeline hears of it.
    made.then(() => onProgress?.({ phase: 'pipelines', loaded: ++loaded, total, tensor: name })).catch(() => {})
  }
  const modules: Record<string, GPUShaderModule> = {}
  for (const name of first) compile(name, last(name))
  for (const name of names) for (let i = first.has(name) ? last(name) : last(name) + 1; i--;) compile(name, i)
  return kernels
}

function layoutOf(device: GPUDevice, label: string, { dims, buffers }: KernelSpec): GPUBindGroupLayout {
  const visibility = 4 // GPUShaderStage.COMPUTE
  const uniform = { binding: 0, visibility, buffer: { type: 'uniform', hasDynamicOffset: true } } as const
  const storage = [...buffers].map(
    (c, i) => ({ binding: i + 1, visibility, buffer: { type: c === 'w' ? 'storage' : 'read-only-storage' } }) as const,
  )
  return device.createBindGroupLayout({ label, entries: dims ? [uniform, ...storage] : storage })
}
