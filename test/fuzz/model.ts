/** A generated model: statements with what they define, the dims of its calls, and how its inputs are drawn. */
import type { DType } from '../../src/types/dtype.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { hash, makeRandom } from './random.ts'

/** An extent as text of the language; `size` gives its value for dims. */
export interface Extent {
  readonly text: string
  readonly size: (dims: Dims) => number
}
export type Dims = Readonly<Record<string, number>>
export interface Type {
  readonly dtype: DType
  readonly shape: readonly Extent[]
}
/** A variable; `most` is about how large its elements get. */
export interface Var extends Type {
  readonly name: string
  readonly most: number
  /** Of integers that are indices: all lie in 0 … below - 1. */
  readonly below?: number
}
/** How an input's elements are drawn. `below` is the number of ids there are. */
export interface Draw {
  readonly k: 'normal' | 'large' | 'tiny' | 'repeated' | 'zero' | 'ids' | 'flags'
  readonly below?: number
}
export interface Statement {
  readonly k: 'input' | 'param' | 'let' | 'block' | 'output'
  readonly text: string
  readonly defines: readonly Var[]
  readonly draw?: Draw
}
export interface Model {
  readonly name: string
  readonly sequence: boolean
  readonly statements: readonly Statement[]
  /** The calls to make. */
  readonly calls: readonly Dims[]
}

export const fixed = (n: number): Extent => ({ text: String(n), size: () => n })
export const named = (name: string): Extent => ({ text: name, size: (d) => d[name] })
export const times = (a: Extent, b: Extent): Extent => ({
  text: `${wrap(a)} * ${wrap(b)}`,
  size: (d) => a.size(d) * b.size(d),
})
export const plus = (a: Extent, b: Extent): Extent => ({
  text: `${a.text} + ${b.text}`,
  size: (d) => a.size(d) + b.size(d),
})
const wrap = (e: Extent): string => (/ /.test(e.text) ? `(${e.text})` : e.text)
export const isFixed = (e: Extent): boolean => /^\d+$/.test(e.text)
export const valueOf = (e: Extent): number => Number(e.text)

export const typeText = ({ dtype, shape }: Type): string =>
  shape.length === 0 ? dtype : `${dtype}[${shape.map((e) => e.text).join(', ')}]`

/** What is checked: a text, the calls to make, and how inputs are drawn that are not ordinary. */
export interface Case {
  readonly name: string
  readonly text: string
  readonly calls: readonly Dims[]
  readonly draws: Readonly<Record<string, Draw>>
  /** Hyperparameters that differ from their defaults. */
  readonly set?: Readonly<Record<string, number>>
}
export const caseOf = (model: Model): Case => ({
  name: model.name,
  text: textOf(model),
  calls: model.calls,
  draws: Object.fromEntries(model.statements.flatMap((s) => (s.draw ? [[s.defines[0].name, s.draw]] : []))),
})

/** The model as a file. */
export function textOf(model: Model): string {
  const lines = model.statements.flatMap((s) => s.text.split('\n')).map((line) => `  ${line}`)
  return [`model ${model.name} {`, ...(model.sequence ? ['  sequence T'] : []), ...lines, '}', ''].join('\n')
}

/** The names that a statement mentions. */
export const mentions = (s: Statement): Set<string> => new Set(s.text.match(/[A-Za-z_]\w*/g) ?? [])

/** The elements of an input for a call, as the targets can store them. */
export function drawn(name: string, dtype: DType, shape: readonly number[], draw: Draw, call: number): Tensor {
  const r = makeRandom(hash(`${name}/${call}`))
  const count = shape.reduce((a, b) => a * b, 1)
  const element: Record<Draw['k'], () => number> = {
    normal: r.normal,
    large: () => 1e4 * r.normal(),
    tiny: () => 1e-30 * r.normal(),
    repeated: () => r.pick([-1, -0.5, 0, 0.5, 0.5, 2]),
    zero: () => 0,
    ids: () => r.int(0, (draw.below ?? 1) - 1),
    flags: () => (r.chance(0.6) ? 1 : 0),
  }
  const data = Float64Array.from({ length: count }, () => Math.fround(element[draw.k]()))
  return { dtype, shape, data: dtype === 'f32' ? data : data.map(Math.trunc) }
}

/** The elements of a parameter: matrices keep the size of what they multiply, gains lie around 1. */
export function weightOf(name: string, shape: readonly number[]): Float32Array {
  const r = makeRandom(hash(name))
  const count = shape.reduce((a, b) => a * b, 1)
  const spread = shape.length > 1 ? Math.min(1, 1.2 / Math.sqrt(shape[shape.length - 1])) : 0.4
  const mean = shape.length === 1 && /(weight|gain)$/.test(name) ? 1 : 0
  // A variance is positive.
  const element = /running_var$/.test(name) ? () => 0.5 + Math.abs(r.normal()) : () => mean + spread * r.normal()
  return Float32Array.from({ length: count }, element)
}
