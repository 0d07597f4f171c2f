/** One program: its groups as kernels, its values as planned storage, its dispatches in order. */
import type { Graph, Node } from '../ir/types.ts'
import type { Expr } from '../kernel/expr.ts'
import type { StageKernel } from '../kernel/stage.ts'
import type { Access, Lifetime } from '../program/plan.ts'
import { lifetimeOf, planSlots } from '../program/plan.ts'
import type { HostStep, Port, Program, ProgramName, Slot } from '../program/types.ts'
import { opOf } from '../ops/table.ts'
import { add, valuesOf } from '../types/ix.ts'
import { elements } from '../types/shape.ts'
import { describe, identifier } from './describe.ts'
import type { Flow } from './flow.ts'
import { analyse } from './flow.ts'
import type { External, Output } from './group.ts'
import { buildKernel, walk } from './group.ts'
import { lowerNode, shapeOf, virtual } from '../ir/kinds.ts'
import { ordered } from './keep.ts'
import type { Group, Laws, Partition, Receipt } from './partition.ts'
import { partition } from './partition.ts'
import { indicesOf, loopRanges, nested, stepsOf, type Indices } from './schedule.ts'
import { stateLayout } from './state.ts'
import type { Stored } from './store.ts'
import { storedOf } from './store.ts'
import type { Weights } from './weights.ts'
import { rowMajor } from './weights.ts'

/** Kernels of all programs of a module: equal groups share one. */
export interface KernelTable {
  readonly kernels: StageKernel[]
  readonly byKey: Map<string, number>
  readonly name: (wish: string) => string
  /** What stands for the indices of loops in kernels. */
  readonly indices: Indices
}

/** What a program's dispatch computes, for `explain` and for comparing kernel by kernel. */
export interface DispatchInfo {
  readonly kernel: number
  readonly label: string
  readonly nodes: readonly Node[]
  readonly stored: readonly { readonly node: Node; readonly slot: Slot }[]
  readonly args: readonly Slot[]
}
export interface LoweredProgram {
  readonly program: Program
  readonly dispatches: readonly DispatchInfo[]
  readonly receipts: readonly Receipt[]
  readonly partition: Partition
}

export interface ProgramSource {
  readonly name: ProgramName
  readonly graph: Graph
  /** Results that go to state instead of to the caller, by the name of the output. */
  readonly keep: ReadonlySet<string>
}

