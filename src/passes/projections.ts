/**
 * Merging of parallel projections: x @ W1 + b1, x @ W2 + b2, … of one x become slices of x @ [W1 W2 …] + [b1 b2 …]. The concatenated
 * weights are made at load; where they are neighbouring slices of one tensor, canonicalisation gives the tensor back.
 */
import type { Builder } from '../ir/build.ts'
import { makeBuilder } from '../ir/build.ts'
import { regionsOf } from '../ir/regions.ts'
import { mapRoots, topological } from '../ir/traverse.ts'
import type { Graph, Node } from '../ir/types.ts'
import { con, isConst } from '../types/ix.ts'
import type { Pass } from './pass.ts'

interface Branch {
  readonly product: Node
  readonly weight: Node
  /** The node that adds the bias, and the bias. */
  readonly sum?: Node
  readonly bias?: Node
  readonly width: number
}

function run(graph: Graph): Graph {
  const order = topological([...graph.inputs.map((i) => i.node), ...graph.outputs.map((o) => o.node)])
  const users = new Map<Node, Node[]>(order.map((n) => [n, []]))
  const constant = new Map<Node, boolean>()
  const regions = regionsOf(order)
  for (const n of order) {
    for (const x of new Set(n.inputs)) users.get(x)!.push(n)
    const ofConstants = n.inputs.length > 0 && n.inputs.every((x) => constant.get(x) === true)
    constant.set(n, n.op === 'param' || (ofConstants && regions.of(n) === undefined))
  }
  const results = new Set(graph.outputs.map((o) => o.node))

  const branch = (n: Node): Branch | undefined => {
    const [x, weight] = n.inputs
    if (n.op !== 'matmul' || constant.get(x) || !constant.get(weight) || weight.type.shape.length !== 2)
      return undefined
    const width = isConst(weight.type.shape[1])
    if (width === undefined) return undefined
    const [sum, ...others] = users.get(n)!
    const bias = sum?.op === 'add' ? sum.inputs.find((y) => y !== n) : undefined
    if (others.length > 0 || results.has(n) || bias === undefined || !constant.get(bias))
      return { product: n, weight, width }
    if (bias.type.shape.length !== 1 || isConst(bias.type.shape[0]) !== width) return { product: n, weight, width }
    return { product: n, weight, width, sum, bias }
  }

  /** Each branch's last node, with its set and where its columns start. */
  const place = new Map<Node, { readonly set: readonly Branch[]; readonly start: number; readonly width: number }>()
  for (const x of order) {
    const all = users.get(x)!.filter((n) => n.inputs[0] === x).map(branch).filter((b) => b !== undefined) // prettier-ignore
    for (const set of [all.filter((b) => b.bias !== undefined), all.filter((b) => b.bias === undefined)]) {
      if (set.length < 2) continue
      let start = 0
      for (const b of set) {
        place.set(b.sum ?? b.product, { set, start, width: b.width })
        start += b.width
      }
    }
  }
  if (place.size === 0) return graph

  const build = makeBuilder({ share: true })
  const made = new Map<Node, Node>()
  const go = (n: Node): Node => {
    let out = made.get(n)
    if (out === undefined) made.set(n, (out = make(n)))
    return out
  }
  const make = (n: Node): Node => {
    const p = place.get(n)
    if (p === undefined) return build.again(n, n.inputs.map(go))
    const whole = merged(p.set, build, go)
    return build.node(
      'slice',
      [whole],
      { axis: n.type.shape.length - 1, start: con(p.start), size: con(p.width) },
      n.origin,
    )
  }
  return mapRoots(graph, go)
}

function merged(set: readonly Branch[], build: Builder, go: (n: Node) => Node): Node {
  const [first] = set
  const weights = build.node('concat', set.map((b) => go(b.weight)), { axis: 1 }, first.weight.origin) // prettier-ignore
  const product = build.node(
    'matmul',
    [go(first.product.inputs[0]), weights],
    first.product.attrs,
    first.product.origin,
  )
  if (first.bias === undefined) return product
  const bias = build.node('concat', set.map((b) => go(b.bias!)), { axis: 0 }, first.bias.origin) // prettier-ignore
  return build.node('add', [product, bias], first.sum!.attrs, first.sum!.origin)
}

export const projections: Pass = {
  name: 'projections',
  description: 'merge parallel projections of one input (q, k, v; gate and up)',
  run,
}
