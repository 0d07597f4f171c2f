/** What sentence-transformers wrote beside a model: how hidden states become an embedding. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fail, say } from '../diagnostics/index.ts'
import type { Pooling } from './results.ts'

export interface SentenceSettings {
  readonly pooling?: Pooling
  readonly normalize: boolean
}

const modes: Readonly<Record<string, Pooling>> = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_max_tokens: 'max',
  pooling_mode_lasttoken: 'last',
}

/**
 * Reads `modules.json` and the configuration of its pooling; nothing is said where there is none.
 * @throws DiagnosticError (TFM1913) for modules and poolings that are not known here.
 */
export async function readSentenceSettings(folder: string, shown: string): Promise<SentenceSettings> {
  const modules = await readJson(join(folder, 'modules.json'))
  if (!Array.isArray(modules)) return { normalize: false }
  let pooling: Pooling | undefined
  let normalize = false
  for (const module of modules as readonly { readonly type?: unknown; readonly path?: unknown }[]) {
    const kind = String(module.type).replace(/^.*\./, '')
    if (kind === 'Pooling') pooling = await poolingIn(folder, String(module.path), shown)
    else if (kind === 'Normalize') normalize = true
    else if (kind !== 'Transformer')
      fail(say.badFolder(undefined, `${shown}/modules.json has a module ${kind}, which is not known here`))
  }
  return { ...(pooling === undefined ? {} : { pooling }), normalize }
}

async function poolingIn(folder: string, path: string, shown: string): Promise<Pooling> {
  const file = `${path}/config.json`
  const found = await readJson(join(folder, path, 'config.json'))
  const set = Object.entries(Object(found) as object).filter(([key, value]) => key.startsWith('pooling_mode_') && value === true) // prettier-ignore
  const [name] = set.length === 1 ? set[0] : []
  const pooling = name === undefined ? undefined : modes[name]
  return (
    pooling ??
    fail(
      say.badFolder(
        undefined,
        `${shown}/${file} asks for ${set.map(([key]) => key).join(' and ') || 'no pooling'}`,
        `known are ${Object.keys(modes).join(', ')}, one at a time; --pooling chooses another`,
      ),
    )
  )
}

const readJson = async (file: string): Promise<unknown> => {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return fail(say.badConfig(undefined, file, 'is not JSON'))
  }
}
