/**
 * The process of one contender on the graphics card. It answers messages of the runner: `open` (loads), `check` (one result), `turn` (timed calls for
 * so many milliseconds), `listen` (calls whose dispatches are timed by the device and counted), and ends with the channel.
 */
import type { Opened, Task } from '../peers/contenders/contender.ts'
import type { Counts, TimedDispatch } from '../../src/gpu/listen.ts'
import type { Contender } from './contenders.ts'
import { workload } from './workloads.ts'

export type Request =
  | { readonly k: 'open'; readonly contender: Contender; readonly workload: string; readonly task: Omit<Task, 'workload'> }
  /** Writes the cache that a step begins with. */
  | { readonly k: 'past'; readonly workload: string; readonly variants: readonly string[] }
  | { readonly k: 'check' }
  | { readonly k: 'turn'; readonly ms: number }
  | { readonly k: 'listen'; readonly calls: number } // prettier-ignore
export type Reply =
  | { readonly k: 'opened'; readonly ms: number; readonly note?: string; readonly adapter?: Adapter }
  | { readonly k: 'result'; readonly base64: string; readonly step: number; readonly length: number }
  | { readonly k: 'times'; readonly times: readonly number[] }
  | { readonly k: 'heard'; readonly heard: Heard }
  | { readonly k: 'done' }
  | { readonly k: 'failed'; readonly message: string }
/** One call as the device sees it. */
export interface Heard {
  readonly counts: Counts
  /** Each dispatch of the call with the least time in all; none without timestamps. */
  readonly dispatches: readonly TimedDispatch[]
}
export interface Adapter {
  readonly description: string
  readonly driver: string
  readonly software: boolean
  readonly features: readonly string[]
}

/** Of results beyond so many numbers, every n-th is compared. */
const compared = 2 ** 18

const heardDevices: { device: GPUDevice; count: ReturnType<typeof import('../../src/gpu/listen.ts').countCalls>; timer: ReturnType<typeof import('../../src/gpu/listen.ts').timeDispatches> | undefined }[] = [] // prettier-ignore

/** WebGPU as pages have it, with everybody's devices heard. */
async function provideGpu(): Promise<{ readonly gpu: GPU; readonly adapter: Adapter }> {
  const { openGpu } = await import('../../src/gpu/dawn.ts')
  const { countCalls, timeDispatches } = await import('../../src/gpu/listen.ts')
  const { gpu, adapter, software, description } = await openGpu({ preciseTimestamps: true })
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
      heardDevices.push({ device, count: countCalls(device), timer: stamps ? timeDispatches(device) : undefined })
      return device
    }
    Object.defineProperty(found, 'requestDevice', { value: requestDevice, configurable: true })
    return found
  }
  Object.defineProperty(gpu, 'requestAdapter', { value: requestAdapter, configurable: true })
  Object.defineProperty(globalThis, 'navigator', {
    value: { gpu, userAgent: 'Node', hardwareConcurrency: 1 },
    configurable: true,
  })
  const info = {
    description,
    software,
    driver: [adapter.info.vendor, adapter.info.architecture, adapter.info.device, adapter.info.description].join(' | '),
    features: [...adapter.features].sort(),
  }
  return { gpu, adapter: info }
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

let opened: Opened | undefined
async function open(contender: Contender, task: Task): Promise<Adapter | undefined> {
  if (contender.kind === 'ours-wasm') {
    opened = await (await import('../peers/contenders/ours.ts')).ours(task)
    return undefined
  }
  const { gpu, adapter } = await provideGpu()
  if (contender.kind === 'jax-js') opened = await (await import('../peers/contenders/jax.ts')).jaxWebGpu(task)
  else if (contender.kind === 'ort-web') opened = await (await import('../peers/contenders/ort.ts')).ortWebGpu(task)
  else {
    if (contender.kind === 'ours-wgsl') opened = await (await import('../peers/contenders/ours.ts')).onGpu(gpu)(task)
    else {
      const found = await gpu.requestAdapter({ powerPreference: 'high-performance' })
      const { maxBufferSize, maxStorageBufferBindingSize } = found!.limits
      const device = await found!.requestDevice({ requiredLimits: { maxBufferSize, maxStorageBufferBindingSize } })
      opened = (await import('./yardstick.ts')).yardstick(device, task.workload)
    }
  }
  return adapter
}

/** So many calls; of each dispatch the least time, of counts those of the last call. */
async function listen(calls: number): Promise<Heard> {
  const heard = heardDevices[heardDevices.length - 1]
  if (heard === undefined) throw new Error('no device was asked for')
  const { run, before } = opened!
  let counts = { ...heard.count.counts }
  let least: readonly TimedDispatch[] = []
  for (let i = 0; i < calls; i++) {
    await before?.()
    heard.count.reset()
    heard.timer?.start()
    await run()
    counts = { ...heard.count.counts }
    const dispatches = (await heard.timer?.take()) ?? []
    const sum = (list: readonly TimedDispatch[]): number => list.reduce((ms, d) => ms + d.milliseconds, 0)
    if (i === 0 || sum(dispatches) < sum(least)) least = dispatches
  }
  return { counts, dispatches: least }
}

async function answer(request: Request): Promise<Reply> {
  if (request.k === 'past') {
    const { writePast } = await import('../peers/contenders/ort.ts')
    await writePast({ workload: workload(request.workload), threads: 1, variants: request.variants }, 'onnxruntime-web')
    return { k: 'done' }
  }
  if (request.k === 'open') {
    const from = performance.now()
    const adapter = await open(request.contender, { ...request.task, workload: workload(request.workload) })
    const note = opened?.note
    return { k: 'opened', ms: performance.now() - from, ...(note ? { note } : {}), ...(adapter ? { adapter } : {}) }
  }
  if (request.k === 'listen') return { k: 'heard', heard: await listen(request.calls) }
  const { run, before, limit = Infinity } = opened!
  await before?.()
  if (request.k === 'check') {
    const result = await run()
    const step = Math.ceil(result.length / compared)
    const some = step === 1 ? result : Float32Array.from({ length: Math.ceil(result.length / step) }, (_, i) => result[i * step]) // prettier-ignore
    const base64 = Buffer.from(some.buffer, some.byteOffset, some.byteLength).toString('base64')
    return { k: 'result', step, length: result.length, base64 }
  }
  const times: number[] = []
  const start = performance.now()
  for (let now = start; times.length === 0 || (now - start < request.ms && times.length < limit);) {
    await run()
    const end = performance.now()
    times.push(end - now)
    now = end
  }
  return { k: 'times', times }
}

process.on('message', (request: Request) => {
  void answer(request)
    .catch((thrown): Reply => ({ k: 'failed', message: thrown instanceof Error ? thrown.message : `${thrown}` }))
    .then((reply) => process.send!(reply))
})
process.on('disconnect', () => process.exit(0))
