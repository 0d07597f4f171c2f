/** Walks over graphs: order, uses, rebuilding. */
import { makeBuilder, type Builder } from './build.ts'
import type { Graph, Node } from './types.ts'

/** Every node that `roots` need, each after its inputs; inputs in order, so that the result is stable. `inputsOf` may add dependences. No recursion: graphs are deep. */
export function topological(roots: readonly Node[], inputsOf: (n: Node) => readonly Node[] = (n) => n.inputs): Node[] {
  const done = new Set<Node>()
  const order: Node[] = []
  const stack: Node[] = []
  const next: number[] = []
  for (const root of roots) {
    if (done.has(root)) continue
    stack.push(root)
    next.push(0)
    while (stack.length > 0) {
      const top = stack.length - 1
      const node = stack[top]
      const inputs = inputsOf(node)
      let i = next[top]
      while (i < inputs.length && done.has(inputs[i])) i++
      next[top] = i + 1
      if (i < inputs.length) {
        stack.push(inputs[i])
        next.push(0)
        continue
      }
      done.add(node)
      order.push(node)
      stack.pop()
      next.pop()
    }
  }
  return order
}

/** What a graph holds on to: its inputs and their defaults, then its outputs. */
export function rootsOf(graph: Graph): Node[] {
  return [
    ...graph.inputs.flatMap((i) => [i.node, ...(i.default ? [i.default] : [])]),
    ...graph.outputs.map((o) => o.node),
  ]
}

/** The graph with each of its roots replaced. */
export function mapRoots(graph: Graph, at: (n: Node) => Node): Graph {
  return {
    ...graph,
    inputs: graph.inputs.map((i) => ({ ...i, node: at(i.node), ...(i.default ? { default: at(i.default) } : {}) })),
    outputs: graph.outputs.map((o) => ({ ...o, node: at(o.node) })),
  }
}

/** All nodes of a graph, each after its inputs. */
export const nodesOf = (graph: Graph): Node[] => topological(rootsOf(graph))

/** The nodes that read each node; a node that reads another twice is listed twice. Outputs are not uses. */
export function usesOf(nodes: readonly Node[]): Map<Node, Node[]> {
  const uses = new Map<Node, Node[]>(nodes.map((n) => [n, []]))
  for (const n of nodes) for (const x of n.inputs) uses.get(x)?.push(n)
  return uses
}

/**
 * Rebuilds a graph bottom-up. `f` sees each node with its new inputs in place and answers with a replacement, or undefined to keep it. Equal
 * nodes are made once. Nodes that nothing changes stay the same objects.
 */
export function rewriteGraph(
  graph: Graph,
  f: (node: Node, builder: Builder, original: Node) => Node | undefined,
): Graph {
  const order = nodesOf(graph)
  const builder = makeBuilder({ share: true })
  const made = new Map<Node, Node>()
  const of = (n: Node): Node => made.get(n) ?? n
  for (const n of order) {
    const inputs = n.inputs.map(of)
    const same = inputs.every((x, i) => x === n.inputs[i])
    const rebuilt = same ? n : builder.node(n.op, inputs, n.attrs, n.origin)
    made.set(n, f(rebuilt, builder, n) ?? rebuilt)
  }
  return mapRoots(graph, of)
}
