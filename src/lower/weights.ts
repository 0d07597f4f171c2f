/**
 * What `load` must produce. A checkpoint tensor is kept as it is, unless a contraction multiplies by it: then it takes the target's
 * panel layout, also when the contraction sees it transposed (every other reader looks through the layout). A constant operand that
 * is no whole tensor (a slice, several concatenated, a product) gets a slot of its own that a packing kernel fills at load.
 */
import { attrsKey } from '../ir/attrs.ts'
import type { Node } from '../ir/types.ts'
import type { Buffer, Layout } from '../kernel/buffer.ts'
import { newBuffer } from '../kernel/buffer.ts'
import type { Expr } from '../kernel/expr.ts'
import { load, operands } from '../kernel/expr.ts'
import type { WeightSlot } from '../program/types.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { isConst, of, substitute } from '../types/ix.ts'
import { elements, linearise } from '../types/shape.ts'
import type { Flow } from './flow.ts'
import type { External } from './group.ts'
import { buildKernel, walk } from './group.ts'
import { identifier } from './describe.ts'
import { lowerNode, virtual } from '../ir/kinds.ts'
import { axisSymbol, invert, pushThrough } from './views.ts'

export interface Weights {
  /** The slot that load-time node `n` is read from; undefined for a view whose operand has one. */
  readonly cut: (n: Node) => External | undefined
  /** The slots that were asked for, with their packing kernels. */
  readonly slots: () => readonly WeightSlot[]
}

/**
 * How a target stores a constant operand [K, N] that is made of these checkpoint tensors. `order` is which axis is innermost where it lies as
 * stored in a checkpoint: n, or k.
 */
export type PanelLayout = (k: number, n: number, from: readonly string[], order: 'kn' | 'nk') => Layout

/** Identifies equal load-time expressions across programs. */
function makeKey(): (n: Node) => string {
  const memo = new Map<Node, string>()
  const ids = new Map<string, number>()
  const key = (n: Node): string => {
    let found = memo.get(n)
    if (found === undefined) {
      const text = `${n.op}|${attrsKey(n.attrs)}|${n.inputs.map(key).join(',')}|${n.type.shape.map((d) => d.id).join(',')}`
      if (!ids.has(text)) ids.set(text, ids.size)
      memo.set(n, (found = `w${ids.get(text)}`))
    }
    return found
  }
  return key
}

const staticShape = (n: Node): number[] => n.type.shape.map((d) => isConst(d)!)

/** The constant operand [K, N] (or [N, K]) of a contraction: rank 2, indexed by the summed symbol and one domain symbol. */
function constantOperand(flow: Flow, n: Node): { readonly node: Node; readonly order: 'kn' | 'nk' } | undefined {
  const inputs = n.inputs.map(virtual)
  const [stage] = lowerNode(n, inputs, virtual(n)).slice(-1)
  if (stage.body.k !== 'reduce' || stage.body.axes.length !== 1) return undefined
  const k = stage.body.axes[0]
  const loads: Extract<Expr, { k: 'load' }>[] = []
  const collect = (e: Expr): void => (e.k === 'load' ? void loads.push(e) : operands(e).forEach(collect))
  collect(stage.body.e)
  for (const l of loads) {
    const node = n.inputs[inputs.indexOf(l.buf)]
    if (!flow.loadTime(node) || l.at.length !== 2) continue
    const symbols = [...stage.domain]
    if (l.at[0] === of(k) && symbols.some((s) => of(s) === l.at[1])) return { node, order: 'kn' }
    if (l.at[1] === of(k) && symbols.some((s) => of(s) === l.at[0])) return { node, order: 'nk' }
  }
  return undefined
}

/** The target's panel layout for a buffer whose logical axes are [K, N] or [N, K]; `stored` is the order in the checkpoint. */
function oriented(panel: PanelLayout, node: Node, order: 'kn' | 'nk', stored: 'kn' | 'nk'): Layout {
  const [rows, columns] = staticShape(node)
  const from = paramNames(node)
  const layout = order === 'kn' ? panel(rows, columns, from, stored) : panel(columns, rows, from, stored)
  return {
    ...layout,
    name: `${layout.name}:${order}`,
    axes: order === 'kn' ? layout.axes : [layout.axes[1], layout.axes[0]],
  }
}

