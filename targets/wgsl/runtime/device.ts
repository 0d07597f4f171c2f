// WebGPU devices: which one, within which limits, and pipelines, compiled in the order of their first use.
import { TfmError } from '../../runtime/errors.ts'
import type { ReadOptions } from '../../runtime/source.ts'
import { within } from './limits.ts'
import type { TuningStore } from './tune.ts'

/** What kernels use where a device has it. */
export type Feature = 'subgroups' | 'shader-f16'
const known: readonly Feature[] = ['subgroups', 'shader-f16']

/**
 * Kinds of kernels that have an alternative without workgroup memory: products of few rows, and of many, norms and other rows, attention of
 * up to 128 queries.
 * A norm before products of few rows is a kernel of its own then. Where a processor plays the graphics card all these are faster.
 */
export type Alternative = 'few' | 'many' | 'rows' | 'queries'
export const alternatives: readonly Alternative[] = ['few', 'many', 'rows', 'queries']

export interface GpuOptions {
  /** Used as it is, and not destroyed by `dispose`. */
  device?: GPUDevice
  /** What kernels may use of what a device need not have. Default: all of it that the device has; `[]` is none. */
  features?: readonly Feature[]
  /** Where to look for an adapter. Default `navigator.gpu`. */
  gpu?: GPU
  /**
   * Which pipelines are made before they are needed: `all` go on while weights are read, those of a first call are ready with them.
   * `needed` makes each when a call needs it, the default where the processor plays the graphics card, since compiling takes the same cores.
   */
  compile?: 'all' | 'needed'
  /** Which kinds of kernels run in their form without workgroup memory. Default: all where the processor plays the graphics card, else none. */
  alternatives?: readonly Alternative[]
  /** Measures that once on a graphics card (about 0.1 s, and the compiling of both forms) and keeps it here, for each adapter and module. */
  tuning?: TuningStore
}

type Numbers = Readonly<Record<string, number>>
/** A kernel: its code (for a device that has what `has` says), one letter per buffer (`r` read, `w` written), and an entry point for each number of rows. */
export interface KernelSpec {
  readonly code: string | ((has: (feature: Feature) => boolean) => string)
  readonly buffers: string
  /** Whether it reads the block of dims. */
  readonly dims: boolean
  /** Whether it runs at all. */
  readonly where?: (d: Numbers) => boolean
  /** The same where its alternative is not taken. */
  readonly here?: (d: Numbers) => boolean
  /** What runs only where an alternative is taken. */
  readonly when?: Alternative
  /** What does not run where one is, or only where `where` holds. */
  readonly unless?: Alternative
  readonly rows?: (d: Numbers) => number
  /**
   * The first whose `upTo` is not below the number of rows is taken; one with `when` only where that alternative is. `groups` gives the number of
   * workgroups.
   */
  readonly entries: readonly {
    readonly name: string
    readonly groups: (d: Numbers) => number
    readonly upTo?: number
    readonly when?: Alternative
  }[]
}
export interface Kernel extends KernelSpec {
  /** What its code uses of what a device need not have. */
  readonly uses: ReadonlySet<Feature>
  readonly layout: GPUBindGroupLayout
  /** The entries that run here, the last for the most rows. */
  order: readonly number[]
  /** `where` says nothing here. */
  unlimited: boolean
  /** By entry, as soon as they are compiled. */
  readonly pipelines: GPUComputePipeline[]
  /** Compiles an entry, once. */
  readonly compile: (entry: number) => Promise<void>
}

/** The entry that runs at these dims; -1 where none does. */
export function entryFor(
  {
    where,
    here,
    unlimited,
    rows,
    entries,
    order,
  }: Pick<Kernel, 'where' | 'here' | 'unlimited' | 'rows' | 'entries' | 'order'>,
  dims: Numbers,
): number {
  const count = rows?.(dims) ?? 0
  return (unlimited ? here : where)?.(dims) === false
    ? -1
    : (order.find((i) => count <= (entries[i].upTo ?? Infinity)) ?? -1)
}

