/** `tfmc profile`: which kernels take the time, and how near each is to what the machine can do. */
import { basename, dirname, resolve } from 'node:path'
import { fail, say } from '../../diagnostics/index.ts'
import { writeFilesAtomically } from '../../fs-atomic.ts'
import { machine } from '../bench.ts'
import type { Context, Outcome } from '../context.ts'
import { UsageError } from '../context.ts'
import { findBeside } from '../files.ts'
import { flameSvg, rate, time } from '../flame.ts'
import type { ThreadOptions } from '../load.ts'
import { openModel, type ModelOptions } from '../model.ts'
import { bytes, plural, table } from '../output.ts'
import { profile as measure, type Profile, type ProfiledKernel, type ProfiledProgram } from '../profile.ts'
import { targetList, targetNames } from '../targets.ts'
import { openWeightsOf, type WeightOptions } from '../weights.ts'

export interface ProfileOptions extends ModelOptions, WeightOptions, ThreadOptions {
  readonly weights?: string
  readonly target: string
  readonly dims?: Readonly<Record<string, number>>
  readonly prompt?: number
  readonly tokens: number
  readonly rounds: number
  readonly seed: number
  readonly tune?: string
  readonly svg?: string
}

export async function profile(ctx: Context, [path]: (string | undefined)[], options: ProfileOptions): Promise<Outcome> {
  const targets = targetList(options.target, targetNames)
  const [target] = targets
  if (targets.length > 1) throw new UsageError('--target takes one target')
  for (const name of ['prompt', 'tokens', 'rounds'] as const)
    if (options[name] === 0) throw new UsageError(`--${name} takes a number from 1`)
  const model = await openModel(ctx, path, options)
  const found = options.weights ?? (await findBeside(ctx.io, model.folders, ['model.safetensors', 'model.safetensors.index.json'])) // prettier-ignore
  const weights = await openWeightsOf(ctx, model, found === undefined && !model.hf ? { randomWeights: 1, ...options } : options) // prettier-ignore
  const { tokens, rounds, seed, prompt, dims = {} } = options
  const tuning =
    options.tune === undefined ? undefined : await (await import('../tune.ts')).readTuning(ctx, options.tune)
  const plan = { target, dims, tokens, rounds, seed, tuning, ...(prompt === undefined ? {} : { prompt }) }
  const made = await measure(ctx, model, weights, plan, options)
  if (made.timed !== 'kernels') {
    const why = made.timed === 'submissions' ? `${made.device} has no timestamp-query` : `the emitted code of ${target} cannot be listened to` // prettier-ignore
    if (options.svg !== undefined) fail(say.noKernelTimes(undefined, why))
    ctx.warn(say.onlyWholeTimes(undefined, why))
  }
  const on = machine()
  ctx.print(`${ctx.paint('bold', made.model)}  ${weights.label}\n`)
  ctx.print(`${made.device}; ${on.cpu}, ${plural(on.cores, 'core')}; Node ${on.node}, tfm ${on.tfm}\n`)
  if (made.software)
    ctx.print(
      'A software adapter: times are those of this processor, and say nothing about a graphics card. Dispatches and bytes hold.\n',
    )
  if (made.ceilings)
    ctx.print(
      `At most, measured: copies ${rate(made.ceilings.copy)}B/s (${bytes(made.ceilings.copied)}, read and written), f32 multiplications and additions ${rate(made.ceilings.arithmetic)}FLOP/s\n`,
    )
  for (const program of made.programs) ctx.print(`\n${programText(ctx, program, made)}`)
  if (options.svg !== undefined) {
    const full = resolve(ctx.io.cwd, options.svg)
    await writeFilesAtomically(dirname(full), new Map([[basename(full), flameSvg(made)]]))
    ctx.print(`\n${ctx.paint('good', 'ok')} ${options.svg}\n`)
  }
  return {
    data: {
      ...made,
      machine: on,
      weights: weights.label,
      rounds,
      programs: made.programs.map((p) => ({
        ...p,
        dispatches: p.dispatches.map(({ kernel: _, ...d }) => d),
      })),
    },
  }
}

function programText(ctx: Context, p: ProfiledProgram, profile: Profile): string {
  const sizes = Object.entries(p.dims).map(([name, n]) => `${name} = ${n}`).join(', ') // prettier-ignore
  const head = `${ctx.paint('head', p.program)}  ${ctx.paint('dim', sizes)}  ${time(p.call.best)} a call (median ${time(p.call.median)})`
  if (p.submissions.length > 0)
    return `${head}\n  ${plural(p.submissions.length, 'submission')}, waited for ${p.submissions.map(time).join(', ')}\n`
  if (p.kernels.length === 0) return `${head}\n`
  const total = p.kernels.reduce((ms, k) => ms + k.milliseconds, 0)
  const { ceilings } = profile
  const per = (n: number, k: ProfiledKernel, most?: number): string[] => {
    const own = (1000 * n) / k.milliseconds
    const said = k.milliseconds > 0 && n > 0
    const part = said && most !== undefined ? `${((100 * own) / most).toFixed(0)} %` : ''
    return [said ? (own / 1e9).toFixed(2) : '', ...(ceilings ? [part] : [])]
  }
  const variants = p.kernels.some((k) => k.entries.some((e) => e !== ''))
  const rows = p.kernels.map((k) => [
    k.name, ...(variants ? [k.entries.join(' ')] : []), String(k.calls), k.milliseconds.toFixed(3),
    `${((100 * k.milliseconds) / Math.max(total, 1e-9)).toFixed(0)} %`, bytes(k.bytes),
    ...per(k.bytes, k, ceilings?.copy), ...per(k.flops, k, ceilings?.arithmetic),
  ]) // prettier-ignore
  const heads = [
    'times', 'ms', 'share', 'moves', 'GB/s', ...(ceilings ? ['of copies'] : []), 'GFLOP/s', ...(ceilings ? ['of most'] : []),
  ].map((head) => ({ head, right: true })) // prettier-ignore
  const columns = [{ head: 'kernel' }, ...(variants ? [{ head: 'as' }] : []), ...heads]
  const sums = `  ${time(total)} in ${plural(p.dispatches.length, 'dispatch', 'dispatches')} of ${plural(p.kernels.length, 'kernel')}, each on its own`
  return `${head}\n${sums}\n${table(columns, rows, ctx.paint, '  ')}`
}
