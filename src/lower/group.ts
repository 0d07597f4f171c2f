/**
 * One fusion group as a kernel. Building has two steps: a canonical key of the group (members and external values numbered in order
 * of first use, names left out), and, for a key not seen before, the kernel itself from its members' stages.
 */
import { attrsKey, substituteAttrs } from '../ir/attrs.ts'
import type { Node } from '../ir/types.ts'
import type { Attrs } from '../ops/define.ts'
import type { Buffer, Layout } from '../kernel/buffer.ts'
import { newBuffer } from '../kernel/buffer.ts'
import { load } from '../kernel/expr.ts'
import type { KernelArg, Stage, StageKernel } from '../kernel/stage.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { con, of, substitute } from '../types/ix.ts'
import type { TensorType } from '../types/tensor.ts'
import { describe } from './describe.ts'
import { isUnit } from '../kernel/walk.ts'
import { lowerNode, virtual } from '../ir/kinds.ts'
import type { Kind } from '../ir/kinds.ts'
import type { GroupKind } from './partition.ts'
import { paramsOf } from './symbols.ts'
import type { Push } from './views.ts'
import { invert, pushThrough } from './views.ts'

/** A value that a kernel reads or writes but does not compute. */
export interface External {
  readonly id: string
  readonly role: KernelArg['role']
  readonly type: TensorType
  readonly layout?: Layout
  readonly name: string
}

/** A value of the group that is stored, possibly through inverted views. */
export interface Output {
  readonly node: Node
  readonly views: readonly Node[]
  readonly external: External
}

export interface GroupSpec {
  readonly kind: GroupKind
  readonly rows?: readonly Ix[]
  /** Whether results of a contraction read several of its columns (law 8). */
  readonly columns?: boolean
  readonly outputs: readonly Output[]
  /** The external value that `n` is read as, or undefined if the kernel computes it. */
  readonly cut: (n: Node) => External | undefined
  readonly kindOf: (n: Node) => Kind
  /** What stands for the indices of the loops around, so that equal loops have equal kernels. */
  readonly indices?: ReadonlyMap<Sym, Ix>
}

interface Member {
  readonly node: Node
  /** The node with the indices of loops replaced. */
  readonly shown: Node
  readonly inputs: readonly (number | External)[]
}

interface Walk {
  readonly members: readonly Member[]
  readonly indexOf: ReadonlyMap<Node, number>
  readonly externals: readonly External[]
  readonly shown: (n: Node) => Node
  readonly key: string
}

/** Members in evaluation order, externals in order of first use, and the key that is equal for equal kernels. */
export function walk(spec: GroupSpec): Walk {
  const members: Member[] = []
  const indexOf = new Map<Node, number>()
  const externals: External[] = []
  const number = new Map<string, number>()
  const lines: string[] = []
  const { indices } = spec
  const shown = (n: Node): Node => {
    const attrs = indices === undefined ? n.attrs : substituteAttrs(n.attrs, indices)
    return attrs === n.attrs ? n : { ...n, attrs }
  }
  const ext = (x: External): string => {
    let i = number.get(x.id)
    if (i === undefined) {
      number.set(x.id, (i = externals.length))
      externals.push(x)
      lines.push(`x${i}:${x.role}:${typeKey(x.type)}:${x.layout?.name ?? ''}`)
    }
    return `x${i}`
  }
  const visit = (n: Node): number => {
    const known = indexOf.get(n)
    if (known !== undefined) return known
    const inputs = n.inputs.map((x): number | External => spec.cut(x) ?? visit(x))
    const refs = inputs.map((x) => (typeof x === 'number' ? `n${x}` : ext(x)))
    const i = members.length
    indexOf.set(n, i)
    const at = shown(n)
    members.push({ node: n, shown: at, inputs })
    const attrs = 'name' in at.attrs ? nameless(at.attrs) : at.attrs
    lines.push(`n${i}=${n.op}|${attrsKey(attrs)}|${refs.join(',')}|${typeKey(n.type)}`)
    return i
  }
  for (const o of spec.outputs) {
    const i = visit(o.node)
    const views = o.views.map(shown).map((v) => `${v.op}|${attrsKey(v.attrs)}|${typeKey(v.type)}`)
    lines.push(`->n${i}:${views.join(';')}:${ext(o.external)}`)
  }
  return { members, indexOf, externals, shown, key: `${spec.kind}\n${lines.join('\n')}` }
}

function nameless(attrs: Attrs): Attrs {
  const { name: _, ...rest } = attrs
  return rest
}
const typeKey = (t: TensorType): string => `${t.dtype}[${t.shape.map((d) => d.id).join(',')}]`

/**
 * Builds the kernel of a group: its members' stages in order, then one stage per stored value. Virtual maps are inlined where the nest
 * is built; a stored map of a row group defines its storage itself, so later stages of the row read it back.
 */
