/**
 * What a program asks of a WebGPU device, heard from outside: by methods laid over those of the device object. Nothing of ours, or of anyone else's
 * code that computes on it, has to know.
 */

/** Calls since the last `reset`. */
export interface Counts {
  dispatches: number
  /** Bytes of the buffers that dispatches were bound to: what they can have read and written, each buffer once for each dispatch. */
  bound: number
  passes: number
  submits: number
  pipelines: number
  bindGroups: number
  buffers: number
  bufferBytes: number
  /** Bytes that came from the processor: by `writeBuffer`, and into buffers that were mapped when they were made. */
  written: number
  /** Copies from buffer to buffer, in bytes. */
  copied: number
  /** Buffers mapped to be read, and their bytes. */
  reads: number
  read: number
}
export interface Counter {
  readonly counts: Counts
  /** Names of what was dispatched, in order: the label of its pipeline, or its entry point. */
  readonly names: string[]
  reset(): void
  stop(): void
}

const MAP_READ = 1

const none = (): Counts => ({
  dispatches: 0,
  bound: 0,
  passes: 0,
  submits: 0,
  pipelines: 0,
  bindGroups: 0,
  buffers: 0,
  bufferBytes: 0,
  written: 0,
  copied: 0,
  reads: 0,
  read: 0,
})

/** Counts what is asked of `device`, until `stop`. Pipelines that were made before have no names but their labels. */
export function countCalls(device: GPUDevice): Counter {
  const counts = none()
  const names: string[] = []
  const pipelines = namesOfPipelines(device, () => counts.pipelines++)
  const stops = [pipelines.stop]
  const queue = device.queue
  const sizes = new WeakMap<GPUBindGroup, number>()
  stops.push(
    lay(device, 'createBuffer', (make) => (descriptor) => {
      counts.buffers++
      counts.bufferBytes += descriptor.size
      if (descriptor.mappedAtCreation) counts.written += descriptor.size
      const buffer = make(descriptor)
      if ((descriptor.usage & MAP_READ) === 0) return buffer
      lay(buffer, 'mapAsync', (map) => (mode, from, size) => {
        counts.reads++
        counts.read += size ?? buffer.size - (from ?? 0)
        return map(mode, from, size)
      })
      return buffer
    }),
    lay(device, 'createBindGroup', (make) => (descriptor) => {
      counts.bindGroups++
      const group = make(descriptor)
      sizes.set(group, boundBytes(descriptor))
      return group
    }),
    lay(queue, 'submit', (submit) => (list) => {
      counts.submits++
      return submit(list)
    }),
    lay(queue, 'writeBuffer', (write) => (buffer, at, data, from, size) => {
      const each = ArrayBuffer.isView(data) && 'BYTES_PER_ELEMENT' in data ? Number(data.BYTES_PER_ELEMENT) : 1
      counts.written += size === undefined ? data.byteLength - (from ?? 0) * each : size * each
      return size === undefined ? write(buffer, at, data, from) : write(buffer, at, data, from, size)
    }),
    lay(device, 'createCommandEncoder', (make) => (descriptor) => {
      const encoder = make(descriptor)
      lay(encoder, 'copyBufferToBuffer', (copy) => (...args: readonly unknown[]) => {
        // Either (from, to, size?) or (from, fromAt, to, toAt, size?).
        const short = typeof args[1] === 'object'
        const from = args[0] as GPUBuffer
        counts.copied += Number((short ? args[2] : args[4]) ?? from.size - (short ? 0 : Number(args[1])))
        return Reflect.apply(copy, encoder, args) as undefined
      })
      lay(encoder, 'beginComputePass', (begin) => (about) => {
        counts.passes++
        const pass = begin(about)
        let current = ''
        const groups = new Map<number, number>()
        const counted = (): void => {
          counts.dispatches++
          for (const bytes of groups.values()) counts.bound += bytes
          names.push(current)
        }
        lay(pass, 'setBindGroup', (set) => (...args: readonly unknown[]) => {
          groups.set(Number(args[0]), sizes.get(args[1] as GPUBindGroup) ?? 0)
          return Reflect.apply(set, pass, args) as undefined
        })
        lay(pass, 'setPipeline', (set) => (pipeline) => {
          current = pipelines.nameOf(pipeline).label
          return set(pipeline)
        })
        lay(pass, 'dispatchWorkgroups', (dispatch) => (x, y, z) => {
          counted()
          return dispatch(x, y, z)
        })
        lay(pass, 'dispatchWorkgroupsIndirect', (dispatch) => (buffer, at) => {
          counted()
          return dispatch(buffer, at)
        })
        return pass
      })
      return encoder
    }),
  )
  return {
    counts,
    names,
    reset: () => {
      Object.assign(counts, none())
      names.length = 0
    },
    stop: () => stops.forEach((stop) => stop()),
  }
}

