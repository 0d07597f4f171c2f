import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The name in our package.json, by which it is told from a package.json that lies between. */
const NAME = 'tfm'

let found: string | undefined

/**
 * The absolute path of the folder that holds our package.json, without a trailing slash. It is the same whether this
 * runs from the sources (`src/`) or from the build (`dist/src/`); `std/` and the runtimes in `targets/` are found from it.
 * @throws Error (internal) when there is none, which means that the installation was taken apart.
 */
export function packageRoot(): string {
  found ??= findPackageRoot(dirname(fileURLToPath(import.meta.url)))
  return found
}

/** The nearest folder from `start` upwards whose package.json is ours. Exported for its test. */
export function findPackageRoot(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json')
    if (existsSync(file) && nameIn(file) === NAME) return folder
    if (dirname(folder) === folder) throw new Error(`internal: no package.json of '${NAME}' at or above ${start}`)
  }
}

function nameIn(file: string): unknown {
  const json: unknown = JSON.parse(readFileSync(file, 'utf8'))
  return typeof json === 'object' && json !== null && 'name' in json ? json.name : undefined
}
