/** A model loaded on a target to be timed: the calls of a round, and the kernels of a call where they can be told apart. */
import { compileGraph, type Compiled } from '../compile.ts'
import type { ProgramName } from '../program/types.ts'
import type { Tuning } from '../target.ts'
import type { Context } from './context.ts'
import { makeUp, type MadeUp } from './inputs.ts'
import { dispatchTimes, type DispatchTime } from './kernel-times.ts'
import { listen, type Heard, type Listener } from './listen.ts'
import { loadModel, type LoadedModel, type ThreadOptions } from './load.ts'
import type { OpenedModel } from './model.ts'
import { targetOf, type TargetName } from './targets.ts'
import { compiledFor, type Weights } from './weights.ts'

/** What is called: a prompt and tokens after it, or whole runs. */
export interface CallPlan {
  readonly dims: Readonly<Record<string, number>>
  readonly prompt?: number
  readonly tokens: number
  readonly seed: number
}

interface Callable extends LoadedModel {
  readonly prefill?: (inputs: MadeUp) => Promise<unknown>
  readonly step?: (inputs: MadeUp) => Promise<unknown>
  readonly reset?: () => void
}
export interface Subject {
  readonly name: TargetName
  readonly compiled: Compiled
  readonly model: Callable
  readonly listener: Listener | undefined
  readonly device: string
  /** Milliseconds of loading. */
  readonly load: number
  readonly close: () => void
}
export type CallName = 'run' | 'prefill' | 'step'
export type Call = readonly [name: CallName, inputs: MadeUp]

export interface OpenOptions extends ThreadOptions {
  readonly tuning?: Tuning | undefined
  /** Whether kernels are to be told apart. */
  readonly listens: boolean
  /** Called when all is ready to be loaded as a user would load it. */
  readonly before?: () => void
}

/** Compiles and loads a model. */
export async function openSubject(
  ctx: Context,
  model: OpenedModel,
  weights: Weights,
  name: TargetName,
  { tuning, listens, before, ...threads }: OpenOptions,
): Promise<Subject> {
  const target = await targetOf(name)
  const compiled = compiledFor(model, weights, target, compileGraph(model.graph, model.file, target))
  const listening = listens ? await listen(name) : undefined
  const options = { selftest: false, generation: 'none', tuning } as const
  let start = 0
  try {
    const loaded = await loadModel(ctx, target, compiled, weights, options, threads, async (artifacts) => {
      const heard = (await listening?.change(artifacts)) ?? artifacts
      before?.()
      start = performance.now()
      return heard
    })
    const listener = listening?.listener(loaded.module)
    const close = (): void => {
      loaded.close()
      listening?.close()
    }
    const load = performance.now() - start
    return { name, compiled, model: loaded.model as Callable, close, listener, device: loaded.device, load }
  } catch (thrown) {
    listening?.close()
    throw thrown
  }
}

/** The calls of a round, on made-up inputs, and the sizes of dims; T is that of the prompt. */
export function callsOf(
  { lowered, derived }: Compiled,
  plan: CallPlan,
): { readonly calls: Call[]; readonly dims: Record<string, number> } {
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
export async function round(ctx: Context, { model }: Subject, calls: readonly Call[]): Promise<Map<CallName, number>> {
  const out = new Map<CallName, number>()
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

/** The last call of a program in a round, dispatch by dispatch. */
export interface CallTimes {
  readonly program: CallName
  readonly dims: Readonly<Record<string, number>>
  /** Of each dispatch the least of all rounds. Undefined where they are not those of the program. */
  readonly dispatches: readonly DispatchTime[] | undefined
  /** What was heard, as it came. */
  readonly heard: readonly Heard[]
}

/** Listens to so many rounds more. */
export async function listenTo(
  ctx: Context,
  { name: target, compiled, model, listener }: Subject,
  calls: readonly Call[],
  sizes: Readonly<Record<string, number>>,
  rounds: number,
): Promise<CallTimes[]> {
  if (listener === undefined) return []
  const { module, passes } = await emittedModule(target, compiled)
  const { sequence } = module
  const found = new Map<CallName, { heard: readonly Heard[]; readonly dims: Readonly<Record<string, number>> }>()
  for (let i = 0; i < rounds; i++) {
    model.reset?.()
    let past = 0
    for (const [n, [name, inputs]] of calls.entries()) {
      ctx.io.signal.throwIfAborted()
      const dims: Record<string, number> = { ...sizes }
      if (sequence && name === 'step') dims[sequence.T.name] = 1
      if (sequence) dims[sequence.past.name] = past
      past += sequence ? (dims[sequence.T.name] ?? 1) : 0
      const last = calls[n + 1]?.[0] !== name
      if (last) listener.start()
      await model[name]!(inputs)
      if (!last) continue
      const heard = await listener.take()
      const known = found.get(name)?.heard
      const least = (h: Heard, k: number): Heard => ({ ...h, milliseconds: Math.min(h.milliseconds, known?.[k]?.milliseconds ?? Infinity) }) // prettier-ignore
      found.set(name, { heard: heard.map(least), dims })
    }
  }
  return [...found].map(([program, { heard, dims }]) => {
    // The first call prepares too. A run may be a prefill.
    const own = program === 'run' && !module.programs.some((p) => p.name === 'run') ? 'prefill' : program
    const names: readonly ProgramName[] = own === 'prefill' ? ['prepare', 'prefill'] : [own]
    const dispatches = listener.of === 'kernels' ? dispatchTimes(module, names, dims, heard, passes) : undefined
    return { program, dims, heard, dispatches }
  })
}

/** The module as a target emits it, and which dispatches are parts of a kernel of it. */
async function emittedModule(target: TargetName, compiled: Compiled) {
  if (target !== 'wgsl') return { module: compiled.lowered.module }
  const { moduleOf, printKernels } = await import('../../targets/wgsl/host.ts')
  const { passesOf } = await import('../../targets/wgsl/passes.ts')
  const module = moduleOf(compiled.lowered.module)
  const passes = printKernels(module).kernels.flatMap((k) =>
    passesOf(k).flatMap(({ list }) =>
      list.map(({ printed }, i) => [printed.name, { of: k.name, last: i === list.length - 1 }] as const),
    ),
  )
  return { module, passes: new Map(passes) }
}