/** Bytes of the buffers of a bind group. */
function boundBytes({ entries }: GPUBindGroupDescriptor): number {
  let bytes = 0
  for (const { resource } of entries) {
    if ('size' in resource && 'usage' in resource) bytes += (resource as GPUBuffer).size
    else if ('buffer' in resource) bytes += resource.size ?? resource.buffer.size - (resource.offset ?? 0)
  }
  return bytes
}

/** One dispatch: what ran, in how many workgroups, for how long. */
export interface TimedDispatch {
  /** The label of its pipeline. */
  readonly label: string
  readonly entryPoint: string
  readonly groups: readonly number[]
  /** By the device's clock, from the beginning of a pass of its own to its end. */
  readonly milliseconds: number
}
export interface DispatchTimer {
  /** From now on each dispatch is a pass with timestamps. */
  start(): void
  /** The dispatches since `start`, in order; they must have been submitted. */
  take(): Promise<TimedDispatch[]>
  stop(): void
}

/** The most queries of a set. */
const MOST = 4096
const QUERY_RESOLVE = 512
const [COPY_SRC, COPY_DST] = [4, 8]

/**
 * Times each dispatch of `device`, which must have the feature `timestamp-query`. To be called before pipelines are made: they tell their entry
 * points. Costs nothing between `take` and `start`.
 */
export function timeDispatches(device: GPUDevice): DispatchTimer {
  const pipelines = namesOfPipelines(device)
  const sets: GPUQuerySet[] = []
  let made: Omit<TimedDispatch, 'milliseconds'>[] = []
  let listening = false
  const stop = lay(device, 'createCommandEncoder', (make) => (descriptor) => {
    const encoder = make(descriptor)
    if (!listening) return encoder
    lay(encoder, 'beginComputePass', (begin) => (about) => {
      let current: GPUComputePipeline | undefined
      const groups = new Map<number, readonly unknown[]>()
      const alone = (size: readonly number[], dispatch: (pass: GPUComputePassEncoder) => void): undefined => {
        const at = 2 * made.length
        const querySet = (sets[Math.floor(at / MOST)] ??= device.createQuerySet({ type: 'timestamp', count: MOST }))
        const [beginningOfPassWriteIndex, endOfPassWriteIndex] = [at % MOST, (at % MOST) + 1]
        const label = about?.label === undefined ? {} : { label: about.label }
        const pass = begin({
          ...label,
          timestampWrites: { querySet, beginningOfPassWriteIndex, endOfPassWriteIndex },
        })
        const name = current === undefined ? { label: '', entryPoint: '' } : pipelines.nameOf(current)
        made.push({ ...name, groups: size })
        if (current) pass.setPipeline(current)
        for (const args of groups.values()) Reflect.apply(pass.setBindGroup.bind(pass), pass, args)
        dispatch(pass)
        pass.end()
      }
      const instead: Partial<GPUComputePassEncoder> = {
        label: about?.label ?? '',
        setPipeline: (pipeline: GPUComputePipeline) => void (current = pipeline) as undefined,
        setBindGroup: (...args: readonly unknown[]) => void groups.set(Number(args[0]), args) as undefined,
        dispatchWorkgroups: (x: number, y = 1, z = 1) => alone([x, y, z], (pass) => pass.dispatchWorkgroups(x, y, z)),
        dispatchWorkgroupsIndirect: (buffer: GPUBuffer, at: number) =>
          alone([], (pass) => pass.dispatchWorkgroupsIndirect(buffer, at)),
        pushDebugGroup: () => undefined,
        popDebugGroup: () => undefined,
        insertDebugMarker: () => undefined,
        end: () => undefined,
      }
      return instead as GPUComputePassEncoder
    })
    return encoder
  })
  return {
    start() {
      made = []
      listening = true
    },
    async take() {
      listening = false
      const taken = made
      made = []
      const times = await timesOf(device, sets, taken.length)
      return taken.map((d, i) => ({ ...d, milliseconds: times[i] }))
    },
    stop() {
      stop()
      pipelines.stop()
      for (const set of sets.splice(0)) set.destroy()
    },
  }
}

