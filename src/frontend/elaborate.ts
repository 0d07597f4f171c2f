/** A file to the graph of one of its models. Never throws on a tree of the parser, also one with errors. */
import type * as ast from '../../grammar/ast.ts'
import { walk } from '../../grammar/desugar.ts'
import {
  declaredTwice,
  entryNeeds,
  entryUnknown,
  noModel,
  noOutput,
  numberTooLarge,
  overrideMismatch,
  unusedOverride,
} from '../diagnostics/catalogue.ts'
import {
  collector,
  hasErrors,
  isError,
  lineOf,
  type Collector,
  type Diagnostic,
  type Span,
} from '../diagnostics/index.ts'
import type { Graph, Node } from '../ir/types.ts'
import { IxOverflow, symbolsOf, type Sym } from '../types/ix.ts'
import { checkWhere, gatherBounds } from './constraints.ts'
import {
  newRun,
  newScope,
  report,
  suggestion,
  type Assumption,
  type Env,
  type Provenance,
  type Run,
} from './context.ts'
import { mentionsDims } from './dims.ts'
import { bindHypers, type HyperValue, type Json, type Settings } from './hyper.ts'
import {
  loadModules,
  standardLibrary,
  type BlockDef,
  type Library,
  type ModelDef,
  type Module,
  type Resolve,
} from './modules.ts'
import { execBody } from './statements.ts'

export interface ElaborateOptions extends Settings {
  /** The model, where the file declares several. */
  readonly model?: string
  /** Finds imported files; without it, imports are not found. */
  readonly resolve?: Resolve
  /**
   * What the parser found. After a syntax error statements may be missing from the tree: names that it lacks are then no news,
   * and neither is anything on the line of that error.
   */
  readonly syntax?: readonly Diagnostic[]
}

/** What a statement that could not be read brings about elsewhere. */
const followUps = new Set(['TFM1201', 'TFM1202', 'TFM1215', 'TFM1219', 'TFM1401', 'TFM1605', 'TFM1704', 'TFM1705'])

export interface Explanation {
  readonly hyper: readonly HyperValue[]
  /** Where implicit parameters came from. */
  readonly implicit: readonly Provenance[]
  readonly assumptions: readonly Assumption[]
}

export interface Elaborated {
  /** Absent when there are errors. */
  readonly graph?: Graph
  readonly diagnostics: readonly Diagnostic[]
  readonly explain: Explanation
}

export function elaborate(file: ast.File, options: ElaborateOptions = {}): Elaborated {
  const made = elaborateAll(file, options)
  const faults = (options.syntax ?? []).filter(isError)
  if (faults.length === 0) return made
  const lines = new Set(faults.flatMap((d) => (d.span ? [place(d.span)] : [])))
  const news = (d: Diagnostic): boolean => !followUps.has(d.code) && !(d.span && lines.has(place(d.span)))
  return { explain: made.explain, diagnostics: made.diagnostics.filter(news) }
}

const place = (span: Span): string => `${span.file.path}:${lineOf(span)}`

