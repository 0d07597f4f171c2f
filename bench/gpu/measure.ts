/** One workload, contenders side by side: results are compared first, then turns alternate, then the device tells how long each dispatch took. */
import { cpus } from 'node:os'
import type { Workload } from '../peers/workloads.ts'
import { decoded, deviation, Disagrees, timing } from '../shared/results.ts'
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
  return { values: decoded(base64), length }
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

interface Ready {
  readonly contender: Contender
  readonly process: Running
  readonly about: Partial<Measured>
  readonly deviation: number
  readonly times: number[]
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
  const fail = (contender: Contender, failed: string, off = NaN): void => {
    say(`${w.id}: ${contender.name}: ${failed}`)
    const none = { best: NaN, median: NaN, calls: 0 }
    results.push({ workload: w.id, contender: contender.name, ...none, deviation: off, failed })
  }
  const load = async (contender: Contender): Promise<Ready | undefined> => {
    say(`${w.id}: loading ${contender.name}`)
    const process = start(plan.patience)
    try {
      const { note, adapter } = await open(process, contender, w, taskOf)
      const about = { ...(note ? { note } : {}), ...(adapter ? { adapter } : {}) }
      const result = await check(process)
      const off = result.length === reference.length ? deviation(result.values, reference.values) : Infinity
      if (off > w.tolerance) throw new Disagrees(off, w.tolerance)
      return { contender, process, about, deviation: off, times: [] }
    } catch (thrown) {
      process.stop()
      fail(contender, (thrown as Error).message, thrown instanceof Disagrees ? thrown.off : NaN)
      return undefined
    }
  }
  // Of several graphs ONNX Runtime finds the fastest while it loads: nobody else may be at work then.
  const alone = (c: Contender): boolean => c.kind === 'ort-web' || cpus().length < 8
  const loaded = await Promise.all(contenders.filter((c) => !alone(c)).map(load))
  for (const c of contenders.filter(alone)) loaded.push(await load(c))
  const ready = contenders.flatMap((c) => loaded.filter((r) => r !== undefined).filter((r) => r.contender === c))
  for (let round = -1; round < plan.rounds; round++) {
    say(`${w.id}: ${round < 0 ? 'warming up' : `round ${round + 1} of ${plan.rounds}`}`)
    for (const r of [...ready]) {
      try {
        const { times } = await r.process.ask<'times'>({ k: 'turn', ms: round < 0 ? plan.turn / 2 : plan.turn })
        if (round >= 0) r.times.push(...times)
      } catch (thrown) {
        ready.splice(ready.indexOf(r), 1)
        r.process.stop()
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
    const own = { ...timing(times), deviation, ...about, ...(heard ? { heard: heard.heard } : {}) }
    results.push({ workload: w.id, contender: contender.name, ...own })
  }
  return results
}
