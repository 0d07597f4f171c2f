/** `tfmc run --task`: what encoders are used for. Each text is run by itself, so that nothing is padded. */
import { resolve } from 'node:path'
import { fail, say } from '../diagnostics/index.ts'
import type { Task } from '../hf/index.ts'
import { cosines, largest, pooled, scoresOf, softmax, unit, type Matrix, type Pooling } from '../hf/results.ts'
import { UsageError, type Context } from './context.ts'
import { runOf, type Given } from './inputs.ts'
import type { OpenedModel } from './model.ts'
import { plural, table, value } from './output.ts'
import { tokenizerOf, type FoundTokenizer } from './prompt.ts'
import type { Output, Session } from './session.ts'

export type TaskName = 'embed' | 'classify' | 'fill-mask'

/** What a class may be made for that does a task; any may have hidden states to embed. */
const kindsOf: Readonly<Record<TaskName, readonly Task[]>> = {
  embed: [],
  classify: ['classify', 'classify-tokens', 'image-classification'],
  'fill-mask': ['fill-mask'],
}

export interface TaskOptions {
  readonly task?: TaskName
  readonly text?: readonly string[]
  readonly pair?: string
  readonly tokenizer?: string
  readonly pooling?: Pooling
  readonly normalize?: boolean
  readonly top: number
}

export interface TaskResult {
  readonly data: Readonly<Record<string, unknown>>
  /** For `--output`. */
  readonly outputs: readonly Output[]
  /** Milliseconds, of all runs together. */
  readonly time: number
}

/** What the tasks work with. */
interface Job {
  readonly ctx: Context
  readonly model: OpenedModel
  readonly options: TaskOptions
  readonly tokenizer?: FoundTokenizer
  /** One call for each text, or the one for the inputs that were given. */
  readonly calls: readonly Call[]
}
interface Call {
  readonly text: string
  readonly ids: readonly number[]
  readonly outputs: readonly Output[]
}

export async function runTask(
  ctx: Context,
  model: OpenedModel,
  session: Session,
  given: Given,
  options: TaskOptions,
): Promise<TaskResult> {
  const name = options.task ?? taskOf(model)
  const made = model.hf?.class?.task
  if (made !== undefined && name !== 'embed' && !kindsOf[name].includes(made))
    cannot(model, name, `${model.hf?.class?.name} is made to ${made}`)
  const texts = options.text ?? []
  if (options.pair !== undefined && texts.length !== 1) throw new UsageError('--pair goes with one --text')
  if (texts.length === 0 && Object.keys(given).length === 0)
    throw new UsageError(`--task ${name} needs --text, or the inputs as --input name=@file`)
  const tokenizer = await tokenizerOf(ctx, model, options.tokenizer)
  if (texts.length > 0 && tokenizer === undefined)
    throw new UsageError('--text needs a tokenizer: --tokenizer tokenizer.json')
  const calls: Call[] = []
  let time = 0
  for (const text of texts.length > 0 ? texts : ['']) {
    const encoded =
      texts.length > 0
        ? tokenizer!.encodePair(name === 'fill-mask' ? withMask(text, tokenizer!) : text, options.pair)
        : undefined
    const inputs = await session.bind(encoded ? { ...inputsFor(model, session, name, encoded), ...given } : given)
    if (inputs.made.length > 0) cannot(model, name, `nothing was given for ${inputs.made.join(', ')}`)
    const { outputs, milliseconds } = await session.run(inputs)
    time += milliseconds
    calls.push({ text, ids: encoded?.ids ?? [], outputs })
  }
  const task: Job = { ctx, model, options, calls, ...(tokenizer ? { tokenizer } : {}) }
  return { ...(await { embed, classify, 'fill-mask': fillMask }[name](task)), time }
}

const cannot = (model: OpenedModel, task: string, why: string): never => fail(say.cannotTask(undefined, model.graph.name, task, why)) // prettier-ignore

/** The task that the class is made for. */
function taskOf(model: OpenedModel): TaskName {
  const task = model.hf?.class?.task
  if (task === 'embed' || task === 'fill-mask') return task
  if (task !== undefined && kindsOf.classify.includes(task)) return 'classify'
  if (task === 'generate')
    throw new UsageError('this model continues texts: tfmc generate --hf <folder> --prompt "text"')
  throw new UsageError('--text needs --task: embed, classify or fill-mask')
}

