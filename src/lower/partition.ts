/**
 * Fusion as a partition of the graph's kernels (laws and their order: docs/fusion.md). Groups merge pairwise; every merge keeps the group
 * graph acyclic. Each merge leaves a receipt, and so does each edge between groups that remains.
 */
import type { Loop } from '../ir/regions.ts'
import type { Node } from '../ir/types.ts'
import type { Ix } from '../types/ix.ts'
import { isConst } from '../types/ix.ts'
import { sameShape } from '../types/shape.ts'
import type { Kind } from '../ir/kinds.ts'
import type { Flow } from './flow.ts'
import { free } from './flow.ts'
import { buffersOf, mostBuffers } from './buffers.ts'
import { columnsOf } from './columns.ts'
import type { Verdicts } from './columns.ts'
import { prologueOf } from './prologue.ts'
import { readAtOwnRow } from './rows.ts'
import { invert } from './views.ts'

export type GroupKind = 'map' | 'rows' | 'contraction' | 'carried'

export interface Group {
  readonly id: number
  kind: GroupKind
  readonly nodes: Set<Node>
  /** Leading extents that all members share, of row groups. */
  rows?: readonly Ix[]
  /** Members that make the rows which the contraction reads (law 7). */
  before?: ReadonlySet<Node>
  /** Whether results read several columns of the contraction (law 8). */
  columns?: boolean
}

export interface Laws {
  /** Whether kernels of few rows begin with the norm that they read (`Target.prologues`). */
  readonly prologues?: boolean
  /** Whether this is a step: its dims count sequences, not positions. */
  readonly step?: boolean
}

export interface Receipt {
  readonly taken: boolean
  readonly law: string
  /** The producer and the reader. */
  readonly from: Node
  readonly into: Node
  readonly reason: string
}

export interface Partition {
  /** In the order in which they run; those of a loop stand in a row. */
  readonly groups: readonly Group[]
  readonly groupOf: ReadonlyMap<Node, Group>
  readonly receipts: readonly Receipt[]
}

const startsWith = (shape: readonly Ix[], rows: readonly Ix[]): boolean =>
  shape.length >= rows.length && rows.every((d, i) => shape[i] === d)

/**
 * Row extents of a reduction over trailing axes: what is left of its operand's shape; undefined if other axes are reduced. A sum of products that
 * is no contraction (a depthwise convolution, a matrix times a vector) has a row for each of its elements.
 */
function rowsOf(n: Node): readonly Ix[] | undefined {
  const axes = n.attrs.axes ?? (n.attrs.axis === undefined ? undefined : [n.attrs.axis])
  if (!Array.isArray(axes)) return n.type.shape
  const source = n.inputs[0].type.shape
  const kept = source.length - axes.length
  return axes.every((a) => (a as number) >= kept) ? source.slice(0, kept) : undefined
}

