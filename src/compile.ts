/** The whole flow on one screen: text → AST → graph → checked graph → passes → programs → kernels; a target makes files of the result. */
import { parse } from '../grammar/parse.ts'
import type { CheckedGraph } from './check/index.ts'
import { check } from './check/index.ts'
import { looksAhead } from './diagnostics/catalogue.ts'
import { DiagnosticError, hasErrors, withReasons } from './diagnostics/index.ts'
import type { Diagnostic, SourceFile } from './diagnostics/index.ts'
import type { ElaborateOptions, Explanation } from './frontend/index.ts'
import { elaborate } from './frontend/index.ts'
import type { Graph } from './ir/types.ts'
import { resetExpressions } from './kernel/expr.ts'
import type { LoweredModule } from './lower/module.ts'
import { lowerModule } from './lower/module.ts'
import type { PanelLayout } from './lower/weights.ts'
import type { ProgramSource } from './lower/program.ts'
import type { Observer } from './passes/pass.ts'
import { runPasses } from './passes/pass.ts'
import { pipeline } from './passes/pipeline.ts'
import type { Derived, Refusal } from './sequence/derive.ts'
import { derive, isRefusal } from './sequence/derive.ts'
import { reorder } from './sequence/reorder.ts'
import type { Arithmetic, Target, WeightFormat } from './target.ts'

export interface CheckedModel {
  readonly graph: CheckedGraph
  readonly explain: Explanation
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[]
}

export interface CompileOptions {
  /** Off: no passes, each node a kernel of its own (views still cost nothing). For comparing. */
  readonly fuse?: boolean
  /** Adds the program `reorder`, which beam search and several samples of a prompt need. Default false. */
  readonly reorder?: boolean
  readonly onPass?: Observer
  /** How matrices are kept in memory, by the checkpoint tensors they are made of, where the target can. Default `f32`. */
  readonly weights?: (from: readonly string[]) => WeightFormat
  /** What contractions with weights kept as f16 are computed in, where target and device can. Default `f32`, which is exact but for f32's own rounding. */
  readonly arithmetic?: Arithmetic
}

export interface Compiled {
  /** As written: what the reference evaluates. */
  readonly graph: Graph
  readonly optimised: Graph
  readonly programs: readonly ProgramSource[]
  readonly lowered: LoweredModule
  readonly derived?: Derived
  /** Why there is no step, as a diagnostic (TFM1701). */
  readonly notSteppable?: Diagnostic
}

/** Parses, elaborates and checks. Throws `DiagnosticError` with every error that could be found. */
export function checkModel(file: SourceFile, options: ElaborateOptions = {}): CheckedModel {
  const parsed = parse(file)
  const elaborated = elaborate(parsed.ast, { ...options, syntax: parsed.diagnostics })
  const found = [...parsed.diagnostics, ...elaborated.diagnostics]
  if (hasErrors(found) || elaborated.graph === undefined) throw new DiagnosticError(found)
  const { graph, diagnostics } = check(elaborated.graph)
  const all = [...found, ...diagnostics]
  if (graph === undefined || hasErrors(all)) throw new DiagnosticError(all)
  return { graph, explain: elaborated.explain, diagnostics: all }
}

/** Lowers a checked graph against a target's weight layout. */
export function compileGraph(
  graph: CheckedGraph,
  source: SourceFile,
  target: Pick<Target, 'panelLayout' | 'prologues'>,
  options: CompileOptions = {},
): Compiled {
  resetExpressions()
  const fuse = options.fuse ?? true
  const optimised = runPasses(graph, fuse ? pipeline : [], options.onPass)
  const result = derive(optimised)
  const derived = result === undefined || isRefusal(result) ? undefined : result
  const refusal = isRefusal(result) ? refused(result) : undefined
  const programs = programsOf(optimised, derived)
  const rows = options.reorder && derived ? reorder(derived) : undefined
  if (rows) programs.push({ name: 'reorder', graph: rows.graph, keep: new Set(rows.graph.outputs.map((o) => o.name)) })
  const state = (derived?.state ?? []).map((s) => (rows?.states.has(s.name) ? { ...s, rows: true } : s))
  const panelLayout: PanelLayout = (k, n, from, order) => {
    const layout = target.panelLayout(k, n, options.weights?.(from), order)
    const { kept } = layout
    return options.arithmetic === 'f16' && kept?.as === 'f16'
      ? { ...layout, kept: { ...kept, arithmetic: 'f16' } }
      : layout
  }
  const lowered = lowerModule(
    {
      graph, source: source.path, programs, state,
      ...(derived ? { sequence: { T: derived.T, past: derived.past, max: derived.max, ...(rows ? { batch: rows.batch } : {}) } } : {}),
      ...(refusal ? { notSteppable: refusal.message } : {}),
    }, { panelLayout, prologues: target.prologues === true }, fuse,
  ) // prettier-ignore
  return {
    graph,
    optimised,
    programs,
    lowered,
    ...(derived ? { derived } : {}),
    ...(refusal ? { notSteppable: refusal } : {}),
  }
}

const refused = ({ node, message, output }: Refusal): Diagnostic =>
  withReasons(looksAhead(node.origin.span, node.op, output), { message, span: node.origin.span })

function programsOf(run: Graph, derived: Derived | undefined): ProgramSource[] {
  const none = new Set<string>()
  const programs: ProgramSource[] = [{ name: 'run', graph: run, keep: none }]
  if (derived === undefined) return programs
  const keep = new Set(derived.state.filter((s) => s.axis === undefined).map((s) => s.name))
  const next = new Set(derived.replaced)
  if (derived.prepare) programs.push({ name: 'prepare', graph: derived.prepare, keep })
  programs.push(
    { name: 'prefill', graph: derived.prefill, keep: next },
    { name: 'step', graph: derived.step, keep: next },
  )
  return programs
}

/** From text to a lowered module. Throws `DiagnosticError`. */
export function compile(
  file: SourceFile,
  target: Pick<Target, 'panelLayout' | 'prologues'>,
  options: ElaborateOptions & CompileOptions = {},
): Compiled & { readonly diagnostics: readonly Diagnostic[]; readonly explain: Explanation } {
  const checked = checkModel(file, options)
  return {
    ...compileGraph(checked.graph, file, target, options),
    diagnostics: checked.diagnostics,
    explain: checked.explain,
  }
}
