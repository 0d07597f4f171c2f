/**
 * The architectures that are known: every folder of `examples/` with an `architecture.json` beside its `model.tfm`. They are data; a new one
 * needs no TypeScript.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { didYouMean, fail, say } from '../diagnostics/index.ts'
import type { Json } from '../frontend/index.ts'
import { packageRoot } from '../package-root.ts'
import { isObject, type JsonObject } from './json.ts'

/** What a model is made for. */
export const tasks = [
  'generate',
  'fill-mask',
  'classify',
  'classify-tokens',
  'answer',
  'embed',
  'seq2seq',
  'image-classification',
  'speech-to-text',
] as const
export type Task = (typeof tasks)[number]

/** How fields of `config.json` are dealt with that the model does not read. */
export interface FieldRules {
  /** Field (or dotted path) → values that the model stands for; the first one is meant where the field is absent. */
  readonly requires: Readonly<Record<string, readonly Json[]>>
  /** Fields that do not change the numbers; `*` stands for anything within a name, `**` for anything. */
  readonly ignores: readonly string[]
  /** Tensors that are one where `tie_word_embeddings` is true: name → name of the other, as the model has them. */
  readonly tied: Readonly<Record<string, string>>
}

export interface Architecture extends FieldRules {
  /** Its `architecture.json`, as messages name it. */
  readonly file: string
  /** The path of its `model.tfm`. */
  readonly source: string
  readonly modelTypes: readonly string[]
  readonly classes: ReadonlyMap<string, ModelClass>
  /** Path in a configuration → path that the model reads. */
  readonly aliases: Readonly<Record<string, string>>
  /** model_type → fields with the value that is meant where a configuration leaves them out; null means the default of the model. */
  readonly defaults: Readonly<Record<string, JsonObject>>
}

/** A class of transformers, such as `LlamaForCausalLM`. */
export interface ModelClass extends FieldRules {
  readonly name: string
  /** The `model` of the source. */
  readonly model: string
  readonly task?: Task
}

const keys = ['model_type', 'architectures', 'task', 'requires', 'ignores', 'tied', 'aliases', 'defaults']
const classKeys = ['model', 'task', 'requires', 'ignores', 'tied']

/**
 * Reads `<folder>/<name>/architecture.json` of every subfolder that has one, in the order of their names.
 * @throws DiagnosticError (TFM1911)
 */
export async function readRegistry(folder = join(packageRoot(), 'examples')): Promise<Architecture[]> {
  const names = (await readdir(folder, { withFileTypes: true })).filter((e) => e.isDirectory()).map((e) => e.name)
  const found = await Promise.all(names.sort().map((name) => readArchitecture(join(folder, name), `examples/${name}`)))
  return found.filter((a) => a !== undefined)
}

/**
 * The architecture of a folder, undefined if it has no `architecture.json`; `shown` is the folder as messages name it.
 * @throws DiagnosticError (TFM1911)
 */
export async function readArchitecture(folder: string, shown: string): Promise<Architecture | undefined> {
  const text = await readFile(join(folder, 'architecture.json'), 'utf8').catch(() => undefined)
  return text === undefined
    ? undefined
    : parseArchitecture(text, `${shown}/architecture.json`, join(folder, 'model.tfm'))
}

/** @throws DiagnosticError (TFM1911) with everything that is wrong in `text`. */
export function parseArchitecture(text: string, file: string, source: string): Architecture {
  const bad = (what: string): never => fail(say.badArchitecture(undefined, file, what))
  let json: Json
  try {
    json = JSON.parse(text) as Json
  } catch (thrown) {
    return bad(`is not JSON: ${thrown instanceof Error ? thrown.message : ''}`)
  }
  if (!isObject(json)) return bad('is not a JSON object')
  onlyKeys(json, keys, 'it', bad)
  const modelTypes = stringsOf(json.model_type, 'model_type', bad)
  if (modelTypes.length === 0) bad('"model_type" names no model type')
  if (!isObject(json.architectures)) return bad('"architectures" is not an object of class names')
  const task = taskOf(json.task, 'task', bad)
  const classes = new Map<string, ModelClass>()
  for (const [name, about] of Object.entries(json.architectures)) {
    const where = `"architectures.${name}"`
    const given = isObject(about) ? about : { model: about }
    onlyKeys(given, classKeys, where, bad)
    if (typeof given.model !== 'string') return bad(`${where} does not name a model of model.tfm`)
    const own = taskOf(given.task, `${where} task`, bad) ?? task
    classes.set(name, { name, model: given.model, ...(own ? { task: own } : {}), ...rulesOf(given, where, bad) })
  }
  if (classes.size === 0) bad('"architectures" names no class')
  const aliases = isObject(json.aliases) ? json.aliases : {}
  if (json.aliases !== undefined && !isObject(json.aliases)) bad('"aliases" is not an object')
  for (const [from, to] of Object.entries(aliases)) if (typeof to !== 'string') bad(`"aliases.${from}" is not a path`)
  const defaults = json.defaults ?? {}
  if (!isObject(defaults)) return bad('"defaults" is not an object of model types')
  for (const [type, fields] of Object.entries(defaults)) {
    if (!modelTypes.includes(type)) bad(`"defaults.${type}" is none of its model types, ${modelTypes.join(', ')}`)
    if (!isObject(fields)) bad(`"defaults.${type}" is not an object of fields`)
  }
  return {
    file,
    source,
    modelTypes,
    classes,
    defaults: defaults as Readonly<Record<string, JsonObject>>,
    aliases: aliases as Readonly<Record<string, string>>,
    ...rulesOf(json, 'it', bad),
  }
}

