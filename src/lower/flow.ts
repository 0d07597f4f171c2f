/** Who reads whom, looking through views and inline nodes: the graph as fusion sees it. */
import { dimsOf } from '../ir/attrs.ts'
import { topological } from '../ir/traverse.ts'
import type { Graph, Node } from '../ir/types.ts'
import { isConst } from '../types/ix.ts'
import { explicitLoops, type Loops } from './loops.ts'
import type { Cost, Kind, NodeShape } from '../ir/kinds.ts'
import { shapeOf } from '../ir/kinds.ts'

export interface Flow extends Omit<Loops, 'stores'> {
  /** All nodes reachable from the results, operands first. */
  readonly order: readonly Node[]
  readonly position: ReadonlyMap<Node, number>
  readonly kind: (n: Node) => Kind
  readonly cost: (n: Node) => Cost
  /** Depends on weights and constants only, so that it is computed at load. */
  readonly loadTime: (n: Node) => boolean
  /** Direct users. */
  readonly users: ReadonlyMap<Node, readonly Node[]>
  /** The value under a chain of views. */
  readonly root: (n: Node) => Node
  /** Values (nodes with a kernel of their own, or leaves) that computing `n` reads, through views and inline nodes. */
  readonly reads: (n: Node) => readonly Node[]
  /** The nodes with a kernel that read `n`, through views and inline nodes. */
  readonly readers: (n: Node) => readonly Node[]
  readonly isResult: (n: Node) => boolean
}

/** Kinds that are cloned into their readers instead of computed on their own. */
export const free = (k: Kind): boolean => k === 'view' || k === 'inline'

/** With `again`, functions of positions (the sines of a position code) are computed again by each reader, which then binds one buffer for all of them. */
export function analyse(source: Graph, again = false): Flow {
  const { stores, ...loops } = explicitLoops(source)
  const { graph } = loops
  const order = topological([...graph.outputs.map((o) => o.node), ...stores])
  const position = new Map(order.map((n, i) => [n, i]))
  const users = new Map<Node, Node[]>(order.map((n) => [n, []]))
  const loadTime = new Map<Node, boolean>()
  const fromNothing = new Set<Node>()
  for (const n of order) {
    for (const x of new Set(n.inputs)) users.get(x)!.push(n)
    if (shapeOf(n).kind !== 'leaf' && n.inputs.every((x) => fromNothing.has(x))) fromNothing.add(n)
    loadTime.set(n, isLoadTime(n, loadTime, fromNothing, shapeOf(n)))
  }
  // Positions and constants under plain arithmetic are cheaper to compute again than to store.
  const plain = (n: Node): boolean => fromNothing.has(n) && shapeOf(n).kind === 'map' && shapeOf(n).cost.functions === 0
  const repeated = again ? functionsOfPositions(order, fromNothing, loadTime) : new Set<Node>()
  const kind = (n: Node): Kind => (plain(n) || repeated.has(n) ? 'inline' : shapeOf(n).kind)
  const results = new Set(graph.outputs.map((o) => o.node))
  const root = (n: Node): Node => (kind(n) === 'view' ? root(n.inputs[0]) : n)

  const readsMemo = new Map<Node, readonly Node[]>()
  const reads = (n: Node): readonly Node[] => {
    let found = readsMemo.get(n)
    if (found === undefined) {
      const all = new Set<Node>()
      for (const x of n.inputs) {
        if (free(kind(x)) && !loadTime.get(x)) for (const y of reads(x)) all.add(y)
        else all.add(x)
      }
      readsMemo.set(n, (found = [...all]))
    }
    return found
  }
  const readersMemo = new Map<Node, readonly Node[]>()
  const readers = (n: Node): readonly Node[] => {
    let found = readersMemo.get(n)
    if (found === undefined) {
      const all = new Set<Node>()
      for (const u of users.get(n) ?? []) {
        if (free(kind(u))) for (const y of readers(u)) all.add(y)
        else all.add(u)
      }
      readersMemo.set(n, (found = [...all]))
    }
    return found
  }
  return {
    ...loops, order, position, kind, users, root, reads, readers,
    cost: (n) => shapeOf(n).cost,
    loadTime: (n) => loadTime.get(n) ?? false,
    isResult: (n) => results.has(n),
  } // prettier-ignore
}

/**
 * Weights, what is computed from them alone, and constant tables that are costly to compute (frequencies of a position code). Reductions and
 * contractions of weights run with the model: packing kernels are maps.
 */
function isLoadTime(
  n: Node,
  known: ReadonlyMap<Node, boolean>,
  fromNothing: ReadonlySet<Node>,
  shape: NodeShape,
): boolean {
  if (n.op === 'param') return true
  if (shape.kind !== 'map' && shape.kind !== 'view') return false
  if ([...n.type.shape, ...dimsOf(n.attrs)].some((d) => isConst(d) === undefined)) return false
  if (fromNothing.has(n)) {
    return (
      n.type.dtype === 'f32' && shape.cost.functions > 0 && n.type.shape.length > 0 && fixedFromNothing(n, fromNothing)
    )
  }
  return n.inputs.every((x) => known.get(x) === true || fixedFromNothing(x, fromNothing))
}
/** Maps of positions alone (those of the rows too, which are inputs) with functions in them. */
function functionsOfPositions(
  order: readonly Node[],
  fromNothing: ReadonlySet<Node>,
  loadTime: ReadonlyMap<Node, boolean>,
): ReadonlySet<Node> {
  const found = new Set<Node>()
  const positions = new Set<Node>()
  for (const n of order) {
    const { kind, cost } = shapeOf(n)
    const given = (n.op === 'input' || n.op === 'state') && n.type.dtype === 'i32'
    const made = n.inputs.length > 0 && n.inputs.every((x) => positions.has(x) || fromNothing.has(x))
    if (given || (made && (kind === 'map' || kind === 'view' || kind === 'inline'))) positions.add(n)
    if (!given && positions.has(n) && kind === 'map' && !loadTime.get(n))
      if (cost.functions > 0 || n.inputs.some((x) => found.has(x))) found.add(n)
  }
  return found
}

/** Positions and constants in which no dim occurs. */
const fixedFromNothing = (n: Node, fromNothing: ReadonlySet<Node>): boolean =>
  fromNothing.has(n) &&
  [...n.type.shape, ...dimsOf(n.attrs)].every((d) => isConst(d) !== undefined) &&
  n.inputs.every((x) => fixedFromNothing(x, fromNothing))
