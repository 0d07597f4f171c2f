/** WebGPU as pages have it, on Dawn, with everybody's devices heard. */
import { openGpu } from '../../src/gpu/dawn.ts'
import { countCalls, lay, timeDispatches, type Counter, type DispatchTimer } from '../../src/gpu/listen.ts'

export interface Adapter {
  readonly description: string
  readonly driver: string
  readonly software: boolean
  readonly features: readonly string[]
}
export interface HeardDevice {
  readonly device: GPUDevice
  readonly count: Counter
  readonly timer: DispatchTimer | undefined
}

/** Defines `navigator.gpu`. `idle`: everything is asked of the device and checked by it, but no workgroup runs. */
export async function provideGpu(
  idle = false,
): Promise<{ readonly gpu: GPU; readonly adapter: Adapter; readonly heard: readonly HeardDevice[] }> {
  const { gpu, adapter, software, description } = await openGpu({
    preciseTimestamps: true,
    uninitialisedWorkgroupMemory: idle,
  })
  const heard: HeardDevice[] = []
  const request = gpu.requestAdapter.bind(gpu)
  const requestAdapter = async (options?: GPURequestAdapterOptions): Promise<GPUAdapter | null> => {
    const found = await request(options)
    if (!found) return found
    const make = found.requestDevice.bind(found)
    const requestDevice = async (wanted: GPUDeviceDescriptor = {}): Promise<GPUDevice> => {
      const features = [...(wanted.requiredFeatures ?? [])] as GPUFeatureName[]
      const stamps = found.features.has('timestamp-query')
      if (stamps && !features.includes('timestamp-query')) features.push('timestamp-query')
      const device = await make({ ...wanted, requiredFeatures: features })
      acceptShared(device.queue)
      if (idle) runNothing(device)
      heard.push({ device, count: countCalls(device), timer: stamps ? timeDispatches(device) : undefined })
      return device
    }
    Object.defineProperty(found, 'requestDevice', { value: requestDevice, configurable: true })
    return found
  }
  Object.defineProperty(gpu, 'requestAdapter', { value: requestAdapter, configurable: true })
  const navigator = { gpu, userAgent: 'Node', hardwareConcurrency: 1 }
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true })
  const { vendor, architecture, device, description: driver } = adapter.info
  const features = [...adapter.features].sort()
  return {
    gpu,
    heard,
    adapter: { description, software, features, driver: [vendor, architecture, device, driver].join(' | ') },
  }
}

/** Dispatches have no workgroups. */
function runNothing(device: GPUDevice): void {
  lay(device, 'createCommandEncoder', (make) => (descriptor) => {
    const encoder = make(descriptor)
    lay(encoder, 'beginComputePass', (begin) => (about) => {
      const pass = begin(about)
      lay(pass, 'dispatchWorkgroups', (dispatch) => () => dispatch(0))
      lay(pass, 'dispatchWorkgroupsIndirect', (_) => () => pass.dispatchWorkgroups(0))
      return pass
    })
    return encoder
  })
}

/** Pages may write from shared memory; Dawn's binding takes a copy only. */
function acceptShared(queue: GPUQueue): void {
  const write = queue.writeBuffer.bind(queue)
  const writeBuffer: GPUQueue['writeBuffer'] = (buffer, at, data, from = 0, size) => {
    if (ArrayBuffer.isView(data) && data.buffer instanceof SharedArrayBuffer) {
      const each = 'BYTES_PER_ELEMENT' in data ? Number(data.BYTES_PER_ELEMENT) : 1
      const start = data.byteOffset + from * each
      const end = size === undefined ? data.byteOffset + data.byteLength : start + size * each
      return write(buffer, at, new Uint8Array(new Uint8Array(data.buffer, start, end - start)))
    }
    return size === undefined ? write(buffer, at, data, from) : write(buffer, at, data, from, size)
  }
  Object.defineProperty(queue, 'writeBuffer', { value: writeBuffer, configurable: true, writable: true })
}
