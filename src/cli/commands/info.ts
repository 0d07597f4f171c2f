/** `tfmc info`: what a checkpoint holds, what a model needs, and whether the two fit. */
import { resolve } from 'node:path'
import { modelName } from '../../../targets/runtime/weights.ts'
import { nearest } from '../../diagnostics/index.ts'
import type { Graph } from '../../ir/types.ts'
import { formatOf, openWeights, type WeightsFile } from '../../weights/open.ts'
import type { Context, Outcome } from '../context.ts'
import { openModel, type HfModel, type ModelOptions, type OpenedModel } from '../model.ts'
import { bytes, count, plural, table } from '../output.ts'
import { warnOfTies } from '../weights.ts'

export interface InfoOptions extends ModelOptions {
  readonly weights?: string
}

export async function info(ctx: Context, [path]: (string | undefined)[], options: InfoOptions): Promise<Outcome> {
  if (path !== undefined && !path.endsWith('.tfm')) return checkpoint(ctx, path)
  const model = await openModel(ctx, path, options)
  const weights = options.weights ?? options.hf
  if (model.hf) ctx.print(described(ctx, model, model.hf))
  if (weights === undefined) return parameters(ctx, model.graph)
  const file = await openWeights(resolve(ctx.io.cwd, weights))
  await warnOfTies(ctx, model, file)
  const { data, ok } = fit(ctx, model.graph, file, weights)
  return { data: { ...data, ...(model.hf ? { config: fieldsOf(model.hf) } : {}) }, ok }
}

const fieldsOf = ({ class: c, architecture, fields: { read, required, ignored } }: HfModel) => ({ ...(c && architecture ? { class: c.name, architecture: architecture.file } : {}), read, required, ignored }) // prettier-ignore

/** Which model a folder of Hugging Face stands for, and what became of the fields of its config.json. */
function described(ctx: Context, model: OpenedModel, { class: c, fields }: HfModel): string {
  const line = (title: string, text: string): string => `${title.padEnd(9)} ${text}\n`
  const list = (title: string, names: readonly string[]): string => names.length === 0 ? '' : line(title, names.join(', ')) // prettier-ignore
  return (
    `${ctx.paint('bold', c?.name ?? model.graph.name)} as ${model.graph.name} of ${model.file.path}${c?.task === undefined ? '' : ` (${c.task})`}\n` +
    list('read', fields.read) +
    list('required', fields.required) +
    list('ignored', fields.ignored)
  )
}

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)
const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`

async function checkpoint(ctx: Context, path: string): Promise<Outcome> {
  const file = await openWeights(resolve(ctx.io.cwd, path))
  const tensors = [...file.tensors.values()]
  const rows = tensors.map((t) => [t.name, formatOf(t), shapeText(t.shape), bytes(t.size)])
  ctx.print(table([{ head: 'tensor' }, { head: 'dtype' }, { head: 'shape' }, { head: 'size', right: true }], rows, ctx.paint)) // prettier-ignore
  const elements = tensors.reduce((sum, t) => sum + product(t.shape), 0)
  ctx.print(
    `${plural(tensors.length, 'tensor')}, ${count(elements)} numbers, ${bytes(file.bytes)} in ${plural(file.files.length, 'file')}\n`,
  )
  for (const [key, value] of file.metadata) ctx.print(`${key}: ${value}\n`)
  const listed = tensors.map((t) => ({ name: t.name, dtype: formatOf(t), shape: t.shape, bytes: t.size }))
  return { data: { files: file.files.length, bytes: file.bytes, elements, tensors: listed, metadata: Object.fromEntries(file.metadata) } } // prettier-ignore
}

function parameters(ctx: Context, graph: Graph): Outcome {
  const rows = graph.params.map((p) => [p.name, shapeText(p.shape), count(product(p.shape)), p.fallback === undefined ? '' : `or ${p.fallback}`]) // prettier-ignore
  ctx.print(table([{ head: 'parameter' }, { head: 'shape' }, { head: 'numbers', right: true }, { head: '' }], rows, ctx.paint)) // prettier-ignore
  const elements = graph.params.reduce((sum, p) => sum + product(p.shape), 0)
  ctx.print(`${plural(graph.params.length, 'parameter')}, ${count(elements)} numbers, ${bytes(4 * elements)} as f32\n`)
  return { data: { model: graph.name, elements, parameters: graph.params.map(({ name, shape, fallback }) => ({ name, shape, ...(fallback === undefined ? {} : { or: fallback }) })) } } // prettier-ignore
}

interface Problem {
  readonly name: string
  readonly problem: 'missing' | 'unused' | 'misshapen'
  readonly detail: string
}

function fit(ctx: Context, graph: Graph, file: WeightsFile, path: string): Outcome {
  const specs = new Map(graph.params.map((p) => [p.name, p]))
  const found = new Set<string>()
  const unused: string[] = []
  const ignored: string[] = []
  const problems: Problem[] = []
  for (const t of file.tensors.values()) {
    const name = modelName(t.name, graph.rules)
    const spec = specs.get(name ?? '')
    if (name === undefined) ignored.push(t.name)
    else if (!spec) unused.push(t.name)
    else {
      found.add(spec.name)
      if (String(spec.shape) !== String(t.shape)) {
        const turned = String(spec.shape.toReversed()) === String(t.shape) ? '; is it transposed?' : ''
        problems.push({ name: t.name, problem: 'misshapen', detail: `${shapeText(t.shape)}, the model has ${shapeText(spec.shape)}${turned}` }) // prettier-ignore
      }
    }
  }
  const missing = graph.params.filter((p) => !found.has(p.name) && !(p.fallback !== undefined && found.has(p.fallback)))
  const hint = (name: string, names: readonly string[]): string => {
    const near = nearest(name, names, 1)
    return near.length > 0 ? `; did you mean ${near[0]}?` : ''
  }
  for (const p of missing) problems.push({ name: p.name, problem: 'missing', detail: `${shapeText(p.shape)}${hint(p.name, unused)}` }) // prettier-ignore
  for (const name of unused) problems.push({ name, problem: 'unused', detail: `the model has no such parameter${hint(name, missing.map((p) => p.name))}` }) // prettier-ignore
  const rows = problems.map((p) => [['bad', p.problem] as const, p.name, p.detail])
  if (problems.length > 0) ctx.print(table([{ head: '' }, { head: 'tensor' }, { head: '' }], rows, ctx.paint))
  const ties = graph.params.length - found.size - missing.length
  ctx.print(
    `${problems.length === 0 ? `${ctx.paint('good', 'ok')} ` : ''}${path}: ${found.size} of ${plural(graph.params.length, 'parameter')} of ${graph.name} found` +
      `${ties > 0 ? `, ${ties} tied` : ''}, ${missing.length} missing, ${unused.length} unused, ${problems.length - missing.length - unused.length} misshapen${ignored.length > 0 ? `, ${ignored.length} ignored` : ''}\n`,
  )
  return { data: { model: graph.name, found: found.size, tied: ties, ignored, problems }, ok: problems.length === 0 }
}