/** The entries that calls can come to where these alternatives are taken, and whether they do at all dims. */
export function choiceOf(
  { entries, when, unless, where }: KernelSpec,
  taken: readonly Alternative[],
): Pick<Kernel, 'order' | 'unlimited'> {
  let most = -1
  const unlimited = !!unless && !taken.includes(unless)
  if ((when && !taken.includes(when)) || (unless && !unlimited && !where)) return { order: [], unlimited }
  const order = [...entries.keys()].filter((i) => {
    const { when, upTo = Infinity } = entries[i]
    if ((when && !taken.includes(when)) || upTo <= most) return false
    most = upTo
    return true
  })
  return { order, unlimited }
}

/** A device with all that its adapter offers; `own` if it was made here. */
export async function openDevice({
  device,
  features = known,
  gpu = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu,
  tuning,
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
  const clock = tuning ? (['timestamp-query'] as const) : []
  const requiredFeatures = [...features, ...clock].filter((f) => adapter.features.has(f))
  try {
    return { device: await adapter.requestDevice({ requiredLimits, requiredFeatures }), own: true }
  } catch (thrown) {
    throw new TfmError(
      'TFM2102',
      `the adapter ${adapter.info.description || adapter.info.vendor} gave no device: ${thrown}`,
    )
  }
}

/** Kernels as they are compiled here: none is yet. What a device cannot hold is said at once. */
export function makeKernels(
  device: GPUDevice,
  specs: Readonly<Record<string, KernelSpec>>,
  onProgress?: ReadOptions['onProgress'],
  features = known,
  taken = isSoftware(device) ? alternatives : [],
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
  let [loaded, total] = [0, 0]
  const make = (name: string, spec: KernelSpec): Kernel => {
    const uses = new Set<Feature>()
    const has = (f: Feature) => features.includes(f) && device.features.has(f) && !!uses.add(f)
    const text = typeof spec.code === 'string' ? spec.code : spec.code(has)
    const code = [...uses].map((f) => `enable ${f.replace('shader-', '')};`).join('') + text
    const layout = layoutOf(device, name, spec)
    const pipelines: GPUComputePipeline[] = []
    const begun: Promise<void>[] = []
    let module: GPUShaderModule | undefined
    const begin = async (i: number) => {
      total++
      module ??= device.createShaderModule({ label: name, code })
      const compute = { module, entryPoint: spec.entries[i].name }
      try {
        pipelines[i] = await device.createComputePipelineAsync({
          label: name,
          layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute,
        })
      } catch (thrown) {
        const why = thrown instanceof Error ? thrown.message : thrown
        throw new TfmError('TFM2104', `kernel ${name} was not accepted: ${why}`)
      }
      onProgress?.({ phase: 'pipelines', loaded: ++loaded, total, tensor: name })
    }
    const compile = (i: number) => {
      // Whoever needs the pipeline hears why there is none.
      if (!begun[i]) (begun[i] = begin(i)).catch(() => {})
      return begun[i]
    }
    return { ...spec, uses, ...choiceOf(spec, taken), layout, pipelines, compile }
  }
  return new Map(Object.entries(specs).map(([name, spec]) => [name, make(name, spec)]))
}

/** Whether the processor plays the graphics card. */
export const isSoftware = ({ adapterInfo: info }: GPUDevice): boolean =>
  !!info && (info.isFallbackAdapter || /swiftshader|llvmpipe/.test(info.architecture + info.description))

function layoutOf(device: GPUDevice, label: string, { dims, buffers }: KernelSpec): GPUBindGroupLayout {
  const visibility = 4 // GPUShaderStage.COMPUTE
  const uniform = { binding: 0, visibility, buffer: { type: 'uniform', hasDynamicOffset: true } } as const
  const storage = [...buffers].map(
    (c, i) => ({ binding: i + 1, visibility, buffer: { type: c === 'w' ? 'storage' : 'read-only-storage' } }) as const,
  )
  return device.createBindGroupLayout({ label, entries: dims ? [uniform, ...storage] : storage })
}