/** The inputs for one text: its ids, and what the model takes besides and cannot do without. */
function inputsFor(
  model: OpenedModel,
  session: Session,
  task: string,
  { ids, types }: { readonly ids: readonly number[]; readonly types: readonly number[] },
): Given {
  const ports = runOf(session.compiled).inputs.filter((p) => p.dtype === 'i32')
  const required = ports.filter((p) => !p.optional)
  const port = ports.find((p) => /^(input_)?ids$/.test(p.name)) ?? (required.length === 1 ? required[0] : undefined)
  if (port === undefined) return cannot(model, task, 'it has no input of token ids')
  const given: Record<string, unknown> = { [port.name]: [ids] }
  for (const { name, optional } of ports) {
    if (/^(token_)?type(_id)?s$/.test(name)) given[name] = [types]
    else if (/^(attention_)?mask$|^keep$/.test(name) && !optional) given[name] = [ids.map(() => 1)]
  }
  return given
}

/** The output that is called one of `names`. No other will do: hidden states would pass for logits. */
function outputOf(task: Job, name: string, call: Call, names: readonly string[], ranks: readonly number[]): Output {
  const floats = call.outputs.filter((o) => o.dtype === 'f32' && ranks.includes(o.shape.length))
  for (const wanted of names) {
    const found = floats.find((o) => o.name === wanted)
    if (found) return found
  }
  const has = call.outputs.map((o) => `${o.name} [${o.shape.join(', ')}]`).join(', ')
  return cannot(task.model, name, `it needs an output ${names.join(' or ')}; there is ${has}`)
}

const matrixOf = ({ shape, data }: Output): Matrix => ({ rows: shape[1], columns: shape[2], data })
const rowOf = ({ data, columns }: Matrix, i: number): number[] => Array.from({ length: columns }, (_, j) => data[i * columns + j]) // prettier-ignore

async function embed(task: Job): Promise<Omit<TaskResult, 'time'>> {
  const { ctx, model, options, calls } = task
  const { readSentenceSettings } = await import('../hf/sentence.ts')
  const saved = model.hf ? await readSentenceSettings(resolve(ctx.io.cwd, model.hf.folder.path), model.hf.folder.shown) : undefined // prettier-ignore
  const pooling = options.pooling ?? saved?.pooling ?? 'mean'
  const normalize = options.normalize ?? saved?.normalize ?? false
  const names = ['sentence_embedding', 'text_embeds', 'image_embeds', 'last_hidden_state', 'hidden']
  const vectors = calls.map((call) => {
    const found = outputOf(task, 'embed', call, names, [2, 3])
    const vector = found.shape.length === 3 ? pooled(matrixOf(found), pooling) : Float64Array.from(found.data)
    return normalize ? unit(vector) : vector
  })
  const how = `${pooling === 'mean' || pooling === 'max' ? `${pooling} over the tokens` : `${pooling} token`}${normalize ? ', at length 1' : ''}`
  const rows = vectors.map((v, i) => [label(calls[i]), `${first(v)} (${plural(v.length, 'number')}, ${how})`])
  ctx.print(table([{ head: '' }, { head: '' }], rows, ctx.paint))
  const similarities = cosines(vectors)
  if (vectors.length > 1) {
    const columns = [{ head: 'cosine' }, ...calls.map((_, i) => ({ head: String(i + 1), right: true }))]
    const cells = similarities.map((row, i) => [`${i + 1} ${label(calls[i])}`, ...row.map((x) => x.toFixed(4))])
    ctx.print(`\n${table(columns, cells, ctx.paint)}`)
  }
  const all = vectors.flatMap((v) => Array.from(v))
  const embeddings: Output = { name: 'embeddings', dtype: 'f32', shape: [vectors.length, vectors[0].length], data: all }
  return {
    data: { task: 'embed', pooling, normalize, embeddings: vectors.map((v) => Array.from(v)), similarities },
    outputs: [embeddings],
  }
}

