/** Targets timed in turns on one model: `tfmc bench`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import type { ProgramName } from '../program/types.ts'
import type { Tuning } from '../target.ts'
import { version } from './cli.ts'
import type { Context } from './context.ts'
import { callsOf, listenTo, openSubject, round, type Call, type CallPlan, type Subject } from './calls.ts'
import { byKernel, type KernelTime } from './kernel-times.ts'
import type { ThreadOptions } from './load.ts'
import type { OpenedModel } from './model.ts'
import type { TargetName } from './targets.ts'
import type { Weights } from './weights.ts'

export interface Plan extends CallPlan {
  readonly targets: readonly TargetName[]
  readonly rounds: number
  /** Whether kernels are timed too. */
  readonly kernels: boolean
  readonly tuning?: Tuning | undefined
}
/** Milliseconds of one call over the rounds. */
export interface Timed {
  readonly best: number
  readonly median: number
}
export interface Measured {
  readonly target: TargetName
  readonly device: string
  readonly load: number
  /** Bytes that the process had at most while it loaded and first ran, beyond what it had before. */
  readonly memory: number
  /** Of models that can be stepped: the prompt, and one token after it. Of others: a run. */
  readonly prefill?: Timed
  readonly step?: Timed
  readonly run?: Timed
  /** Where the target's kernels can be told apart. */
  readonly kernels: readonly { readonly program: ProgramName; readonly kernels: readonly KernelTime[] }[]
}
export interface Bench {
  readonly measured: readonly Measured[]
  /** Sizes of the dims; T is that of the prompt. */
  readonly dims: Readonly<Record<string, number>>
}

/** What listening costs nothing as long as nobody listens. */
const heardInPlace: readonly TargetName[] = ['typescript', 'wgsl']

/** Loads the model for each target and times them in alternating rounds, after one that is not counted. */
export async function bench(
  ctx: Context,
  model: OpenedModel,
  weights: Weights,
  plan: Plan,
  threads: ThreadOptions,
): Promise<Bench> {
  const subjects: { readonly subject: Subject; readonly memory: number }[] = []
  const { tuning } = plan
  try {
    let calls: readonly Call[] = []
    let dims: Record<string, number> = {}
    for (const name of plan.targets) {
      let before = 0
      const subject = await openSubject(ctx, model, weights, name, {
        ...threads,
        tuning,
        listens: plan.kernels && heardInPlace.includes(name),
        before: () => {
          // From here on it is what a user of the emitted files would see.
          before = process.memoryUsage().rss
          forgetPeak()
        },
      })
      const at = subjects.push({ subject, memory: 0 }) - 1
      const made = callsOf(subject.compiled, plan)
      ;[calls, dims] = [made.calls, made.dims]
      await ctx.progress.task(`first calls on ${name}`, () => round(ctx, subject, calls))
      subjects[at] = { subject, memory: Math.max(0, peak() - before) }
    }
    const times = subjects.map((): Map<string, number[]> => new Map())
    await ctx.progress.task('timing', async (report) => {
      for (let i = 0; i < plan.rounds; i++) {
        for (const [n, { subject }] of subjects.entries()) {
          for (const [name, ms] of await round(ctx, subject, calls)) {
            const list = times[n].get(name) ?? []
            times[n].set(name, list)
            list.push(ms)
          }
          report(i * subjects.length + n + 1, plan.rounds * subjects.length, subject.name)
        }
      }
    })
    const measured: Measured[] = []
    for (const [n, { subject, memory }] of subjects.entries()) {
      const { name, device, load } = subject
      const timed = [...times[n]].map(([name, list]) => [name, summary(list)] as const)
      const kernels = plan.kernels ? await kernelsOf(subject) : []
      measured.push({ target: name, device, load, memory, ...Object.fromEntries(timed), kernels })
    }
    return { measured, dims }

    async function kernelsOf(subject: Subject): Promise<Measured['kernels']> {
      const { name } = subject
      // Code that was changed to be heard is no longer what was timed: it is loaded besides.
      const other = heardInPlace.includes(name) ? undefined : await openSubject(ctx, model, weights, name, { ...threads, tuning, listens: true }) // prettier-ignore
      try {
        const heard = await listenTo(ctx, other ?? subject, calls, dims, plan.rounds)
        return heard.flatMap(({ program, dispatches }) =>
          dispatches ? [{ program, kernels: byKernel(dispatches.filter((d) => d.program !== 'prepare')) }] : [],
        )
      } finally {
        other?.close()
      }
    }
  } finally {
    for (const { subject } of subjects) subject.close()
  }
}

function summary(list: readonly number[]): Timed {
  const sorted = [...list].sort((a, b) => a - b)
  return { best: sorted[0], median: sorted[sorted.length >> 1] }
}

/** Starts a new count of the process's peak, where the system can; else the peak is that of its whole life. */
function forgetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Not Linux, or not allowed.
  }
}
function peak(): number {
  try {
    const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))
    if (found) return Number(found[1]) * 1024
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024
}

/** What the figures depend on. */
export const machine = () => ({
  cpu: cpus()[0]?.model.trim() ?? process.arch,
  cores: cpus().length,
  memory: totalmem(),
  node: process.versions.node,
  v8: process.versions.v8,
  tfm: version(),
})
