/**
 * Loop nests: the imperative form of a kernel. The naive nest is built from stages (`build.ts`), schedules rewrite it
 * (`schedule/`), targets print it. Loads and stores are at logical coordinates until an emitter asks for flat offsets: then
 * (`address.ts`) every buffer has one axis and no layout, and address bases are bound by `bind`.
 *
 * Invariants (checked by `verify.ts`): one binder per loop symbol and local; every access in range, by intervals or under a
 * dominating guard; extents of `unroll` and `local.*` loops constant; barriers in uniform control flow only.
 */
import type { Ix, Sym } from '../types/ix.ts'
import type { Buffer } from './buffer.ts'
import type { Expr, Local } from './expr.ts'
import type { KernelArg } from './stage.ts'

/**
 * `serial` runs in order; `unroll` is expanded before printing; `grid.*` iterations are workgroups, `local.*` threads of one
 * (both may run in any order and must write disjoint elements). `thread` iterations are shared out among a pool of threads, each a
 * run of neighbours; `thread.each` deals them out one by one. At most one such loop stands around a statement.
 */
export type LoopKind =
  'serial' | 'unroll' | 'thread' | 'thread.each' | 'grid.x' | 'grid.y' | 'grid.z' | 'local.x' | 'local.y'

export type Stmt =
  | For
  | { readonly k: 'let'; readonly v: Local; readonly e: Expr }
  | { readonly k: 'var'; readonly v: Local; readonly e: Expr }
  | { readonly k: 'assign'; readonly v: Local; readonly e: Expr }
  /** A vector is stored to elements that lie side by side along `axis`, from `at` on. */
  | { readonly k: 'store'; readonly buf: Buffer; readonly at: readonly Ix[]; readonly e: Expr; readonly axis?: number }
  | { readonly k: 'if'; readonly c: Expr; readonly body: readonly Stmt[] }
  | { readonly k: 'alloc'; readonly buf: Buffer }
  /** Names an index: the base of an address, computed once at this level (`address.ts`). */
  | { readonly k: 'bind'; readonly v: Sym; readonly ix: Ix }
  | { readonly k: 'barrier' }
  | { readonly k: 'comment'; readonly text: string }

/** `v` takes lo, lo + step, … while < hi. `reduces`: iterations are joined by a fold (not independent). */
export interface For {
  readonly k: 'for'
  readonly v: Sym
  readonly lo: Ix
  readonly hi: Ix
  readonly step: number
  readonly kind: LoopKind
  readonly reduces?: boolean
  readonly body: readonly Stmt[]
}

/** Another way to look at the memory of an argument: `buffer` holds elements of its own type, from the argument's first byte on. */
export interface View {
  readonly buffer: Buffer
  readonly of: Buffer
}

export interface NestKernel {
  readonly name: string
  readonly doc: readonly string[]
  readonly args: readonly KernelArg[]
  readonly params: readonly Sym[]
  readonly body: readonly Stmt[]
  readonly views?: readonly View[]
}