const first = (v: ArrayLike<number>): string => `${Array.from(v).slice(0, 4).map(value).join(' ')}${v.length > 4 ? ' …' : ''}` // prettier-ignore
const label = ({ text }: Call): string => (text.length > 40 ? `${text.slice(0, 39)}…` : text)

function classify(task: Job): Promise<Omit<TaskResult, 'time'>> {
  const { ctx, model, options, calls, tokenizer } = task
  const problem = model.config?.values.problem_type
  const labelOf = labelsOf(model)
  const scored = (logits: ArrayLike<number>, n: number) =>
    largest(scoresOf(logits, problem), n).map(({ id, score }) => ({ label: labelOf(id), id, score }))
  const results: unknown[] = []
  const outputs: Output[] = []
  for (const call of calls) {
    const found = outputOf(task, 'classify', call, ['logits'], [2, 3])
    outputs.push(found)
    if (calls.length > 1) ctx.print(`${ctx.paint('bold', label(call))}\n`)
    if (found.shape.length === 2) {
      const labels = scored(found.data, options.top)
      ctx.print(table([{ head: '' }, { head: '', right: true }], labels.map((l) => [l.label, l.score.toFixed(4)]), ctx.paint, '  ')) // prettier-ignore
      results.push({ text: call.text, labels })
      continue
    }
    const matrix = matrixOf(found)
    const tokens = Array.from({ length: matrix.rows }, (_, i) => ({
      token: tokenizer?.tokenOf(call.ids[i]) ?? String(i),
      ...scored(rowOf(matrix, i), 1)[0],
    }))
    ctx.print(table([{ head: '' }, { head: '' }, { head: '', right: true }], tokens.map((t) => [t.token, t.label, t.score.toFixed(4)]), ctx.paint, '  ')) // prettier-ignore
    results.push({ text: call.text, tokens })
  }
  return Promise.resolve({ data: { task: 'classify', results }, outputs: outputs.length === 1 ? outputs : outputs.map((o, i) => ({ ...o, name: `${o.name}.${i}` })) }) // prettier-ignore
}

/** Names of labels: `id2label` of the configuration. */
function labelsOf(model: OpenedModel): (id: number) => string {
  const names = Object(model.config?.values.id2label) as Readonly<Record<string, unknown>>
  return (id) => (Object.hasOwn(names, id) ? String(names[id]) : `LABEL_${id}`)
}

function fillMask(task: Job): Promise<Omit<TaskResult, 'time'>> {
  const { ctx, model, options, calls, tokenizer } = task
  const mask = tokenizer?.specials.mask_token
  const id = mask === undefined ? undefined : tokenizer?.idOf(mask)
  if (id === undefined) return cannot(model, 'fill-mask', 'its tokenizer has no mask_token')
  const results = calls.map((call) => {
    const matrix = matrixOf(outputOf(task, 'fill-mask', call, ['logits', 'prediction_logits'], [3]))
    const places = call.ids.flatMap((token, position) => (token === id ? [position] : []))
    if (places.length === 0) throw new UsageError(`there is no ${mask} in "${call.text}"`)
    if (calls.length > 1) ctx.print(`${ctx.paint('bold', label(call))}\n`)
    const masks = places.map((position) => {
      const tokens = largest(softmax(rowOf(matrix, position)), options.top).map(({ id, score }) => {
        const filled = call.ids.map((token, i) => (i === position ? id : token))
        return { id, token: tokenizer!.tokenOf(id) ?? String(id), score, text: tokenizer!.decode(filled) }
      })
      const rows = tokens.map((t) => [t.token, t.score.toFixed(4), t.text])
      ctx.print(table([{ head: places.length > 1 ? `position ${position}` : '' }, { head: '', right: true }, { head: '' }], rows, ctx.paint, '  ')) // prettier-ignore
      return { position, tokens }
    })
    return { text: call.text, masks }
  })
  return Promise.resolve({ data: { task: 'fill-mask', results }, outputs: calls.flatMap((c) => c.outputs) })
}

/** `[MASK]` and `<mask>` mean the mask of whichever tokenizer it is. */
function withMask(text: string, tokenizer: FoundTokenizer): string {
  const mask = tokenizer.specials.mask_token
  return mask === undefined ? text : text.replace(/\[MASK\]|<mask>/g, () => mask)
}
