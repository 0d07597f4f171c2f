/** Text to token ids and back, through `tokenizer.json` of the Hugging Face tokenizers and what `tokenizer_config.json` says beside it. */
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { fail, say } from '../diagnostics/index.ts'
import { readTokenizerConfig, specialsOf, type TokenizerConfig } from './config.ts'

export interface Tokenizer {
  /** Ids are below this. */
  readonly size: number
  /** Ids of `text`, with those that the tokenizer adds around it (`<bos>`, `<eos>`) unless `special` is false. */
  encode(text: string, options?: { readonly special?: boolean }): number[]
  /** Ids of a text, or of two, as an encoder takes them; `types` is 1 for those of the second. */
  encodePair(text: string, pair?: string): { readonly ids: number[]; readonly types: number[] }
  /** The text of `ids`; special tokens are left out unless `special` is true. */
  decode(ids: ArrayLike<number>, options?: { readonly special?: boolean }): string
  /** Text as the ids come in, special tokens left out. After `context`, the ids before them: they decide on the blank between words. */
  stream(context?: readonly number[]): TextStream
  /** The id of a token as it is written in the vocabulary, and back. */
  idOf(token: string): number | undefined
  tokenOf(id: number): string | undefined
  /** `bos_token`, `mask_token` and so on, as the tokenizer's configuration names them. */
  readonly specials: Readonly<Record<string, string>>
}

export interface TextStream {
  /** What can be said for sure once `id` has come: whole characters only. */
  push(id: number): string
  /** What is left at the end; bytes that are no text come as U+FFFD. */
  end(): string
}

/** With what `tokenizer_config.json` and `special_tokens_map.json` beside it say. @throws DiagnosticError (TFM1909) */
export async function readTokenizer(file: string): Promise<Tokenizer> {
  const text = await readFile(file, 'utf8').catch((thrown: unknown) =>
    fail(say.badTokenizer(undefined, file, `cannot be read: ${String(thrown)}`)),
  )
  return parseTokenizer(text, file, await readTokenizerConfig(dirname(file)))
}

/** @throws DiagnosticError (TFM1909) where `text` is not a tokenizer.json that the library takes. */
export function parseTokenizer(text: string, file: string, config: TokenizerConfig = {}): Tokenizer {
  const bad = (what: string): never => fail(say.badTokenizer(undefined, file, what))
  const specials = specialsOf(config)
  const library = load(text, config, specials, bad)
  const special = new Set<number>()
  for (const [id, token] of library.get_added_tokens_decoder()) if (token.special) special.add(id)
  let size = 0
  for (const id of library.get_vocab(true).values()) size = Math.max(size, id + 1)

  const decode = (ids: readonly number[]): string => {
    const wrong = ids.find((id) => library.id_to_token(id) === undefined)
    if (wrong !== undefined) bad(`${wrong} is no token id; there are ${size}`)
    return ids.length === 0 ? '' : library.decode([...ids], { clean_up_tokenization_spaces: false })
  }
  const known = (ids: readonly (number | undefined)[], tokens: readonly string[]): number[] => {
    const at = ids.indexOf(undefined)
    if (at >= 0) bad(`${JSON.stringify(tokens[at])} is not in the vocabulary, which has no token for unknown words`)
    return ids as number[]
  }
  return {
    size,
    specials,
    encode(text, options = {}) {
      const { ids, tokens } = library.encode(text, { add_special_tokens: options.special ?? true })
      return known(ids, tokens)
    },
    encodePair(text, pair) {
      const found = library.encode(text, { text_pair: pair ?? null, return_token_type_ids: true })
      const ids = known(found.ids, found.tokens)
      // Tokenizers without a template for pairs have no types.
      return { ids, types: found.token_type_ids ?? ids.map(() => 0) }
    },
    decode: (ids, options = {}) => decode(Array.from(ids).filter((id) => options.special || !special.has(id))),
    stream: (context = []) => textStream(decode, special, context),
    idOf: (token) => library.token_to_id(token),
    tokenOf: (id) => library.id_to_token(id),
  }
}

/** What the library knows; it would take any other for a plain list of words. */
const kinds = ['BPE', 'WordPiece', 'Unigram', 'WordLevel']

function load(
  text: string,
  config: TokenizerConfig,
  specials: Readonly<Record<string, string>>,
  bad: (what: string) => never,
): Library {
  let json: unknown
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (thrown) {
    return bad(`is not JSON: ${thrown instanceof Error ? thrown.message : ''}`)
  }
  const { model } = (json ?? {}) as { readonly model?: unknown }
  if (typeof json !== 'object' || typeof model !== 'object' || model === null)
    return bad('has no "model"; is it a tokenizer.json?')
  const parts = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null }
  const { type, vocab, unk_token: unknown } = model as Readonly<Record<string, unknown>>
  if (type !== undefined && !kinds.includes(String(type))) return bad(`is not supported: model type ${String(type)}`)
  if (typeof vocab !== 'object' || vocab === null) return bad('has no vocabulary')
  try {
    // For word-level models the library looks for the unknown token in the config, not in the model.
    return new Library(
      { ...parts, ...json, ...aroundTexts(config, specials) },
      typeof unknown === 'string' ? { unk_token: unknown } : {},
    )
  } catch (thrown) {
    return bad(`is not supported: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
  }
}

/** `add_bos_token` and `add_eos_token`, where a configuration has them, decide on what is put around a text, as in transformers. */
function aroundTexts(
  { add_bos_token: first, add_eos_token: last }: TokenizerConfig,
  specials: Readonly<Record<string, string>>,
) {
  if (typeof first !== 'boolean' && typeof last !== 'boolean') return {}
  const token = (wanted: unknown, name: string, type_id: number) =>
    wanted === true && specials[name] !== undefined ? [{ SpecialToken: { id: specials[name], type_id } }] : []
  const one = (id: string, type_id: number) => [
    ...token(first, 'bos_token', type_id),
    { Sequence: { id, type_id } },
    ...token(last, 'eos_token', type_id),
  ]
  const pair = [...one('A', 0), ...one('B', 1)]
  return { post_processor: { type: 'TemplateProcessing', single: one('A', 0), pair, special_tokens: {} } }
}

/** Ids after which a window is closed even if its text never completes. */
const longest = 32

/**
 * Decodes a window of the last ids: those whose text is out, which decide on blanks between words, and those after them. An incomplete
 * character at the end decodes to one U+FFFD, which is held back until more has come.
 */
function textStream(
  decode: (ids: readonly number[]) => string,
  special: ReadonlySet<number>,
  context: readonly number[],
): TextStream {
  let window = context.filter((id) => !special.has(id)).slice(-longest / 4)
  const before = decode(window)
  /** How much of the window's text, and how many of its ids, are out. */
  let said = before.endsWith('\uFFFD') ? before.length - 1 : before.length
  let done = window.length
  return {
    push(id) {
      if (special.has(id)) return ''
      window.push(id)
      const text = decode(window)
      const whole = text.endsWith('\uFFFD') ? text.length - 1 : text.length
      const out = text.slice(said, whole)
      said = Math.max(said, whole)
      if (whole === text.length || window.length >= longest) {
        // All of the text is out (or never will be whole): the newest ids are context enough.
        window = window.slice(done)
        said = whole === text.length ? decode(window).length : Math.max(0, decode(window).length - 1)
        done = window.length
      }
      return out
    },
    end() {
      const rest = decode(window).slice(said)
      window = []
      said = done = 0
      return rest
    },
  }
}