/** Whether a whole tensor, read through views as [K, N] or [N, K], has k innermost. */
function storedOrder(base: Node, views: readonly Node[], node: Node, order: 'kn' | 'nk'): 'kn' | 'nk' {
  const axes = node.type.shape.map((extent, i) => axisSymbol(`a${i}`, extent))
  const [n, k] = order === 'nk' ? [0, 1] : [1, 0]
  const offset = linearise([of(axes[n]), of(axes[k])], [node.type.shape[n], node.type.shape[k]])
  const seen: Layout = { name: 'stored', axes, offset, size: elements(node.type.shape) }
  const lies = base.op === 'param' ? pulledBack(base, views, seen) : undefined
  return lies !== undefined && isRowMajor(lies, base.type.shape) ? 'nk' : 'kn'
}

/** The layout that makes a whole tensor, read through invertible views, lie as `seen` wants it. */
function pulledBack(param: Node, views: readonly Node[], seen: Layout): Layout | undefined {
  const pushes = views.map(invert)
  if (
    pushes.some((p) => p === undefined) ||
    elements(param.type.shape) !== elements(views[views.length - 1]?.type.shape ?? param.type.shape)
  )
    return undefined
  const axes = param.type.shape.map((extent, i) => axisSymbol(`a${i}`, extent))
  const landing = pushThrough(
    pushes.map((p) => p!),
    axes.map(of),
  )
  if (landing.guard !== undefined) return undefined
  const offset = substitute(seen.offset, new Map<Sym, Ix>(seen.axes.map((s, i) => [s, landing.at[i]])))
  const how = views.map((v) => `${v.op}(${attrsKey(v.attrs)})`).join('.')
  const kept = seen.kept === undefined ? {} : { kept: seen.kept }
  return { name: how === '' ? seen.name : `${seen.name}:${how}`, axes, offset, size: seen.size, ...kept }
}

export const rowMajor = (shape: readonly Ix[]): Layout => {
  const axes = shape.map((extent, i) => axisSymbol(`a${i}`, extent))
  return { name: 'rows', axes, offset: linearise(axes.map(of), shape), size: elements(shape) }
}

const isRowMajor = (l: Layout, shape: readonly Ix[]): boolean =>
  l.kept === undefined && l.offset === linearise(l.axes.map(of), shape) && l.size === elements(shape)

export function planWeights(flows: readonly Flow[], panel: PanelLayout): Weights {
  const key = makeKey()
  const layoutOf = new Map<string, Layout | undefined>() // by key of a param or of a whole constant operand
  const own = new Set<string>() // constant operands with a slot of their own
  for (const flow of flows) {
    for (const n of flow.order) {
      if (flow.kind(n) !== 'contraction') continue
      const operand = constantOperand(flow, n)
      if (operand === undefined) continue
      const views: Node[] = []
      let base = operand.node
      while (flow.kind(base) === 'view') {
        views.unshift(base)
        base = base.inputs[0]
      }
      const stored = storedOrder(base, views, operand.node, operand.order)
      const layout = oriented(panel, operand.node, operand.order, stored)
      const whole = base.op === 'param' ? pulledBack(base, views, layout) : undefined
      const target = whole === undefined ? key(operand.node) : key(base)
      if (whole === undefined) own.add(target)
      // A tensor that lies as it is wanted is not packed.
      const asStored = whole !== undefined && isRowMajor(whole, base.type.shape)
      if (!layoutOf.has(target)) layoutOf.set(target, asStored ? undefined : (whole ?? layout))
    }
  }

  const externals = new Map<string, External>()
  const made: { external: External; node: Node; flow: Flow }[] = []
  const flowOf = new Map<Node, Flow>()
  for (const flow of flows) for (const n of flow.order) flowOf.set(n, flow)
  const names = new Set<string>()
  const cut = (n: Node): External | undefined => {
    const k = key(n)
    const known = externals.get(k)
    if (known !== undefined) return known
    const flow = flowOf.get(n)!
    const isView = flow.kind(n) === 'view'
    if (n.op !== 'param' && isView && !own.has(k)) return undefined
    const layout = layoutOf.get(k)
    const wish = n.op === 'param' ? (n.attrs.name as string) : `${paramNames(n).join(' + ') || 'constants'}`
    const slot = unique(names, wish)
    const external: External = {
      id: `weight:${slot}`, role: 'weight', type: n.type, name: identifier(shortName(slot)),
      ...(layout ? { layout } : {}),
    } // prettier-ignore
    externals.set(k, external)
    made.push({ external, node: n, flow })
    return external
  }
  const slots = (): WeightSlot[] => {
    const copies = new Map<string, WeightSlot['pack']>()
    return made.map(({ external, node, flow }) => makeSlot(external, node, flow, copies))
  }
  return { cut, slots }
}