function elaborateAll(file: ast.File, options: ElaborateOptions): Elaborated {
  const diagnostics = collector()
  const nothing: Explanation = { hyper: [], implicit: [], assumptions: [] }
  const { main } = loadModules(file, options.resolve ?? (() => undefined), diagnostics)
  const model = chooseModel(main, options.model, diagnostics)
  if (!model) return { diagnostics: diagnostics.all(), explain: nothing }
  const library = standardLibrary()
  const overrides = gatherOverrides(main, model, library, diagnostics)
  const run = newRun(library, model.module, overrides, diagnostics, model.decl.name.name)
  const env = modelEnv(run, model)
  registerLocalOverrides(model, env, library)
  const hyper = bounded(env, model.decl.name.span, () => bindHypers(model.decl, options, env)) ?? []
  const conditions = [...model.decl.where, ...inputConditions(model.decl.body)]
  const quiet = { ...env, run: { ...run, diagnostics: collector() } }
  bounded(env, model.decl.name.span, () => gatherBounds(conditions, quiet))
  // A step takes pieces of the sequence of any length from 1.
  for (const stmt of model.decl.body.stmts) {
    if (stmt.k === 'sequence') run.bounds.set(stmt.name.name, { ...run.bounds.get(stmt.name.name), lo: 1 })
  }
  const [later, now] = partition(model.decl.where, mentionsDims)
  bounded(env, model.decl.name.span, () => checkWhere(now, env))
  execBody(model.decl.body, env)
  bounded(env, model.decl.name.span, () => checkWhere(later, env, true))
  entries(env)
  if (run.outputs.length === 0 && run.faultyOutputs.size === 0 && !diagnostics.hasErrors()) {
    report(env, noOutput(model.decl.name.span, model.decl.name.name))
  }
  const explain: Explanation = { hyper, implicit: [...run.provenance.values()], assumptions: run.assumptions }
  const all = diagnostics.all()
  return hasErrors(all) ? { diagnostics: all, explain } : { graph: graphOf(run, model), diagnostics: all, explain }
}

/** Numbers beyond 2^53 are reported rather than thrown. */
function bounded<T>(env: Env, span: Span, run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof IxOverflow)) throw error
    report(env, numberTooLarge(span))
    return undefined
  }
}

function chooseModel(main: Module, wanted: string | undefined, diagnostics: Collector): ModelDef | undefined {
  const names = [...main.models.keys()]
  if (wanted !== undefined) {
    const found = main.models.get(wanted)
    if (!found)
      diagnostics.add(
        noModel(undefined, `${main.path} has no model \`${wanted}\``, suggestion(wanted, names) ?? listed(names)),
      )
    return found
  }
  // A model declared in the file comes before those it imports.
  const own = [...main.models.values()].filter((m) => m.module === main)
  const candidates = own.length > 0 ? own : [...main.models.values()]
  if (candidates.length === 1) return candidates[0]
  const span = main.file.items.find((item) => item.k === 'model')?.name.span
  if (candidates.length > 1) diagnostics.add(noModel(span, `${main.path} has several models`, listed(names)))
  else if (!diagnostics.hasErrors() && !brokenModel(main))
    diagnostics.add(noModel(undefined, `${main.path} has no model`))
  return undefined
}

/** The parser has reported a model that it could not read. */
const brokenModel = (main: Module): boolean => main.file.items.some((item) => item.k === 'model')

