/** Attributes of nodes: a stable key, their values at concrete dims, and the dims that they mention. */
import type { Attr, Attrs, Resolved } from '../ops/define.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { evaluate, substitute } from '../types/ix.ts'

export const isDim = (a: unknown): a is Ix => typeof a === 'object' && a !== null && 'terms' in a

function keyOf(a: Attr): string {
  if (typeof a === 'number') return Object.is(a, -0) ? '-0' : String(a)
  if (typeof a === 'boolean') return String(a)
  if (typeof a === 'string') return JSON.stringify(a)
  return isDim(a) ? `#${a.id}` : `[${a.map(keyOf).join(',')}]`
}

const keys = new WeakMap<Attrs, string>()

/** Equal for equal attributes, whatever the order they were written in. Attributes are immutable, so it is computed once per object. */
export function attrsKey(attrs: Attrs): string {
  let key = keys.get(attrs)
  if (key === undefined) {
    const names = Object.keys(attrs)
    if (names.length > 1) names.sort()
    key = names.map((name) => `${name}=${keyOf(attrs[name])}`).join(';')
    keys.set(attrs, key)
  }
  return key
}

function mapDims<To>(
  attrs: Attrs,
  f: (d: Ix) => To,
): Record<string, Exclude<Attr, Ix | readonly Ix[]> | To | readonly (To | number)[]> {
  return Object.fromEntries(
    Object.entries(attrs).map(([name, a]) => {
      if (isDim(a)) return [name, f(a)]
      return [name, Array.isArray(a) ? a.map((x: Ix | number) => (isDim(x) ? f(x) : x)) : a]
    }),
  )
}

/** Every dim as the number that it is. */
export function resolveAttrs(attrs: Attrs, env: (s: Sym) => number): Resolved<Attrs> {
  return mapDims(attrs, (d) => evaluate(d, env)) as Resolved<Attrs>
}

/** Symbols of dims replaced; the same object where nothing changes. */
export function substituteAttrs(attrs: Attrs, map: ReadonlyMap<Sym, Ix>): Attrs {
  // Dims are interned: equal ones are the same object.
  return dimsOf(attrs).every((d) => substitute(d, map) === d)
    ? attrs
    : (mapDims(attrs, (d) => substitute(d, map)) as Attrs)
}

/** All dims among the values. */
export function dimsOf(attrs: Attrs): Ix[] {
  return Object.values(attrs).flatMap((a) =>
    isDim(a) ? [a] : Array.isArray(a) ? (a as readonly (Ix | number)[]).filter(isDim) : [],
  )
}
