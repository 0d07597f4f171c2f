/** Models of Hugging Face as examples/ describes them: found by a configuration's `model_type`. */
import { existsSync, readdirSync } from 'node:fs'
import { parse } from '../../grammar/parse.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import {
  checkFields,
  completed,
  modelIn,
  parseArchitecture,
  readsOf,
  type Architecture,
  type JsonObject,
} from '../../src/hf/index.ts'
import { readText } from './models.ts'

const architectures: readonly Architecture[] = readdirSync(new URL('../../examples', import.meta.url))
  .map((name) => `examples/${name}/architecture.json`)
  .filter((file) => existsSync(new URL(`../../${file}`, import.meta.url)))
  .map((file) => parseArchitecture(readText(file), file, file.replace('architecture.json', 'model.tfm')))

/** The architecture that a configuration names, and the configuration in the form that its model reads. */
export function described(raw: JsonObject): { architecture: Architecture; source: string; config: JsonObject } {
  const architecture = architectures.find((a) => a.modelTypes.includes(raw.model_type as string))
  if (!architecture) throw new Error(`examples/ describes no ${String(raw.model_type)}`)
  return { architecture, source: architecture.source, config: completed(raw, architecture) }
}

/** What is said of fields of a configuration that nothing accounts for. */
export function problemsOf(raw: JsonObject): string[] {
  const { source, architecture, config } = described(raw)
  const ast = modelIn(parse(sourceFile(source, readText(source))).ast, undefined)!
  return checkFields(config, readsOf(ast), [architecture], 'config.json', source).problems.map((p) => p.message)
}
