/**
 * What an op is: one record with its documentation, call signature, shape rule, exact evaluation and lowering. Everything else
 * in the compiler is generic over these records: the front end binds calls by `params`, the checker runs `infer`, the
 * reference runs `evaluate`, fusion and the sequence analysis look at the structure of what `lower` returns.
 */
import type { Buffer } from '../kernel/buffer.ts'
import type { Stage } from '../kernel/stage.ts'
import type { Ix } from '../types/ix.ts'
import type { Tensor, TensorType } from '../types/tensor.ts'

/** Attribute values: exact numbers, dims, strings. Lists of dims serve as shapes. */
export type Attr = number | boolean | string | Ix | readonly Ix[] | readonly number[]
export type Attrs = Readonly<Record<string, Attr>>
/** The same attributes with every dim evaluated to a number, as `evaluate` sees them. */
export type Resolved<A> = {
  readonly [K in keyof A]: A[K] extends Ix ? number : A[K] extends readonly Ix[] ? readonly number[] : A[K]
}

/**
 * One parameter of a call, in order. Tensors become inputs, the rest attributes of the same name.
 * `axis` is given by position or by a dim that occurs once and arrives non-negative, relative to the first tensor's rank (`axes` a list).
 * `dim` is any exact integer expression over dims, `dims` a list of them; `tensors` takes a list of tensors.
 * A tensor that is left out is missing from the inputs; attribute `given` lists the optional ones that are there, in order
 * (`'mask'`, `'mask bias'`). The builder sets it.
 */
export interface Param {
  readonly name: string
  readonly kind:
    'tensor' | 'tensors' | 'axis' | 'axes' | 'dim' | 'dims' | 'number' | 'numbers' | 'bool' | 'string' | 'dtype'
  /** A literal of the language; absent: required. `null`: may be left out (see `given` for tensors). */
  readonly default?: number | boolean | string | null | readonly number[]
}

/** What led to an error: that an input has its type (no text), or something else. */
export interface Fact {
  readonly input?: number
  readonly text?: string
}

/**
 * Thrown by `infer`: what is wrong, facts that led there, and a fix. Becomes a diagnostic. Message and fix may mention inputs as `{1:b}`: the
 * source's name of input 1 where `named` is given one, else `b`.
 */
export class InferError extends Error {
  readonly code: string
  readonly facts: readonly Fact[]
  readonly fix?: string
  readonly named: (names: readonly (string | undefined)[]) => { readonly message: string; readonly fix?: string }
  constructor(code: string, message: string, facts: readonly Fact[] = [], fix?: string) {
    const spell = (text: string, names: readonly (string | undefined)[]): string =>
      text.replace(/\{(\d+):([^}]*)\}/g, (_, input: string, formal: string) => names[Number(input)] ?? formal)
    super(spell(message, []))
    this.code = code
    this.facts = facts
    this.named = (names) => ({
      message: spell(message, names),
      ...(fix === undefined ? {} : { fix: spell(fix, names) }),
    })
    const own = this.named([]).fix
    if (own !== undefined) this.fix = own
  }
}

/** What the data made impossible, found by `evaluate`: an index out of range. `input` is the one at fault. */
export class EvaluateError extends Error {
  readonly code: string
  readonly input: number
  constructor(code: string, message: string, input: number) {
    super(message)
    this.code = code
    this.input = input
  }
}

export interface LowerContext<A extends Attrs = Attrs> {
  /** One virtual buffer per input, of the input's shape. */
  readonly inputs: readonly Buffer[]
  /** What the last stage must define. */
  readonly out: Buffer
  readonly attrs: A
}

/** A result that begins, on `axis`, with entries of its own and goes on with input `body`. */
export interface Lead {
  readonly axis: number
  readonly body: number
  /** The entries before it, as an application to some of the inputs. */
  readonly start: { readonly op: string; readonly inputs: readonly number[]; readonly attrs: Attrs }
}

export interface Op<A extends Attrs = Attrs> {
  /** One or two sentences; formula and source for anything that is not obvious. */
  readonly doc: string
  readonly params: readonly Param[]
  /** Its name in the language where that differs from the table's: `sum` is `reduce_sum`. */
  readonly call?: string
  /** The operator that writes it, where there is one: `a + b`. */
  readonly operator?: string
  /** Only the compiler makes these nodes; the language has no call of it. */
  readonly internal?: boolean
  /** Types of the results: one, or several for a tuple. Inputs are well-formed; throws InferError. */
  readonly infer: (inputs: readonly TensorType[], attrs: A) => TensorType | readonly TensorType[]
  /** The exact meaning, in float64. `shapes` are the concrete result shapes. Shares nothing with `lower`. */
  readonly evaluate: (
    inputs: readonly Tensor[],
    attrs: Resolved<A>,
    shapes: readonly (readonly number[])[],
  ) => Tensor | readonly Tensor[]
  /** Stages that define `out`. Leaves (`input`, `param`) have none. */
  readonly lower?: (context: LowerContext<A>) => readonly Stage[]
  /**
   * How attributes change when the result covers positions `past … past + T - 1` of a sequence instead of `0 … T - 1`:
   * given for sources of positions only (`iota`, `slice`); `axis` is the result's sequence axis.
   */
  readonly advance?: (attrs: A, axis: number, past: Ix, length: Ix) => A
  /** For what puts entries before one of its inputs (`pad`, `concat`): how, where nothing comes behind that input. */
  readonly leads?: (inputs: readonly TensorType[], attrs: A) => Lead | undefined
}

/** Keeps an op's attribute type while letting the table hold all of them. */
export function defineOp<A extends Attrs>(op: Op<A>): Op {
  return op as unknown as Op
}
