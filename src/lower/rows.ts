/** Whether what a row needs of a value is that row of it: then one kernel can compute both, row by row. */
import { lowerNode, virtual } from '../ir/kinds.ts'
import { memoByStructure } from '../ir/structural.ts'
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

/** Where a node loads its operands, at its own index: what layers repeat is looked at once. */
const loadsAt = memoByStructure((n) => {
  const inputs = n.inputs.map(virtual)
  const stages = lowerNode(n, inputs, virtual(n))
  const loads = stages.flatMap(exprsOfStage).flatMap(loadsOf)
  return {
    index: stages[stages.length - 1].domain,
    loads: loads.flatMap(({ buf, at }) => (inputs.includes(buf) ? [{ input: inputs.indexOf(buf), at }] : [])),
  }
})

function ownRow(flow: Flow, reader: Node, n: Node, count: number): boolean {
  const unit = n.type.shape.map((d) => isConst(d) === 1)
  const own = loadsAt(reader).index.map(of)
  /** For `m` at index `at` (the reader at its own): whether what it loads of `n`, also through views, lies in the row of `own`. */
  const holds = (m: Node, at: readonly Ix[]): boolean => {
    const { index, loads } = loadsAt(m)
    const here = new Map(index.map((s, i) => [s, at[i]]))
    return loads.every((l) => {
      const x = m.inputs[l.input]
      if (x !== n && !free(flow.kind(x))) return true
      const place = l.at.map((c) => substitute(c, here))
      return x === n ? place.slice(0, count).every((c, i) => unit[i] || c === own[i]) : holds(x, place)
    })
  }
  return holds(reader, own)
}
