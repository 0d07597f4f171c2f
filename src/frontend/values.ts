/**
 * What an expression of the language may be while a model is elaborated. Numbers stay exact and untyped until they meet a
 * tensor; `error` stands for a value whose fault has been reported, and silences everything computed from it.
 */
import type { Expr } from '../../grammar/ast.ts'
import type { Reason, Span } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import type { DType } from '../types/dtype.ts'
import { sameShape } from '../types/shape.ts'
import type { TensorType } from '../types/tensor.ts'
import { constantOf, whole, type Num } from './numbers.ts'
import type { Ix, Sym } from '../types/ix.ts'
import type { CallArguments } from './calls.ts'
import type { BlockDef } from './modules.ts'

export type { Num } from './numbers.ts'

export type Value = Num | Flag | Text | TensorValue | Tuple | List | Cond | Shared | None | Fault

export interface Flag {
  readonly k: 'flag'
  readonly value: boolean
}
export interface Text {
  readonly k: 'text'
  readonly value: string
}
/**
 * `lanes`: inside a comprehension, the loop variable that each axis runs over; the value is then one number per point.
 * `param`: declared by `param` (residual does not count it).
 */
export interface TensorValue {
  readonly k: 'tensor'
  readonly node: Node
  readonly lanes?: readonly Sym[]
  readonly param?: boolean
}
/** Several results. */
export interface Tuple {
  readonly k: 'tuple'
  readonly items: readonly Value[]
}
/** `[a, b]`: a shape, sizes, axes, or tensors for `concat`. */
export interface List {
  readonly k: 'list'
  readonly items: readonly Value[]
}
/** A comparison of numbers that is not known at compile time, or logic over such: a constraint, a fact, or a mask. */
export type Cond =
  | { readonly k: 'cond'; readonly op: 'rel'; readonly rel: Rel; readonly a: Num; readonly b: Num }
  | { readonly k: 'cond'; readonly op: 'and' | 'or'; readonly xs: readonly Value[] }
  | { readonly k: 'cond'; readonly op: 'not'; readonly x: Value }
export type Rel = '==' | '!=' | '<' | '<=' | '>' | '>='
/** `share f = ffn(name = "f")`: calls declare their parameters once. `memo` maps a path to its node. */
export interface Shared {
  readonly k: 'shared'
  readonly target: BlockDef
  readonly preset: CallArguments
  readonly memo: Map<string, Node>
  readonly path: string
  readonly template: string
}
/** `none`: an optional tensor that is left out. */
export interface None {
  readonly k: 'none'
}
export interface Fault {
  readonly k: 'error'
}

export const fault: Fault = { k: 'error' }
export const none: None = { k: 'none' }
export const flag = (value: boolean): Flag => ({ k: 'flag', value })
export const text = (value: string): Text => ({ k: 'text', value })
export const tensor = (node: Node, lanes?: readonly Sym[]): TensorValue => ({
  k: 'tensor',
  node,
  ...(lanes ? { lanes } : {}),
})

/** How a binding came to be: only variables are reassigned, only tensors that are no parameters are candidates of `residual`. */
export type BindingKind = 'var' | 'param' | 'input' | 'arg' | 'hyper' | 'dim' | 'index'

export interface Binding {
  readonly kind: BindingKind
  readonly value: Value
  readonly span: Span
  /** The expression it was assigned from, for lints. */
  readonly from?: Expr
  /** Why a number has its value, where its own place does not say it. */
  readonly because?: () => Reason
}

export function showDims(shape: readonly Ix[]): string {
  return `[${shape.map(String).join(', ')}]`
}

export function showType(type: TensorType): string {
  return `${type.dtype}${showDims(type.shape)}`
}

/** A value known at compile time as the source would write it. */
export function showValue(value: Value): string {
  if (value.k === 'num') return String(constantOf(value) ?? whole(value) ?? `${value.num} / ${value.den}`)
  if (value.k === 'flag') return String(value.value)
  if (value.k === 'text') return JSON.stringify(value.value)
  return value.k === 'list' ? `[${value.items.map(showValue).join(', ')}]` : describe(value)
}

/** What kind of value this is, in words, for messages. */
export function describe(value: Value): string {
  switch (value.k) {
    case 'num': {
      const c = constantOf(value)
      return c === undefined ? 'a number of the dims' : `the number ${c}`
    }
    case 'flag':
      return `the flag ${value.value}`
    case 'text':
      return `the string ${JSON.stringify(value.value)}`
    case 'tensor':
      return `a tensor ${showType(value.node.type)}`
    case 'tuple':
      return `${value.items.length} results`
    case 'list':
      return 'a list'
    case 'cond':
      return 'a condition'
    case 'shared':
      return 'a shared block'
    case 'none':
      return 'none'
    case 'error':
      return 'an error'
  }
}

export const sameType = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape)

export const dtypes: readonly DType[] = ['f32', 'i32', 'bool']
