/** A graph with dims replaced: `step` is `prefill` at T = 1. */
import { substituteAttrs } from '../ir/attrs.ts'
import { makeBuilder } from '../ir/build.ts'
import { nodesOf } from '../ir/traverse.ts'
import type { Graph, Node } from '../ir/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { substitute } from '../types/ix.ts'

export function substituteGraph(graph: Graph, map: ReadonlyMap<Sym, Ix>): Graph {
  const builder = makeBuilder({ share: true })
  const made = new Map<Node, Node>()
  const at = (n: Node): Node => made.get(n)!
  for (const n of nodesOf(graph)) made.set(n, builder.again(n, n.inputs.map(at), substituteAttrs(n.attrs, map)))
  const { sequence, ...rest } = graph
  return {
    ...rest,
    ...(sequence === undefined || map.has(sequence) ? {} : { sequence }),
    inputs: graph.inputs.map((i) => ({ ...i, node: at(i.node), ...(i.default ? { default: at(i.default) } : {}) })),
    outputs: graph.outputs.map((o) => ({ ...o, node: at(o.node) })),
    dims: graph.dims.filter((d) => !map.has(d)),
    constraints: graph.constraints.map((c) => ({ ...c, a: substitute(c.a, map), b: substitute(c.b, map) })),
  }
}
