/** Rebuilding a graph node by node, with rules tried on each rebuilt node until none applies. */
import type { Builder } from '../ir/build.ts'
import { makeBuilder } from '../ir/build.ts'
import { mapRoots, nodesOf } from '../ir/traverse.ts'
import type { Graph, Node } from '../ir/types.ts'

/** One rewrite: a row beneath the law that makes it right. Returns the replacement, or undefined where it does not apply. */
export interface Rule {
  readonly law: string
  readonly apply: (n: Node, build: Builder) => Node | undefined
}

/** A node is rewritten at most this often: rules shrink what they touch, so more means that two of them undo each other. */
const patience = 64

/** Rebuilds with hash-consing: equal nodes become one (CSE), unreachable ones are gone (DCE). */
export function rebuild(graph: Graph, rules: readonly Rule[]): Graph {
  const build = makeBuilder({ share: true })
  const made = new Map<Node, Node>()
  const settled = new Set<Node>()
  const applied = (n: Node): Node | undefined => {
    for (const rule of rules) {
      const out = rule.apply(n, build)
      if (out !== undefined && out !== n) return out
    }
    return undefined
  }
  const settle = (start: Node): Node => {
    let n = start
    for (let i = 0; i < patience; i++) {
      if (settled.has(n)) return n
      const next = applied(n)
      if (next === undefined) {
        settled.add(n)
        return n
      }
      n = next
    }
    throw new Error(`internal: rewrite rules do not settle on ${n.op}`)
  }
  for (const n of nodesOf(graph)) {
    const again = build.again(
      n,
      n.inputs.map((x) => made.get(x)!),
    )
    made.set(n, settle(again))
  }
  return mapRoots(graph, (n) => made.get(n)!)
}
