/** JSON objects by dotted paths. */
import type { Json } from '../frontend/index.ts'

export type JsonObject = { readonly [key: string]: Json }

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What lies at `path`: a field whose name is the whole path (such names have dots), else a field of a field. */
export function valueAt(values: Json | undefined, path: string): Json | undefined {
  if (!isObject(values)) return undefined
  if (Object.hasOwn(values, path)) return values[path]
  const dot = path.indexOf('.')
  if (dot < 0) return undefined
  const key = path.slice(0, dot)
  return Object.hasOwn(values, key) ? valueAt(values[key], path.slice(dot + 1)) : undefined
}

/** The same with `value` at `path`; objects on the way are made. */
export function withValue(values: JsonObject, path: string, value: Json): JsonObject {
  const [key, rest] = split(path)
  if (rest === undefined) return { ...values, [key]: value }
  const inner = values[key]
  return { ...values, [key]: withValue(isObject(inner) ? inner : {}, rest, value) }
}

/** The same without what lies at `path`, and without objects that are left empty. */
export function without(values: JsonObject, path: string): JsonObject {
  const [key, rest] = split(path)
  const { [key]: inner, ...others } = values
  if (inner === undefined || rest === undefined) return others
  if (!isObject(inner)) return values
  const left = without(inner, rest)
  return Object.keys(left).length === 0 ? others : { ...others, [key]: left }
}

function split(path: string): [key: string, rest: string | undefined] {
  const dot = path.indexOf('.')
  return dot < 0 ? [path, undefined] : [path.slice(0, dot), path.slice(dot + 1)]
}

export interface Leaf {
  readonly path: string
  readonly value: Json
}

/** Values that are not objects, and empty objects, with their paths; a list is one value. */
export function leavesOf(values: JsonObject, before = ''): Leaf[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const path = before + key
    return isObject(value) && Object.keys(value).length > 0 ? leavesOf(value, `${path}.`) : [{ path, value }]
  })
}

export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    const [x, y] = [a as readonly Json[], b as readonly Json[]]
    return x.length === y.length && x.every((item, i) => sameJson(item, y[i]))
  }
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a)
    return keys.length === Object.keys(b).length && keys.every((k) => Object.hasOwn(b, k) && sameJson(a[k], b[k]))
  }
  return a === b
}

/** As a message shows it: short. */
export function shortJson(value: Json): string {
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
