/** Which positions of a sequence axis a value covers in a derived program, and what that makes of its shape and attributes. */
import { isDim } from '../ir/attrs.ts'
import type { Node } from '../ir/types.ts'
import type { Attrs } from '../ops/define.ts'
import { opOf } from '../ops/table.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, isConst, of, sub, substitute, symbolsOf } from '../types/ix.ts'

/**
 * `'full'`: all P + T positions. A number k: the T new ones and the k before them; some of those lie before the first where P < k. `'-'`: the
 * axis is not on the sequence. Where the extent is T + c, a value of form k has its entries P - k … P + T + c - 1.
 */
export type Form = '-' | 'full' | number

/** Positions of a derived program: `length` new ones after `past`. */
export interface Frame {
  readonly T: Sym
  readonly length: Ix
  readonly past: Ix
}

/** Why a model cannot be stepped, thrown on the way. */
export class Stop extends Error {
  readonly node: Node
  constructor(node: Node, message: string) {
    super(message)
    this.node = node
  }
}

export const mentions = (d: Ix, T: Sym): boolean => symbolsOf(d).has(T)

/** c of an extent T + c, which holds entries for c more than the positions; undefined for other extents. */
export function slackOf(d: Ix, { T, length }: Frame): number | undefined {
  return mentions(d, T) ? isConst(sub(d, length)) : undefined
}

export function extentOf(d: Ix, form: Form, { T, length, past }: Frame): Ix {
  if (form === '-') return d
  return form === 'full' ? substitute(d, new Map([[T, add(length, past)]])) : add(d, form)
}

/** The position of the first entry. */
export const startOf = (form: 'full' | number, { past }: Frame): Ix => (form === 'full' ? con(0) : sub(past, form))

/**
 * The attributes over the wanted forms: shapes and sizes follow the axes, sources of positions begin where the form does. `latest`: the last
 * position of an operand is picked, which stays the last. Throws `Stop` where T is used as a number.
 */
export function advanced(n: Node, forms: readonly Form[], frame: Frame, latest: boolean): Attrs {
  const { T } = frame
  const { shape } = n.type
  const extents = shape.map((d, i) => extentOf(d, forms[i], frame))
  const axis = forms.findIndex((f) => f !== '-')
  const form = forms[axis]
  const advance = n.inputs.some((x) => x.type.shape.some((d) => mentions(d, T))) ? undefined : opOf(n.op).advance
  const attrs: Attrs = Object.fromEntries(
    Object.entries(n.attrs).map(([name, value]) => {
      const dims = isDim(value)
        ? [value]
        : Array.isArray(value)
          ? (value as readonly (Ix | number)[]).filter(isDim)
          : []
      if (!dims.some((d) => mentions(d, T))) return [name, value]
      if (Array.isArray(value) && value.length === shape.length && value.every((d, i) => d === shape[i]))
        return [name, extents]
      const same = shape.findIndex((d, i) => d === value && forms[i] !== '-')
      if (same >= 0) return [name, extents[same]]
      const last = n.inputs.some((x) => x.type.shape.some((d) => mentions(d, T) && sub(d, 1) === value))
      if (latest && last) return [name, value]
      throw new Stop(n, `it uses ${T.name} as a number (${name}), which grows while decoding`)
    }),
  )
  if (advance === undefined || form === undefined || form === '-') return attrs
  return advance(attrs, axis, startOf(form, frame), extents[axis])
}

/** The bound of `where T <= ctx`, if it is a number. */
export function boundOf(
  T: Sym,
  constraints: readonly { readonly k: string; readonly a: Ix; readonly b: Ix }[],
): number | undefined {
  const found = constraints.find((c) => c.k === 'le' && c.a === of(T) && isConst(c.b) !== undefined)
  return found === undefined ? isConst(T.hi) : isConst(found.b)
}
