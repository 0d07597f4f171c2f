/** `tfmc check`: is the model right, and what does it look like from outside? */
import { formatPlace } from '../../diagnostics/index.ts'
import { printType } from '../../ir/print.ts'
import type { Context, Outcome } from '../context.ts'
import type { ModelOptions, OpenedModel } from '../model.ts'
import { openModel } from '../model.ts'
import { count, plural, table } from '../output.ts'

export interface CheckOptions extends ModelOptions {
  readonly explain?: boolean
}

export async function check(ctx: Context, [path]: (string | undefined)[], options: CheckOptions): Promise<Outcome> {
  const model = await openModel(ctx, path, options)
  const { graph } = model
  const elements = graph.params.reduce((sum, p) => sum + p.shape.reduce((a, b) => a * b, 1), 0)
  const types = (list: typeof graph.inputs | typeof graph.outputs): string =>
    list.map((x) => `${x.name}: ${printType(x.node.type)}`).join(', ')
  const tied = graph.params.some((p) => p.fallback !== undefined) ? ', ties counted' : ''
  ctx.print(`${ctx.paint('good', 'ok')} ${ctx.paint('bold', graph.name)} (${model.file.path})\n`)
  ctx.print(`  inputs   ${types(graph.inputs)}\n  outputs  ${types(graph.outputs)}\n`)
  ctx.print(`  weights  ${plural(graph.params.length, 'tensor')}, ${count(elements)} numbers${tied}\n`)
  if (options.explain) explain(ctx, model)
  return {
    data: {
      model: graph.name,
      inputs: graph.inputs.map((i) => ({ name: i.name, type: printType(i.node.type) })),
      outputs: graph.outputs.map((o) => ({ name: o.name, type: printType(o.node.type) })),
      parameters: { tensors: graph.params.length, elements },
      ...(options.explain ? explained(model) : {}),
    },
  }
}

function explained({ explain, graph }: OpenedModel) {
  return {
    hyperparameters: explain.hyper.map(({ name, value, source, key }) => ({ name, value, source, ...(key === undefined ? {} : { key }) })),
    implicit: explain.implicit.map(({ block, param, value, source, from, via, at }) => ({ block, param, value, source, from, via, at: formatPlace(at) })),
    conditions: explain.assumptions.map(({ text, status, span }) => ({ text, status, at: formatPlace(span) })),
    atTheCall: graph.constraints.map((c) => c.text),
  } // prettier-ignore
}

function explain(ctx: Context, model: OpenedModel): void {
  const { paint } = ctx
  const { hyper, implicit, assumptions } = model.explain
  const section = (title: string, columns: readonly string[], rows: readonly (readonly string[])[]): void => {
    if (rows.length === 0) return
    ctx.print(`\n${paint('head', title)}\n`)
    ctx.print(table(columns.map((head) => ({ head })), rows, paint, '  ')) // prettier-ignore
  }
  const from = (source: string, key: string | undefined): string =>
    source === 'config' ? `"${key}" of ${model.config?.file}` : source === 'set' ? '--set' : 'default'
  section('hyperparameters', ['name', 'value', 'from'], hyper.map((h) => [h.name, h.value, from(h.source, h.key)])) // prettier-ignore
  section(
    'implicit parameters of blocks',
    ['parameter', 'value', 'from', 'through', 'at'],
    implicit.map((p) => [
      `${p.block}.${p.param}`,
      p.value,
      p.source === 'default' ? 'its default' : p.source === 'hyper' ? `hyperparameter ${p.from}` : p.from,
      p.via.join(' → '),
      formatPlace(p.at),
    ]),
  )
  section('conditions', ['condition', 'status', 'at'], assumptions.map((a) => [a.text, a.status, formatPlace(a.span)])) // prettier-ignore
}
