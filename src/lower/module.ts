/** A model's programs as one module: shared kernels, shared weights, state. */
import { makeNode } from '../ir/build.ts'
import { shapeOf } from '../ir/kinds.ts'
import type { Graph, Node, OutputSpec } from '../ir/types.ts'
import type { Module, StateSpec } from '../program/types.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix } from '../types/ix.ts'
import { uniqueNames } from './describe.ts'
import { analyse } from './flow.ts'
import type { KernelTable, LoweredProgram, ProgramSource } from './program.ts'
import { lowerProgram } from './program.ts'
import { cacheLayout } from './state.ts'
import type { PanelLayout } from './weights.ts'
import { planWeights } from './weights.ts'

/** State that the sequence analysis asked for: a cache (with the axis of its positions) or a hoisted value. */
export interface StateDecl {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly Ix[]
  readonly axis?: number
  /** Whether `reorder` gathers its rows. */
  readonly rows?: boolean
}

export interface ModuleSource {
  /** The model as written: names, params, rules and documentation come from here. */
  readonly graph: Graph
  readonly source: string
  readonly programs: readonly ProgramSource[]
  readonly state: readonly StateDecl[]
  readonly sequence?: Module['sequence']
  readonly notSteppable?: string
}

export interface LoweredModule {
  readonly module: Module
  readonly programs: readonly LoweredProgram[]
}

/** Lowers all programs against a target's weight layout. With `fuse` off every kernel is one node (views still cost nothing). */
export function lowerModule(
  source: ModuleSource,
  target: { readonly panelLayout: PanelLayout; readonly prologues?: boolean },
  fuse = true,
): LoweredModule {
  const sources = source.programs.map((p) => ({ ...p, graph: separateResults(p.graph) }))
  const flows = sources.map((p) => analyse(p.graph))
  const weights = planWeights(flows, target.panelLayout)
  const table: KernelTable = { kernels: [], byKey: new Map(), name: uniqueNames(), indices: new Map() }
  const programs = sources.map((p, i) => lowerProgram(p, flows[i], weights, table, fuse, target.prologues))
  const { graph } = source
  const state = source.state.map((s): StateSpec => ({ ...s, layout: cacheLayout(s.shape, s.axis) }))
  const module: Module = {
    name: graph.name,
    source: source.source,
    hyper: graph.hyper,
    params: graph.params,
    rules: graph.rules,
    entries: graph.entries,
    dims: graph.dims,
    weights: weights.slots(),
    state,
    kernels: table.kernels,
    programs: programs.map((p) => p.program),
    ...(graph.doc === undefined ? {} : { doc: graph.doc }),
    ...(source.sequence === undefined ? {} : { sequence: source.sequence }),
    ...(source.notSteppable === undefined ? {} : { notSteppable: source.notSteppable }),
  }
  return { module, programs }
}

/** Each result a value of its own: what comes in as it is, and a second name of a value, is looked at through a view, which can be stored. */
function separateResults(graph: Graph): Graph {
  const seen = new Set<Node>()
  const outputs = graph.outputs.map((o): OutputSpec => {
    const given = shapeOf(o.node).kind === 'leaf' && o.node.inputs.length === 0
    const own = !given && !seen.has(o.node)
    seen.add(o.node)
    return own ? o : { ...o, node: makeNode('reshape', [o.node], { shape: o.node.type.shape }, o.node.origin) }
  })
  return { ...graph, outputs }
}
