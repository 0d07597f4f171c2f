/**
 * One form of configuration, whichever version of transformers wrote it: that of published checkpoints (4.x). Version 5 moved rotary
 * settings into `rope_parameters`; earlier ones named the kind of scaling `type`.
 */
import type { Json } from '../frontend/index.ts'
import type { Architecture } from './registry.ts'
import { isObject, sameJson, valueAt, without, withValue, type JsonObject } from './json.ts'

/** Paths that mean another path. Earlier rows come first, so that what is left of an object can be moved as a whole. */
const moves: Readonly<Record<string, string>> = {
  'rope_parameters.rope_theta': 'rope_theta',
  'rope_parameters.partial_rotary_factor': 'partial_rotary_factor',
  // Two kinds of layers, each with its base: Gemma 3 and those after it.
  'rope_parameters.full_attention.rope_theta': 'rope_theta',
  'rope_parameters.sliding_attention.rope_theta': 'rope_local_base_freq',
  'rope_parameters.full_attention': 'rope_scaling',
  'rope_parameters.sliding_attention': 'rope_local_scaling',
  rope_parameters: 'rope_scaling',
  'rope_scaling.type': 'rope_scaling.rope_type',
  'rope_local_scaling.type': 'rope_local_scaling.rope_type',
}

/** Values that mean the same as no value. */
const absences: readonly (readonly [path: string, value: Json])[] = [
  ['rope_scaling.rope_type', 'default'],
  ['rope_local_scaling.rope_type', 'default'],
]

/** Objects of an object that are configurations of their own. */
const nested = /_config$/

/**
 * `values` in the published form. `aliases` of an architecture (path → path) come before the common ones. A field whose other name has a
 * different value stays, so that it is reported.
 */
export function normalise(values: JsonObject, aliases: Readonly<Record<string, string>> = {}): JsonObject {
  let out: JsonObject = values
  for (const [from, to] of [...Object.entries(aliases), ...Object.entries(moves)]) out = moved(out, from, to)
  for (const [path, value] of absences) if (sameJson(valueAt(out, path), value)) out = without(out, path)
  for (const [key, inner] of Object.entries(out))
    if (nested.test(key) && isObject(inner)) out = { ...out, [key]: normalise(inner) }
  return out
}

/** `values` as a model of `architecture` reads them: in the published form, with what transformers takes for fields that they leave out. */
export function completed(
  values: JsonObject,
  architecture: Pick<Architecture, 'aliases' | 'defaults'> | undefined,
): JsonObject {
  const out = normalise(values, architecture?.aliases)
  const defaults = architecture?.defaults ?? {}
  const type =
    typeof out.model_type === 'string' && Object.hasOwn(defaults, out.model_type) ? out.model_type : undefined
  return type === undefined ? out : { ...defaults[type], ...out }
}

function moved(values: JsonObject, from: string, to: string): JsonObject {
  const value = valueAt(values, from)
  if (value === undefined) return values
  const there = valueAt(values, to)
  if (there === undefined || there === null || sameJson(there, value))
    return withValue(without(values, from), to, value)
  return values
}
