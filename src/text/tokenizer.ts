/** Text to token ids and back, through `tokenizer.json` of the Hugging Face tokenizers. */
import { readFile } from 'node:fs/promises'
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { fail, say } from '../diagnostics/index.ts'

export interface Tokenizer {
  /** Ids are below this. */
  readonly size: number
  /** Ids of `text`, with those that the tokenizer adds around it (`<bos>`, `<eos>`) unless `special` is false. */
  encode(text: string, options?: { readonly special?: boolean }): number[]
  /** The text of `ids`; special tokens are left out unless `special` is true. */
  decode(ids: ArrayLike<number>, options?: { readonly special?: boolean }): string
  /** Text as the ids come in, special tokens left out. */
  stream(): TextStream
  /** The id of a token as it is written in the vocabulary. */
  idOf(token: string): number | undefined
}

export interface TextStream {
  /** What can be said for sure once `id` has come: whole characters only. */
  push(id: number): string
  /** What is left at the end; bytes that are no text come as U+FFFD. */
  end(): string
}

/** @throws DiagnosticError (TFM1909) */
export async function readTokenizer(file: string): Promise<Tokenizer> {
  const text = await readFile(file, 'utf8').catch((thrown: unknown) =>
    fail(say.badTokenizer(undefined, file, `cannot be read: ${String(thrown)}`)),
  )
  return parseTokenizer(text, file)
}

/** @throws DiagnosticError (TFM1909) where `text` is not a tokenizer.json that the library takes. */
export function parseTokenizer(text: string, file: string): Tokenizer {
  const bad = (what: string): never => fail(say.badTokenizer(undefined, file, what))
  const library = load(text, bad)
  const special = new Set<number>()
  for (const [id, token] of library.get_added_tokens_decoder()) if (token.special) special.add(id)
  let size = 0
  for (const id of library.get_vocab(true).values()) size = Math.max(size, id + 1)

  const decode = (ids: readonly number[]): string => {
    const wrong = ids.find((id) => library.id_to_token(id) === undefined)
    if (wrong !== undefined) bad(`${wrong} is no token id; there are ${size}`)
    return ids.length === 0 ? '' : library.decode([...ids], { clean_up_tokenization_spaces: false })
  }
  return {
    size,
    encode(text, options = {}) {
      const { ids, tokens } = library.encode(text, { add_special_tokens: options.special ?? true })
      const at = ids.findIndex((id: number | undefined) => id === undefined)
      if (at >= 0) bad(`${JSON.stringify(tokens[at])} is not in the vocabulary, which has no token for unknown words`)
      return ids
    },
    decode: (ids, options = {}) => decode(Array.from(ids).filter((id) => options.special || !special.has(id))),
    stream: () => textStream(decode, special),
    idOf: (token) => library.token_to_id(token),
  }
}

/** What the library knows; it would take any other for a plain list of words. */
const kinds = ['BPE', 'WordPiece', 'Unigram', 'WordLevel']

function load(text: string, bad: (what: string) => never): Library {
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
    return new Library({ ...parts, ...json }, typeof unknown === 'string' ? { unk_token: unknown } : {})
  } catch (thrown) {
    return bad(`is not supported: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
  }
}

/** Ids after which a window is closed even if its text never completes. */
const longest = 32

/**
 * Decodes a window of the last ids: those whose text is out, which decide on blanks between words, and those after them. An incomplete
 * character at the end decodes to one U+FFFD, which is held back until more has come.
 */
function textStream(decode: (ids: readonly number[]) => string, special: ReadonlySet<number>): TextStream {
  let window: number[] = []
  /** How much of the window's text, and how many of its ids, are out. */
  let said = 0
  let done = 0
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
