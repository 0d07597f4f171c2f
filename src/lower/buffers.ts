/** How many buffers a kernel binds: fusion stays within what every device offers. */
import type { Node } from '../ir/types.ts'
import type { Flow } from './flow.ts'
import { free } from './flow.ts'

/** Storage buffers that any WebGPU device binds in one stage (maxStorageBuffersPerShaderStage of the specification). */
export const mostBuffers = 8

/** Whether `n` is read outside `nodes`, or is a result, itself or through views and inline nodes. */
export function leaves(flow: Flow, nodes: ReadonlySet<Node>, n: Node): boolean {
  if (flow.isResult(n)) return true
  return flow.users.get(n)!.some((u) => (free(flow.kind(u)) ? leaves(flow, nodes, u) : !nodes.has(u)))
}

/** Values that computing `nodes` reads from elsewhere. */
export function inputsOf(flow: Flow, nodes: ReadonlySet<Node>): number {
  const read = new Set<Node>()
  for (const n of nodes) for (const x of flow.reads(n)) if (!nodes.has(x)) read.add(flow.root(x))
  return read.size
}

/** Buffers of a kernel of `nodes`: what it reads, and one per result (or per view that a result is stored through). */
export function buffersOf(flow: Flow, nodes: ReadonlySet<Node>): number {
  let written = 0
  for (const n of nodes) {
    if (flow.kind(n) === 'append') written++
    else if (leaves(flow, nodes, n)) {
      const views = flow.users.get(n)!.filter((u) => flow.kind(u) === 'view' && leaves(flow, nodes, u))
      written += Math.max(1, views.length)
    }
  }
  return inputsOf(flow, nodes) + written
}
