// WebGPU devices: which one, within which limits, and pipelines made all at once.
import { TfmError } from '../../runtime/errors.ts'
import { within } from './buffers.ts'

export interface GpuOptions {
  /** Used as it is, and not destroyed by `dispose`. */
  device?: GPUDevice
  /** Where to look for an adapter. Default `navigator.gpu`. */
  gpu?: GPU
  /** Pipelines compiled so far. */
  onPipeline?: (progress: { phase: 'pipelines'; loaded: number; total: number }) => void
}

type Numbers = Readonly<Record<string, number>>
/** A kernel: its code, one letter per buffer (`r` read, `w` written), and an entry point for each number of rows. */
export interface KernelSpec {
  readonly code: string
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
  readonly layout: GPUBindGroupLayout
  readonly pipelines: readonly GPUComputePipeline[]
}

/** A device with all that its adapter offers; `own` if it was made here. */
export async function openDevice({
  device,
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
  try {
    return { device: await adapter.requestDevice({ requiredLimits }), own: true }
  } catch (thrown) {
    throw new TfmError(
      'TFM2102',
      `the adapter ${adapter.info.description || adapter.info.vendor} gave no device: ${thrown}`,
    )
  }
}

/** Compiles all kernels, in parallel. What a device cannot hold is said before anything is compiled. */
export async function compileKernels(
  device: GPUDevice,
  specs: Readonly<Record<string, KernelSpec>>,
  { onPipeline }: GpuOptions,
): Promise<Map<string, Kernel>> {
  const { limits } = device
  const entries = Object.entries(specs)
  // Threads and workgroup memory are within what every device has.
  for (const [name, { buffers }] of entries) {
    within(
      `kernel ${name} needs`,
      buffers.length,
      'storage buffers',
      'maxStorageBuffersPerShaderStage',
      limits.maxStorageBuffersPerShaderStage,
    )
  }
  const total = entries.reduce((n, [, spec]) => n + spec.entries.length, 0)
  let loaded = 0
  const kernels = entries.map(async ([name, spec]): Promise<[string, Kernel]> => {
    const visibility = 4 // GPUShaderStage.COMPUTE
    const layout = device.createBindGroupLayout({
      label: name,
      entries: [
        ...(spec.dims
          ? [{ binding: 0, visibility, buffer: { type: 'uniform', hasDynamicOffset: true } } as const]
          : []),
        ...[...spec.buffers].map(
          (c, i) =>
            ({ binding: i + 1, visibility, buffer: { type: c === 'w' ? 'storage' : 'read-only-storage' } }) as const,
        ),
      ],
    })
    const module = device.createShaderModule({ label: name, code: spec.code })
    const pipelines = spec.entries.map(async ({ name: entryPoint }) => {
      const compute = { module, entryPoint }
      try {
        const made = await device.createComputePipelineAsync({
          label: name,
          layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute,
        })
        onPipeline?.({ phase: 'pipelines', loaded: ++loaded, total })
        return made
      } catch (thrown) {
        throw new TfmError(
          'TFM2104',
          `kernel ${name} was not accepted: ${thrown instanceof Error ? thrown.message : thrown}`,
        )
      }
    })
    return [name, { ...spec, layout, pipelines: await Promise.all(pipelines) }]
  })
  return new Map(await Promise.all(kernels))
}