export function lowerProgram(
  source: ProgramSource,
  analysed: Flow,
  weights: Weights,
  table: KernelTable,
  fuse: boolean,
  prologues = false,
): LoweredProgram {
  const { flow, parts } = partitioned(analysed, fuse, { prologues, step: source.name === 'step' })
  const { graph } = flow
  const storedBy = new Map<Group, readonly Stored[]>(parts.groups.map((g) => [g, storedOf(flow, g)]))
  const { groups, beside } = ordered(flow, parts, storedBy)

  const schedule = nested(flow, groups)
  const loops = loopRanges(schedule)
  const externalOf = new Map<Node, External>()
  const ownerOf = new Map<Node, Group>()
  const slotOf = new Map<string, Slot>()
  const sizes: { id: string; node: Node }[] = []
  const copies = new Map<Node, External>()
  const carries = new Map<string, External>()
  /** A carry, its start and its next values lie in one place. */
  const memory = (n: Node): External | undefined => {
    const key = flow.memoryOf(n)
    if (key === undefined) return undefined
    let found = carries.get(key)
    if (found === undefined) {
      const id = `carry:${key}`
      slotOf.set(id, { k: 'activation', index: sizes.length })
      sizes.push({ id, node: n })
      found = { id, role: 'activation', type: n.type, name: identifier(n.origin.name ?? 'carry') }
      carries.set(key, found)
    }
    return found
  }
  for (const g of groups) {
    for (const s of storedBy.get(g)!) {
      if (externalOf.has(s.stored)) continue
      // A copy runs last: other kernels compute the value for themselves.
      const seenBy = parts.groups.includes(g) || s.stored.op === 'hold' ? externalOf : copies
      seenBy.set(s.stored, memory(s.stored) ?? place(s, graph, beside, slotOf, sizes))
      ownerOf.set(s.stored, g)
    }
  }
  const externalFor = (n: Node): External => (externalOf.get(n) ?? copies.get(n))!

  const leaf = (n: Node): External | undefined => {
    const carried = memory(n)
    if (carried !== undefined) return carried
    if (n.op !== 'input' && n.op !== 'state') return undefined
    const name = n.attrs.name as string
    const role = n.op
    const id = `${role}:${name}`
    slotOf.set(id, { k: role, name })
    return { id, role, type: n.type, name: identifier(name), ...(role === 'state' ? { layout: stateLayout(n) } : {}) }
  }
  const weightOf = (n: Node): External | undefined => {
    if (!flow.loadTime(n)) return undefined
    const x = weights.cut(n)
    if (x !== undefined) slotOf.set(x.id, { k: 'weight', name: x.id.slice('weight:'.length) })
    return x
  }

  const dispatches: DispatchInfo[] = []
  const usedAt = new Map<string, Access[]>()
  for (const [step, g] of groups.entries()) {
    const stored = storedBy.get(g)!.filter((s) => ownerOf.get(s.stored) === g)
    const outputs = stored.map((s): Output => ({ node: s.value, views: s.views, external: externalFor(s.stored) }))
    const cut = (n: Node): External | undefined =>
      ownerOf.get(n) === g ? undefined : (externalOf.get(n) ?? leaf(n) ?? weightOf(n))
    const indices = indicesOf(flow.loopOf(outputs[0].node), table.indices)
    const spec = {
      kind: g.kind, outputs, cut, kindOf: flow.kind, indices,
      ...(g.rows ? { rows: g.rows } : {}), ...(g.columns ? { columns: true } : {}),
    } // prettier-ignore
    const walked = walk(spec)
    const anchor = anchorOf(g, flow)
    const origin = describe(anchor)
    let kernel = table.byKey.get(walked.key)
    if (kernel === undefined) {
      kernel = table.kernels.length
      const name = table.name(kernelName(source, anchor, g))
      const built = buildKernel(spec, walked, name)
      table.kernels.push({ ...built, doc: docOf(origin.label, origin.file, origin.line, g, flow) })
      table.byKey.set(walked.key, kernel)
    }
    for (const x of walked.externals) {
      const access = { step, loops: loops.get(g) ?? [] }
      usedAt.set(x.id, [...(usedAt.get(x.id) ?? []), access])
    }
    const args = walked.externals.map((x) => slotOf.get(x.id)!)
    dispatches.push({
      kernel, args, label: origin.label, nodes: [...g.nodes],
      stored: stored.map((s) => ({ node: s.stored, slot: slotOf.get(externalFor(s.stored).id)! })),
    }) // prettier-ignore
  }

  const lifetimes = sizes.map(({ id, node }): Lifetime => ({
    size: elements(node.type.shape),
    ...lifetimeOf(usedAt.get(id)!),
  }))
  const plan = planSlots(lifetimes)
  const resolve = (slot: Slot): Slot =>
    slot.k === 'activation' ? { k: 'activation', index: plan.slotOf[slot.index] } : slot
  const resolved = dispatches.map((d) => ({
    ...d,
    args: d.args.map(resolve),
    stored: d.stored.map((s) => ({ ...s, slot: resolve(s.slot) })),
  }))
  const flat = resolved.map((d): Extract<HostStep, { k: 'dispatch' }> => ({
    k: 'dispatch',
    kernel: d.kernel,
    args: d.args,
    label: d.label,
  }))
  const number = new Map(groups.map((g, i) => [g, i]))
  const program: Program = {
    name: source.name,
    inputs: graph.inputs.map((i): Port => port(i.name, i.node, flow, i.default, i.doc)),
    outputs: graph.outputs
      .filter((o) => !source.keep.has(o.name))
      .map((o) => port(o.name, o.node, flow, undefined, o.doc)),
    steps: stepsOf(schedule, (g) => flat[number.get(g)!], table.indices),
    slots: plan.slots,
    constraints: graph.constraints,
  }
  return { program, dispatches: resolved, receipts: parts.receipts, partition: parts }
}

/**
 * The partition of a program. Where buffers keep kernels of a step apart, sines of positions are one instead of two, if each reader computes them
 * again from the angles; taken where that saves more kernels than those of the sines.
 */
function partitioned(flow: Flow, fuse: boolean, laws: Laws): { readonly flow: Flow; readonly parts: Partition } {
  const parts = partition(flow, fuse, laws)
  const short = laws.prologues && laws.step && parts.receipts.some((r) => r.law === 'buffers') 
  if (!short || flow.carried.length > 0) return { flow, parts }
  const again = analyse(flow.graph, true)
  const fewer = flow.order.filter((n) => flow.kind(n) === 'map' && again.kind(n) === 'inline').length
  if (fewer === 0) return { flow, parts }
  const other = partition(again, fuse, laws)
  return other.groups.length + fewer < parts.groups.length ? { flow: again, parts: other } : { flow, parts }
} // prettier-ignore

