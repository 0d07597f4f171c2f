/** What a text model is given: a prompt, a conversation or ids, and the ids that end what it says. */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fail, say } from '../diagnostics/index.ts'
import { readChatTemplate, readTokenizer, renderChat, type Message, type Tokenizer } from '../text/index.ts'
import { UsageError, type Context } from './context.ts'
import { findBeside } from './files.ts'
import { wholeNumber } from './flags.ts'
import type { OpenedModel } from './model.ts'

export interface PromptOptions {
  readonly prompt?: string
  readonly promptFile?: string
  readonly ids?: string
  readonly chat?: boolean
  readonly system?: string
  readonly source?: string
  readonly tokenizer?: string
  readonly sourceTokenizer?: string
  readonly stop?: readonly string[] | boolean
}

export interface FoundTokenizer extends Tokenizer {
  /** Where it lies, as the user would write it. */
  readonly file: string
}

/** That of `--tokenizer`, else the first of `names` beside the model. */
export async function tokenizerOf(
  ctx: Context,
  model: OpenedModel,
  given: string | undefined,
  names: readonly string[] = ['tokenizer.json'],
): Promise<FoundTokenizer | undefined> {
  const file = given ?? (await findBeside(ctx.io, model.folders, names))
  return file === undefined ? undefined : { ...(await readTokenizer(resolve(ctx.io.cwd, file))), file }
}

/** Ids of `--source`. */
export async function sourceIds(
  ctx: Context,
  model: OpenedModel,
  options: PromptOptions,
  text: string,
): Promise<number[]> {
  const names =
    options.tokenizer === undefined ? ['tokenizer.source.json', 'tokenizer.json'] : ['tokenizer.source.json']
  const own = await tokenizerOf(ctx, model, options.sourceTokenizer, names)
  const tokenizer = own ?? (await tokenizerOf(ctx, model, options.tokenizer, []))
  if (!tokenizer) throw new UsageError('--source needs a tokenizer: --source-tokenizer tokenizer.json')
  const ids = tokenizer.encode(text)
  if (ids.length === 0) fail(say.emptyPrompt(undefined))
  return ids
}

export interface Prompt {
  readonly ids: number[]
  /** What stands before the answer when it is shown; a conversation is not repeated. */
  readonly shown: string
}

/** The ids to go on from. */
export async function promptOf(
  ctx: Context,
  model: OpenedModel,
  options: PromptOptions,
  tokenizer: FoundTokenizer | undefined,
): Promise<Prompt> {
  const given = [options.prompt, options.promptFile, options.ids].filter((x) => x !== undefined)
  if (given.length > 1) throw new UsageError('--prompt, --prompt-file and --ids exclude each other')
  if (options.system !== undefined && !options.chat) throw new UsageError('--system goes with --chat')
  if (options.ids !== undefined) {
    if (options.chat) throw new UsageError('--chat takes a text: --prompt or --prompt-file')
    const ids = options.ids.split(/[\s,]+/).filter((t) => t !== '')
    return { ids: ids.map(wholeNumber), shown: '' }
  }
  const text = options.promptFile === undefined ? options.prompt : await readText(ctx, options.promptFile)
  const start = idsIn(model, 'decoder_start_token_id')[0] ?? idsIn(model, 'bos_token_id')[0]
  if (text === undefined) {
    if (start !== undefined && !options.chat) return { ids: [start], shown: '' }
    throw new UsageError('nothing to continue: --prompt "text", --prompt-file file or --ids 1,2,3')
  }
  if (!tokenizer) throw new UsageError('--prompt needs a tokenizer: --tokenizer tokenizer.json; or give --ids')
  if (options.chat) return { ids: await chatIds(ctx, tokenizer, text, options.system), shown: '' }
  const ids = tokenizer.encode(text)
  return { ids: options.source === undefined || start === undefined ? ids : [start, ...ids], shown: text }
}

async function chatIds(
  ctx: Context,
  tokenizer: FoundTokenizer,
  text: string,
  system: string | undefined,
): Promise<number[]> {
  const folder = dirname(resolve(ctx.io.cwd, tokenizer.file))
  const template = await readChatTemplate(folder)
  if (template === undefined)
    return fail(
      say.badChat(
        undefined,
        `there is no chat template beside ${tokenizer.file}`,
        'the model was not trained on chats, or its chat_template.jinja is missing; --prompt without --chat continues a text',
      ),
    )
  const first: readonly Message[] = system === undefined ? [] : [{ role: 'system', content: system }]
  const rendered = renderChat(template, [...first, { role: 'user', content: text }], tokenizer.specials)
  return tokenizer.encode(rendered, { special: false })
}

/** A file, or what comes in on `-`, without the newline at its end. */
async function readText(ctx: Context, file: string): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  if (file !== '-') text = decoder.decode(await readFile(resolve(ctx.io.cwd, file)))
  else {
    for await (const piece of ctx.io.in?.() ?? []) text += decoder.decode(piece, { stream: true })
    text += decoder.decode()
  }
  return text.replace(/\r?\n$/, '')
}

/** The ids that end a text: those of `--stop`, else those of the configuration. */
export function stopOf(model: OpenedModel, options: PromptOptions): number[] {
  if (options.stop === false) return []
  if (Array.isArray(options.stop)) return (options.stop as readonly string[]).map(wholeNumber)
  return idsIn(model, 'eos_token_id')
}

/** Token ids of `generation_config.json`, else of `config.json`: one, several or none. */
function idsIn(model: OpenedModel, key: string): number[] {
  const found = model.generation?.values[key] ?? model.config?.values[key]
  return [found].flat().filter((id): id is number => typeof id === 'number')
}
