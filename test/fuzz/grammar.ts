/** What the pieces of the grammar share: the variables so far, and how to add to them. */
import type { DType } from '../../src/types/dtype.ts'
import type { Dims, Draw, Extent, Statement, Type, Var } from './model.ts'
import { fixed, isFixed, named, typeText, valueOf } from './model.ts'
import type { Random } from './random.ts'

/** Elements that a tensor may have in the largest call. */
const largest = 2500
/** Widths: odd ones, ones of a tile and one more. */
export const widths = [1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 16, 17, 33]

export interface Grammar {
  readonly r: Random
  /** Positions along T may not see later ones. */
  readonly causal: boolean
  readonly statements: Statement[]
  readonly vars: Var[]
  readonly dims: readonly Dims[]
  readonly fresh: (prefix: string) => string
}
/** Adds statements if it finds what it needs. */
export type Piece = (g: Grammar) => boolean

export const elements = (g: Grammar, shape: readonly Extent[]): number =>
  Math.max(...g.dims.map((d) => shape.reduce((n, e) => n * e.size(d), 1)))
export const fits = (g: Grammar, shape: readonly Extent[]): boolean => elements(g, shape) <= largest
export const width = (g: Grammar): number => g.r.pick(widths)

export function define(g: Grammar, k: Statement['k'], text: string, vars: readonly Var[], draw?: Draw): void {
  g.statements.push({ k, text, defines: vars, ...(draw ? { draw } : {}) })
  g.vars.push(...vars)
}

/** `name = text` */
export function bind(g: Grammar, text: string, type: Type, most: number, below?: number): Var {
  const name = g.fresh(type.dtype === 'f32' ? 'x' : type.dtype === 'i32' ? 'n' : 'm')
  const v: Var = { ...type, name, most, ...(below === undefined ? {} : { below }) }
  define(g, 'let', `${name} = ${text}`, [v])
  return v
}

const most: Readonly<Record<Draw['k'], number>> = { normal: 3, large: 4e4, tiny: 1e-29, repeated: 2, zero: 0, ids: 1, flags: 1 } // prettier-ignore

export function input(g: Grammar, shape: readonly Extent[], draw: Draw): Var {
  const dtype: DType = draw.k === 'ids' || draw.k === 'flags' ? 'i32' : 'f32'
  const name = g.fresh(dtype === 'i32' ? 'ids' : 'in')
  const below = draw.k === 'ids' ? draw.below : draw.k === 'flags' ? 2 : undefined
  const v: Var = { dtype, shape, name, most: below ?? most[draw.k], ...(below === undefined ? {} : { below }) }
  define(g, 'input', `input ${name}: ${typeText(v)}`, [v], draw)
  return v
}

export function param(g: Grammar, shape: readonly Extent[], path = 'weight'): Var {
  const name = g.fresh('w')
  const v: Var = { dtype: 'f32', shape, name, most: 2 }
  define(g, 'param', `param ${name}: ${typeText(v)} = "${name}.${path}"`, [v])
  return v
}

/** Where weights lie: unique in the model. */
export const place = (g: Grammar): string => `name = "${g.fresh('p')}"`

/** One of the variables that hold, the later the likelier. */
export function choose(g: Grammar, holds: (v: Var) => boolean): Var | undefined {
  const found = g.vars.filter(holds)
  return found.length === 0 ? undefined : g.r.weighted(found.map((v, i) => [1.6 ** (i - found.length), v] as const))
}

export const isFloat = (v: Var): boolean => v.dtype === 'f32'
export const calm = (v: Var): boolean => v.dtype === 'f32' && v.most < 1e6
/** Text of a float variable, squashed where it is large. */
export const tamed = (v: Var, limit = 8): string => (v.most <= limit ? v.name : `tanh(${v.name})`)
export const tamedMost = (v: Var, limit = 8): number => (v.most <= limit ? v.most : 1)

export const last = (v: Type): Extent => v.shape[v.shape.length - 1]
export const rank = (v: Type): number => v.shape.length
export const withLast = (v: Type, e: Extent): readonly Extent[] => [...v.shape.slice(0, -1), e]
export const hasFixedLast = (v: Var): boolean => rank(v) > 0 && isFixed(last(v))
export const lastSize = (v: Type): number => valueOf(last(v))
export const sameShape = (a: Type, b: Type): boolean =>
  rank(a) === rank(b) && a.shape.every((e, i) => e.text === b.shape[i].text)

/** Axes that an op may mix. */
export const mixable = (g: Grammar, v: Type): number[] =>
  v.shape.flatMap((e, i) => (g.causal && /\bT\b/.test(e.text) ? [] : [i]))

/** The axis as written: counted from either end, or by its name. */
export function axisText(g: Grammar, v: Type, axis: number): string {
  return g.r.chance(0.4) ? String(axis - rank(v)) : String(axis)
}
export const sizeOf = (g: Grammar, e: Extent): number => Math.max(...g.dims.map((d) => e.size(d)))
export const [B, T, S] = [named('B'), named('T'), named('S')]
export const one = fixed(1)
