/** Which axis of each parameter contractions sum over: the one that a quantised file stores in blocks. */
import { lowerNode, virtual } from '../ir/kinds.ts'
import type { Graph, Node } from '../ir/types.ts'
import type { Expr } from '../kernel/expr.ts'
import { operands } from '../kernel/expr.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { isConst, substitute, symbolsOf } from '../types/ix.ts'
import type { Flow } from './flow.ts'
import { analyse } from './flow.ts'
import { pull } from './views.ts'

/** Names of parameters that are, whole or in part, a constant operand of a contraction, with that axis; also looking through views. */
export function summedAxes(graph: Graph): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  const flow = analyse(graph)
  for (const n of flow.order) {
    if (flow.kind(n) !== 'contraction') continue
    const inputs = n.inputs.map(virtual)
    const [{ body }] = lowerNode(n, inputs, virtual(n)).slice(-1)
    if (body.k !== 'reduce') continue
    const summed = new Set<Sym>(body.axes)
    const visit = (e: Expr): void => {
      if (e.k !== 'load') return operands(e).forEach(visit)
      const { param, at } = underViews(flow, n.inputs[inputs.indexOf(e.buf)], e.at)
      const axis = param && summedAxis(param, at, summed)
      if (axis !== undefined && !found.has(param!.attrs.name as string)) found.set(param!.attrs.name as string, axis)
    }
    visit(body.e)
  }
  return found
}

/** The parameter that views look at, if it is one, and the coordinates there. */
function underViews(flow: Flow, node: Node, coords: readonly Ix[]): { param?: Node; at: readonly Ix[] } {
  let [n, at] = [node, coords]
  while (flow.kind(n) === 'view') {
    const { symbols, coords: below } = pull(n)
    const here = new Map<Sym, Ix>(symbols.map((s, i) => [s, at[i]]))
    at = below.map((x) => substitute(x, here))
    n = n.inputs[0]
  }
  return n.op === 'param' ? { param: n, at } : { at }
}

/** The longest axis along which only summed symbols run. */
function summedAxis(param: Node, at: readonly Ix[], summed: ReadonlySet<Sym>): number | undefined {
  const extent = (axis: number): number => isConst(param.type.shape[axis]) ?? 0
  let best: number | undefined
  for (const [axis, x] of at.entries()) {
    const symbols = [...symbolsOf(x)]
    if (symbols.length === 0 || !symbols.every((s) => summed.has(s))) continue
    if (best === undefined || extent(axis) > extent(best)) best = axis
  }
  return best
}
