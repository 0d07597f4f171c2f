/** Hyperparameters: defaults, `--set`, and keys of a configuration file. */
import type * as ast from '../../grammar/ast.ts'
import { plainText } from '../../grammar/desugar.ts'
import { declaredTwice, unknownHyper, unsetHyper, wrongKind } from '../diagnostics/catalogue.ts'
import type { Span } from '../diagnostics/index.ts'
import { newScope, report, suggestion, type Env } from './context.ts'
import { evaluate } from './exprs.ts'
import { constantOf, number } from './numbers.ts'
import { describe, fault, flag, showValue, text, type Value } from './values.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export interface HyperValue {
  readonly name: string
  readonly value: string
  readonly source: 'set' | 'config' | 'default'
  /** The key of the configuration. */
  readonly key?: string
  readonly span: Span
}

export interface Settings {
  readonly set?: Readonly<Record<string, number | boolean | string>>
  readonly config?: Json
}

/** Evaluates them in order into `env.run.hyperScope`; later ones may use earlier ones. */
export function bindHypers(model: ast.Model, settings: Settings, env: Env): HyperValue[] {
  const told: HyperValue[] = []
  const scope = env.run.hyperScope
  const given = settings.set ?? {}
  const names = model.params.map((p) => p.name.name)
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) {
      const hint = suggestion(name, names) ?? (names.length > 0 ? `it has ${names.join(', ')}` : undefined)
      report(env, unknownHyper(undefined, name, model.name.name, hint))
    }
  }
  for (const param of model.params) {
    const name = param.name.name
    if (scope.names.has(name)) {
      report(env, declaredTwice(param.name.span, name))
      continue
    }
    const found = valueOf(param, given, settings.config, { ...env, scope: newScope(scope) })
    const value = found ? checked(param, found.value, env) : fault
    scope.names.set(name, { kind: 'hyper', value, span: param.name.span })
    if (!found || value.k === 'error') continue
    const { source, key } = found
    told.push({ name, value: showValue(value), source, ...(key === undefined ? {} : { key }), span: param.name.span })
    if (value.k === 'num') env.run.hyper[name] = constantOf(value)!
    else if (value.k === 'flag' || value.k === 'text') env.run.hyper[name] = value.value
  }
  return told
}

interface Found {
  readonly value: Value
  readonly source: HyperValue['source']
  readonly key?: string
}

function valueOf(
  param: ast.Hyper,
  given: Readonly<Record<string, number | boolean | string>>,
  config: Json | undefined,
  env: Env,
): Found | undefined {
  const name = param.name.name
  const set = Object.hasOwn(given, name) ? given[name] : undefined
  if (set !== undefined) return { value: fromJson(set)!, source: 'set' }
  for (const key of param.from.map(plainText)) {
    const configured = key === undefined ? undefined : fromJson(at(config, key))
    if (key !== undefined && configured) return { value: configured, source: 'config', key }
  }
  if (param.default) return { value: evaluate(param.default, env), source: 'default' }
  report(env, unsetHyper(param.name.span, name))
  return undefined
}

/**
 * A key of the configuration, or a path: `text_config.hidden_size`, an item `image_size.0` (configurations write one number for equal
 * items, so a number is each of its items), the size `id2label.length` of a list or an object.
 */
function at(config: Json | undefined, key: string): Json | undefined {
  const own = (value: Json | undefined, name: string): Json | undefined =>
    isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
  return own(config, key) ?? key.split('.').reduce<Json | undefined>(stepInto, config)
}

function stepInto(value: Json | undefined, name: string): Json | undefined {
  const index = /^\d+$/.test(name)
  if (isObject(value)) {
    if (Object.hasOwn(value, name)) return value[name]
    return name === 'length' ? Object.keys(value).length : undefined
  }
  if (Array.isArray(value)) {
    const items = value as readonly Json[]
    return index ? items[Number(name)] : name === 'length' ? items.length : undefined
  }
  return index && typeof value === 'number' ? value : undefined
}

const isObject = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function fromJson(value: Json | undefined): Value | undefined {
  if (value === null || value === undefined) return undefined
  if (typeof value === 'number') return number(value)
  if (typeof value === 'boolean') return flag(value)
  if (typeof value === 'string') return text(value)
  if (!Array.isArray(value)) return undefined
  const items = (value as readonly Json[]).map(fromJson)
  return items.every((item) => item !== undefined) ? { k: 'list', items } : undefined
}

/** The kind of the default is the kind of the hyperparameter. */
function checked(param: ast.Hyper, value: Value, env: Env): Value {
  if (value.k === 'error') return value
  if (value.k !== 'num' && value.k !== 'flag' && value.k !== 'text' && value.k !== 'list') {
    report(
      env,
      wrongKind(param.span, `\`${param.name.name}\``, 'a number, a flag, a string or a list', describe(value)),
    )
    return fault
  }
  const kinds = { number: 'num', bool: 'flag', string: 'text', list: 'list' } as const
  const kind =
    param.default && Object.hasOwn(kinds, param.default.k) ? kinds[param.default.k as keyof typeof kinds] : undefined
  if (kind === undefined || kind === value.k) return value
  const words = { num: 'a number', flag: 'true or false', text: 'a string', list: 'a list' }
  report(env, wrongKind(param.name.span, `\`${param.name.name}\``, words[kind], describe(value)))
  return fault
}
