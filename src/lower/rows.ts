/** Whether what a row needs of a value is that row of it: then one kernel can compute both, row by row. */
import { lowerNode, virtual } from '../ir/kinds.ts'
import type { Node } from '../ir/types.ts'
import { exprsOfStage } from '../kernel/rows.ts'
import { loadsOf } from '../kernel/walk.ts'
import type { Ix } from '../types/ix.ts'
import { isConst, of, substitute } from '../types/ix.ts'
import type { Flow } from './flow.ts'
import { free } from './flow.ts'

/** Whether all in `nodes` that depends on `n` reads it, and what is computed from it there, at its own row: the leading `count` axes. */
export function readAtOwnRow(flow: Flow, nodes: ReadonlySet<Node>, n: Node, count: number): boolean {
  const seen = new Set<Node>([n])
  const waiting = [n]
  for (let m = waiting.pop(); m !== undefined; m = waiting.pop()) {
    for (const r of new Set(flow.readers(m))) {
      if (!nodes.has(r)) continue
      if (!ownRow(flow, r, m, count)) return false
      if (!seen.has(r)) waiting.push(r)
      seen.add(r)
    }
  }
  return true
}

function ownRow(flow: Flow, reader: Node, n: Node, count: number): boolean {
  const unit = n.type.shape.map((d) => isConst(d) === 1)
  let own: readonly Ix[] = []
  /** For `m` at index `at` (the reader at its own): whether what it loads of `n`, also through views, lies in the row of `own`. */
  const holds = (m: Node, at?: readonly Ix[]): boolean => {
    const inputs = m.inputs.map(virtual)
    const stages = lowerNode(m, inputs, virtual(m))
    const { domain } = stages[stages.length - 1]
    if (at === undefined) own = domain.map(of)
    const here = new Map(domain.map((s, i) => [s, at === undefined ? of(s) : at[i]]))
    return stages.flatMap(exprsOfStage).every((e) =>
      loadsOf(e).every((l) => {
        const x = m.inputs[inputs.indexOf(l.buf)]
        if (x === undefined) return true
        const place = l.at.map((c) => substitute(c, here))
        if (x === n) return place.slice(0, count).every((c, i) => unit[i] || c === own[i])
        return !free(flow.kind(x)) || holds(x, place)
      }),
    )
  }
  return holds(reader)
}
