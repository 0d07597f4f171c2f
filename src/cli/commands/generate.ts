/** `tfmc generate`: a text, token by token, as they come. */
import { generationOf } from '../../../targets/typescript/generation.ts'
import { compileGraph, type Compiled } from '../../compile.ts'
import { fail, say } from '../../diagnostics/index.ts'
import { UsageError, type Context, type Outcome } from '../context.ts'
import { readInputs } from '../inputs.ts'
import { loadModel } from '../load.ts'
import { openModel, type ModelOptions, type OpenedModel } from '../model.ts'
import { plural, seconds } from '../output.ts'
import { promptOf, sourceIds, stopOf, tokenizerOf, type PromptOptions } from '../prompt.ts'
import { targetList, targetNames, targetOf } from '../targets.ts'
import { openWeightsOf, type WeightOptions } from '../weights.ts'

export interface GenerateCommandOptions extends ModelOptions, WeightOptions, PromptOptions {
  readonly weights?: string
  readonly input?: readonly string[]
  readonly target: string
  readonly maxTokens: number
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
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
  const compiled = compileGraph(model.graph, model.file, target)
  const takes = generationOf(compiled.lowered.module) ?? cannot(model, compiled)
  const tokenizer = await tokenizerOf(ctx, model, options.tokenizer, ['tokenizer.json', 'tokenizer.target.json'])
  const given = await readInputs(ctx, options.input ?? [])
  const sources = takes.others.filter((o) => o.dtype === 'i32' && !o.optional && given[o.name] === undefined)
  if (options.source !== undefined) {
    if (sources.length !== 1)
      throw new UsageError(
        `--source needs one input of ids besides ${takes.ids}; ${model.graph.name} has ${sources.length}`,
      )
    given_(given, sources[0].name, await sourceIds(ctx, model, options, options.source))
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
  const { ids: prompt, shown } = await promptOf(ctx, model, options, tokenizer)
  const stop = stopOf(model, options)
  const weights = await openWeightsOf(ctx, model, options)
  const loaded = await loadModel(ctx, target, compiled, weights)
  const { maxTokens, temperature, topK, topP, seed } = options
  const chosen = Object.fromEntries(
    Object.entries({ maxTokens, temperature, topK, topP, seed }).filter(([, v]) => v !== undefined),
  )
  const ids: number[] = []
  const text = tokenizer?.stream(prompt)
  let out = ''
  const write = (piece: string): void => {
    out += piece
    ctx.print(piece)
  }
  ctx.print(shown)
  const start = performance.now()
  let first = start
  try {
    for await (const id of loaded.model.generate!(prompt, { ...given, ...chosen, stop, signal: ctx.io.signal })) {
      if (ids.length === 0) first = performance.now()
      ids.push(id)
      write(text ? text.push(id) : `${ids.length > 1 ? ' ' : ''}${id}`)
    }
  } finally {
    write(text?.end() ?? '')
    ctx.print('\n')
    loaded.close()
  }
  const end = performance.now()
  const rate = ids.length > 1 ? (ids.length - 1) / ((end - first) / 1000) : 0
  ctx.note(
    `${plural(ids.length, 'token')} in ${seconds(end - start)} on ${loaded.device}: ${rate.toFixed(1)} tokens/s after the first, which took ${seconds(first - start)} for ${plural(prompt.length, 'id')}\n`,
  )
  return {
    data: {
      model: model.graph.name, target: name, device: loaded.device, prompt, ids,
      ...(tokenizer ? { text: out } : {}),
      tokensPerSecond: Number(rate.toFixed(2)), milliseconds: Math.round(end - start), firstMilliseconds: Math.round(first - start),
    },
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
