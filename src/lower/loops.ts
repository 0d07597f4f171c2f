/**
 * Scans as what the lowering works on. The `scan` node and its parts become stores: what a carry starts from is stored in the carry's memory before the
 * loop (`retain`), its next value after each step, and what is yielded at t of its stacked values (`collect`).
 */
import { makeBuilder, makeNode } from '../ir/build.ts'
import { shapeOf } from '../ir/kinds.ts'
import { regionsOf, type Loop } from '../ir/regions.ts'
import { topological } from '../ir/traverse.ts'
import type { Graph, Node } from '../ir/types.ts'
import type { Ix } from '../types/ix.ts'

export interface Carried {
  readonly loop: Loop
  /** The value at the current step, as the body reads it. */
  readonly carry: Node
  /** Stores the start, and the next value. */
  readonly start: Node
  readonly next: Node
}

export interface Loops {
  readonly graph: Graph
  /** Stores that no output depends on, but a later step. */
  readonly stores: readonly Node[]
  /** The innermost loop that computes a node. */
  readonly loopOf: (n: Node) => Loop | undefined
  readonly carried: readonly Carried[]
  /** Names the memory that a carry, its start, its next and its final value lie in. */
  readonly memoryOf: (n: Node) => string | undefined
}

export function explicitLoops(graph: Graph): Loops {
  const order = topological(graph.outputs.map((o) => o.node))
  const regions = regionsOf(order)
  if (regions.loops.length === 0) {
    return { graph, stores: [], loopOf: () => undefined, carried: [], memoryOf: () => undefined }
  }
  const build = makeBuilder()
  const made = new Map<Node, Node>()
  const loops = new Map<Node, Loop | undefined>()
  const memory = new Map<Node, string>()
  const parts = new Map<Node, readonly (Node | undefined)[]>()
  const starts = new Map<Node, Node>()
  const carried: Carried[] = []
  const stores: Node[] = []
  const wanted = new Set(order.filter((n) => n.op === 'part').map((n) => `${n.inputs[0].id}.${String(n.attrs.index)}`))
  const at = (n: Node): Node => made.get(n)!
  const put = (op: string, x: Node, attrs: Node['attrs'], origin: Node['origin'], loop: Loop | undefined): Node => {
    const node = makeNode(op, [x], attrs, origin)
    loops.set(node, loop)
    return node
  }
  /** Whether `n` is, or looks at, a carry of `loop`: storing it in a carry at once could hide it from another. */
  const looksAtCarry = (n: Node, loop: Loop): boolean => {
    if (loop.carries.some((c) => c !== undefined && made.get(c) === n)) return true
    const { kind } = shapeOf(n)
    return (kind === 'view' || kind === 'inline') && n.inputs.some((x) => looksAtCarry(x, loop))
  }
  const stays = (loop: Loop, i: number): boolean => loop.next[i] === loop.carries[i]

  const beginCarry = (n: Node): Node => {
    const loop = regions.loops.find((l) => l.key === n.attrs.loop)!
    const index = n.attrs.index as number
    // What no step assigns is its start.
    if (stays(loop, index)) return at(n.inputs[0])
    const start = put('retain', at(n.inputs[0]), {}, n.origin, loop.parent)
    const carry = build.again(n, [start])
    starts.set(carry, start)
    for (const x of [start, carry]) memory.set(x, `${loop.key}.${index}`)
    return carry
  }
  const endLoop = (scan: Node): void => {
    const loop = regions.endedBy(scan)!
    const used = (index: number): boolean => wanted.has(`${scan.id}.${index}`)
    const yields = loop.yields.map(({ node, axis }, i) => {
      if (!used(i)) return undefined
      return put('collect', at(node), { t: scan.attrs.t as Ix, extent: loop.extent, axis }, node.origin, loop)
    })
    const finals = loop.next.map((next, i) => {
      const old = loop.carries[i]
      if (stays(loop, i)) return at(old!.inputs[0])
      if (old === undefined && !used(loop.yields.length + i)) return undefined
      const origin = (old ?? next).origin
      const value = looksAtCarry(at(next), loop) ? put('retain', at(next), {}, origin, loop) : at(next)
      const stored = put('retain', value, {}, origin, loop)
      memory.set(stored, `${loop.key}.${i}`)
      stores.push(stored)
      if (old !== undefined) {
        const carry = at(old)
        carried.push({ loop, carry, start: starts.get(carry)!, next: stored })
      }
      return stored
    })
    parts.set(scan, [...yields, ...finals])
  }
  for (const n of order) {
    if (n.op === 'scan') {
      endLoop(n)
      continue
    }
    let node: Node
    if (n.op === 'carry') node = beginCarry(n)
    else if (n.op === 'part' && parts.has(n.inputs[0])) node = parts.get(n.inputs[0])![n.attrs.index as number]!
    else node = build.again(n, n.inputs.map(at))
    made.set(n, node)
    if (!loops.has(node)) loops.set(node, regions.of(n))
  }
  const outputs = graph.outputs.map((o) => {
    const node = at(o.node)
    // The memory of a carry is not the caller's.
    return { ...o, node: memory.has(node) ? put('retain', node, {}, node.origin, undefined) : node }
  })
  return {
    graph: { ...graph, outputs },
    stores,
    loopOf: (n) => loops.get(n),
    carried,
    memoryOf: (n) => memory.get(n),
  }
}
