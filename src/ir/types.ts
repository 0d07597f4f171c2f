/**
 * The graph: tensors with symbolic dims, one node per op application. Nodes are immutable; a pass builds new ones. A node has one
 * result; ops with several results (`topk`, `scan`) yield a tuple that `part` nodes take apart.
 *
 * Hyperparameters are numbers by the time a graph exists; dims that are bound at run time (`B`, `T`, `S`) are symbols.
 */
import type { Span } from '../diagnostics/span.ts'
import type { TensorType } from '../types/tensor.ts'
import type { Sym } from '../types/ix.ts'
import type { Constraint, EntrySpec, ParamSpec, WeightRules } from '../types/model.ts'
import type { Attrs } from '../ops/define.ts'
import type { OpName } from '../ops/table.ts'

export type { Constraint, EntrySpec, ParamSpec, WeightRules } from '../types/model.ts'

export interface Node {
  readonly id: number
  readonly op: OpName
  readonly inputs: readonly Node[]
  readonly attrs: Attrs
  readonly type: TensorType
  /** Types of all results where there are several (then `type` is the first). */
  readonly results?: readonly TensorType[]
  readonly origin: Origin
}

/** Where a node was written: the span, the calls that led there (outermost first), and the names around it. */
export interface Origin {
  readonly span: Span
  readonly frames: readonly Span[]
  /** The variable it was first bound to, if any. */
  readonly name?: string
  /** Path of weight scopes, with repeat indices as written templates: 'h.{i}.attn'. */
  readonly scope: string
}

export interface InputSpec {
  readonly name: string
  readonly node: Node
  readonly default?: Node
  readonly doc?: string
}
export interface OutputSpec {
  readonly name: string
  readonly node: Node
  readonly doc?: string
}
export interface Graph {
  readonly name: string
  readonly doc?: string
  readonly inputs: readonly InputSpec[]
  readonly params: readonly ParamSpec[]
  readonly outputs: readonly OutputSpec[]
  readonly entries: readonly EntrySpec[]
  /** Free dims, in order of first mention, with their proven ranges. */
  readonly dims: readonly Sym[]
  /** The symbol of `sequence T`. */
  readonly sequence?: Sym
  readonly constraints: readonly Constraint[]
  readonly rules: WeightRules
  /** Values of the hyperparameters, for comments and `config()`. */
  readonly hyper: Readonly<Record<string, number | string | boolean>>
}
