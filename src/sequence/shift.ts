/** A value put behind others and cut off at its end, `concat([a, x[:, 0:T - 1]])`, is the front of the longer `concat([a, x])`: that one a tail can hold. */
import { rewriteGraph } from '../ir/traverse.ts'
import type { Graph } from '../ir/types.ts'
import { opOf } from '../ops/table.ts'
import type { Ix } from '../types/ix.ts'
import { isConst } from '../types/ix.ts'

export function lengthened(graph: Graph): Graph {
  return rewriteGraph(graph, (n, builder) => {
    const types = n.inputs.map((x) => x.type)
    const lead = opOf(n.op).leads?.(types, n.attrs)
    if (lead === undefined) return undefined
    const { axis, body } = lead
    const front = n.inputs[body]
    if (front.op !== 'slice' || front.attrs.axis !== axis || isConst(front.attrs.start as Ix) !== 0) return undefined
    if (isConst(front.type.shape[axis]) !== undefined) return undefined
    const inputs = n.inputs.map((x, i) => (i === body ? front.inputs[0] : x))
    return builder.node(
      'slice',
      [builder.node(n.op, inputs, n.attrs, n.origin)],
      { axis, start: front.attrs.start, size: n.type.shape[axis] },
      n.origin,
    )
  })
}
