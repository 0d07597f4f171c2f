/**
 * What a group hands on, and in which form: each value that other groups (or the caller) read is stored once, as itself or, where all
 * its readers look through invertible views that do not overlap, as those views.
 */
import type { Node } from '../ir/types.ts'
import { add, proveLe } from '../types/ix.ts'
import { elements } from '../types/shape.ts'
import type { Flow } from './flow.ts'
import type { Group, Partition } from './partition.ts'
import { invert } from './views.ts'

/** `value` is computed by the group, `stored` is what lies in memory: `value` itself or the last of `views`. */
export interface Stored {
  readonly value: Node
  readonly views: readonly Node[]
  readonly stored: Node
}

/** Whether anything outside `g` reads `n` at its own index or through an inline node. */
function readDirectly(flow: Flow, partition: Partition, g: Group, n: Node): boolean {
  if (flow.isResult(n)) return true
  return flow.users.get(n)!.some((u) => {
    const k = flow.kind(u)
    if (k === 'view') return false
    if (k === 'inline') return outside(flow, partition, g, u)
    return partition.groupOf.get(u) !== g
  })
}
/** Whether a view or inline node leads to a reader outside `g`. */
function outside(flow: Flow, partition: Partition, g: Group, n: Node): boolean {
  if (flow.isResult(n)) return true
  return flow.users.get(n)!.some((u) => {
    const k = flow.kind(u)
    return k === 'view' || k === 'inline' ? outside(flow, partition, g, u) : partition.groupOf.get(u) !== g
  })
}

/** The stored forms of every value of the group that leaves it. */
export function storedOf(flow: Flow, partition: Partition, g: Group): Stored[] {
  const out: Stored[] = []
  for (const n of [...g.nodes].sort((a, b) => flow.position.get(a)! - flow.position.get(b)!)) {
    if (flow.kind(n) === 'append') {
      out.push({ value: n, views: [], stored: n })
      continue
    }
    if (!outside(flow, partition, g, n)) continue
    const forms = g.kind === 'rows' ? undefined : sink(flow, partition, g, n, [])
    for (const views of forms ?? [[]]) out.push({ value: n, views, stored: views[views.length - 1] ?? n })
  }
  return out
}

/** The chains of views to store `n` through; a chain may be empty. */
function sink(flow: Flow, partition: Partition, g: Group, n: Node, chain: readonly Node[]): (readonly Node[])[] {
  const stay = [chain]
  if (readDirectly(flow, partition, g, n)) return stay
  const views = flow.users.get(n)!.filter((u) => flow.kind(u) === 'view' && outside(flow, partition, g, u))
  if (views.some((v) => invert(v) === undefined)) return stay
  const total = views.map((v) => elements(v.type.shape)).reduce((a, b) => add(a, b))
  if (!proveLe(total, elements(n.type.shape))) return stay
  return views.flatMap((v) => sink(flow, partition, g, v, [...chain, v]))
}
