/**
 * What a group hands on, and in which form: each value that other groups (or the caller) read is stored once, as itself or, where all
 * its readers look through invertible views that do not overlap, as those views.
 */
import type { Node } from '../ir/types.ts'
import { add, proveLe } from '../types/ix.ts'
import { elements } from '../types/shape.ts'
import { inputsOf, leaves, mostBuffers } from './buffers.ts'
import type { Flow } from './flow.ts'
import type { Group } from './partition.ts'
import { invert } from './views.ts'

/** `value` is computed by the group, `stored` is what lies in memory: `value` itself or the last of `views`. */
export interface Stored {
  readonly value: Node
  readonly views: readonly Node[]
  readonly stored: Node
}

/** Whether anything outside `g` reads `n` at its own index or through an inline node. */
function readDirectly(flow: Flow, g: Group, n: Node): boolean {
  if (flow.isResult(n)) return true
  return flow.users.get(n)!.some((u) => {
    const k = flow.kind(u)
    if (k === 'view') return false
    if (k === 'inline') return leaves(flow, g.nodes, u)
    return !g.nodes.has(u)
  })
}
/** The stored forms of every value of the group that leaves it. */
export function storedOf(flow: Flow, g: Group): Stored[] {
  const out: Stored[] = []
  for (const n of [...g.nodes].sort((a, b) => flow.position.get(a)! - flow.position.get(b)!)) {
    if (flow.kind(n) === 'append') {
      out.push({ value: n, views: [], stored: n })
      continue
    }
    if (!leaves(flow, g.nodes, n)) continue
    const forms = g.kind === 'rows' || g.before?.has(n) ? [] : sink(flow, g, n, [])
    // Too many pieces to bind: the value is stored whole, and its readers look through the views.
    const whole = forms.length === 0 || forms.length > mostBuffers - inputsOf(flow, g.nodes)
    for (const views of whole ? [[]] : forms) {
      const stored = views[views.length - 1] ?? n
      // Results of several columns are told by where they read, not by where a column lands.
      out.push(g.columns ? { value: stored, views: [], stored } : { value: n, views, stored })
    }
  }
  return out
}

/** The chains of views to store `n` through; a chain may be empty. */
function sink(flow: Flow, g: Group, n: Node, chain: readonly Node[]): (readonly Node[])[] {
  const stay = [chain]
  if (readDirectly(flow, g, n)) return stay
  const views = flow.users.get(n)!.filter((u) => flow.kind(u) === 'view' && leaves(flow, g.nodes, u))
  if (views.some((v) => invert(v) === undefined || flow.loopOf(v) !== flow.loopOf(n))) return stay
  const total = views.map((v) => elements(v.type.shape)).reduce((a, b) => add(a, b))
  if (!proveLe(total, elements(n.type.shape))) return stay
  return views.flatMap((v) => sink(flow, g, v, [...chain, v]))
}
