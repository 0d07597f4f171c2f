import { waitPatiently } from './patience.ts'
import { hasVulkanLoader, prepareSwiftShader } from './swiftshader.ts'
import { GpuUnavailable, messageOf } from './unavailable.ts'

export { GpuUnavailable } from './unavailable.ts'

/** How Dawn is set up. */
export interface GpuOptions {
  /**
   * Leaves workgroup memory uninitialised: pipelines with workgroup memory then compile about ten times faster on
   * SwiftShader. Not for tests of correctness: a kernel that reads what it did not write would go unnoticed elsewhere.
   */
  readonly uninitialisedWorkgroupMemory?: boolean
  /** Gives timestamp queries in full resolution instead of steps of 65,536 ns. */
  readonly preciseTimestamps?: boolean
}

/** An opened WebGPU. */
export interface OpenGpu {
  readonly gpu: GPU
  /** For questions about limits and features. It is good for one device of your own; `device()` asks for its own. */
  readonly adapter: GPUAdapter
  /** For people: vendor, architecture and driver. */
  readonly description: string
  /** Whether a processor plays the graphics card. Times measured on it say nothing about a real one. */
  readonly software: boolean
  /** A new device with all of the adapter's limits and those of the features in `features` that it has. */
  device(features?: readonly GPUFeatureName[]): Promise<GPUDevice>
  /** Destroys the devices made through `device()`. */
  close(): void
}

/** The features that our kernels can make use of. */
const usefulFeatures: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query']

/**
 * Opens WebGPU in Node through the optional package `webgpu` (Dawn): on the system's own driver if there is one (and
 * whatever `VK_DRIVER_FILES` names counts as that), else on SwiftShader from the optional package
 * `@sparticuz/chromium`. Also defines WebGPU's constants (`GPUBufferUsage` and the like) globally, as a browser does,
 * where they are missing.
 * @throws GpuUnavailable with a code when a package is missing or there is no adapter.
 */
export async function openGpu(options: GpuOptions = {}): Promise<OpenGpu> {
  const flags: string[] = []
  if (options.uninitialisedWorkgroupMemory) flags.push('enable-dawn-features=disable_workgroup_init')
  if (options.preciseTimestamps) flags.push('disable-dawn-features=timestamp_quantization')
  const binding = await loadBinding()
  const found = await findAdapter(binding, flags)
  const opened = handle(found.gpu, found.adapter)
  const software = found.adapter.info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(opened.description)
  if (software) waitPatiently()
  return { ...opened, software }
}

/**
 * A WebGPU without any driver: it validates (Tint's messages, pipeline layouts, barrier uniformity, limits) and runs
 * nothing. Opens in milliseconds. `device()` and `adapter` behave as those of a real one.
 * @throws GpuUnavailable when the package `webgpu` is missing.
 */
export async function nullGpu(): Promise<OpenGpu> {
  const gpu = instance(await loadBinding(), ['backend=null'])
  const adapter = await gpu.requestAdapter()
  if (!adapter) throw noAdapter('The null backend gave none.')
  return { ...handle(gpu, adapter), description: 'Dawn, null backend', software: true }
}

type Binding = typeof import('webgpu')

async function loadBinding(): Promise<Binding> {
  try {
    const binding = await import('webgpu')
    for (const [name, value] of Object.entries(binding.globals))
      if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
    return binding
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND'
    throw new GpuUnavailable(
      'gpu-no-binding',
      {
        what: 'There is no WebGPU in this Node.',
        why: missing
          ? "The package 'webgpu' is not installed."
          : `The package 'webgpu' does not load: ${messageOf(cause)}.`,
        help: 'Install it: npm install --save-dev webgpu@0.6.2',
      },
      { cause },
    )
  }
}

async function findAdapter(binding: Binding, flags: readonly string[]): Promise<{ gpu: GPU; adapter: GPUAdapter }> {
  const ask = async () => {
    const gpu = instance(binding, flags)
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
    return adapter ? { gpu, adapter } : undefined
  }
  // Only Linux leaves the loader to us; elsewhere Dawn finds Metal or Direct3D by itself.
  const linux = process.platform === 'linux'
  const ofSystem = !linux || hasVulkanLoader() ? await ask() : undefined
  if (ofSystem) return ofSystem
  if (!linux) throw noAdapter('Dawn found no graphics card with a driver that it can use.')
  const folder = prepareSwiftShader()
  const ofSwiftShader = await ask()
  if (ofSwiftShader) return ofSwiftShader
  throw noAdapter(`The driver in ${process.env['VK_DRIVER_FILES'] ?? folder} gave none.`)
}

const alive: GPU[] = []

/** A Dawn instance, kept for the life of the process: Node segfaults if it is collected while anything of it lives. */
function instance(binding: Binding, flags: readonly string[]): GPU {
  const gpu = binding.create([...flags])
  alive.push(gpu)
  return gpu
}

function handle(gpu: GPU, adapter: GPUAdapter): Omit<OpenGpu, 'software'> {
  const { vendor, architecture, device: model, description } = adapter.info
  const devices: GPUDevice[] = []
  return {
    gpu,
    adapter,
    description: [vendor, architecture, description || model].filter((word) => word !== '').join(' '),
    async device(features = usefulFeatures) {
      // An adapter is consumed by its first device.
      const fresh = await gpu.requestAdapter({ powerPreference: 'high-performance' })
      if (!fresh) throw noAdapter('The one that there was has gone.')
      const device = await fresh.requestDevice({
        requiredFeatures: features.filter((feature) => fresh.features.has(feature)),
        requiredLimits: allLimits(fresh),
      })
      devices.push(device)
      return device
    },
    close() {
      for (const device of devices.splice(0)) device.destroy()
    },
  }
}

function allLimits(adapter: GPUAdapter): Record<string, GPUSize64> {
  const limits: Record<string, GPUSize64> = {}
  // The limits are getters of the prototype, which Object.keys does not see.
  for (const name in adapter.limits) {
    const value: unknown = Reflect.get(adapter.limits, name)
    if (typeof value === 'number') limits[name] = value
  }
  return limits
}

function noAdapter(why: string): GpuUnavailable {
  return new GpuUnavailable('gpu-no-adapter', {
    what: 'WebGPU found no adapter.',
    why,
    help: 'Check the graphics driver, or unset VK_DRIVER_FILES and install @sparticuz/chromium@147.0.0 for a software one.',
  })
}