/** One submission: how many dispatches it has, and how long the processor waited for it. */
export interface TimedSubmit {
  readonly dispatches: number
  readonly milliseconds: number
}
export interface SubmitTimer {
  start(): void
  take(): Promise<TimedSubmit[]>
  stop(): void
}

/** Times submissions by the clock of the processor, for devices without timestamps: from `submit` until the queue says that all is done. */
export function timeSubmits(device: GPUDevice): SubmitTimer {
  const counter = countCalls(device)
  let made: Promise<TimedSubmit>[] = []
  let listening = false
  const stop = lay(device.queue, 'submit', (submit) => (list) => {
    const start = performance.now()
    const done = submit(list)
    const { dispatches } = counter.counts
    counter.reset()
    if (listening && dispatches > 0)
      made.push(
        device.queue.onSubmittedWorkDone().then(() => ({ dispatches, milliseconds: performance.now() - start })),
      )
    return done
  })
  return {
    start() {
      made = []
      listening = true
    },
    take() {
      listening = false
      return Promise.all(made)
    },
    stop() {
      stop()
      counter.stop()
    },
  }
}

/** Milliseconds between the two timestamps of each of `count` dispatches. */
async function timesOf(device: GPUDevice, sets: readonly GPUQuerySet[], count: number): Promise<number[]> {
  const out: number[] = []
  for (const [i, set] of sets.entries()) {
    const own = Math.min(MOST, 2 * count - i * MOST)
    if (own <= 0) break
    const resolved = device.createBuffer({ size: 8 * own, usage: QUERY_RESOLVE | COPY_SRC })
    const mapped = device.createBuffer({ size: 8 * own, usage: MAP_READ | COPY_DST })
    const encoder = device.createCommandEncoder()
    encoder.resolveQuerySet(set, 0, own, resolved, 0)
    encoder.copyBufferToBuffer(resolved, 0, mapped, 0, 8 * own)
    device.queue.submit([encoder.finish()])
    await mapped.mapAsync(MAP_READ)
    const stamps = new BigUint64Array(mapped.getMappedRange())
    // Clocks may be reset, and then run backwards.
    for (let k = 0; k < own; k += 2) out.push(Math.max(0, Number(stamps[k + 1] - stamps[k]) / 1e6))
    resolved.destroy()
    mapped.destroy()
  }
  return out
}

interface PipelineName {
  readonly label: string
  readonly entryPoint: string
}
/** Remembers what pipelines are called. */
function namesOfPipelines(
  device: GPUDevice,
  heard: () => void = () => {},
): { readonly nameOf: (pipeline: GPUComputePipeline) => PipelineName; readonly stop: () => void } {
  const names = new WeakMap<GPUComputePipeline, PipelineName>()
  const keep = (pipeline: GPUComputePipeline, { label, compute }: GPUComputePipelineDescriptor): void => {
    const entryPoint = compute.entryPoint ?? ''
    names.set(pipeline, { label: label || compute.module.label || entryPoint, entryPoint })
  }
  const stops = [
    lay(device, 'createComputePipeline', (make) => (descriptor) => {
      heard()
      const pipeline = make(descriptor)
      keep(pipeline, descriptor)
      return pipeline
    }),
    lay(device, 'createComputePipelineAsync', (make) => async (descriptor) => {
      heard()
      const pipeline = await make(descriptor)
      keep(pipeline, descriptor)
      return pipeline
    }),
  ]
  return {
    nameOf: (pipeline) => names.get(pipeline) ?? { label: pipeline.label, entryPoint: '' },
    stop: () => stops.forEach((stop) => stop()),
  }
}

type MethodOf<T, K extends keyof T> = T[K] extends (...args: infer A) => infer R ? (...args: A) => R : never

/** Lays a method over that of one object. Gives what takes it off again. */
export function lay<T extends object, K extends keyof T>(
  object: T,
  name: K,
  over: (under: MethodOf<T, K>) => MethodOf<T, K>,
): () => void {
  const before = Object.getOwnPropertyDescriptor(object, name)
  const under = (object[name] as (...args: unknown[]) => unknown).bind(object) as MethodOf<T, K>
  Object.defineProperty(object, name, { value: over(under), configurable: true, writable: true })
  return () => {
    if (before) Object.defineProperty(object, name, before)
    else Reflect.deleteProperty(object, name)
  }
}
