/** A graph with dims replaced: `step` is `prefill` at T = 1. */
import { makeBuilder } from '../ir/build.ts'
import { topological } from '../ir/traverse.ts'
import type { Graph, Node } from '../ir/types.ts'
import type { Attr, Attrs } from '../ops/define.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { substitute } from '../types/ix.ts'

export function substituteGraph(graph: Graph, map: ReadonlyMap<Sym, Ix>): Graph {
  const builder = makeBuilder({ share: true })
  const made = new Map<Node, Node>()
  const inIx = (x: Ix): Ix => substitute(x, map)
  const inAttr = (a: Attr): Attr => {
    if (Array.isArray(a)) return a.map((x: Ix | number) => (typeof x === 'object' ? inIx(x) : x)) as Attr
    return typeof a === 'object' ? inIx(a as Ix) : a
  }
  for (const n of topological([...graph.inputs.map((i) => i.node), ...graph.outputs.map((o) => o.node)])) {
    const attrs: Attrs = Object.fromEntries(Object.entries(n.attrs).map(([k, a]) => [k, inAttr(a)]))
    made.set(n, builder.node(n.op, n.inputs.map((x) => made.get(x)!), attrs, n.origin))
  }
  return {
    ...graph,
    inputs: graph.inputs.map((i) => ({ ...i, node: made.get(i.node)! })),
    outputs: graph.outputs.map((o) => ({ ...o, node: made.get(o.node)! })),
    dims: graph.dims.filter((d) => !map.has(d)),
    constraints: graph.constraints.map((c) => ({ ...c, a: inIx(c.a), b: inIx(c.b) })),
  }
}
