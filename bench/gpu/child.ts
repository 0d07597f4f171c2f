/**
 * The process of one contender on the graphics card. It answers messages of the runner: `open` (loads), `check` (one result), `turn` (timed calls for
 * so many milliseconds), `listen` (calls whose dispatches are timed by the device and counted), and ends with the channel.
 */
import type { Opened, Task } from '../peers/contenders/contender.ts'
import type { Failed } from '../shared/child.ts'
import { encoded, serve, timesOf } from '../shared/child.ts'
import type { Counts, TimedDispatch } from '../../src/gpu/listen.ts'
import type { Contender } from './contenders.ts'
import { provideGpu, type Adapter, type HeardDevice } from './provide.ts'
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
  | Failed
/** One call as the device sees it. */
export interface Heard {
  readonly counts: Counts
  /** Each dispatch of the call with the least time in all; none without timestamps. */
  readonly dispatches: readonly TimedDispatch[]
}
/** Of results beyond so many numbers, every n-th is compared. */
const compared = 2 ** 18

const provided: { heard: readonly HeardDevice[] } = { heard: [] }

let opened: Opened | undefined
async function open(contender: Contender, task: Task): Promise<Adapter | undefined> {
  if (contender.kind === 'ours-wasm') {
    opened = await (await import('../peers/contenders/ours.ts')).ours(task)
    return undefined
  }
  const { gpu, adapter, heard } = await provideGpu()
  provided.heard = heard
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
  const heard = provided.heard[provided.heard.length - 1]
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
    return { k: 'result', step, length: result.length, base64: encoded(some) }
  }
  return { k: 'times', times: await timesOf(run, request.ms, limit) }
}

serve(answer)