/** Where a stored value lies. */
function place(
  s: Stored,
  graph: Graph,
  beside: ReadonlySet<Node>,
  slotOf: Map<string, Slot>,
  sizes: { id: string; node: Node }[],
): External {
  const n = s.stored
  const result = graph.outputs.find((o) => o.node === n)
  const common = { type: n.type, name: identifier(n.origin.name ?? lastScope(n) ?? n.op) }
  if (n.op === 'append') {
    const name = n.attrs.name as string
    slotOf.set(`state:${name}`, { k: 'state', name })
    return {
      ...common,
      id: `state:${name}`,
      role: 'state',
      layout: stateLayout(n),
      name: identifier(n.origin.name ?? 'cache'),
    }
  }
  if (n.op === 'hold' && !beside.has(n)) {
    const name = n.attrs.name as string
    slotOf.set(`state:${name}`, { k: 'state', name })
    return { ...common, id: `state:${name}`, role: 'state', layout: rowMajor(n.type.shape) }
  }
  if (result !== undefined && n.op !== 'hold') {
    slotOf.set(`output:${result.name}`, { k: 'output', name: result.name })
    return { ...common, id: `output:${result.name}`, role: 'output', name: identifier(result.name) }
  }
  const id = `value:${n.id}`
  slotOf.set(id, { k: 'activation', index: sizes.length })
  sizes.push({ id, node: n })
  return { ...common, id, role: 'activation' }
}

const lastScope = (n: Node): string | undefined =>
  n.origin.scope
    .split('.')
    .filter((p) => p !== '' && !p.startsWith('{'))
    .pop()

/** The node that names a kernel: its contraction, carried reduction, or last member. */
function anchorOf(g: Group, flow: Flow): Node {
  const nodes = [...g.nodes].sort((a, b) => flow.position.get(a)! - flow.position.get(b)!)
  return nodes.find((n) => flow.kind(n) === 'contraction' || flow.kind(n) === 'carried') ?? nodes[nodes.length - 1]
}

/** 'h.{i}.attn.c_attn' → `h_attn_c_attn`. */
function kernelName(source: ProgramSource, anchor: Node, g: Group): string {
  const { scope, name } = anchor.origin
  const words = [scope, scope === '' || g.kind === 'carried' ? (name ?? anchor.op) : ''].filter((w) => w !== '')
  const base = identifier(words.join('_')) || anchor.op
  return source.name === 'step' ? `${base}_step` : base
}

function docOf(label: string, file: string | undefined, line: number | undefined, g: Group, flow: Flow): string[] {
  const nodes = [...g.nodes].sort((a, b) => flow.position.get(a)! - flow.position.get(b)!)
  const steps = nodes.map((n) => n.origin.name ?? n.op)
  const what = [...new Set(steps)].join(', ')
  return [`${label}: ${what}`, ...(file === undefined ? [] : [`${file}:${line}`])]
}

function port(name: string, node: Node, flow: Flow, instead: Node | undefined, doc: string | undefined): Port {
  const below = indexBound(node, flow)
  const fill = instead && constantOf(instead)
  return {
    name, dtype: node.type.dtype, shape: node.type.shape, optional: fill !== undefined,
    ...(fill === undefined ? {} : { fill }),
    ...(below === undefined ? {} : { below }),
    ...(doc === undefined ? {} : { doc }),
  } // prettier-ignore
}

/** The one value of a constant default: a fill, or arithmetic of fills. Other defaults cannot be left out of compiled programs. */
function constantOf(n: Node): number | undefined {
  if (n.op === 'full') return n.attrs.value as number
  if (shapeOf(n).kind === 'view') return constantOf(n.inputs[0])
  if (n.inputs.length === 0 || Object.keys(n.attrs).length > 0) return undefined
  const values = n.inputs.map((x) => constantOf(x))
  if (values.some((v) => v === undefined)) return undefined
  const scalars = n.inputs.map((x, i) => ({ dtype: x.type.dtype, shape: [], data: Float64Array.of(values[i]!) }))
  const out = opOf(n.op).evaluate(scalars, {}, [[]])
  return 'dtype' in out ? out.data[0] : undefined
}

/** If an integer input addresses a table: the extent it must stay below, read off the data-dependent index. */
function indexBound(node: Node, flow: Flow): Port['below'] {
  if (node.type.dtype !== 'i32') return undefined
  for (const u of flow.users.get(node) ?? []) {
    if (flow.kind(u) !== 'map') continue
    const inputs = u.inputs.map(virtual)
    const [stage] = lowerNode(u, inputs, virtual(u))
    if (stage.body.k !== 'map' || stage.body.e.k !== 'load') continue
    for (const v of stage.body.e.at.flatMap((x) => [...valuesOf(x)])) {
      const e = v.value as Expr
      if (e.k === 'load' && e.buf === inputs[u.inputs.indexOf(node)]) return add(v.hi, 1)
    }
  }
  return undefined
}
