/** `tfmc diff`: targets against the exact reference, per output and per kernel, within derived bounds. */
import { compileGraph, type Compiled } from '../../compile.ts'
import { renderAll, say } from '../../diagnostics/index.ts'
import {
  diffKernels,
  diffOutputs,
  referenceOutputs,
  type KernelRow,
  type OutputRow,
  type Subject,
} from '../../diff/diff.ts'
import type { DeviceProfile } from '../../program/profiles.ts'
import type { Context, Outcome } from '../context.ts'
import { device } from '../device.ts'
import { jsonOf } from '../errors.ts'
import { bindGiven, readInputs, type BoundInputs } from '../inputs.ts'
import { typescriptKernels, wasmKernels, wgslKernels } from '../kernels.ts'
import { loadModel, type ThreadOptions } from '../load.ts'
import { openModel, type ModelOptions, type OpenedModel } from '../model.ts'
import { small, table, value, wantsColor, type Cell } from '../output.ts'
import { targetList, targetNames, targetOf, type TargetName } from '../targets.ts'
import { compiledFor, openWeightsOf, type WeightOptions, type Weights } from '../weights.ts'

export interface DiffCommandOptions extends ModelOptions, WeightOptions, ThreadOptions {
  readonly weights?: string
  readonly input?: readonly string[]
  readonly dims?: Readonly<Record<string, number>>
  readonly targets: string
  readonly kernels: boolean
  readonly unfused: boolean
  readonly all?: boolean
  readonly seed: number
}

export async function diff(
  ctx: Context,
  [path]: (string | undefined)[],
  options: DiffCommandOptions,
): Promise<Outcome> {
  const wanted = targetList<TargetName | 'reference'>(options.targets, ['reference', ...targetNames])
  const names = wanted.filter((n): n is TargetName => n !== 'reference')
  const model = await openModel(ctx, path, options)
  const given = await readInputs(ctx, options.input ?? [])
  const any = compileGraph(model.graph, model.file, await targetOf('typescript'))
  const inputs = await bindGiven(any, given, options.dims ?? {}, options.seed)
  const weights = await openWeightsOf(ctx, model, options)
  const tensors = await weights.tensors()
  const tensor = (name: string): ArrayLike<number> => tensors.get(name)!.data
  const reference = await ctx.progress.blocking('evaluating the reference', () =>
    referenceOutputs(any, { inputs: inputs.tensors, tensor }),
  )
  const shapes = Object.entries(inputs.values).map(
    ([n, v]) => `${n} [${v.shape.join(', ')}]${inputs.made.includes(n) ? ' made up' : ''}`,
  )
  ctx.print(`${ctx.paint('bold', model.graph.name)} with ${weights.label}; inputs: ${shapes.join(', ')}\n\n`)

  const outputs: OutputRow[] = []
  const kernels: KernelRow[] = []
  for (const name of names) {
    for (const fused of options.unfused ? [true, false] : [true]) {
      const subject = await subjectOf(ctx, model, weights, name, fused, inputs, options)
      const common = { inputs: inputs.tensors, tensor, fused }
      const what = `${name}, ${fused ? 'fused' : 'unfused'}`
      try {
        const rows = await ctx.progress.blocking(`comparing outputs of ${what}`, () =>
          diffOutputs(subject, common, reference),
        )
        outputs.push(...rows)
        if (!options.kernels && rows.every((r) => r.comparison.used <= 1)) continue
        const found = await ctx.progress.blocking(`comparing kernels of ${what}`, (report) =>
          diffKernels(subject, { ...common, onKernel: report }, reference.dims),
        )
        kernels.push(...found)
      } finally {
        subject.close()
      }
    }
  }
  const exact = wanted.includes('reference') ? [...reference.outputs].map(([name, t]) => [name, t.shape] as const) : []
  ctx.print(outputTable(ctx, exact, outputs))
  if (kernels.length > 0) ctx.print(`\n${kernelTable(ctx, kernels, options.all === true)}`)
  const found = verdict(outputs, kernels)
  if (found.length > 0) ctx.note(`\n${renderAll(found, { color: wantsColor(ctx.io, ctx.io.err) })}`)
  else if (outputs.length > 0) ctx.print(`\n${ctx.paint('good', 'ok')} all within their bounds\n`)
  return {
    data: { model: model.graph.name, weights: weights.label, outputs, kernels, diagnostics: jsonOf(found) },
    ok: found.length === 0,
  }
}

