/** What lies beside a `tokenizer.json`: `tokenizer_config.json`, `special_tokens_map.json`, a chat template. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fail, say } from '../diagnostics/index.ts'

export type TokenizerConfig = Readonly<Record<string, unknown>>

/**
 * `tokenizer_config.json` of a folder, completed by `special_tokens_map.json`; empty where there is none.
 * @throws DiagnosticError (TFM1909)
 */
export async function readTokenizerConfig(folder: string): Promise<TokenizerConfig> {
  const [map, config] = await Promise.all(
    ['special_tokens_map.json', 'tokenizer_config.json'].map((name) => readObject(join(folder, name))),
  )
  return { ...map, ...config }
}

/** The text of each special token: it is written as a string, or as an object with its `content`. */
export function specialsOf(config: TokenizerConfig): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const [key, value] of Object.entries(config)) {
    const text = isObject(value) ? value.content : value
    if (key.endsWith('_token') && typeof text === 'string') found[key] = text
  }
  return found
}

/**
 * The chat template of a folder, or the one called `name` of several: `chat_template.jinja`, `tokenizer_config.json` or
 * `chat_template.json`, the first that there is. Undefined if there is none.
 * @throws DiagnosticError (TFM1909, TFM1914)
 */
export async function readChatTemplate(folder: string, name = 'default'): Promise<string | undefined> {
  const text = await readFile(join(folder, 'chat_template.jinja'), 'utf8').catch(() => undefined)
  if (text !== undefined) return text
  for (const file of ['tokenizer_config.json', 'chat_template.json']) {
    const found = (await readObject(join(folder, file))).chat_template
    if (typeof found === 'string') return found
    if (!Array.isArray(found)) continue
    const named = found.filter(isObject)
    const one = named.find((t) => t.name === name)
    if (typeof one?.template === 'string') return one.template
    fail(say.badChat(undefined, `${file} has no chat template "${name}"; it has ${named.map((t) => String(t.name)).join(', ')}`)) // prettier-ignore
  }
  return undefined
}

async function readObject(file: string): Promise<TokenizerConfig> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return {}
  try {
    const json: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    if (isObject(json)) return json
  } catch (thrown) {
    return fail(say.badTokenizer(undefined, file, `is not JSON: ${thrown instanceof Error ? thrown.message : ''}`))
  }
  return fail(say.badTokenizer(undefined, file, 'is not a JSON object'))
}

const isObject = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)
