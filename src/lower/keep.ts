/**
 * When kept values are written. Kernels that read a state want its old value, so the next one is stored after the last of them; where the kernel
 * that computes it reads the old one itself, or others still do, it goes to planned memory first and is copied.
 */
import { makeNode } from '../ir/build.ts'
import type { Loop } from '../ir/regions.ts'
import type { Node } from '../ir/types.ts'
import type { Flow } from './flow.ts'
import type { Group, Partition } from './partition.ts'
import type { Stored } from './store.ts'

export interface Ordered {
  readonly groups: readonly Group[]
  /** Kept values that are stored beside their state, and copied into it by a group of their own. */
  readonly beside: ReadonlySet<Node>
}

/**
 * The groups in order, with one more for each result that no group stores (an input returned as it is, a view that cannot be inverted, one value
 * under two names) and for each copy into a state. Adds what these store to `storedBy`.
 */
export function ordered(flow: Flow, parts: Partition, storedBy: Map<Group, readonly Stored[]>): Ordered {
  const storing = new Map<Node, Group>()
  for (const [g, all] of storedBy) for (const s of all) storing.set(s.stored, g)
  const place = new Map<Group, number>(parts.groups.map((g, i) => [g, i]))
  const ends = new Map<Loop, number>()
  for (const [g, i] of place) {
    const loop = outermost(flow, g)
    if (loop !== undefined) ends.set(loop, i)
  }
  /** Where a group has run for the last time: a loop runs as a whole. */
  const end = (g: Group): number => {
    const loop = outermost(flow, g)
    return loop === undefined ? place.get(g)! : ends.get(loop)!
  }
  const readers = new Map<string, number[]>()
  const note = (g: Group): void => {
    for (const n of g.nodes) {
      for (const x of flow.reads(n)) {
        if (x.op !== 'state') continue
        const name = x.attrs.name as string
        readers.set(name, [...(readers.get(name) ?? []), end(g)])
      }
    }
  }
  parts.groups.forEach(note)
  const lastReader = (n: Node): number => Math.max(-1, ...(readers.get(n.attrs.name as string) ?? []))
  const extra = (n: Node, at: number): void => {
    const g: Group = { id: place.size, kind: 'map', nodes: new Set([n]) }
    place.set(g, at)
    storedBy.set(g, [{ value: n, views: [], stored: n }])
    storing.set(n, g)
  }

  const kept = flow.graph.outputs.filter((o) => o.node.op === 'hold').map((o) => o.node)
  for (const { node } of flow.graph.outputs) {
    if (storing.has(node)) continue
    if (node.op !== 'hold') extra(node, Infinity)
    else {
      const sources = flow.reads(node).flatMap((x) => parts.groupOf.get(x) ?? [])
      extra(node, Math.max(lastReader(node), ...sources.map(end)) + 0.25)
    }
  }
  for (const n of kept) if (!parts.groups.includes(storing.get(n)!)) note(storing.get(n)!)
  const beside = new Set<Node>()
  for (const n of kept) {
    const at = place.get(storing.get(n)!)!
    if (lastReader(n) < at) continue
    beside.add(n)
    extra(makeNode('hold', [n], n.attrs, n.origin), lastReader(n) + 0.5)
  }
  const groups = [...place].sort(([g, a], [h, b]) => (a === b ? g.id - h.id : a - b)).map(([g]) => g)
  return { groups, beside }
}

function outermost(flow: Flow, g: Group): Loop | undefined {
  let loop = flow.loopOf([...g.nodes][0])
  while (loop?.parent !== undefined) loop = loop.parent
  return loop
}
