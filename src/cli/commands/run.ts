/** `tfmc run`: one call of a model. */
import { basename, dirname, resolve } from 'node:path'
import { compileGraph } from '../../compile.ts'
import { writeFilesAtomically } from '../../fs-atomic.ts'
import type { Context, Outcome } from '../context.ts'
import { UsageError } from '../context.ts'
import type { BoundInputs } from '../inputs.ts'
import { bindGiven, readInputs } from '../inputs.ts'
import type { Result } from '../load.ts'
import type { ModelOptions, OpenedModel } from '../model.ts'
import { openModel } from '../model.ts'
import { seconds, value } from '../output.ts'
import { targetList, targetNames, targetOf, type TargetName } from '../targets.ts'
import type { WeightOptions, Weights } from '../weights.ts'
import { openWeightsOf } from '../weights.ts'

export interface RunOptions extends ModelOptions, WeightOptions {
  readonly weights?: string
  readonly input?: readonly string[]
  readonly dims?: Readonly<Record<string, number>>
  readonly target: string
  readonly output?: string
  readonly seed: number
}
interface Output extends Omit<Result, 'data'> {
  readonly name: string
  readonly dtype: 'f32' | 'i32' | 'bool'
  readonly data: ArrayLike<number>
}

export async function run(ctx: Context, [path]: (string | undefined)[], options: RunOptions): Promise<Outcome> {
  const [target] = targetList<TargetName | 'reference'>(options.target, [...targetNames, 'reference'])
  if (options.output !== undefined && !/\.(json|safetensors)$/.test(options.output))
    throw new UsageError(`--output takes a file that ends in .safetensors or .json, not '${options.output}'`)
  const model = await openModel(ctx, path, options)
  const given = await readInputs(ctx, options.input ?? [])
  const compiled = compileGraph(model.graph, model.file, await targetOf(target === 'reference' ? 'typescript' : target))
  const inputs = await bindGiven(compiled, given, options.dims ?? {}, options.seed)
  const weights = await openWeightsOf(ctx, model, options)
  if (inputs.made.length > 0) ctx.note(`made up: ${inputs.made.map((n) => `${n} ${shown(inputs.values[n].shape)}`).join(', ')}\n`) // prettier-ignore
  const start = performance.now()
  const { outputs, time } =
    target === 'reference' ? await onReference(ctx, model, weights, inputs) : await onTarget(target)
  async function onTarget(name: TargetName): Promise<{ outputs: Output[]; time: number }> {
    const { loadModel } = await import('../load.ts')
    const loaded = await loadModel(ctx, await targetOf(name), compiled, weights)
    const begin = performance.now()
    const results = await ctx.progress.blocking(`running ${model.graph.name}`, () => loaded.model.run(inputs.values))
    const time = performance.now() - begin
    loaded.close()
    return {
      time,
      outputs: model.graph.outputs.map((o) => ({ name: o.name, dtype: o.node.type.dtype, ...results[o.name] })),
    }
  }
  for (const o of outputs) ctx.print(line(ctx, o))
  if (options.output !== undefined) await save(ctx, options.output, outputs)
  ctx.note(`${target}: ${seconds(time)} to run, ${seconds(performance.now() - start)} in all\n`)
  const data = Object.fromEntries(
    outputs.map(({ name, dtype, shape, data }) => [name, { dtype, shape, ...(options.output === undefined ? { data: Array.from(data) } : {}) }]),
  ) // prettier-ignore
  return { data: { model: model.graph.name, target, milliseconds: Math.round(time), outputs: data } }
}

async function onReference(ctx: Context, model: OpenedModel, weights: Weights, inputs: BoundInputs) {
  const { interpret } = await import('../../interpret/index.ts')
  const params = await weights.tensors()
  const start = performance.now()
  const { outputs } = await ctx.progress.blocking('evaluating the reference', () =>
    interpret(model.graph, { inputs: inputs.tensors, params }),
  )
  return { outputs: [...outputs].map(([name, t]): Output => ({ name, ...t })), time: performance.now() - start }
}

const shown = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/** Type, range and the first values. */
function line(ctx: Context, { name, dtype, shape, data }: Output): string {
  let [least, most, faults] = [Infinity, -Infinity, 0]
  for (let i = 0; i < data.length; i++) {
    if (Number.isNaN(data[i])) faults++
    least = Math.min(least, data[i])
    most = Math.max(most, data[i])
  }
  const first = Array.from({ length: Math.min(6, data.length) }, (_, i) => value(data[i]))
  const range = faults > 0 ? `${faults} are NaN` : data.length > 0 ? `${value(least)} … ${value(most)}` : 'empty'
  return `${ctx.paint('bold', name)} ${dtype}${shown(shape)}  ${range}\n  ${first.join(' ')}${data.length > 6 ? ' …' : ''}\n`
}

async function save(ctx: Context, path: string, outputs: readonly Output[]): Promise<void> {
  const contents = path.endsWith('.json')
    ? `${JSON.stringify(Object.fromEntries(outputs.map((o) => [o.name, { dtype: o.dtype, shape: o.shape, data: Array.from(o.data) }])))}\n`
    : (await import('../../weights/write.ts')).writeSafetensors(
        outputs.map(({ name, dtype, shape, data }) => ({ name, shape, data, dtype: dtype === 'f32' ? 'F32' : dtype === 'i32' ? 'I32' : 'BOOL' })),
      ) // prettier-ignore
  const full = resolve(ctx.io.cwd, path)
  await writeFilesAtomically(dirname(full), new Map([[basename(full), contents]]))
  ctx.print(`wrote ${path}\n`)
}