export function buildKernel(spec: GroupSpec, walked: Walk, name: string): StageKernel {
  const written = new Set(spec.outputs.map((o) => o.external.id))
  const buffers = new Map<string, Buffer>()
  const args = walked.externals.map((x): KernelArg => {
    const buffer = newBuffer(x.name, x.type.dtype, 'global', x.type.shape, x.layout)
    buffers.set(x.id, buffer)
    return { buffer, access: written.has(x.id) ? 'write' : 'read', role: x.role }
  })
  const storage = (o: Output): Buffer => buffers.get(o.external.id)!
  // What a contraction stores at its own index: each result has that domain.
  const tiles = spec.kind === 'contraction' && !spec.columns
  const direct = (o: Output): boolean => {
    const k = spec.kindOf(o.node)
    return o.views.length === 0 && ((spec.kind === 'rows' && k === 'map') || (!tiles && k === 'append'))
  }

  const alone = (o: Output): boolean => spec.outputs.every((p) => p === o || p.node !== o.node)
  const valueOf: Buffer[] = []
  const domainOf: (readonly Sym[])[] = []
  const stages: Stage[] = []
  for (const m of walked.members) {
    const deferred = tiles && spec.kindOf(m.node) === 'append'
    const own = spec.outputs.find((o) => o.node === m.node && direct(o))
    const out = own ? storage(own) : virtual(m.node)
    valueOf.push(out)
    if (deferred) {
      domainOf.push([])
      continue
    }
    const inputs = m.inputs.map((x) => (typeof x === 'number' ? valueOf[x] : buffers.get(x.id)!))
    const lowered = lowerNode(m.shown, inputs, out)
    stages.push(...lowered.map((s) => ({ ...s, origin: describe(m.node) })))
    domainOf.push(lowered[lowered.length - 1].domain)
  }
  const product = tiles ? walked.members.findIndex((m) => spec.kindOf(m.node) === 'contraction') : -1
  const anchor = domainOf[product]
  // What the contraction reads has a domain of its own (law 7).
  const before = new Set<number>()
  const reach = (i: number): void =>
    walked.members[i].inputs.forEach((x) => {
      if (typeof x !== 'number' || before.has(x)) return
      before.add(x)
      reach(x)
    })
  if (product >= 0) reach(product)
  for (const o of spec.outputs) {
    if (direct(o)) continue
    const views = o.views.map(walked.shown)
    const i = walked.indexOf.get(o.node)!
    const last = stages[stages.length - 1]
    if (spec.kindOf(o.node) === 'append') stages.push(appendStage(o.node, walked, valueOf, spec, anchor, storage(o)))
    else if (last.out === valueOf[i] && last.body.k !== 'map' && spec.kind !== 'contraction' && alone(o)) {
      stages[stages.length - 1] = { ...last, out: storage(o), ...landed(last.domain, views) }
    } else
      stages.push(
        outputStage(storage(o), product >= 0 && !before.has(i) ? anchor : domainOf[i], views, valueOf[i], o.node),
      )
  }
  return { name, doc: [], stages, args, params: paramsOf(stages, args) }
}

const pushOf = (view: Node): Push => {
  const push = invert(view)
  if (push === undefined) throw new Error(`internal: ${view.op} cannot be inverted`)
  return push
}

/** Store coordinates of a domain point through inverted views. */
function landed(domain: readonly Sym[], views: readonly Node[]): Pick<Stage, 'at' | 'guard'> {
  if (views.length === 0) return {}
  const landing = pushThrough(
    views.map(pushOf),
    domain.map((s) => (isUnit(s) ? con(0) : of(s))),
  )
  return { at: landing.at, ...(landing.guard ? { guard: landing.guard } : {}) }
}

function outputStage(out: Buffer, domain: readonly Sym[], views: readonly Node[], value: Buffer, node: Node): Stage {
  const e = load(value, domain.map(of))
  return { name: out.name, out, domain, body: { k: 'map', e }, origin: describe(node), ...landed(domain, views) }
}

/** A cache append as the epilogue of a contraction: the views between the result and the appended value are inverted. */
function appendStage(
  node: Node,
  walked: Walk,
  valueOf: readonly Buffer[],
  spec: GroupSpec,
  domain: readonly Sym[],
  out: Buffer,
): Stage {
  const [stage] = lowerNode(walked.shown(node), [virtual(node.inputs[0])], out)
  const views: Node[] = []
  let v = node.inputs[0]
  while (spec.kindOf(v) === 'view') {
    views.unshift(v)
    v = v.inputs[0]
  }
  const landing = pushThrough(views.map(walked.shown).map(pushOf), domain.map(of))
  const map = new Map<Sym, Ix>(stage.domain.map((s, i) => [s, landing.at[i]]))
  return {
    name: out.name, out, domain, at: stage.at!.map((x) => substitute(x, map)), origin: describe(node),
    body: { k: 'map', e: load(valueOf[walked.indexOf.get(v)!], domain.map(of)) },
    ...(landing.guard ? { guard: landing.guard } : {}),
  } // prettier-ignore
}
