/** Warnings about a graph that is well-formed and yet probably not what was meant. */
import { unusedInput, unusedParam } from '../diagnostics/catalogue.ts'
import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import { topological } from '../ir/traverse.ts'
import type { Graph } from '../ir/types.ts'

/** Inputs and parameters that no output depends on. */
export function lint(graph: Graph): Diagnostic[] {
  const used = new Set(topological(graph.outputs.map((o) => o.node)))
  const names = new Set([...used].filter((n) => n.op === 'param').map((n) => n.attrs.name))
  const fallbacks = new Set(graph.params.filter((p) => names.has(p.name)).map((p) => p.fallback))
  return [
    ...graph.inputs.filter((i) => !used.has(i.node)).map((i) => unusedInput(i.node.origin.span, i.name)),
    ...graph.params.filter((p) => !names.has(p.name) && !fallbacks.has(p.name)).map((p) => unusedParam(p.span, p.name)),
  ]
}