export function partition(flow: Flow, fuse: boolean, laws: Laws = {}): Partition {
  const groupOf = new Map<Node, Group>()
  const receipts: Receipt[] = []
  let next = 0
  const own = (n: Node): boolean => !flow.loadTime(n) && flow.kind(n) !== 'leaf' && !free(flow.kind(n))
  const members = flow.order.filter(own)
  for (const n of members) {
    const k = flow.kind(n)
    const kind: GroupKind = k === 'reduce' ? 'rows' : k === 'contraction' || k === 'carried' ? k : 'map'
    const rows = k === 'reduce' ? rowsOf(n) : undefined
    groupOf.set(n, { id: next++, kind, nodes: new Set([n]), ...(rows ? { rows } : {}) })
  }

  const loopOf = (g: Group): Loop | undefined => flow.loopOf([...g.nodes][0])
  const carriedBy = new Map(flow.carried.map((c) => [c.carry, c]))
  const startedBy = new Map(flow.carried.map((c) => [c.start, c]))
  const successors = (g: Group): Set<Group> => {
    const out = new Set<Group>()
    const add = (n: Node): void => {
      const h = groupOf.get(n)
      if (h !== undefined && h !== g) out.add(h)
    }
    for (const n of g.nodes) {
      flow.readers(n).forEach(add)
      const started = startedBy.get(n)
      if (started !== undefined) flow.readers(started.carry).forEach(add)
      // A carry takes its next value when all have read the one before.
      for (const x of flow.reads(n)) {
        const carried = carriedBy.get(x)
        if (carried !== undefined) add(carried.next)
      }
    }
    return out
  }
  /** A loop runs as a whole: what waits for one of its groups waits for all. */
  const together = new Map<Loop, Group[]>()
  for (const g of new Set(groupOf.values())) {
    for (let l = loopOf(g); l !== undefined; l = l.parent) together.set(l, [...(together.get(l) ?? []), g])
  }
  const companions = (g: Group, within: Loop | undefined): readonly Group[] => {
    let l = loopOf(g)
    if (l === within) return []
    while (l !== undefined && l.parent !== within) l = l.parent
    return l === undefined
      ? []
      : [
          ...new Set(
            together
              .get(l)!
              .flatMap((h) => [...h.nodes])
              .map((n) => groupOf.get(n)!),
          ),
        ]
  }
  const lastOf = (g: Group): number => Math.max(...[...g.nodes].map((n) => flow.position.get(n)!))
  const firstOf = (g: Group): number => Math.min(...[...g.nodes].map((n) => flow.position.get(n)!))
  /** A path from `a` to `b` that passes through a third group. */
  const detour = (a: Group, b: Group): boolean => {
    // Positions say nothing about loops, whose groups wait for each other.
    const limit = flow.carried.length > 0 || together.size > 0 ? Infinity : lastOf(b)
    const seen = new Set<Group>([a])
    const stack = [...successors(a)].filter((g) => g !== b)
    while (stack.length > 0) {
      const g = stack.pop()!
      if (seen.has(g)) continue
      seen.add(g)
      if (firstOf(g) > limit) continue
      for (const h of [...successors(g), ...companions(g, loopOf(a))]) {
        if (h === b) return true
        stack.push(h)
      }
    }
    return false
  }
  /** Whether one kernel may not compute both: they run in different loops, or one overwrites a carry that the other reads. */
  const apart = (a: Group, b: Group): boolean =>
    loopOf(a) !== loopOf(b) ||
    flow.carried.some(({ carry, next }) => {
      const nodes = [...a.nodes, ...b.nodes]
      return nodes.includes(next) && nodes.some((n) => flow.reads(n).includes(carry))
    })
  const affordable = (a: Group, b: Group, from: Node, into: Node): boolean => {
    const count = buffersOf(flow, new Set([...a.nodes, ...b.nodes]))
    if (count <= mostBuffers) return true
    const reason = `together they would bind ${count} buffers, and some devices offer ${mostBuffers}`
    receipts.push({ taken: false, law: 'buffers', from, into, reason })
    return false
  }
  const merge = (a: Group, b: Group, kind: GroupKind, law: string, from: Node, into: Node, reason: string): void => {
    for (const n of a.nodes) {
      b.nodes.add(n)
      groupOf.set(n, b)
    }
    b.kind = kind
    const rows = b.rows ?? a.rows
    if (rows !== undefined) b.rows = rows
    receipts.push({ taken: true, law, from, into, reason })
  }
  const readerGroups = (n: Node): Set<Group> =>
    new Set(
      flow
        .readers(n)
        .map((r) => groupOf.get(r)!)
        .filter(Boolean),
    )
  const direct = (n: Node, reader: Node): boolean => reader.inputs.includes(n)

  // Law 1: bias and scale into the contraction.
  const biasLaw = (n: Node): void => {
    let v = n
    for (;;) {
      const readers = flow.readers(v)
      if (readers.length !== 1 || flow.isResult(v)) return
      const c = readers[0]
      const light = c.inputs.every((x) => x === v || flow.loadTime(flow.root(x)) || flow.kind(x) === 'inline')
      if (flow.kind(c) !== 'map' || !direct(v, c) || !light || !sameShape(c.type.shape, v.type.shape)) return
      if (apart(groupOf.get(c)!, groupOf.get(v)!)) return
      merge(groupOf.get(c)!, groupOf.get(v)!, 'contraction', 'bias and scale', v, c, 'its other operands are weights')
      v = c
    }
  }

  /** Whether map or reduction `n` may be computed inside group `h`, row by row. */
  const rowsFit = (n: Node, h: Group): readonly Ix[] | 'any' | undefined => {
    const mine = flow.kind(n) === 'reduce' ? rowsOf(n) : undefined
    if (flow.kind(n) === 'reduce' && mine === undefined) return undefined
    if (mine !== undefined) {
      if (h.rows !== undefined) return sameShape(mine, h.rows) ? mine : undefined
      return [...h.nodes].every((m) => startsWith(m.type.shape, mine)) ? mine : undefined
    }
    if (h.rows === undefined) return 'any'
    return startsWith(n.type.shape, h.rows) || n.type.shape.every((d) => isConst(d) !== undefined) ? h.rows : undefined
  }

  /** Whether a map is what alone reads a contraction, which may store it. */
  const endsContraction = (n: Node): boolean =>
    n.inputs.some((x) => {
      const [reader, ...others] = flow.readers(x)
      const own = groupOf.get(x)?.kind === 'contraction' && reader === n && others.length === 0 && !flow.isResult(x)
      return own && sameShape(x.type.shape, n.type.shape)
    })

  // Law 2: chains and rows, from the results backwards.
  const chainLaw = (n: Node): void => {
    const g = groupOf.get(n)!
    const k = flow.kind(n)
    if ((k !== 'map' && k !== 'reduce') || g.kind === 'contraction' || flow.isResult(n)) return
    const targets = [...readerGroups(n)].filter((h) => h !== g)
    if (targets.length !== 1 || flow.readers(n).some((r) => groupOf.get(r) === undefined)) return
    const h = targets[0]
    if (h.kind !== 'map' && h.kind !== 'rows') return
    if (laws.prologues && h.kind === 'rows' && k === 'map' && endsContraction(n)) return
    // Repeating functions for each row of a wider reader costs more than storing, except for position codes, which read nothing.
    if (k === 'map' && flow.cost(n).functions > 0 && !flow.reads(n).every((x) => flow.loadTime(x))) {
      const wider = (r: Node): boolean => flow.kind(r) !== 'reduce' && r.type.shape.length > n.type.shape.length
      if (flow.readers(n).some(wider) && !(h.rows !== undefined && startsWith(n.type.shape, h.rows))) return
    }
    if (k === 'reduce' && h.kind === 'map' && [...h.nodes].some((m) => flow.kind(m) === 'append')) return
    const rows = rowsFit(n, h)
    if (rows === undefined || (g.rows && h.rows && !sameShape(g.rows, h.rows))) return
    if (k === 'reduce' && rows !== 'any' && !readAtOwnRow(flow, h.nodes, n, rows.length)) return
    if (apart(g, h) || detour(g, h) || !affordable(g, h, n, flow.readers(n)[0])) return
    merge(
      g,
      h,
      g.kind === 'rows' || h.kind === 'rows' ? 'rows' : 'map',
      k === 'reduce' ? 'rows' : 'chain',
      n,
      flow.readers(n)[0],
      'its readers are all in one kernel',
    )
  }

  // Law 3: a second result for a row group.
  const resultsLaw = (h: Group): void => {
    if (h.kind !== 'rows' || h.rows === undefined) return
    for (const m of new Set([...h.nodes].flatMap((n) => flow.reads(n)))) {
      const g = groupOf.get(m)
      if (g === undefined || g === h || g.kind !== 'map' || flow.kind(m) !== 'map' || apart(g, h)) continue
      const rows = h.rows
      if (
        ![...g.nodes].every((n) => flow.kind(n) === 'map' && startsWith(n.type.shape, rows)) ||
        m.type.shape.length === rows.length ||
        !readAtOwnRow(flow, h.nodes, m, rows.length)
      )
        continue
      if (detour(g, h)) {
        receipts.push({
          taken: false,
          law: 'two results',
          from: m,
          into: [...h.nodes][0],
          reason: 'another kernel lies between them',
        })
        continue
      }
      if (!affordable(g, h, m, [...h.nodes][0])) continue
      merge(
        g,
        h,
        'rows',
        'two results',
        m,
        [...h.nodes][0],
        'the rows agree; the value is stored once and read by the row statistics',
      )
    }
  }

  // Law 4: pointwise work after a contraction or a carried reduction.
  const epilogueLaw = (n: Node): void => {
    const g = groupOf.get(n)!
    // What follows a prologue may read its rows, which are not kept for it.
    if (g.kind !== 'contraction' || g.before !== undefined || g.columns) return
    const v = [...g.nodes].reduce((a, b) => (flow.position.get(a)! > flow.position.get(b)! ? a : b))
    const targets = [...readerGroups(v)].filter((h) => h !== g)
    if (targets.length !== 1 || targets[0].kind !== 'map' || flow.isResult(v)) return
    const h = targets[0]
    const aligned = flow
      .readers(v)
      .every((r) => !h.nodes.has(r) || (direct(v, r) && sameShape(r.type.shape, v.type.shape)))
    const whole = [...h.nodes].every((m) => flow.kind(m) === 'map' && fits(m.type.shape, v.type.shape))
    if (!aligned || !whole || flow.users.get(v)!.some((u) => free(flow.kind(u)))) return
    if (apart(g, h) || detour(g, h) || !affordable(g, h, v, flow.readers(v)[0])) return
    merge(h, g, 'contraction', 'epilogue', v, flow.readers(v)[0], 'computed on each tile before it is stored')
  }

  // Law 5: a contraction appends to its caches itself.
  const appendLaw = (n: Node): void => {
    const chain: Node[] = []
    let v = n.inputs[0]
    while (flow.kind(v) === 'view') {
      chain.push(v)
      v = v.inputs[0]
    }
    const g = groupOf.get(v)
    const h = groupOf.get(n)!
    if (g === undefined || g === h || g.kind !== 'contraction' || g.columns || h.nodes.size > 1) return
    if (chain.some((view) => invert(view) === undefined) || apart(g, h)) return
    if (detour(g, h) || !affordable(g, h, v, n)) return
    merge(h, g, 'contraction', 'append', v, n, 'stored straight into the cache')
  }

  // Law 6: what a step of a loop stores of values that others compute, in one kernel.
  const storesLaw = (): void => {
    const only = (g: Group): boolean =>
      loopOf(g) !== undefined && g.kind === 'map' && [...g.nodes].every((n) => flow.kind(n) === 'append')
    const valueOf = (g: Group): Node => [...g.nodes][0].inputs[0]
    const kept: Group[] = []
    for (const g of new Set(members.map((n) => groupOf.get(n)!))) {
      if (!only(g)) continue
      const [from] = g.nodes
      const h = kept.find(
        (k) =>
          sameShape(valueOf(k).type.shape, valueOf(g).type.shape) &&
          !apart(g, k) &&
          !successors(g).has(k) &&
          !successors(k).has(g) &&
          !detour(g, k) &&
          !detour(k, g) &&
          affordable(g, k, from, [...k.nodes][0]),
      )
      if (h === undefined) kept.push(g)
      else merge(g, h, 'map', 'stores', from, [...h.nodes][0], 'a step of the loop stores both, element by element')
    }
  }

  // Law 7: the rows that a contraction reads, made by it.
  const prologueLaw = (g: Group): void => {
    const readers = new Set([...g.nodes].flatMap((n) => [...readerGroups(n)]))
    for (const h of readers) {
      const found = prologueOf(flow, g, h, laws.step === true)
      if (found === undefined) continue
      const { value, reader, refused } = found
      if (refused !== undefined)
        receipts.push({ taken: false, law: 'prologue', from: value, into: reader, reason: refused })
      else if (!apart(g, h) && !detour(g, h) && affordable(g, h, value, reader)) {
        h.before = new Set(g.nodes)
        merge(g, h, 'contraction', 'prologue', value, reader, 'few rows: each workgroup makes those that it reads')
        return
      }
    }
  }

  // Law 8: what reads several columns of a contraction, in a step.
  const verdicts: Verdicts = new Map()
  const columnsLaw = (n: Node): void => {
    const g = groupOf.get(n)!
    for (const h of new Set([...g.nodes].flatMap((m) => [...readerGroups(m)]))) {
      if (h === g || h.kind !== 'map' || apart(g, h) || detour(g, h)) continue
      const found = columnsOf(flow, h, g, verdicts)
      if (found === undefined) continue
      const { value, reader, refused } = found
      if (refused !== undefined) {
        receipts.push({ taken: false, law: 'columns', from: value, into: reader, reason: refused })
      } else if (affordable(g, h, value, reader)) {
        g.columns = true
        merge(h, g, 'contraction', 'columns', value, reader, 'a thread sums the columns that it wants together')
      }
    }
  }

  const each = (kind: Kind, law: (n: Node) => void): void => {
    for (const n of members) if (flow.kind(n) === kind) law(n)
  }
  const eachRows = (law: (g: Group) => void): void => {
    for (const g of new Set(members.map((n) => groupOf.get(n)!))) if (g.kind === 'rows') law(g)
  }
  if (fuse) {
    each('contraction', biasLaw)
    for (const n of [...members].reverse()) chainLaw(n)
    // A sum that the projection before it stores leaves the norm after it few enough buffers to be a prologue, and all layers alike.
    if (laws.prologues) {
      each('contraction', epilogueLaw)
      each('append', appendLaw)
      eachRows(prologueLaw)
      if (laws.step) each('contraction', columnsLaw)
    }
    eachRows(resultsLaw)
    each('contraction', epilogueLaw)
    each('append', appendLaw)
    if (together.size > 0) storesLaw()
  }
  const groups = sortGroups([...new Set(members.map((n) => groupOf.get(n)!))], successors, loopOf, undefined)
  // One by one: a large model has more of them than a call takes arguments.
  for (const r of refused(groups, groupOf, flow)) receipts.push(r)
  return { groups, groupOf, receipts }
}

