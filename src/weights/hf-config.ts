/** Hugging Face `config.json`: where `d = 768 from "n_embd"` gets its number. */
import { readFile } from 'node:fs/promises'
import { fail, nearest, say } from '../diagnostics/index.ts'

export type ConfigValue = number | boolean | string

export interface ModelConfig {
  readonly file: string
  readonly values: Readonly<Record<string, unknown>>
}

/** @throws DiagnosticError (TFM1908) */
export async function readConfig(file: string): Promise<ModelConfig> {
  const text = await readFile(file, 'utf8').catch((thrown: unknown) =>
    fail(say.badConfig(undefined, file, `cannot be read: ${String(thrown)}`)),
  )
  return parseConfig(text, file)
}

/** @throws DiagnosticError (TFM1908) where `text` is not a JSON object. */
export function parseConfig(text: string, file: string): ModelConfig {
  let values: unknown
  try {
    values = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (thrown) {
    return fail(say.badConfig(undefined, file, `is not JSON: ${thrown instanceof Error ? thrown.message : ''}`))
  }
  if (!isRecord(values)) return fail(say.badConfig(undefined, file, 'is not a JSON object'))
  return { file, values }
}

/**
 * The value at a key, or at a dotted path through nested objects (a key that itself has dots comes first). Absent and null are undefined,
 * which means the default.
 * @throws DiagnosticError (TFM1908) where it is an object or a list.
 */
export function configValue(config: ModelConfig, path: string): ConfigValue | undefined {
  const found = lookUp(config.values, path)
  if (found === undefined || found === null) return undefined
  if (typeof found === 'number' || typeof found === 'boolean' || typeof found === 'string') return found
  return fail(say.badConfig(undefined, config.file, `"${path}" is ${Array.isArray(found) ? 'a list' : 'an object'}`))
}

/** Keys at the top level that `path` may have meant, for a warning where it is absent. */
export function nearestKeys(config: ModelConfig, path: string): string[] {
  return nearest(path, Object.keys(config.values))
}

function lookUp(values: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(values, path)) return values[path]
  for (let dot = path.indexOf('.'); dot > 0; dot = path.indexOf('.', dot + 1)) {
    const key = path.slice(0, dot)
    const inner = Object.hasOwn(values, key) ? values[key] : undefined
    const found = isRecord(inner) ? lookUp(inner, path.slice(dot + 1)) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)
