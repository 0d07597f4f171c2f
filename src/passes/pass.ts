/** What a pass is, and how pipelines run. */
import type { Graph } from '../ir/types.ts'

export interface Pass {
  /** Its flag (`--after <name>`) and its name in dumps and errors. */
  readonly name: string
  readonly description: string
  readonly run: (graph: Graph) => Graph
}

/** Sees the graph after each pass: dumps, verification in tests. */
export type Observer = (pass: Pass, graph: Graph) => void

export function runPasses(graph: Graph, passes: readonly Pass[], observe?: Observer): Graph {
  let current = graph
  for (const pass of passes) {
    current = pass.run(current)
    observe?.(pass, current)
  }
  return current
}