/** `a` equals `b` or broadcasts into it. */
const fits = (a: readonly Ix[], b: readonly Ix[]): boolean =>
  a.length <= b.length && a.every((d, i) => d === b[b.length - a.length + i] || isConst(d) === 1)

/** Groups in an order in which each runs after those it reads, a loop as one; ties keep the order of the source. */
function sortGroups(
  groups: readonly Group[],
  successors: (g: Group) => Set<Group>,
  loopOf: (g: Group) => Loop | undefined,
  within: Loop | undefined,
): Group[] {
  /** The loop of this level that holds a group, or the group. */
  const itemOf = (g: Group): Group | Loop => {
    let item: Group | Loop = g
    for (let l = loopOf(g); l !== within; l = l?.parent) {
      if (l === undefined) throw new Error('internal: a loop is read from outside')
      item = l
    }
    return item
  }
  const members = new Map<Group | Loop, Group[]>()
  for (const g of groups) members.set(itemOf(g), [...(members.get(itemOf(g)) ?? []), g])
  const here = new Set(groups)
  const next = new Map<Group | Loop, Set<Group | Loop>>()
  const waiting = new Map<Group | Loop, number>([...members.keys()].map((x) => [x, 0]))
  for (const [x, own] of members) {
    const after = new Set(own.flatMap((g) => [...successors(g)].filter((h) => here.has(h)).map(itemOf)))
    after.delete(x)
    next.set(x, after)
    for (const y of after) waiting.set(y, waiting.get(y)! + 1)
  }
  const first = (x: Group | Loop): number => Math.min(...members.get(x)!.map((g) => g.id))
  const ready = [...members.keys()].filter((x) => waiting.get(x) === 0)
  const order: Group[] = []
  let placed = 0
  while (ready.length > 0) {
    const x = ready.shift()!
    order.push(...('scan' in x ? sortGroups(members.get(x)!, successors, loopOf, x) : [x]))
    placed++
    for (const y of next.get(x)!) {
      waiting.set(y, waiting.get(y)! - 1)
      if (waiting.get(y) === 0) ready.push(y)
    }
    ready.sort((a, b) => first(a) - first(b))
  }
  if (placed !== members.size) throw new Error('internal: the fusion partition has a cycle')
  return order
}

