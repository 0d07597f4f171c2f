// Which alternatives a device does better with: measured once, and remembered by the caller.
import type { ReadOptions } from '../../runtime/source.ts'
import type { Dims } from '../../runtime/inputs.ts'
import { extent } from '../../runtime/inputs.ts'
import { Buffers } from './buffers.ts'
import type { Alternative, Kernel } from './device.ts'
import { alternatives, choiceOf, entryFor } from './device.ts'
import { gridOf } from './limits.ts'
import type { Dispatch, ModelSpec, ProgramSpec } from './session.ts'

/** Where choices are kept, by adapter and module: `localStorage` in a page, say, or a file. What is not there, or is damaged, is measured again. */
export interface TuningStore {
  get(key: string): string | null | undefined | Promise<string | null | undefined>
  set(key: string, value: string): unknown
}

/** Milliseconds of dispatches after which no further round begins, dispatches of a sample, mostRounds at most. */
const [tuningTime, perSample, mostRounds] = [100, 8, 5]
/** An alternative must be faster by so much. */
const faster = 0.95

/** Of an adapter, and of a module by what it is made of. */
export function tuningKey({ adapterInfo: i }: GPUDevice, module: unknown): string {
  let hash = 0
  for (const c of JSON.stringify(module)) hash = (Math.imul(hash, 31) + c.charCodeAt(0)) >>> 0
  return `tfm tuning 1: ${[i?.vendor, i?.architecture, i?.device, i?.description].join('/')}: ${hash.toString(16)}`
}

/** A choice as it was stored; undefined for what is none. */
export async function recall(store: TuningStore, key: string): Promise<Alternative[] | undefined> {
  try {
    const found = ((await store.get(key)) ?? '').split(' ')
    const taken = alternatives.filter((a) => found.includes(a))
    return found[0] === 'taken' && found.length === taken.length + 1 ? taken : undefined
  } catch {
    return undefined
  }
}
export async function remember(store: TuningStore, key: string, taken: readonly Alternative[]): Promise<void> {
  try {
    await store.set(key, ['taken', ...taken].join(' '))
  } catch {
    // Nothing is lost but a measurement.
  }
}

/** A kernel in both of its forms, -1 where it does not run in one, and how often a call runs it. */
interface Trial {
  readonly kernel: Kernel
  readonly step: Dispatch
  readonly forms: readonly [plain: number, alternative: number]
  calls: number
  readonly best: [number, number]
}

/** Sizes that calls come with: a step after 64 positions, about 64 rows. */
function sizesOf({ dims, sequence: s }: ModelSpec, one: boolean): Dims {
  const each = Math.round(64 ** (1 / dims.length))
  const d: Dims = Object.fromEntries(dims.map((name) => [name, s ? 1 : each]))
  if (s) [d[s.T], d[s.past]] = one ? [1, Math.min(64, s.max - 1)] : [Math.min(64, s.max), 0]
  return d
}

