/**
 * Stages: the functional form of a kernel. A stage defines a buffer over a domain by its body at one index. An op's `lower`
 * returns stages; a fused kernel is the concatenation of its members' stages, pointwise ones inlined.
 *
 * What a kernel *is* (views, pointwise, reduction, contraction, carried) is read off its stages (`structure.ts`): recipes and
 * fusion laws look at structure, never at op names.
 */
import type { Ix, Sym } from '../types/ix.ts'
import type { Buffer } from './buffer.ts'
import type { Expr, Fold } from './expr.ts'

/** Where a stage comes from, for comments in emitted code and for receipts. */
export interface StageOrigin {
  readonly label: string // 'h.{i}.attn.c_attn'
  readonly file?: string
  readonly line?: number
}

export interface Stage {
  readonly name: string
  readonly out: Buffer
  /** One loop symbol (lo 0, hi extent - 1) per axis of the domain. */
  readonly domain: readonly Sym[]
  /** Coordinates in `out` that domain point defines; the domain itself when absent. A cache append stores at `P + t`. */
  readonly at?: readonly Ix[]
  /** Only points where this holds are defined (a slice pushed through an epilogue). */
  readonly guard?: Expr
  readonly body: Body
  readonly origin?: StageOrigin
}

export type Body =
  | { readonly k: 'map'; readonly e: Expr }
  /** `where` excludes elements: an empty reduction gives `empty`. `argmax` has one axis and an i32 result. */
  | {
      readonly k: 'reduce'
      readonly fold: Fold
      readonly axes: readonly Sym[]
      readonly e: Expr
      readonly where?: Expr
      readonly empty: number
    }
  | Carried

/**
 * A reduction over `axis` whose state is several values (online softmax: maximum, sum, weighted sum). `chunk` computes the carry over
 * a set of elements of `axis` by plain stages (whose reductions run over that set only); `merge` joins the running carry
 * with a chunk's; `finish` gives the result, loading running buffers. Chunk stages range over the axis by having `axis` itself in
 * their domain or reduction axes; rows occur in them as free symbols. Elements where `where` is false are absent; with none left, `finish` sees `init`.
 */
export interface Carried {
  readonly k: 'carried'
  readonly axis: Sym
  readonly where?: Expr
  /** Domain symbols that index a carry (the columns of an attention output); the rest of the domain are the rows. */
  readonly columns: readonly Sym[]
  readonly chunk: readonly Stage[]
  readonly carries: readonly Carry[]
  readonly finish: Expr
}
export interface Carry {
  /** The running value: private, one axis per symbol of `axes` (a subset of `columns`). */
  readonly running: Buffer
  readonly axes: readonly Sym[]
  readonly init: number
  /** The chunk's value: the `out` of one chunk stage, same axes. */
  readonly chunk: Buffer
  /** The joined value at one point of `axes`, from loads of running and chunk buffers (all still unmerged). */
  readonly merge: Expr
}

/** A kernel before scheduling. */
export interface StageKernel {
  readonly name: string
  readonly doc: readonly string[]
  readonly stages: readonly Stage[]
  readonly args: readonly KernelArg[]
  /** Scalars that the host passes: T, B, P … those that occur. */
  readonly params: readonly Sym[]
}
export interface KernelArg {
  readonly buffer: Buffer
  readonly access: 'read' | 'write' | 'readwrite'
  readonly role: 'weight' | 'state' | 'activation' | 'input' | 'output'
}