/** Why each remaining edge between groups is one. */
function refused(groups: readonly Group[], groupOf: ReadonlyMap<Node, Group>, flow: Flow): Receipt[] {
  const out: Receipt[] = []
  for (const g of groups) {
    for (const n of g.nodes) {
      for (const r of flow.readers(n)) {
        const h = groupOf.get(r)
        if (h === undefined || h === g) continue
        out.push({ taken: false, law: `${g.kind} into ${h.kind}`, from: n, into: r, reason: why(g, h, n, flow) })
      }
    }
  }
  return out
}

function why(g: Group, h: Group, n: Node, flow: Flow): string {
  const k = flow.kind(n)
  if (k === 'append') return 'readers of a cache need rows that other calls wrote'
  if (h.kind === 'contraction' && g.kind === 'contraction')
    return 'two contractions are never fused: the first would be repeated for each tile of the second'
  if (h.kind === 'contraction')
    return `a contraction reads each operand many times: computing it there would repeat ${flow.cost(n).operations || 'all'} operations per element`
  if (h.kind === 'carried') return 'attention reads whole keys and values, which other tiles of the producer make'
  if (h.kind === 'rows' && g.kind === 'contraction')
    return 'row statistics need a whole row, which spans several tiles of the contraction'
  if (g.kind === 'carried') return 'its reader walks another index space'
  const readers = new Set(flow.readers(n).map((r) => r.id)).size
  return readers > 1 ? `${readers} kernels read it: it is stored once` : 'the rows of the two kernels differ'
}
