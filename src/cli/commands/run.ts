/** `tfmc run`: one call of a model, or one task for some texts. */
import { basename, dirname, resolve } from 'node:path'
import { writeFilesAtomically } from '../../fs-atomic.ts'
import type { Context, Outcome } from '../context.ts'
import { UsageError } from '../context.ts'
import { readInputs } from '../inputs.ts'
import type { ThreadOptions } from '../load.ts'
import type { ModelOptions } from '../model.ts'
import { openModel } from '../model.ts'
import { seconds, value } from '../output.ts'
import { openSession, type Output } from '../session.ts'
import { targetList, targetNames, type TargetName } from '../targets.ts'
import type { TaskOptions } from '../tasks.ts'
import type { WeightOptions } from '../weights.ts'

export interface RunOptions extends ModelOptions, WeightOptions, TaskOptions, ThreadOptions {
  readonly weights?: string
  readonly input?: readonly string[]
  readonly dims?: Readonly<Record<string, number>>
  readonly target: string
  readonly output?: string
  readonly seed: number
}

export async function run(ctx: Context, [path]: (string | undefined)[], options: RunOptions): Promise<Outcome> {
  const [target] = targetList<TargetName | 'reference'>(options.target, [...targetNames, 'reference'])
  if (options.output !== undefined && !/\.(json|safetensors)$/.test(options.output))
    throw new UsageError(`--output takes a file that ends in .safetensors or .json, not '${options.output}'`)
  const model = await openModel(ctx, path, options)
  const given = await readInputs(ctx, options.input ?? [])
  const start = performance.now()
  const session = await openSession(ctx, model, target, options)
  try {
    if (options.task !== undefined || options.text !== undefined) {
      const { runTask } = await import('../tasks.ts')
      const { data, outputs, time } = await runTask(ctx, model, session, given, options)
      if (options.output !== undefined) await save(ctx, options.output, outputs)
      ctx.note(`${target}: ${seconds(time)} to run, ${seconds(performance.now() - start)} in all\n`)
      return { data: { model: model.graph.name, target, milliseconds: Math.round(time), ...data } }
    }
    const inputs = await session.bind(given, options.dims, options.seed)
    if (inputs.made.length > 0) ctx.note(`made up: ${inputs.made.map((n) => `${n} ${shown(inputs.values[n].shape)}`).join(', ')}\n`) // prettier-ignore
    const { outputs, milliseconds: time } = await session.run(inputs)
    for (const o of outputs) ctx.print(line(ctx, o))
    if (options.output !== undefined) await save(ctx, options.output, outputs)
    ctx.note(`${target}: ${seconds(time)} to run, ${seconds(performance.now() - start)} in all\n`)
    const data = Object.fromEntries(
      outputs.map(({ name, dtype, shape, data }) => [name, { dtype, shape, ...(options.output === undefined ? { data: Array.from(data) } : {}) }]),
    ) // prettier-ignore
    return { data: { model: model.graph.name, target, milliseconds: Math.round(time), outputs: data } }
  } finally {
    session.close()
  }
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
