/** One workload, contenders side by side: results are compared first, then turns alternate, then the device tells how long each dispatch took. */
import type { Workload } from '../peers/workloads.ts'
import type { Heard } from './child.ts'
import type { Contender } from './contenders.ts'
import { start, type Running } from './process.ts'
import type { Adapter } from './provide.ts'

export interface Measured {
  readonly workload: string
  readonly contender: string
  /** Milliseconds of a call, from inputs in JavaScript arrays to the result in one: the fastest, the middle one. */
  readonly best: number
  readonly median: number
  readonly calls: number
  /** Largest deviation from the reference as a share of the reference's largest magnitude. */
  readonly deviation: number
  readonly heard?: Heard
  readonly adapter?: Adapter
  readonly note?: string
  /** Why there is no time. */
  readonly failed?: string
}
export interface Plan {
  readonly rounds: number
  /** Milliseconds of a turn; every turn has one call at least. */
  readonly turn: number
  /** Calls whose dispatches are timed. */
  readonly listened: number
  /** Seconds that an answer may take. */
  readonly patience: number
}
/** What is passed to the child besides the contender. */
export type TaskOf = (c: Contender) => { readonly variants: readonly string[]; readonly module?: string }
export interface Result {
  readonly values: Float32Array
  readonly length: number
}

const open = (process: Running, contender: Contender, w: Workload, taskOf: TaskOf) =>
  process.ask<'opened'>({ k: 'open', contender, workload: w.id, task: { threads: 1, ...taskOf(contender) } })

async function check(process: Running): Promise<Result> {
  const { base64, length } = await process.ask<'result'>({ k: 'check' })
  const bytes = Buffer.from(base64, 'base64')
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  return { values, length }
}

/** The result of one contender alone. */
export async function resultOf(w: Workload, contender: Contender, taskOf: TaskOf, patience: number): Promise<Result> {
  const process = start(patience)
  try {
    await open(process, contender, w, taskOf)
    return await check(process)
  } finally {
    process.stop()
  }
}

export function deviation(result: Result, reference: Result): number {
  if (result.length !== reference.length) return Infinity
  let [difference, size] = [0, 0]
  for (let i = 0; i < result.values.length; i++) {
    const d = Math.abs(result.values[i] - reference.values[i])
    if (!(d <= difference)) difference = d
    size = Math.max(size, Math.abs(reference.values[i]))
  }
  return Number.isNaN(difference) ? Infinity : difference / size
}

export async function measure(
  w: Workload,
  contenders: readonly Contender[],
  plan: Plan,
  taskOf: TaskOf,
  reference: Result,
  say: (text: string) => void,
): Promise<Measured[]> {
  const results: Measured[] = []
  const ready: { contender: Contender; process: Running; about: Partial<Measured>; deviation: number; times: number[] }[] = [] // prettier-ignore
  const fail = (contender: Contender, failed: string, off = NaN): void => {
    say(`${w.id}: ${contender.name}: ${failed}`)
    results.push({
      workload: w.id,
      contender: contender.name,
      best: NaN,
      median: NaN,
      calls: 0,
      deviation: off,
      failed,
    })
  }
  for (const contender of contenders) {
    say(`${w.id}: loading ${contender.name}`)
    const process = start(plan.patience)
    let off = NaN
    try {
      const { note, adapter } = await open(process, contender, w, taskOf)
      const about = { ...(note ? { note } : {}), ...(adapter ? { adapter } : {}) }
      off = deviation(await check(process), reference)
      if (off > w.tolerance)
        throw new Error(`disagrees by ${off.toExponential(1)} of the largest value (allowed: ${w.tolerance})`)
      ready.push({ contender, process, about, deviation: off, times: [] })
    } catch (thrown) {
      process.stop()
      fail(contender, (thrown as Error).message, off)
    }
  }
  for (let round = -1; round < plan.rounds; round++) {
    say(`${w.id}: ${round < 0 ? 'warming up' : `round ${round + 1} of ${plan.rounds}`}`)
    for (const r of [...ready]) {
      try {
        const { times } = await r.process.ask<'times'>({ k: 'turn', ms: round < 0 ? plan.turn / 2 : plan.turn })
        if (round >= 0) r.times.push(...times)
      } catch (thrown) {
        ready.splice(ready.indexOf(r), 1)
        fail(r.contender, (thrown as Error).message, r.deviation)
      }
    }
  }
  for (const { contender, process, about, deviation, times } of ready) {
    say(`${w.id}: listening to ${contender.name}`)
    const heard = await process.ask<'heard'>({ k: 'listen', calls: plan.listened }).catch((thrown: Error) => {
      say(`${w.id}: ${contender.name}: ${thrown.message}`)
      return undefined
    })
    process.stop()
    times.sort((a, b) => a - b)
    results.push({
      workload: w.id, contender: contender.name, best: times[0] ?? NaN, median: times[times.length >> 1] ?? NaN, calls: times.length, deviation,
      ...about, ...(heard ? { heard: heard.heard } : {}),
    }) // prettier-ignore
  }
  return results
}
