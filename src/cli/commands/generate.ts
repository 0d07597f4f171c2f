/** `tfmc generate`: a text, token by token, as they come. */
import { generationOf } from '../../../targets/shared/generation.ts'
import { compileGraph, type Compiled } from '../../compile.ts'
import { fail, say } from '../../diagnostics/index.ts'
import type { Tokenizer } from '../../text/index.ts'
import { UsageError, type Context, type Outcome } from '../context.ts'
import { wholeNumber } from '../flags.ts'
import { readInputs } from '../inputs.ts'
import { loadModel, type LoadedTarget, type ThreadOptions } from '../load.ts'
import { openModel, type ModelOptions, type OpenedModel } from '../model.ts'
import { plural, seconds } from '../output.ts'
import { promptOf, sourceIds, stopOf, tokenizerOf, type Prompt, type PromptOptions } from '../prompt.ts'
import { targetList, targetNames, targetOf } from '../targets.ts'
import { compiledFor, openWeightsOf, type WeightOptions } from '../weights.ts'

export interface GenerateCommandOptions
  extends ModelOptions, WeightOptions, Omit<PromptOptions, 'prompt'>, ThreadOptions {
  readonly prompt?: readonly string[]
  readonly weights?: string
  readonly input?: readonly string[]
  readonly target: string
  readonly maxTokens: number
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly minP?: number
  readonly repetitionPenalty?: number
  /** `--no-repeat-ngram 3` is 3; without it this is true. */
  readonly repeatNgram?: number | boolean
  readonly suppress?: readonly string[]
  readonly minTokens?: number
  readonly num?: number
  readonly beams?: number
  readonly lengthPenalty?: number
  readonly stopText?: readonly string[]
  readonly seed?: number
}

export async function generate(
  ctx: Context,
  [path]: (string | undefined)[],
  options: GenerateCommandOptions,
): Promise<Outcome> {
  const [name] = targetList(options.target, targetNames)
  const model = await openModel(ctx, path, options)
  const target = await targetOf(name)
  const compiled = compileGraph(model.graph, model.file, target, { reorder: true })
  const takes = generationOf(compiled.lowered.module) ?? cannot(model, compiled)
  const tokenizer = await tokenizerOf(ctx, model, options.tokenizer, ['tokenizer.json', 'tokenizer.target.json'])
  const given = await readInputs(ctx, options.input ?? [])
  const sources = takes.others.filter((o) => o.dtype === 'i32' && !o.optional && given[o.name] === undefined)
  if (options.source !== undefined) {
    if (sources.length !== 1)
      throw new UsageError(
        `--source needs one input of ids besides ${takes.ids}; ${model.graph.name} has ${sources.length}`,
      )
    given_(given, sources[0].name, await sourceIds(ctx, model, rest(options), options.source))
  } else if (sources.length > 0) {
    fail(
      say.cannotGenerate(
        undefined,
        model.graph.name,
        `nothing was given for ${sources.map((s) => s.name).join(', ')}`,
        '--source "text", or --input name=value',
      ),
    )
  }
  const texts = options.prompt ?? [undefined]
  const prompts: Prompt[] = []
  for (const prompt of texts) {
    const own = prompt === undefined ? rest(options) : { ...rest(options), prompt }
    prompts.push(await promptOf(ctx, model, own, tokenizer))
  }
  const stop = stopOf(model, rest(options))
  const chosen = { ...samplingOf(options, prompts.length, tokenizer !== undefined), stop, signal: ctx.io.signal }
  const weights = await openWeightsOf(ctx, model, options)
  const own = compiledFor(model, weights, target, compiled, { reorder: true })
  const loaded = await loadModel(ctx, target, own, weights, { generation: 'full' }, options)
  const count = prompts.length * (options.num ?? 1)
  try {
    const common = { model: model.graph.name, target: name, device: loaded.device }
    if (options.beams === undefined && count === 1)
      return { data: { ...common, ...(await one(ctx, loaded, prompts[0], { ...given, ...chosen }, tokenizer)) } }
    if (!loaded.model.generateBatch || !loaded.model.generateBeams)
      return fail(say.cannotGenerate(undefined, model.graph.name, 'its ids have no batch axis, or rows of its state cannot be told apart, so only one sequence at a time')) // prettier-ignore
    const { generateBatch, generateBeams } = loaded.model
    const rows: { ids: number[]; score?: number }[] = []
    const start = performance.now()
    if (options.beams !== undefined) rows.push(...(await generateBeams(prompts[0].ids, { ...given, ...chosen })))
    else {
      for (let row = 0; row < count; row++) rows.push({ ids: [] })
      const steps = generateBatch(prompts.map((p) => p.ids), { ...given, ...chosen }) // prettier-ignore
      for await (const step of steps) step.forEach((id, row) => id !== undefined && rows[row].ids.push(id))
    }
    const sequences = rows.map(({ ids, score }, row) => {
      const prompt = prompts[options.beams === undefined ? Math.floor(row / (options.num ?? 1)) : 0]
      const text = tokenizer && textAfter(tokenizer, prompt.ids, options.stopText)(ids)
      ctx.print(`${score === undefined ? '' : `${score.toFixed(4)}  `}${prompt.shown}${text ?? ids.join(' ')}\n`)
      return {
        prompt: prompt.ids,
        ids,
        ...(text === undefined ? {} : { text }),
        ...(score === undefined ? {} : { score }),
      }
    })
    const milliseconds = Math.round(performance.now() - start)
    ctx.note(`${plural(sequences.length, 'sequence')} in ${seconds(milliseconds)} on ${loaded.device}\n`)
    return { data: { ...common, sequences, milliseconds } }
  } finally {
    loaded.close()
  }
}