const listed = (names: readonly string[]): string | undefined =>
  names.length > 0 ? `choose ${names.map((n) => `\`${n}\``).join(' or ')}` : undefined

function modelEnv(run: Run, model: ModelDef): Env {
  const scope = newScope()
  run.modelScope = scope
  return {
    run,
    scope,
    frame: { name: model.decl.name.name, values: new Map(), spans: [] },
    module: model.module,
    blocks: undefined,
    hypers: run.hyperScope,
    path: '',
    template: '',
    lanes: [],
    loops: [],
    facts: [],
  }
}

function gatherOverrides(
  main: Module,
  model: ModelDef,
  library: Library,
  diagnostics: Collector,
): Map<string, BlockDef> {
  const overrides = new Map<string, BlockDef>()
  for (const module of new Set([main, model.module])) {
    for (const def of module.blocks.values()) {
      if (def.decl.override && checkOverride(def, library, diagnostics)) overrides.set(def.name, def)
    }
  }
  return overrides
}

function registerLocalOverrides(model: ModelDef, env: Env, library: Library): void {
  for (const stmt of model.decl.body.stmts) {
    if (stmt.k !== 'block' || !stmt.override) continue
    const def: BlockDef = {
      name: stmt.name.name,
      decl: stmt,
      module: model.module,
      std: false,
      hypers: env.run.hyperScope,
    }
    if (checkOverride(def, library, env.run.diagnostics)) env.run.overrides.set(def.name, def)
  }
}

function checkOverride(def: BlockDef, library: Library, diagnostics: Collector): boolean {
  const original = library.blocks.get(def.name)
  const span = def.decl.name.span
  if (!original) {
    diagnostics.add(unusedOverride(span, def.name, suggestion(def.name, library.blocks.keys())))
    return false
  }
  const signature = (decl: ast.Block): string[] =>
    decl.params.map((p) => `${p.auto ? 'auto ' : ''}${p.name.name}${p.type ? `: ${p.type.dtype.name}` : ''}`)
  const [mine, theirs] = [signature(def.decl), signature(original.decl)]
  if (mine.join() === theirs.join()) return true
  diagnostics.add(overrideMismatch(span, def.name, `it is (${theirs.join(', ')}), here (${mine.join(', ')})`))
  return false
}

function inputConditions(body: ast.Body): ast.Expr[] {
  const found: ast.Expr[] = []
  walk(body, (node) => {
    if (node.k === 'block') return false
    if (node.k === 'input') found.push(...node.where)
    return undefined
  })
  return found
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))]
}

/** `entry decode: memory, tgt -> logits` cuts the one graph: what it computes must come from what it lists. */
function entries(env: Env): void {
  const { run } = env
  const inputs = new Map<string, Node>(run.inputs.map((i) => [i.name, i.node]))
  const outputs = new Map<string, Node>(run.outputs.map((o) => [o.name, o.node]))
  const optional = new Set(run.inputs.filter((i) => i.default).map((i) => i.node))
  const named = new Set<string>()
  for (const entry of run.entryDecls) {
    if (named.has(entry.name.name)) report(env, declaredTwice(entry.name.span, entry.name.name))
    named.add(entry.name.name)
    let good = true
    const unknown = (name: ast.Name, expected: string, names: Iterable<string>): void => {
      good = false
      if (!run.faultyOutputs.has(name.name))
        report(env, entryUnknown(name.span, name.name, expected, suggestion(name.name, names)))
    }
    const given = new Set<Node>()
    for (const name of entry.inputs) {
      const node = inputs.get(name.name) ?? outputs.get(name.name)
      if (node) given.add(node)
      else unknown(name, 'input or output of the model', [...inputs.keys(), ...outputs.keys()])
    }
    const wanted: Node[] = []
    for (const name of entry.outputs) {
      const node = outputs.get(name.name)
      if (node) wanted.push(node)
      else unknown(name, 'output of the model', outputs.keys())
    }
    if (!good) continue
    for (const missing of inputsBehind(wanted, given)) {
      if (optional.has(missing)) continue
      report(env, entryNeeds(entry.name.span, entry.name.name, missing.attrs.name as string))
    }
    run.entries.push({
      name: entry.name.name,
      inputs: entry.inputs.map((n) => n.name),
      outputs: entry.outputs.map((n) => n.name),
    })
  }
}

function inputsBehind(roots: readonly Node[], given: ReadonlySet<Node>): Set<Node> {
  const found = new Set<Node>()
  const seen = new Set<Node>()
  const stack = [...roots]
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node) || given.has(node)) continue
    seen.add(node)
    if (node.op === 'input') found.add(node)
    stack.push(...node.inputs)
  }
  return found
}

function graphOf(run: Run, model: ModelDef): Graph {
  return {
    name: run.name,
    ...(model.decl.doc ? { doc: model.decl.doc } : {}),
    inputs: run.inputs,
    params: [...run.params.values()].map((p) => p.spec),
    outputs: run.outputs,
    entries: run.entries,
    dims: usedDims(run),
    ...(run.sequence ? { sequence: run.sequence } : {}),
    constraints: run.constraints,
    rules: run.rules,
    hyper: run.hyper,
  }
}

/** Dims in order of first mention; bounds of one may mention another. */
function usedDims(run: Run): Sym[] {
  const dims = new Set(run.dims)
  for (const dim of run.dims) for (const s of symbolsOf(dim.lo)) dims.add(s)
  return [...dims]
}

export type { HyperValue, Json }
