/** A graph with dims replaced: `step` is `prefill` at T = 1. A scan that then has one step is that step. */
import { substituteAttrs } from '../ir/attrs.ts'
import { makeBuilder } from '../ir/build.ts'
import { mapRoots, nodesOf } from '../ir/traverse.ts'
import type { Graph, Node } from '../ir/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { isConst, substitute } from '../types/ix.ts'

export function substituteGraph(graph: Graph, map: ReadonlyMap<Sym, Ix>): Graph {
  const builder = makeBuilder({ share: true })
  const made = new Map<Node, Node>()
  const at = (n: Node): Node => made.get(n)!
  /** A result of a scan of one step: a yield with one more axis, or the next value of a carry. */
  const resultOf = (scan: Node, index: number, attrs: Node['attrs']): Node => {
    const carries = scan.attrs.carries as number
    const yields = scan.inputs.length - carries
    if (index >= yields) return at(scan.inputs[index - yields])
    return builder.node('reshape', [at(scan.inputs[carries + index])], { shape: attrs.shape }, scan.origin)
  }
  const once = (n: Node): boolean => n.op === 'scan' && isConst(substitute(n.attrs.extent as Ix, map)) === 1
  const loops = new Set(nodesOf(graph).flatMap((n) => (once(n) ? [n.attrs.loop] : [])))
  for (const n of nodesOf(graph)) {
    const attrs = substituteAttrs(n.attrs, map)
    if (once(n)) continue
    if (n.op === 'carry' && loops.has(n.attrs.loop)) made.set(n, at(n.inputs[0]))
    else if (n.op === 'part' && once(n.inputs[0])) made.set(n, resultOf(n.inputs[0], n.attrs.index as number, attrs))
    else made.set(n, builder.again(n, n.inputs.map(at), attrs))
  }
  const { sequence, ...rest } = mapRoots(graph, at)
  return {
    ...rest,
    ...(sequence === undefined || map.has(sequence) ? {} : { sequence }),
    dims: graph.dims.filter((d) => !map.has(d)),
    constraints: graph.constraints.map((c) => ({ ...c, a: substitute(c.a, map), b: substitute(c.b, map) })),
  }
}