const rest = ({ prompt: _, ...others }: GenerateCommandOptions): PromptOptions => others

/** Options of `generate` from flags. Flags that exclude each other are errors. */
function samplingOf(options: GenerateCommandOptions, prompts: number, tokenizer: boolean): Record<string, unknown> {
  const { beams, num, lengthPenalty, repeatNgram, suppress, stopText } = options
  const { maxTokens, temperature, topK, topP, minP, seed, repetitionPenalty, minTokens } = options
  const draws = { temperature, 'top-k': topK, 'top-p': topP, 'min-p': minP, seed }
  const drawn = Object.entries(draws).find(([, value]) => value !== undefined)
  if (beams !== undefined && drawn) throw new UsageError(`--beams draws nothing: it excludes --${drawn[0]}`)
  if (beams !== undefined && prompts > 1) throw new UsageError('--beams takes one --prompt')
  if (beams === undefined && lengthPenalty !== undefined) throw new UsageError('--length-penalty goes with --beams')
  if (stopText && !tokenizer) throw new UsageError('--stop-text needs a tokenizer: --tokenizer tokenizer.json')
  if (num === 0) throw new UsageError('--num is at least 1')
  const chosen = {
    maxTokens, temperature, topK, topP, minP, seed, repetitionPenalty, minTokens, lengthPenalty,
    numBeams: beams,
    numReturnSequences: num,
    noRepeatNgramSize: typeof repeatNgram === 'number' ? repeatNgram : undefined,
    suppressTokens: suppress?.map(wholeNumber),
    stopStrings: stopText,
  } // prettier-ignore
  return Object.fromEntries(Object.entries(chosen).filter(([, v]) => v !== undefined))
}

/** The text of what follows a prompt, up to a stop text. */
function textAfter(tokenizer: Tokenizer, prompt: readonly number[], stops: readonly string[] = []) {
  const before = tokenizer.decode(prompt).length
  return (ids: readonly number[]): string => {
    const text = tokenizer.decode([...prompt, ...ids]).slice(before)
    return text.slice(0, Math.min(text.length, ...stops.map((s) => text.indexOf(s)).filter((at) => at >= 0)))
  }
}

/** One sequence, shown as it comes. */
async function one(
  ctx: Context,
  { model, device }: LoadedTarget,
  { ids: prompt, shown }: Prompt,
  options: Readonly<Record<string, unknown>>,
  tokenizer: Tokenizer | undefined,
): Promise<Record<string, unknown>> {
  const ids: number[] = []
  let out = ''
  const write = (piece: string): void => {
    out += piece
    ctx.print(piece)
  }
  ctx.print(shown)
  const start = performance.now()
  let first = start
  const onToken = (id: number): void => {
    if (ids.length === 0) first = performance.now()
    ids.push(id)
  }
  const text = tokenizer?.stream(prompt)
  try {
    if (tokenizer && options.stopStrings !== undefined) {
      const decode = textAfter(tokenizer, prompt)
      for await (const piece of model.generateText!(prompt, { ...options, decode, onToken })) write(piece)
    } else {
      for await (const id of model.generate!(prompt, { ...options, onToken }))
        write(text ? text.push(id) : `${ids.length > 1 ? ' ' : ''}${id}`)
      write(text?.end() ?? '')
    }
  } finally {
    ctx.print('\n')
  }
  const end = performance.now()
  const rate = ids.length > 1 ? (ids.length - 1) / ((end - first) / 1000) : 0
  ctx.note(
    `${plural(ids.length, 'token')} in ${seconds(end - start)} on ${device}: ${rate.toFixed(1)} tokens/s after the first, which took ${seconds(first - start)} for ${plural(prompt.length, 'id')}\n`,
  )
  return {
    prompt, ids,
    ...(tokenizer ? { text: out } : {}),
    tokensPerSecond: Number(rate.toFixed(2)), milliseconds: Math.round(end - start), firstMilliseconds: Math.round(first - start),
  } // prettier-ignore
}

const given_ = (given: object, name: string, ids: readonly number[]): void => void Object.assign(given, { [name]: ids })

function cannot(model: OpenedModel, compiled: Compiled): never {
  const why = compiled.lowered.module.notSteppable
  if (compiled.notSteppable) fail(compiled.notSteppable)
  return fail(
    say.cannotGenerate(
      undefined,
      model.graph.name,
      why ??
        (model.graph.sequence
          ? 'it takes more per position than one input of ids, or gives more than one output of logits'
          : 'it declares no `sequence`'),
    ),
  )
}
