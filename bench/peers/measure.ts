/** Times the contenders of one workload side by side: outputs are compared first, then turns alternate. */
import { decoded, deviation, Disagrees, timing } from '../shared/results.ts'
import { start } from './process.ts'
import type { Contender, Running } from './process.ts'
import type { Workload } from './workloads.ts'

export interface Measured {
  readonly workload: string
  readonly contender: string
  readonly threads: number
  /** Milliseconds of a call: the fastest, and the middle one. */
  readonly best: number
  readonly median: number
  readonly calls: number
  /** Largest deviation from the reference as a share of the reference's largest magnitude. */
  readonly deviation: number
  readonly note?: string
  /** Why there is no time. */
  readonly failed?: string
}

export interface Plan {
  /** 0 compares the results only. */
  readonly rounds: number
  /** Milliseconds of a turn; every turn has one call at least. */
  readonly turn: number
}

interface Ready {
  readonly contender: Contender
  readonly process: Running
  readonly note?: string
  readonly deviation: number
  readonly times: number[]
}

/** What is passed to the child besides the contender. */
export type TaskOf = (c: Contender) => { readonly variants: readonly string[]; readonly module?: string }

/**
 * Runs the contenders of a workload, the first of which gives the reference. A contender whose result deviates more than the workload
 * tolerates is reported and not timed.
 */
export async function measure(
  w: Workload,
  contenders: readonly Contender[],
  plan: Plan,
  taskOf: TaskOf,
  reference: Float32Array,
  say: (text: string) => void,
): Promise<Measured[]> {
  const results: Measured[] = []
  const ready: Ready[] = []
  const fail = ({ name, threads }: Contender, failed: string, off = NaN): void => {
    say(`${w.id}: ${name} (${threads}): ${failed}`)
    results.push({ workload: w.id, contender: name, threads, best: NaN, median: NaN, calls: 0, deviation: off, failed })
  }
  for (const contender of contenders) {
    const { name, threads } = contender
    say(`${w.id}: loading ${name} (${threads})`)
    const process = start(contender)
    try {
      const opened = await open(process, contender, w, taskOf)
      const off = contender.kind.startsWith('limits') ? 0 : deviation(await check(process), reference)
      if (off > w.tolerance) throw new Disagrees(off, w.tolerance)
      ready.push({ contender, process, deviation: off, times: [], ...opened })
    } catch (thrown) {
      process.stop()
      fail(contender, (thrown as Error).message, thrown instanceof Disagrees ? thrown.off : NaN)
    }
  }
  for (let round = plan.rounds === 0 ? 0 : -1; round < plan.rounds; round++) {
    say(`${w.id}: ${round < 0 ? 'warming up' : `round ${round + 1} of ${plan.rounds}`}`)
    for (const { process, times } of ready) {
      const reply = await process.ask<'times'>({ k: 'turn', ms: round < 0 ? plan.turn / 2 : plan.turn })
      if (round >= 0) times.push(...reply.times)
      // Threads of some contenders spin for a while after their work.
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
  }
  for (const { contender, process, note, deviation, times } of ready) {
    process.stop()
    const about = note === undefined ? {} : { note }
    results.push({
      workload: w.id,
      contender: contender.name,
      threads: contender.threads,
      ...timing(times),
      deviation,
      ...about,
    })
  }
  return results
}

const open = (process: Running, contender: Contender, w: Workload, taskOf: TaskOf) =>
  process.ask<'opened'>({
    k: 'open',
    contender: contender.kind,
    workload: w.id,
    task: { threads: contender.threads, wide: contender.wide ?? false, ...taskOf(contender) },
  })

async function check(process: Running): Promise<Float32Array> {
  const { base64 } = await process.ask<'result'>({ k: 'check' })
  return decoded(base64)
}

/** The result of one contender alone. */
export async function resultOf(w: Workload, contender: Contender, taskOf: TaskOf): Promise<Float32Array> {
  const process = start(contender)
  try {
    await open(process, contender, w, taskOf)
    return await check(process)
  } finally {
    process.stop()
  }
}

export interface Cold {
  readonly contender: string
  readonly threads: number
  /** Milliseconds until the model is loaded, and until the first result is there. */
  readonly load: number
  readonly first: number
  readonly peakBytes: number
}

/** Loading and first result in a fresh process, the best of some. */
export async function cold(w: Workload, contender: Contender, taskOf: TaskOf, times: number): Promise<Cold> {
  let best: Cold | undefined
  for (let i = 0; i < times; i++) {
    const process = start(contender)
    try {
      const { ms } = await open(process, contender, w, taskOf)
      const { ms: first } = await process.ask<'result'>({ k: 'check' })
      const { peakBytes } = await process.ask<'memory'>({ k: 'memory' })
      if (best === undefined || ms + first < best.first)
        best = { contender: contender.name, threads: contender.threads, load: ms, first: ms + first, peakBytes }
    } finally {
      process.stop()
    }
  }
  return best!
}