/** The model on a target, loaded; its kernels are made when they are asked for. */
async function subjectOf(
  ctx: Context,
  model: OpenedModel,
  weights: Weights,
  name: TargetName,
  fused: boolean,
  inputs: BoundInputs,
  options: ThreadOptions,
): Promise<Subject & { readonly close: () => void }> {
  const target = await targetOf(name)
  const plain = compileGraph(model.graph, model.file, target, { fuse: fused })
  const compiled = compiledFor(model, weights, target, plain, { fuse: fused })
  const loaded = await loadModel(ctx, target, compiled, weights, {}, options)
  let kernels: Promise<NonNullable<Subject['kernel']>> | undefined
  return {
    target,
    compiled,
    close: loaded.close,
    kernel: async (...args) => {
      kernels ??= kernelsOf(name, compiled, loaded.profile)
      await (
        await kernels
      )(...args)
    },
    run: async () =>
      new Map(Object.entries(await loaded.model.run(inputs.values)).map(([output, r]) => [output, r.data])),
  }
}

async function kernelsOf(
  name: TargetName,
  compiled: Compiled,
  profile: DeviceProfile | undefined,
): Promise<NonNullable<Subject['kernel']>> {
  if (name === 'wgsl') return wgslKernels(compiled, (await device()).device, profile)
  return name === 'wasm' ? wasmKernels(compiled) : typescriptKernels(compiled)
}

const used = (x: number): Cell => [
  x > 1 ? 'bad' : x > 0.5 ? 'warn' : 'good',
  Number.isFinite(x) ? `${x < 0.1 ? (100 * x).toPrecision(2) : Math.round(100 * x)} %` : 'NaN',
]
const place = (index: readonly number[]): string => `[${index.join(', ')}]`

function outputTable(
  ctx: Context,
  exact: readonly (readonly [string, readonly number[]])[],
  rows: readonly OutputRow[],
): string {
  const columns = [
    { head: 'output' }, { head: 'target' }, { head: 'form' }, { head: 'error', right: true }, { head: 'bound', right: true },
    { head: 'used', right: true }, { head: 'at' }, { head: 'got', right: true }, { head: 'want', right: true },
  ] // prettier-ignore
  const cells = rows.map(({ output, target, fused, comparison: c }) => [
    output, target, fused ? 'fused' : 'unfused', small(c.error), small(c.bound), used(c.used), place(c.index), value(c.got), value(c.want),
  ]) // prettier-ignore
  const first = exact.map(([name, shape]): Cell[] => [name, 'reference', 'float64', '0', '0', '', place(shape)])
  return table(columns, [...first, ...cells], ctx.paint)
}

const shownKernels = 10

function kernelTable(ctx: Context, rows: readonly KernelRow[], all: boolean): string {
  const columns = [
    { head: 'kernel' }, { head: 'target' }, { head: 'form' }, { head: 'result' }, { head: 'error', right: true }, { head: 'bound', right: true }, { head: 'used', right: true }, { head: 'at' },
  ] // prettier-ignore
  const groups = new Map<string, KernelRow[]>()
  for (const row of rows) {
    const key = `${row.target}${row.fused}`
    groups.set(key, [...(groups.get(key) ?? []), row])
  }
  const shown = [...groups.values()].flatMap((group) => {
    const worst = [...group].sort((a, b) => b.comparison.used - a.comparison.used)
    return all ? worst : worst.slice(0, shownKernels)
  })
  const cells = shown.map(({ kernel, dispatch, target, fused, result, comparison: c }) => [
    `${kernel} #${dispatch}`, target, fused ? 'fused' : 'unfused', result, small(c.error), small(c.bound), used(c.used), place(c.index),
  ]) // prettier-ignore
  const left = rows.length - shown.length
  return (
    table(columns, cells, ctx.paint) +
    (left > 0 ? ctx.paint('dim', `… and ${left} more, all using less (--all lists them)\n`) : '')
  )
}

/** What is over its bound: each output, with the first kernel that disagrees on its own. */
function verdict(outputs: readonly OutputRow[], kernels: readonly KernelRow[]) {
  const over = outputs.filter((o) => o.comparison.used > 1)
  const about = over.map(({ output, target, fused, comparison: c }) => {
    const first = kernels.find((k) => k.target === target && k.fused === fused && k.comparison.used > 1)
    const culprit = first
      ? `the first kernel that disagrees is ${first.kernel} (dispatch ${first.dispatch}, ${first.label})`
      : 'each kernel by itself is within its bound'
    return say.differs(
      undefined,
      `${output} on ${target} (${fused ? 'fused' : 'unfused'}): ${value(c.got)} at ${place(c.index)}, want ${value(c.want)} within ${small(c.bound)}`,
      culprit,
    )
  })
  const alone = kernels.filter(
    (k) => k.comparison.used > 1 && !over.some((o) => o.target === k.target && o.fused === k.fused),
  )
  const [first] = alone
  if (first)
    about.push(
      say.differs(
        undefined,
        `kernel ${first.kernel} on ${first.target} (dispatch ${first.dispatch}): ${small(first.comparison.error)} off at ${place(first.comparison.index)}, bound ${small(first.comparison.bound)}`,
      ),
    )
  return about
}
