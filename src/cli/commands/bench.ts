/** `tfmc bench`: how fast a model of yours is, target beside target. */
import type { Context, Outcome } from '../context.ts'
import { UsageError } from '../context.ts'
import { bench as measure, machine, type Measured, type Timed } from '../bench.ts'
import type { KernelTime } from '../kernel-times.ts'
import { openModel, type ModelOptions } from '../model.ts'
import { bytes, count, plural, seconds, table, value } from '../output.ts'
import type { ThreadOptions } from '../load.ts'
import { targetList, targetNames } from '../targets.ts'
import { openWeightsOf, type WeightOptions } from '../weights.ts'
import { findBeside } from '../files.ts'

export interface BenchOptions extends ModelOptions, WeightOptions, ThreadOptions {
  readonly weights?: string
  readonly target: string
  readonly dims?: Readonly<Record<string, number>>
  readonly prompt?: number
  readonly tokens: number
  readonly rounds: number
  readonly seed: number
  readonly kernels: boolean
  readonly tune?: string
}

export async function bench(ctx: Context, [path]: (string | undefined)[], options: BenchOptions): Promise<Outcome> {
  const targets = targetList(options.target === 'all' ? targetNames.join() : options.target, targetNames)
  for (const name of ['prompt', 'tokens', 'rounds'] as const)
    if (options[name] === 0) throw new UsageError(`--${name} takes a number from 1`)
  const model = await openModel(ctx, path, options)
  const found = options.weights ?? (await findBeside(ctx.io, model.folders, ['model.safetensors', 'model.safetensors.index.json'])) // prettier-ignore
  const weights = await openWeightsOf(ctx, model, found === undefined && !model.hf ? { randomWeights: 1, ...options } : options) // prettier-ignore
  const { tokens, rounds, seed, prompt, kernels, dims = {} } = options
  const plan = { targets, dims, tokens, rounds, seed, kernels, ...(prompt === undefined ? {} : { prompt }) }
  const tuning =
    options.tune === undefined ? undefined : await (await import('../tune.ts')).readTuning(ctx, options.tune)
  const made = await measure(ctx, model, weights, { ...plan, tuning }, options)
  const on = machine()
  const numbers = model.graph.params
    .filter((p) => p.fallback === undefined)
    .reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0)
  const sizes = Object.entries(made.dims).map(([name, n]) => `${name} = ${n}`).join(', ') // prettier-ignore
  const steps = made.measured.some((m) => m.step)
  ctx.print(`${ctx.paint('bold', model.graph.name)}  ${count(numbers)} numbers, ${weights.label}\n`)
  ctx.print(
    `${on.cpu}, ${plural(on.cores, 'core')}, ${bytes(on.memory)}; Node ${on.node}, V8 ${on.v8}; tfm ${on.tfm}\n`,
  )
  ctx.print(
    `${sizes}${steps ? `, then ${plural(tokens, 'token')}` : ''}; the best of ${plural(rounds, 'round')} in turns\n\n`,
  )
  const rate = (t: Timed | undefined, n: number): string[] => t ? [`${value(Number(((1000 * n) / t.best).toPrecision(3)))}`, seconds2(t.best)] : [] // prettier-ignore
  const batch = made.dims.B ?? 1
  const length = model.graph.sequence ? (made.dims[model.graph.sequence.name] ?? 1) : 1
  const head = (text: string) => ({ head: text, right: true })
  const columns = steps
    ? [head('load'), head('memory'), head('prefill, tokens/s'), head('ms'), head('decode, tokens/s'), head('ms')]
    : [head('load'), head('memory'), head('runs/s'), head('ms')]
  const rows = made.measured.map((m) => [
    m.target, seconds(m.load), bytes(m.memory),
    ...rate(m.prefill, batch * length), ...rate(m.step, batch), ...rate(m.run, 1), m.device,
  ]) // prettier-ignore
  ctx.print(table([{ head: 'target' }, ...columns, { head: 'on' }], rows, ctx.paint))
  if (options.kernels)
    for (const m of made.measured)
      for (const { program, kernels } of m.kernels) ctx.print(`\n${kernelText(ctx, m, program, kernels)}`)
  return { data: { model: model.graph.name, numbers, weights: weights.label, machine: on, ...made, tokens, rounds } }
}

const seconds2 = (ms: number): string => value(Number(ms.toPrecision(3)))

function kernelText(ctx: Context, { target }: Measured, program: string, kernels: readonly KernelTime[]): string {
  const total = kernels.reduce((ms, k) => ms + k.milliseconds, 0)
  const per = (n: number, ms: number): string => (ms > 0 ? (n / ms / 1e6).toFixed(2) : '')
  const rows = kernels.map((k) => [
    k.name, String(k.calls), k.milliseconds.toFixed(3), `${((100 * k.milliseconds) / Math.max(total, 1e-9)).toFixed(0)} %`,
    per(k.flops, k.milliseconds), per(k.bytes, k.milliseconds),
  ]) // prettier-ignore
  const heads = ['times', 'ms', 'share', 'GFLOP/s', 'GB/s'].map((head) => ({ head, right: true }))
  return `${ctx.paint('head', `${program} on ${target}`)}\n${table([{ head: 'kernel' }, ...heads], rows, ctx.paint, '  ')}`
}
