/**
 * The process of one contender. It answers messages of the runner: `open` (loads; says how long that took), `check` (one result), `turn` (timed
 * calls for so many milliseconds), and ends with the channel.
 */
import type { Failed } from '../shared/child.ts'
import { encoded, serve, timesOf } from '../shared/child.ts'
import type { Open, Opened, Task } from './contenders/contender.ts'
import { workload } from './workloads.ts'

export type Request =
  | { readonly k: 'open'; readonly contender: string; readonly workload: string; readonly task: Omit<Task, 'workload'> }
  /** Writes the cache that a step begins with. */
  | { readonly k: 'past'; readonly workload: string; readonly variants: readonly string[] }
  | { readonly k: 'check' }
  | { readonly k: 'turn'; readonly ms: number }
  | { readonly k: 'memory' }
export type Reply =
  | { readonly k: 'opened'; readonly ms: number; readonly note?: string }
  | { readonly k: 'result'; readonly base64: string; readonly ms: number }
  | { readonly k: 'times'; readonly times: readonly number[] }
  | { readonly k: 'memory'; readonly peakBytes: number }
  | { readonly k: 'done' }
  | Failed

async function opener(contender: string): Promise<Open> {
  if (contender === 'ort-native') return (await import('./contenders/ort.ts')).ortNative
  if (contender === 'ort-web') return (await import('./contenders/ort.ts')).ortWeb
  if (contender === 'tfjs-wasm') return (await import('./contenders/tfjs.ts')).tfjsWasm
  if (contender === 'tfjs-cpu') return (await import('./contenders/tfjs.ts')).tfjsCpu
  if (contender === 'limits-wasm') return (await import('./contenders/limits.ts')).vectorPeak
  if (contender === 'limits-js') return (await import('./contenders/limits.ts')).blockedLoop
  if (contender === 'jax-js') return (await import('./contenders/jax.ts')).jax
  return (await import('./contenders/ours.ts')).ours
}

let opened: Opened | undefined
async function answer(request: Request): Promise<Reply> {
  if (request.k === 'past') {
    const { writePast } = await import('./contenders/ort.ts')
    await writePast({ workload: workload(request.workload), threads: 1, variants: request.variants })
    return { k: 'done' }
  }
  if (request.k === 'open') {
    const open = await opener(request.contender)
    const from = performance.now()
    opened = await open({ ...request.task, workload: workload(request.workload) })
    return { k: 'opened', ms: performance.now() - from, ...(opened.note ? { note: opened.note } : {}) }
  }
  if (request.k === 'memory') return { k: 'memory', peakBytes: process.resourceUsage().maxRSS * 1024 }
  const { run, before, limit = Infinity } = opened!
  await before?.()
  if (request.k === 'check') {
    const from = performance.now()
    const result = await run()
    const ms = performance.now() - from
    return { k: 'result', base64: encoded(result), ms }
  }
  return { k: 'times', times: await timesOf(run, request.ms, limit) }
}

serve(answer)