type Bad = (what: string) => never

function onlyKeys(json: JsonObject, known: readonly string[], where: string, bad: Bad): void {
  const key = Object.keys(json).find((k) => !known.includes(k))
  if (key !== undefined) bad(`${where} has "${key}"; ${didYouMean(key, known) ?? `known are ${known.join(', ')}`}`)
}

function rulesOf(json: JsonObject, where: string, bad: Bad): FieldRules {
  const requires = json.requires ?? {}
  if (!isObject(requires)) return bad(`"requires" of ${where} is not an object`)
  for (const [field, values] of Object.entries(requires))
    if (!Array.isArray(values) || values.length === 0)
      bad(`"requires.${field}" of ${where} is not a list of allowed values, the default first`)
  const ignores = stringsOf(json.ignores ?? [], `ignores" of ${where}, "ignores`, bad)
  const tied = json.tied ?? {}
  if (!isObject(tied) || Object.values(tied).some((other) => typeof other !== 'string'))
    return bad(`"tied" of ${where} is not an object of names of tensors`)
  return {
    requires: requires as Readonly<Record<string, readonly Json[]>>,
    ignores,
    tied: tied as Readonly<Record<string, string>>,
  }
}

function stringsOf(value: Json | undefined, key: string, bad: Bad): readonly string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value) && value.every((v) => typeof v === 'string')) return value as readonly string[]
  return bad(`"${key}" is not a list of strings`)
}

function taskOf(value: Json | undefined, key: string, bad: Bad): Task | undefined {
  if (value === undefined) return undefined
  return tasks.find((t) => t === value) ?? bad(`"${key}" is none of ${tasks.join(', ')}`)
}

export interface Chosen {
  readonly architecture: Architecture
  readonly class: ModelClass
}

/**
 * The architecture and class for a configuration. `wanted` is a class to take instead of the one that the configuration names.
 * @throws DiagnosticError (TFM1910) where the type or the class is not known, with the nearest and all that are.
 */
export function chooseArchitecture(
  registry: readonly Architecture[],
  config: JsonObject,
  file: string,
  wanted?: string,
): Chosen {
  const type = config.model_type
  if (typeof type !== 'string') return fail(say.unknownArchitecture(undefined, `${file} has no "model_type"`, []))
  const fitting = registry.filter((a) => a.modelTypes.includes(type))
  const types = [...new Set(registry.flatMap((a) => a.modelTypes))].sort()
  if (fitting.length === 0)
    return fail(
      say.unknownArchitecture(undefined, `${file}: no architecture for model_type "${type}"`, types, didYouMean(type, types)),
    ) // prettier-ignore
  const named = Array.isArray(config.architectures) ? (config.architectures as readonly Json[]) : []
  const classes = fitting.flatMap((architecture) => [...architecture.classes.values()].map((c) => ({ architecture, class: c }))) // prettier-ignore
  const names = classes.map((c) => c.class.name)
  const name = wanted ?? named.find((n): n is string => typeof n === 'string')
  const found = classes.find((c) => c.class.name === name)
  if (found) return found
  if (name === undefined && classes.length === 1) return classes[0]
  return fail(
    say.unknownArchitecture(
      undefined,
      name === undefined
        ? `${file} names no class in "architectures", and "${type}" has several (choose with --class)`
        : `${file}: model_type "${type}" has no class "${name}" here`,
      names,
      name === undefined ? undefined : didYouMean(name, names),
    ),
  )
}