/** Runs kernels of the model that have alternatives in both forms, on its weights and on buffers of their own, and gives what is faster. */
export async function tune(
  model: ModelSpec,
  device: GPUDevice,
  kernels: ReadonlyMap<string, Kernel>,
  weights: Buffers,
  { onProgress, signal }: ReadOptions,
): Promise<Alternative[]> {
  const { prefill, run, step } = model.programs
  const taken: Alternative[] = []
  const time = timerOf(device)
  try {
    for (const [i, kind] of alternatives.entries()) {
      onProgress?.({ phase: 'tuning', loaded: i, total: alternatives.length, tensor: kind })
      const program = kind === 'few' ? step : (prefill ?? run)
      if (program && (await isFaster(kind, program))) taken.push(kind)
    }
  } finally {
    time.end()
  }
  onProgress?.({ phase: 'tuning', loaded: alternatives.length, total: alternatives.length, tensor: taken.join(' ') })
  return taken

  async function isFaster(kind: Alternative, program: ProgramSpec): Promise<boolean> {
    const dims = sizesOf(model, kind === 'few')
    const trials = trialsOf(kind, program, dims)
    const own = new Buffers(device)
    try {
      if (!program.checks.every(([, holds]) => holds(dims))) return false
      reserve(own, program, dims)
      await Promise.all(trials.flatMap(({ kernel, forms }) => forms.filter((i) => i >= 0).map(kernel.compile)))
      let spent = 0
      for (let round = 0; round < mostRounds && spent < tuningTime / alternatives.length; round++)
        for (const { kernel, step, forms, best } of trials)
          for (const [which, entry] of forms.entries()) {
            if (entry < 0) continue
            signal?.throwIfAborted()
            const ms = await time.of(kernel, entry, groupOf(own, kernel, step), dims)
            spent += ms
            best[which] = Math.min(best[which], ms)
          }
      if (await own.full()) return false
    } catch {
      // What does not fit here, or is not accepted, is no choice. Whoever needs it hears why.
      signal?.throwIfAborted()
      return false
    } finally {
      own.destroy()
    }
    const sum = (which: 0 | 1) =>
      trials.reduce((ms, { forms, calls, best }) => ms + (forms[which] < 0 ? 0 : calls * best[which]), 0)
    return trials.length > 0 && sum(1) < faster * sum(0)
  }

  function trialsOf(kind: Alternative, program: ProgramSpec, dims: Dims): Trial[] {
    const found = new Map<string, Trial>()
    for (const step of program.steps) {
      if ('t' in step) continue
      const kernel = kernels.get(step[0])!
      const entry = (taken: readonly Alternative[]) => entryFor({ ...kernel, ...choiceOf(kernel, taken) }, dims)
      const forms = [entry([]), entry([kind])] as const
      if (forms[0] === forms[1]) continue
      const trial = found.get(step[0]) ?? { kernel, step, forms, calls: 0, best: [Infinity, Infinity] }
      trial.calls++
      found.set(step[0], trial)
    }
    return [...found.values()]
  }

  /** All that a program reads and writes but weights: zeros. */
  function reserve(own: Buffers, { inputs, outputs, slots }: ProgramSpec, d: Dims): void {
    const { sequence } = model
    for (const [to, ports] of [['v', inputs], ['o', outputs]] as const)
      for (const { name, shape } of ports) own.reserve(`${to}:${name}`, shape.reduce((n: number, e) => n * extent(e, d), 4))
    slots.forEach((size, i) => own.reserve(`a:${i}`, 4 * size(d)))
    for (const { names, size, grows } of model.state)
      for (const name of names) own.reserve(`s:${name}`, 4 * size(d) * (grows ? d[sequence!.past] + d[sequence!.T] : 1))
    own.fill('u:dims', 4 * model.dims.length, (memory) => new Int32Array(memory).set(model.dims.map((n) => d[n])), 64)
  } // prettier-ignore

  function groupOf(own: Buffers, kernel: Kernel, [, ...args]: Dispatch): GPUBindGroup {
    const entries = args.map((a, i) => {
      const name = typeof a === 'number' ? `a:${a}` : a
      return { binding: i + 1, resource: { buffer: (/^[asvo]:/.test(name) ? own : weights).get(name) } }
    })
    const block = { binding: 0, resource: { buffer: own.get('u:dims') } }
    return device.createBindGroup({ layout: kernel.layout, entries: kernel.dims ? [block, ...entries] : entries })
  }
}

/** Milliseconds of some dispatches of a kernel: by timestamps where the device has them, else as the processor waits. */
function timerOf(device: GPUDevice) {
  const precise = device.features.has('timestamp-query')
  const querySet = precise && device.createQuerySet({ type: 'timestamp', count: 2 })
  // QUERY_RESOLVE and COPY_SRC, MAP_READ and COPY_DST.
  const [at, back] = [512 | 4, 1 | 8].map((usage) => device.createBuffer({ size: 16, usage }))
  return {
    async of(kernel: Kernel, entry: number, group: GPUBindGroup, dims: Dims): Promise<number> {
      const encoder = device.createCommandEncoder()
      const times = querySet && { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 }
      const pass = encoder.beginComputePass(times ? { timestampWrites: times } : {})
      pass.setPipeline(kernel.pipelines[entry])
      pass.setBindGroup(0, group, kernel.dims ? [0] : [])
      const { name, groups } = kernel.entries[entry]
      for (let i = 0; i < perSample; i++) pass.dispatchWorkgroups(...gridOf(name, groups(dims), device.limits))
      pass.end()
      if (querySet) {
        encoder.resolveQuerySet(querySet, 0, 2, at, 0)
        encoder.copyBufferToBuffer(at, 0, back, 0, 16)
      }
      const start = performance.now()
      device.queue.submit([encoder.finish()])
      if (!querySet) {
        await device.queue.onSubmittedWorkDone()
        return performance.now() - start
      }
      await back.mapAsync(1)
      const [begin, end] = new BigUint64Array(back.getMappedRange())
      const ms = Number(end - begin) / 1e6
      back.unmap()
      return ms
    },
    end(): void {
      if (querySet) querySet.destroy()
      for (const buffer of [at, back]) buffer.destroy()
    },
  }
}
