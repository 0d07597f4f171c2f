/** `tfmc quantize`: a checkpoint written anew with its matrices in fewer bits, and what that does to them. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { compileGraph } from '../../compile.ts'
import { fail, say } from '../../diagnostics/index.ts'
import { writeLargeFile } from '../../fs-atomic.ts'
import { summedAxes } from '../../lower/summed.ts'
import type { PlannedTensor, ReducedFormat, TensorReport } from '../../weights/index.ts'
import { UsageError, type Context, type Outcome } from '../context.ts'
import { openModel, type ModelOptions, type OpenedModel } from '../model.ts'
import { bytes, plural, small, table } from '../output.ts'
import { tokenizerOf } from '../prompt.ts'
import { targetList, targetNames, targetOf } from '../targets.ts'
import { compiledFor, openWeightsOf, type WeightOptions } from '../weights.ts'

export interface QuantizeOptions extends ModelOptions, WeightOptions {
  readonly weights?: string
  readonly to: ReducedFormat
  readonly output: string
  readonly keep?: readonly string[]
  readonly text?: string
  readonly tokenizer?: string
  readonly target: string
  readonly all?: boolean
}

export async function quantize(
  ctx: Context,
  [path]: (string | undefined)[],
  options: QuantizeOptions,
): Promise<Outcome> {
  if (!options.output.endsWith('.safetensors'))
    throw new UsageError(`--output takes a file that ends in .safetensors, not '${options.output}'`)
  const model = await openModel(ctx, path, options)
  const { openWeights, planQuantised, reducedFormats, writeQuantised } = await import('../../weights/index.ts')
  const keep = (options.keep ?? []).map((text) => keepOf(text, reducedFormats))
  const { file, label } = await openWeightsOf(ctx, model, options)
  if (!file) return fail(say.cannotQuantise(undefined, `${model.graph.name} has no parameters`))
  const out = resolve(ctx.io.cwd, options.output)
  if (file.files.some((f) => resolve(f) === out)) throw new UsageError('--output names the file that is read')
  const { params, rules } = model.graph
  const planned = planQuantised(file, { params, rules, axes: summedAxes(model.graph), to: options.to, keep })
  const text = options.text === undefined ? undefined : await textOf(ctx, model, options, options.text)
  const metadata = { ...Object.fromEntries(file.metadata), 'tfm.weights': options.to }
  const reports = await ctx.progress.task(`quantising ${label}`, (report) =>
    writeLargeFile(out, (to) => writeQuantised(to, planned, metadata, report, ctx.io.signal)),
  )
  const written = await openWeights(out)
  ctx.print(errorTable(ctx, reports, planned, options.all === true))
  ctx.print(`${ctx.paint('good', 'ok')} ${options.output}: ${bytes(written.bytes)}, it was ${bytes(file.bytes)}\n`)
  const perplexity = text && (await compared(ctx, model, options, text))
  return {
    data: {
      model: model.graph.name,
      output: options.output,
      bytes: { before: file.bytes, after: written.bytes },
      tensors: reports.map(({ power: _, noise: __, ...report }) => report),
      ...(perplexity ? { perplexity } : {}),
    },
  }
}

function keepOf(text: string, formats: readonly ReducedFormat[]): { glob: string; as?: ReducedFormat } {
  const at = text.lastIndexOf('=')
  if (at < 0) return { glob: text }
  const as = formats.find((f) => f === text.slice(at + 1))
  if (!as || at === 0) throw new UsageError(`--keep takes names, or names=format with one of ${formats.join(', ')}, not '${text}'`) // prettier-ignore
  return { glob: text.slice(0, at), as }
}

/** Errors of layers (names up to their first number), or of every tensor. */
function errorTable(
  ctx: Context,
  reports: readonly TensorReport[],
  planned: readonly PlannedTensor[],
  all: boolean,
): string {
  const changed = reports.filter((_, i) => planned[i].to)
  const groups = new Map<string, TensorReport[]>()
  for (const r of changed) {
    const layer = all ? r.name : (/^.*?\d+(?=\.)/.exec(r.name)?.[0] ?? r.name)
    groups.set(layer, [...(groups.get(layer) ?? []), r])
  }
  const sum = (list: readonly TensorReport[], f: (r: TensorReport) => number): number => list.reduce((s, r) => s + f(r), 0) // prettier-ignore
  const line = (name: string, list: readonly TensorReport[]): string[] => {
    const relative = Math.sqrt(sum(list, (r) => r.noise) / (sum(list, (r) => r.power) || 1))
    const most = Math.max(...list.map((r) => r.max ?? 0))
    const as = [...new Set(list.map((r) => r.to))].join(', ')
    const what = list.length > 1 ? plural(list.length, 'tensor') : `[${list[0].shape.join(', ')}]`
    return [name, what, as, bytes(sum(list, (r) => r.bytes)), small(most), relative === 0 ? 'exact' : `${small(100 * relative)} %`, relative === 0 ? '' : `${(-20 * Math.log10(relative)).toFixed(1)} dB`] // prettier-ignore
  }
  const columns = [
    { head: all ? 'tensor' : 'layer' }, { head: '' }, { head: 'as' }, { head: 'size', right: true },
    { head: 'largest error', right: true }, { head: 'rms error', right: true }, { head: 'SNR', right: true },
  ] // prettier-ignore
  const rows = [...groups].map(([name, list]) => line(name, list))
  return table(columns, rows.length > 1 ? [...rows, line('all', changed)] : rows, ctx.paint)
}

async function textOf(
  ctx: Context,
  model: OpenedModel,
  options: QuantizeOptions,
  file: string,
): Promise<readonly number[]> {
  const tokenizer = await tokenizerOf(ctx, model, options.tokenizer)
  if (!tokenizer) throw new UsageError('--text needs a tokenizer: --tokenizer tokenizer.json')
  const text = await readFile(resolve(ctx.io.cwd, file), 'utf8')
  const ids = tokenizer.encode(text)
  if (ids.length < 2) fail(say.emptyPrompt(undefined))
  return ids
}

/** The perplexity of a text with the weights as they were, and as they are. */
async function compared(ctx: Context, model: OpenedModel, options: QuantizeOptions, ids: readonly number[]) {
  const [name] = targetList(options.target, targetNames)
  const target = await targetOf(name)
  const { loadModel } = await import('../load.ts')
  const { perplexityOf, scoring } = await import('../perplexity.ts')
  const compiled = compileGraph(model.graph, model.file, target)
  const how = scoring(compiled)
  const [before, after] = [{ ...options }, { ...options, weights: options.output }]
  const found = []
  for (const which of [before, after]) {
    const weights = await openWeightsOf(ctx, model, which)
    const { model: loaded, close } = await loadModel(
      ctx,
      target,
      compiledFor(model, weights, target, compiled),
      weights,
    )
    try {
      const what = `perplexity with ${weights.label}`
      found.push(await ctx.progress.task(what, (report) => perplexityOf(loaded, how, ids, Math.min(how.most, 1024), report))) // prettier-ignore
    } finally {
      close()
    }
  }
  const [{ perplexity: was, tokens }, { perplexity: is }] = found
  const change = 100 * (is / was - 1)
  ctx.print(`perplexity of ${plural(tokens, 'token')} on ${name}: ${was.toFixed(4)}, now ${is.toFixed(4)} (${change < 0 ? '' : '+'}${change.toFixed(2)} %)\n`) // prettier-ignore
  return { target: name, tokens, before: was, after: is, change: is / was - 1 }
}
