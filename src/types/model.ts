/** What a model says about its weights, entries and dims, as every level needs it. */
import type { Span } from '../diagnostics/span.ts'
import type { Ix } from './ix.ts'

/** A weight as the checkpoint names it. The graph node has op `param` and attr `name`. */
export interface ParamSpec {
  readonly name: string
  readonly shape: readonly number[]
  /** Taken when the checkpoint lacks `name` (`or` in the source); names another param. */
  readonly fallback?: string
  readonly span: Span
}

/** `a <= b` (or `==`, or divisibility a % b == 0) over dims, checked at the call when not proved. */
export interface Constraint {
  readonly k: 'le' | 'eq' | 'divides'
  readonly a: Ix
  readonly b: Ix
  readonly span: Span
  readonly text: string
}
export interface EntrySpec {
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}
/** `weights { … }` of the source. */
export interface WeightRules {
  readonly prefixes: readonly { readonly prefix: string; readonly optional: boolean }[]
  readonly ignore: readonly string[]
  readonly rename: readonly { readonly from: string; readonly to: string }[]
}
