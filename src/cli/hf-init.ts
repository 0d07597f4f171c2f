/** `tfmc init --hf`: the model of a folder as files to edit, with the values of its `config.json` as defaults. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatFile } from '../../grammar/format.ts'
import { parse } from '../../grammar/parse.ts'
import type * as ast from '../../grammar/ast.ts'
import { sourceFile, type Diagnostic } from '../diagnostics/index.ts'
import { elaborate, type HyperValue, type Json } from '../frontend/index.ts'
import { modelIn, type Task } from '../hf/index.ts'
import type { Context } from './context.ts'
import { findHf } from './hf.ts'

export interface WrittenOut {
  readonly files: ReadonlyMap<string, string>
  /** Commands to go on with. */
  readonly next: readonly string[]
}

/** Fields that are not dealt with are no obstacle here: they are noted in the source, as what is left to do. */
export async function writtenOut(
  ctx: Context,
  options: { readonly hf: string; readonly class?: string },
  dir: string,
): Promise<WrittenOut> {
  const { file, imports, model: name, config, hf } = await findHf(ctx, undefined, options)
  const { ast } = parse(file)
  const model = modelIn(ast, name)
  if (model === undefined) throw new Error(`internal: ${file.path} has no model ${name}`)
  const { explain } = elaborate(ast, {
    config: config!.values as { readonly [key: string]: Json },
    ...(name === undefined ? {} : { model: name }),
    resolve: imports,
  })
  const { problems } = hf.fields
  const text = withValues(model, explain.hyper, problems)
  const formatted = formatFile(sourceFile('model.tfm', text))
  if (formatted.text === undefined) throw new Error('internal: the source that was written does not parse')
  if (problems.length > 0) ctx.warn(...problems.map((p): Diagnostic => ({ ...p, severity: 'warning', help: 'see model.tfm, which was written all the same' }))) // prettier-ignore
  const architecture = JSON.parse(await readFile(join(hf.architecture!.source, '..', 'architecture.json'), 'utf8')) as object // prettier-ignore
  const source = join(dir, 'model.tfm')
  const next = [
    `tfmc info ${source} --hf ${options.hf}`,
    onward(hf.class?.task, `${source} --hf ${options.hf}`),
    `tfmc compile ${source} -o ${join(dir, 'out')}`,
  ]
  return {
    files: new Map([
      ['model.tfm', formatted.text],
      ['architecture.json', `${JSON.stringify(architecture, undefined, 2)}\n`],
      ['README.md', readme(hf.class?.name ?? model.name.name, options.hf, next, problems)],
    ]),
    next,
  }
}

/** What a class of this task is called with. */
function onward(task: Task | undefined, model: string): string {
  if (task === 'generate') return `tfmc generate ${model} --prompt "text"`
  if (task === 'seq2seq') return `tfmc generate ${model} --source "text"`
  return task === 'embed' || task === 'classify' || task === 'fill-mask'
    ? `tfmc run ${model} --task ${task} --text "text"`
    : `tfmc run ${model}`
}

/** The source with each value of the configuration as the default of its hyperparameter, and notes above the model. */
function withValues(model: ast.Model, values: readonly HyperValue[], problems: readonly Diagnostic[]): string {
  const { text } = model.span.file
  const edits = model.params.flatMap((param) => {
    const found = values.find((v) => v.name === param.name.name && v.source === 'config')
    if (found === undefined) return []
    const value = literal(found.value)
    return param.default
      ? [{ start: param.default.span.start, end: param.default.span.end, text: value }]
      : [{ start: param.name.span.end, end: param.name.span.end, text: ` = ${value}` }]
  })
  const start = text.lastIndexOf('model', model.name.span.start)
  const notes = problems.map((p) => `// To do: ${p.message.replace(/^.*?: /, '')}.\n`).join('')
  if (notes !== '') edits.push({ start, end: start, text: notes })
  return edits
    .sort((a, b) => b.start - a.start)
    .reduce((out, e) => out.slice(0, e.start) + e.text + out.slice(e.end), text)
}

/** Braces in strings of the language are places for values. */
const literal = (value: string): string => (/^["[]/.test(value) ? value.replace(/[{}]/g, '\\$&') : value)

const readme = (name: string, folder: string, next: readonly string[], problems: readonly Diagnostic[]): string =>
  `# ${name}

Written by \`tfmc init --hf\`: the model with the values of \`${folder}/config.json\` as defaults, and what is to be checked of that file.

${next.map((line) => `    ${line}`).join('\n')}

With \`--hf\` the weights, the tokenizer and the values come from the folder; the model is the one here, so change it as you like. Each field of
\`config.json\` must be read by the model (\`from "field"\`), or stand in \`architecture.json\`: in \`requires\` with the values that the model is
right for, or in \`ignores\` where it cannot change the numbers.
${problems.length === 0 ? '' : `\nNot dealt with yet:\n\n${problems.map((p) => `- ${p.message}`).join('\n')}\n`}`
