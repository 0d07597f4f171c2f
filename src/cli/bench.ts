/** Targets timed in turns on one model: `tfmc bench`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { compileGraph, type Compiled } from '../compile.ts'
import type { ProgramName } from '../program/types.ts'
import type { Tuning } from '../target.ts'
import type { Sym } from '../types/ix.ts'
import { version } from './cli.ts'
import type { Context } from './context.ts'
import { makeUp, type MadeUp } from './inputs.ts'
import { dispatchCount, kernelTimes, listening, type KernelTime, type Listener } from './kernel-times.ts'
import { loadModel, type LoadedModel, type ThreadOptions } from './load.ts'
import type { OpenedModel } from './model.ts'
import { targetOf, type TargetName } from './targets.ts'
import type { Weights } from './weights.ts'

/** What is timed: a prompt and tokens after it, or whole runs. */
export interface Plan {
  readonly targets: readonly TargetName[]
  readonly dims: Readonly<Record<string, number>>
  readonly prompt?: number
  readonly tokens: number
  readonly rounds: number
  readonly seed: number
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

interface Callable extends LoadedModel {
  readonly prefill?: (inputs: MadeUp) => Promise<unknown>
  readonly step?: (inputs: MadeUp) => Promise<unknown>
  readonly reset?: () => void
}
interface Subject {
  readonly name: TargetName
  readonly compiled: Compiled
  readonly model: Callable
  readonly listener: Listener | undefined
  readonly fixed: Pick<Measured, 'target' | 'device' | 'load'>
  memory: number
  /** Bytes that the process had before it loaded. */
  readonly before: number
  readonly close: () => void
}
type Call = readonly [name: 'run' | 'prefill' | 'step', inputs: MadeUp]

/** Loads the model for each target and times them in alternating rounds, after one that is not counted. */
export async function bench(
  ctx: Context,
  model: OpenedModel,
  weights: Weights,
  plan: Plan,
  threads: ThreadOptions,
): Promise<Bench> {
  const subjects: Subject[] = []
  try {
    let calls: readonly Call[] = []
    let dims: Record<string, number> = {}
    for (const name of plan.targets) {
      const subject = await open(ctx, model, weights, name, threads, plan.tuning)
      subjects.push(subject)
      const made = callsOf(subject.compiled, plan)
      ;[calls, dims] = [made.calls, made.dims]
      await ctx.progress.task(`first calls on ${name}`, () => round(ctx, subject, calls))
      subject.memory = Math.max(0, peak() - subject.before)
    }
    const times = subjects.map((): Map<string, number[]> => new Map())
    await ctx.progress.task('timing', async (report) => {
      for (let i = 0; i < plan.rounds; i++) {
        for (const [n, subject] of subjects.entries()) {
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
    for (const [n, s] of subjects.entries()) {
      const timed = [...times[n]].map(([name, list]) => [name, summary(list)] as const)
      measured.push({
        ...s.fixed,
        memory: s.memory,
        ...Object.fromEntries(timed),
        kernels: await kernelsOf(ctx, s, calls, dims, plan.rounds),
      })
    }
    return { measured, dims }
  } finally {
    for (const s of subjects) s.close()
  }
}

async function open(
  ctx: Context,
  model: OpenedModel,
  weights: Weights,
  name: TargetName,
  threads: ThreadOptions,
  tuning: Tuning | undefined,
): Promise<Subject> {
  const target = await targetOf(name)
  const compiled = compileGraph(model.graph, model.file, target)
  let [start, before] = [0, 0]
  const options = { selftest: false, generation: 'none', tuning } as const
  let listens = false
  const heard = (artifacts: Parameters<typeof listening>[0]) => {
    const found = name === 'typescript' ? listening(artifacts) : undefined
    listens = found !== undefined
    // From here on it is what a user of the emitted files would see.
    before = process.memoryUsage().rss
    forgetPeak()
    start = performance.now()
    return found ?? artifacts
  }
  const loaded = await loadModel(ctx, target, compiled, weights, options, threads, heard)
  return {
    name, compiled, model: loaded.model as Callable, memory: 0, before, close: loaded.close,
    listener: listens ? (loaded.module as { readonly kernelTimes: Listener }).kernelTimes : undefined,
    fixed: { target: name, device: loaded.device, load: performance.now() - start },
  } // prettier-ignore
}

/** The calls of a round, on made-up inputs. */
function callsOf({ lowered, derived }: Compiled, plan: Plan): { calls: Call[]; dims: Record<string, number> } {
  const { sequence, programs } = lowered.module
  const dims: Record<string, number> = { ...plan.dims }
  const inputsOf = (...names: readonly ProgramName[]): MadeUp => {
    const ports = programs.filter((p) => names.includes(p.name)).flatMap((p) => p.inputs)
    return makeUp([...new Map(ports.map((p) => [p.name, p])).values()], dims, plan.seed)
  }
  if (!derived || !sequence) return { calls: [['run', inputsOf('run')]], dims }
  const room = Math.max(1, sequence.max - plan.tokens)
  dims[sequence.T.name] = plan.prompt ?? plan.dims[sequence.T.name] ?? Math.min(64, room)
  const prefill = inputsOf('prefill', 'prepare')
  const whole = { ...dims }
  dims[sequence.T.name] = 1
  const step = inputsOf('step')
  return {
    calls: [['prefill', prefill], ...Array.from({ length: plan.tokens }, () => ['step', step] as const)],
    dims: whole,
  }
}

/** One round: milliseconds of each call, of all calls of a name the least. */
async function round(ctx: Context, { model }: Subject, calls: readonly Call[]): Promise<Map<string, number>> {
  const out = new Map<string, number>()
  model.reset?.()
  for (const [name, inputs] of calls) {
    ctx.io.signal.throwIfAborted()
    const start = performance.now()
    await model[name]!(inputs)
    out.set(name, Math.min(out.get(name) ?? Infinity, performance.now() - start))
  }
  await new Promise((resolve) => setImmediate(resolve))
  return out
}

/** The kernels of as many rounds more: of each program its last call in a round, of each dispatch the least time. */
async function kernelsOf(
  ctx: Context,
  { compiled, model, listener }: Subject,
  calls: readonly Call[],
  sizes: Readonly<Record<string, number>>,
  rounds: number,
): Promise<Measured['kernels']> {
  if (listener === undefined) return []
  const { module } = compiled.lowered
  const { sequence } = module
  const dims = new Map<Sym, number>(compiled.graph.dims.map((s) => [s, sizes[s.name] ?? 1]))
  const found = new Map<Call[0], { readonly times: readonly number[]; readonly dims: ReadonlyMap<Sym, number> }>()
  for (let i = 0; i < rounds; i++) {
    model.reset?.()
    let past = 0
    for (const [n, [name, inputs]] of calls.entries()) {
      ctx.io.signal.throwIfAborted()
      const times: number[] = []
      listener.times = times
      await model[name]!(inputs)
      listener.times = undefined
      const own = new Map(dims)
      if (sequence && name === 'step') own.set(sequence.T, 1)
      if (sequence) own.set(sequence.past, past)
      past += sequence ? (own.get(sequence.T) ?? 1) : 0
      if (calls[n + 1]?.[0] === name) continue
      const least = found.get(name)?.times
      found.set(name, { times: times.map((t, k) => Math.min(t, least?.[k] ?? Infinity)), dims: own })
    }
  }
  return [...found].flatMap(([program, { times, dims }]) => {
    // The first call prepares too.
    const prepared = program === 'prefill' ? dispatchCount(module, 'prepare', dims) : 0
    const kernels = kernelTimes(module, program, dims, times.slice(prepared))
    return kernels ? [{ program, kernels }] : []
  })
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
