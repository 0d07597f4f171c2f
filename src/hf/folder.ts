/** What lies in a folder that `save_pretrained` wrote, or that was downloaded. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fail, say } from '../diagnostics/index.ts'
import { parseConfig } from '../weights/hf-config.ts'
import type { JsonObject } from './json.ts'

export interface HfFolder {
  /** As the user wrote it. */
  readonly shown: string
  readonly path: string
  readonly config: JsonObject
  /** As messages name it. */
  readonly configFile: string
  readonly generation?: JsonObject
}

/** @throws DiagnosticError (TFM1908, TFM1913) */
export async function openFolder(path: string, shown: string): Promise<HfFolder> {
  const names = await readdir(path).catch(() =>
    fail(
      say.badFolder(
        undefined,
        `${shown} is not a folder that can be read`,
        'nothing is downloaded: fetch the files of the model first, and name the folder they are in',
      ),
    ),
  )
  if (!names.includes('config.json'))
    fail(
      say.badFolder(
        undefined,
        `${shown} has no config.json`,
        names.includes('adapter_config.json')
          ? 'it holds an adapter: merge it into its base model and save that'
          : names.includes('snapshots')
            ? 'it is a cache: the files are in one of the folders in snapshots/'
            : 'name the folder that save_pretrained wrote',
      ),
    ) // prettier-ignore
  const read = async (name: string): Promise<JsonObject | undefined> =>
    names.includes(name) ? ((await readObject(join(path, name), join(shown, name))) as JsonObject) : undefined
  const generation = await read('generation_config.json')
  return {
    shown,
    path,
    config: (await read('config.json'))!,
    configFile: join(shown, 'config.json'),
    ...(generation ? { generation } : {}),
  }
}

/** @throws DiagnosticError (TFM1913) where there are no safetensors, which says what there is. */
export async function requireWeights(folder: HfFolder): Promise<void> {
  const names = await readdir(folder.path)
  if (names.some((n) => n === 'model.safetensors' || n === 'model.safetensors.index.json')) return
  const other = names.filter((n) => /\.(bin|pt|pth|ckpt|h5|msgpack|gguf|onnx|safetensors)$/.test(n))
  const help = other.some((n) => n.endsWith('.bin') || n.endsWith('.pt') || n.endsWith('.pth'))
    ? 'save it with transformers: model.save_pretrained(folder, safe_serialization=True)'
    : undefined
  const there = other.length > 0 ? `; it has ${other.slice(0, 5).join(', ')}` : ''
  fail(say.badFolder(undefined, `${folder.shown} has no model.safetensors and no index of shards${there}`, help))
}

/** A JSON object from a file; TFM1908. */
async function readObject(file: string, shown: string) {
  const text = await readFile(file, 'utf8').catch((thrown: unknown) =>
    fail(say.badConfig(undefined, shown, `cannot be read: ${String(thrown)}`)),
  )
  return parseConfig(text, shown).values
}