function unique(names: Set<string>, wish: string): string {
  let name = wish
  for (let i = 2; names.has(name); i++) name = `${wish} #${i}`
  names.add(name)
  return name
}

/** 'h.0.attn.c_attn.weight' is read as `c_attn_weight`: layers differ in the rest. */
const shortName = (name: string): string => name.split(' ')[0].split('.').slice(-2).join('_')

/** Checkpoint tensors under a load-time expression, in order of first use. */
function paramNames(n: Node): string[] {
  const out = new Set<string>()
  const go = (n: Node): void => {
    if (n.op === 'param') out.add(n.attrs.name as string)
    n.inputs.forEach(go)
  }
  go(n)
  return [...out]
}

/** `copies`: packing kernels of whole tensors by layout and shape, which layers share. */
function makeSlot(external: External, node: Node, flow: Flow, copies: Map<string, WeightSlot['pack']>): WeightSlot {
  const from = paramNames(node)
  const layout = external.layout ?? rowMajor(node.type.shape)
  const base = {
    name: external.id.slice('weight:'.length),
    dtype: 'f32' as const,
    shape: staticShape(node),
    layout,
    from,
  }
  if (node.op === 'param' && external.layout === undefined) return base
  const raw = (n: Node): External | undefined =>
    n.op === 'param'
      ? {
          id: `raw:${n.attrs.name as string}`,
          role: 'input',
          type: n.type,
          name: identifier(shortName(n.attrs.name as string)),
        }
      : undefined
  const output: External = { id: 'slot', role: 'weight', type: node.type, name: 'packed', layout }
  if (node.op === 'param') {
    const key = `${layout.name} ${base.shape.join()}`
    if (!copies.has(key)) copies.set(key, copyKernel(node, raw(node)!, output))
    return { ...base, pack: copies.get(key)! }
  }
  const spec = { kind: 'map' as const, outputs: [{ node, views: [], external: output }], cut: raw, kindOf: flow.kind }
  const walked = walk(spec)
  const kernel = buildKernel(spec, walked, `pack_${identifier(shortName(base.name))}`)
  const sorted = [...kernel.args].sort(
    (a, b) =>
      place(
        a.buffer,
        from,
        walked.externals,
        kernel.args.map((x) => x.buffer),
      ) -
      place(
        b.buffer,
        from,
        walked.externals,
        kernel.args.map((x) => x.buffer),
      ),
  )
  return { ...base, pack: { ...kernel, args: sorted } }
}

/** Arguments of a packing kernel: the tensors in the order of `from`, then the slot. */
function place(
  buffer: Buffer,
  from: readonly string[],
  externals: readonly External[],
  buffers: readonly Buffer[],
): number {
  const external = externals[buffers.indexOf(buffer)]
  return external.id === 'slot' ? from.length : from.indexOf(external.id.slice('raw:'.length))
}

/** Copies a whole tensor into its layout. */
function copyKernel(node: Node, source: External, output: External): WeightSlot['pack'] {
  const from = newBuffer(source.name, node.type.dtype, 'global', node.type.shape)
  const out = newBuffer('packed', node.type.dtype, 'global', node.type.shape, output.layout)
  const domain = node.type.shape.map((extent, i) => axisSymbol(`i${i}`, extent))
  return {
    name: `pack_${output.layout!.name.replace(/[^A-Za-z0-9]+/g, '_')}`, doc: [], params: [],
    stages: [{ name: 'packed', out, domain, body: { k: 'map', e: load(from, domain.map(of)) } }],
    args: [{ buffer: from, access: 'read', role: 'input' }, { buffer: out, access: 'write', role: 'weight' }],
  } // prettier-ignore
}
