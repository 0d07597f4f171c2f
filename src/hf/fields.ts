/** Every field of a configuration is read, required to have a known value, or known not to matter; else the model might be another one. */
import { didYouMean, say, type Diagnostic } from '../diagnostics/index.ts'
import type { Json } from '../frontend/index.ts'
import { leavesOf, sameJson, shortJson, valueAt, type JsonObject } from './json.ts'
import { globOf, isNeutral, ownName, usual } from './neutral.ts'
import type { FieldRules } from './registry.ts'
import { tieField } from './ties.ts'

export interface FieldReport {
  /** Read by the model. */
  readonly read: readonly string[]
  /** Not read, with a value that the model stands for. */
  readonly required: readonly string[]
  /** Without effect on the numbers. */
  readonly ignored: readonly string[]
  /** TFM1912 for every field that is none of these. */
  readonly problems: readonly Diagnostic[]
}

/**
 * `named` are the paths that hyperparameters name with `from`; `rules` those of the architecture and of the class, the class last; `file`
 * and `by` are the configuration and the model as messages name them.
 */
export function checkFields(
  config: JsonObject,
  named: readonly string[],
  rules: readonly FieldRules[],
  file: string,
  by: string,
): FieldReport {
  const reads = rules.some((r) => Object.keys(r.tied).length > 0) ? [...named, tieField] : named
  const own: Readonly<Record<string, readonly Json[]>> = Object.assign({}, ...rules.map((r) => r.requires))
  const inherited = Object.entries(usual).filter(([field]) => !reads.some((r) => overlaps(r, field)))
  const requires = { ...Object.fromEntries(inherited), ...own } as Readonly<Record<string, readonly Json[]>>
  const ignores = rules.flatMap((r) => r.ignores).map(globOf)
  const report = { read: new Set<string>(), required: new Set<string>(), ignored: new Set<string>() }
  const problems: Diagnostic[] = []
  for (const [field, allowed] of Object.entries(requires)) {
    const value = valueAt(config, field)
    if (value !== undefined && !allowed.some((a) => sameJson(a, value)))
      problems.push(say.configField(undefined, file, field, shortJson(value), `${by} stands for ${allowed.map(shortJson).join(' or ')}`)) // prettier-ignore
  }
  for (const { path, value } of leavesOf(config)) {
    if (reads.some((r) => overlaps(r, path))) report.read.add(path)
    else if (Object.keys(requires).some((field) => below(path, field)) || isUsual(path, value))
      report.required.add(path)
    else if (isNeutral(path) || ignores.some((p) => prefixesOf(path).some((q) => p.test(q)))) report.ignored.add(path)
    else {
      const near = didYouMean(path, reads)
      const what = `${by} does not read it${near === undefined ? '' : ` (${near})`}`
      problems.push(say.configField(undefined, file, path, shortJson(value), what))
    }
  }
  return { read: [...report.read], required: [...report.required], ignored: [...report.ignored], problems }
}

/** Nested configurations repeat what holds for the whole. */
const isUsual = (path: string, value: Json): boolean =>
  Object.hasOwn(usual, ownName(path)) && usual[ownName(path)].some((allowed) => sameJson(allowed as Json, value))
const below = (path: string, field: string): boolean => path === field || path.startsWith(`${field}.`)
/** Objects have no value, so a path reads itself; `architectures.0` and `id2label.length` tell something of the whole. */
const overlaps = (read: string, path: string): boolean =>
  below(read, path) || (read.endsWith('.length') && below(path, read.slice(0, -'.length'.length)))

function prefixesOf(path: string): string[] {
  const parts = path.split('.')
  return parts.map((_, i) => parts.slice(0, i + 1).join('.'))
}
