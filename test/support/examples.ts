/** The shipped models. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/package-root.ts'

/** The folders of `examples` that have a model: not that of the page. */
export function exampleNames(): string[] {
  const folder = join(packageRoot(), 'examples')
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'model.tfm')))
    .sort()
}
