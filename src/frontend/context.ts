/**
 * What elaboration carries along. `Run` is one per elaboration and gathers results; `Env` says where an expression stands:
 * its scope, its call, its weights path. An Env is immutable, its scope is not.
 */
import type * as ast from '../../grammar/ast.ts'
import { isError, nearest, type Collector, type Diagnostic, type Span } from '../diagnostics/index.ts'
import type { Constraint, EntrySpec, InputSpec, Node, OutputSpec, ParamSpec, WeightRules } from '../ir/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import type { BlockDef, Library, Module } from './modules.ts'
import type { Binding, Value } from './values.ts'
import { libraryFiles } from './why.ts'

/** Where the value of a parameter came from, for `check --explain`. */
export interface Provenance {
  readonly block: string
  readonly param: string
  readonly value: string
  readonly source: 'call' | 'caller' | 'hyper' | 'default'
  /** `bert.eps`, `encoder_layer.eps`; the block itself for a default. */
  readonly from: string
  readonly span?: Span
  /** The blocks it passed through, from the source to the block, exclusive. */
  readonly via: readonly string[]
  readonly at: Span
}

/** Something the source takes for granted: proved, or left to the call. */
export interface Assumption {
  readonly text: string
  readonly span: Span
  readonly status: 'proved' | 'checked at the call'
}

export interface DeclaredParam {
  readonly spec: ParamSpec
  readonly node: Node
}

export interface Run {
  readonly diagnostics: Collector
  readonly library: Library
  readonly module: Module
  readonly overrides: Map<string, BlockDef>
  readonly params: Map<string, DeclaredParam>
  readonly inputs: InputSpec[]
  readonly outputs: OutputSpec[]
  readonly entries: EntrySpec[]
  readonly constraints: Constraint[]
  readonly dims: Sym[]
  readonly hyper: Record<string, number | string | boolean>
  readonly rules: { -readonly [K in keyof WeightRules]: WeightRules[K][number][] }
  readonly provenance: Map<string, Provenance>
  readonly assumptions: Assumption[]
  /** Bounds that `where` clauses of the model give its dims, found before the dims are made. */
  readonly bounds: Map<string, { lo?: number; hi?: Ix; multipleOf?: number }>
  /** The name of the model. */
  readonly name: string
  readonly hyperScope: Scope
  readonly entryDecls: ast.Entry[]
  /** Outputs whose expression has been reported. */
  readonly faultyOutputs: Set<string>
  modelScope?: Scope
  sequence?: Sym | undefined
  /** Scans so far. */
  scans: number
  /** Errors so far. */
  faults: number
  /** The id of the last node made. */
  nodes: number
}

export interface Scope {
  readonly names: Map<string, Binding>
  readonly parent?: Scope
}

/** The value of a block's parameter, and where it came from. */
export interface FrameValue {
  readonly value: Value
  readonly span: Span
  readonly source: Provenance['source']
  readonly from: string
  readonly via: readonly string[]
}

/** A call that is being expanded; the model itself is the outermost. */
export interface Frame {
  readonly def?: BlockDef
  readonly name: string
  readonly caller?: Frame
  /** Parameters that are no tensors: what `auto` parameters of inner calls may take. */
  readonly values: Map<string, FrameValue>
  /** Calls from the outermost to this one. */
  readonly spans: readonly Span[]
}

/** Proved inside the arm of a `select`: `fact >= 0`. */
export type Fact = Ix

export interface Env {
  readonly run: Run
  readonly scope: Scope
  readonly frame: Frame
  readonly module: Module
  /** Local blocks, innermost first. */
  readonly blocks: BlockScope | undefined
  /** Hyperparameters that bodies see lexically. */
  readonly hypers: Scope | undefined
  readonly path: string
  readonly template: string
  readonly share?: Map<string, Node>
  /** Loop variables of the comprehensions around, outermost first, with their extents. */
  readonly lanes: readonly Lane[]
  /** Indices of the scans around, outermost first. */
  readonly loops: readonly Sym[]
  readonly facts: readonly Fact[]
  /** Names are dims: an unknown one is TFM1401. */
  readonly inShape?: boolean
}

export interface Lane {
  readonly sym: Sym
  readonly extent: Ix
}

export interface BlockScope {
  readonly defs: ReadonlyMap<string, BlockDef>
  readonly parent?: BlockScope
}

export function newRun(
  library: Library,
  module: Module,
  overrides: Map<string, BlockDef>,
  diagnostics: Collector,
  name: string,
): Run {
  return {
    diagnostics,
    name,
    hyperScope: newScope(),
    entryDecls: [],
    faultyOutputs: new Set(),
    library,
    module,
    overrides,
    params: new Map(),
    inputs: [],
    outputs: [],
    entries: [],
    constraints: [],
    dims: [],
    hyper: {},
    rules: { prefixes: [], ignore: [], rename: [] },
    provenance: new Map(),
    assumptions: [],
    bounds: new Map(),
    nodes: 0,
    scans: 0,
    faults: 0,
  }
}

export const newScope = (parent?: Scope): Scope => ({ names: new Map(), ...(parent ? { parent } : {}) })

export function lookup(scope: Scope | undefined, name: string): Binding | undefined {
  for (let s = scope; s; s = s.parent) {
    const found = s.names.get(name)
    if (found) return found
  }
  return undefined
}

/** A name as an expression means it: variables, then the hyperparameters that the body sees. */
export const lookupName = (env: Env, name: string): Binding | undefined =>
  lookup(env.scope, name) ?? lookup(env.hypers, name)

/** The scope that holds the name, for an assignment: the innermost one that has it, else this one. */
export function holder(scope: Scope, name: string): Scope {
  for (let s: Scope | undefined = scope; s; s = s.parent) if (s.names.has(name)) return s
  return scope
}

export function namesIn(scope: Scope | undefined): string[] {
  const names: string[] = []
  for (let s = scope; s; s = s.parent) names.push(...s.names.keys())
  return names
}

export function report(env: Env, ...diagnostics: readonly Diagnostic[]): void {
  env.run.diagnostics.add(...diagnostics.map((d) => inUserText(d, env.frame.spans)))
  env.run.faults += diagnostics.filter(isError).length
}

/** A fault inside the standard library is shown at the call that led there; the line within it is a reason. */
function inUserText(d: Diagnostic, calls: readonly Span[]): Diagnostic {
  if (!d.span || !libraryFiles.has(d.span.file)) return d
  const own = calls.findLast((span) => !libraryFiles.has(span.file))
  return own ? { ...d, span: own, reasons: [...d.reasons, { message: 'in the standard library', span: d.span }] } : d
}

/** `did you mean d?`, in the form that messages take. */
export function suggestion(name: string, candidates: Iterable<string>): string | undefined {
  const near = nearest(name, candidates)
  return near.length > 0 ? `did you mean ${near.map((n) => `\`${n}\``).join(' or ')}?` : undefined
}

/** A path below another: `h.3` and `attn` give `h.3.attn`. */
export const joinPath = (path: string, name: string): string =>
  path === '' ? name : name === '' ? path : `${path}.${name}`
