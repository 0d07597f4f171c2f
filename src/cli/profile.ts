/** Where the time of a model goes: its kernels one by one, against what the machine can do. `tfmc profile`. */
import type { Tuning } from '../target.ts'
import { splitPrologue } from '../kernel/prologue.ts'
import { structureOf } from '../kernel/structure.ts'
import type { StageKernel } from '../kernel/stage.ts'
import { callsOf, listenTo, openSubject, round, type CallName, type CallPlan } from './calls.ts'
import { measureCeilings, type Ceilings } from './ceilings.ts'
import type { Context } from './context.ts'
import { device } from './device.ts'
import type { DispatchTime } from './kernel-times.ts'
import type { ThreadOptions } from './load.ts'
import type { OpenedModel } from './model.ts'
import type { TargetName } from './targets.ts'
import type { Weights } from './weights.ts'

export interface ProfilePlan extends CallPlan {
  readonly target: TargetName
  readonly rounds: number
  readonly tuning?: Tuning | undefined
}
/** What a kernel is, as schedules see it; `other`: what a target does besides. */
export type Kind = ReturnType<typeof structureOf>['k'] | 'other'
/** A kernel with its variants, in one call of a program. */
export interface ProfiledKernel {
  readonly name: string
  readonly kind: Kind
  /** Entry points that ran. */
  readonly entries: readonly string[]
  readonly calls: number
  readonly milliseconds: number
  readonly flops: number
  readonly bytes: number
}
export interface ProfiledDispatch extends DispatchTime {
  readonly kind: Kind
}
export interface ProfiledProgram {
  readonly program: CallName
  readonly dims: Readonly<Record<string, number>>
  /** Milliseconds of whole calls as the caller waits for them, when nobody listens. */
  readonly call: { readonly best: number; readonly median: number }
  /** Most time first. Empty where only submissions could be timed. */
  readonly kernels: readonly ProfiledKernel[]
  /** In order. */
  readonly dispatches: readonly ProfiledDispatch[]
  /** Where a device has no timestamps: milliseconds that the processor waited for each submission. */
  readonly submissions: readonly number[]
}
export interface Profile {
  readonly model: string
  readonly target: TargetName
  readonly device: string
  /** Whether a processor plays the graphics card. */
  readonly software: boolean
  /** Whether each kernel could be timed. */
  readonly timed: 'kernels' | 'submissions' | 'calls'
  readonly ceilings?: Ceilings
  readonly programs: readonly ProfiledProgram[]
}

/** Loads the model, calls it in rounds as it is, then in as many rounds that are listened to. */
export async function profile(
  ctx: Context,
  model: OpenedModel,
  weights: Weights,
  plan: ProfilePlan,
  threads: ThreadOptions,
): Promise<Profile> {
  const { target, rounds, tuning } = plan
  const gpu = target === 'wgsl' ? await device() : undefined
  const ceilings = gpu && (await ctx.progress.task('measuring the device', () => measureCeilings(gpu.device, gpu.software))) // prettier-ignore
  const subject = await openSubject(ctx, model, weights, target, { ...threads, tuning, listens: true })
  try {
    const { calls, dims } = callsOf(subject.compiled, plan)
    await ctx.progress.task('first calls', () => round(ctx, subject, calls))
    const times = new Map<CallName, number[]>()
    await ctx.progress.task('calls', async (report) => {
      for (let i = 0; i < rounds; i++) {
        for (const [name, ms] of await round(ctx, subject, calls)) times.set(name, [...(times.get(name) ?? []), ms])
        report(i + 1, rounds)
      }
    })
    const heard = await ctx.progress.task('kernels', () => listenTo(ctx, subject, calls, dims, rounds))
    const kernelsHeard = heard.length > 0 && heard.every((h) => h.dispatches)
    const kinds = new Map<StageKernel, Kind>()
    const kindOf = (kernel: StageKernel | undefined): Kind => {
      if (kernel === undefined) return 'other'
      const known = kinds.get(kernel) ?? (splitPrologue(kernel) ? 'contraction' : structureOf(kernel).k)
      kinds.set(kernel, known)
      return known
    }
    const programs = [...times].map(([program, list]): ProfiledProgram => {
      const sorted = [...list].sort((a, b) => a - b)
      const own = heard.find((h) => h.program === program)
      const dispatches = (own?.dispatches ?? []).map((d) => ({ ...d, kind: kindOf(d.kernel) }))
      return {
        program,
        dims: own?.dims ?? dims,
        call: { best: sorted[0], median: sorted[sorted.length >> 1] },
        kernels: kernelsOf(dispatches),
        dispatches,
        submissions: subject.listener?.of === 'submissions' ? (own?.heard ?? []).map((h) => h.milliseconds) : [],
      }
    })
    const timed = kernelsHeard ? 'kernels' : (subject.listener?.of === 'submissions' ? 'submissions' : 'calls') // prettier-ignore
    return {
      model: model.graph.name,
      target,
      device: subject.device,
      software: gpu?.software ?? false,
      timed,
      ...(ceilings ? { ceilings } : {}),
      programs,
    }
  } finally {
    subject.close()
  }
}

/** Dispatches by kernel, most time first. */
function kernelsOf(dispatches: readonly ProfiledDispatch[]): ProfiledKernel[] {
  const found = new Map<string, ProfiledKernel>()
  for (const { name, kind, entry, milliseconds, flops, bytes } of dispatches) {
    const sum = found.get(name) ?? { name, kind, entries: [], calls: 0, milliseconds: 0, flops: 0, bytes: 0 }
    found.set(name, {
      ...sum,
      entries: entry === undefined || sum.entries.includes(entry) ? sum.entries : [...sum.entries, entry],
      calls: sum.calls + 1,
      milliseconds: sum.milliseconds + milliseconds,
      flops: sum.flops + flops,
      bytes: sum.bytes + bytes,
    })
  }
  return [...found.values()].sort((a, b) => b.milliseconds - a.milliseconds)
}
