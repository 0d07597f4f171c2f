/**
 * One fusion group as a kernel. Building has two steps: a canonical key of the group (members and external values numbered in order
 * of first use, names left out), and, for a key not seen before, the kernel itself from its members' stages.
 */
import { attrsKey } from '../ir/attrs.ts'
import type { Node } from '../ir/types.ts'
import type { Buffer, Layout } from '../kernel/buffer.ts'
import { newBuffer } from '../kernel/buffer.ts'
import type { Expr } from '../kernel/expr.ts'
import { load } from '../kernel/expr.ts'
import type { KernelArg, Stage, StageKernel } from '../kernel/stage.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { con, of, substitute } from '../types/ix.ts'
import type { TensorType } from '../types/tensor.ts'
import { describe } from './describe.ts'
import { inliner, mapBody, substituteExpr } from './inline.ts'
import { lowerNode, virtual } from './kinds.ts'
import type { Kind } from './kinds.ts'
import type { GroupKind } from './partition.ts'
import { paramsOf } from './symbols.ts'
import type { Push } from './views.ts'
import { axisSymbol, invert, pushThrough } from './views.ts'

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
  readonly outputs: readonly Output[]
  /** The external value that `n` is read as, or undefined if the kernel computes it. */
  readonly cut: (n: Node) => External | undefined
  readonly kindOf: (n: Node) => Kind
  readonly costly: (n: Node) => boolean
}

interface Member {
  readonly node: Node
  readonly inputs: readonly (number | External)[]
}

interface Walk {
  readonly members: readonly Member[]
  readonly indexOf: ReadonlyMap<Node, number>
  readonly externals: readonly External[]
  readonly key: string
}

/** Members in evaluation order, externals in order of first use, and the key that is equal for equal kernels. */
export function walk(spec: GroupSpec): Walk {
  const members: Member[] = []
  const indexOf = new Map<Node, number>()
  const externals: External[] = []
  const number = new Map<string, number>()
  const lines: string[] = []
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
    members.push({ node: n, inputs })
    const { name: _, ...attrs } = n.attrs
    lines.push(`n${i}=${n.op}|${attrsKey(attrs)}|${refs.join(',')}|${typeKey(n.type)}`)
    return i
  }
  for (const o of spec.outputs) {
    const i = visit(o.node)
    const views = o.views.map((v) => `${v.op}|${attrsKey(v.attrs)}|${typeKey(v.type)}`)
    lines.push(`->n${i}:${views.join(';')}:${ext(o.external)}`)
  }
  return { members, indexOf, externals, key: `${spec.kind}\n${lines.join('\n')}` }
}

const typeKey = (t: TensorType): string => `${t.dtype}[${t.shape.map((d) => d.id).join(',')}]`

/** Symbols of axes with one element are zero. */
function withoutUnitAxes(stage: Stage): Stage {
  const zero = new Map<Sym, Ix>(stage.domain.filter((s) => s.hi === con(0)).map((s) => [s, con(0)]))
  if (zero.size === 0) return stage
  const at = stage.at ?? stage.domain.map(of)
  const guard = stage.guard ? { guard: substituteExpr(stage.guard, zero) } : {}
  return { ...stage, at: at.map((x) => substitute(x, zero)), body: mapBody(stage.body, (e) => substituteExpr(e, zero)), ...guard }
}

/** Builds the kernel of a group from its members' stages. */
export function buildKernel(spec: GroupSpec, walked: Walk, name: string): StageKernel {
  const buffers = new Map<string, Buffer>()
  const written = new Set(spec.outputs.map((o) => o.external.id))
  const args: KernelArg[] = walked.externals.map((x) => {
    const buffer = newBuffer(x.name, x.type.dtype, 'global', x.type.shape, x.layout)
    buffers.set(x.id, buffer)
    return { buffer, access: written.has(x.id) ? 'write' : 'read', role: x.role }
  })

  const valueOf: Buffer[] = []
  const defs = new Map<Buffer, Stage>()
  const inline = inliner(defs)
  const stages: Stage[] = []
  const rowSymbols = spec.rows?.map((extent, i) => axisSymbol(`r${i}`, extent))
  const shareRows = (stage: Stage): Stage => {
    if (rowSymbols === undefined || !rowSymbols.every((r, i) => stage.domain[i] !== undefined && stage.domain[i].hi === r.hi)) return stage
    const map = new Map<Sym, Ix>(rowSymbols.map((r, i) => [stage.domain[i], of(r)]))
    return {
      ...stage,
      domain: [...rowSymbols, ...stage.domain.slice(rowSymbols.length)],
      ...(stage.at ? { at: stage.at.map((x) => substitute(x, map)) } : {}),
      body: mapBody(stage.body, (e) => substituteExpr(e, map)),
    }
  }

  const domainOf = new Map<number, readonly Sym[]>()
  for (const [i, m] of walked.members.entries()) {
    const inputs = m.inputs.map((x) => (typeof x === 'number' ? valueOf[x] : buffers.get(x.id)!))
    const output = spec.outputs.find((o) => o.node === m.node)
    const appended = spec.kindOf(m.node) === 'append'
    const out = appended ? buffers.get(output!.external.id)! : virtual(m.node)
    valueOf.push(out)
    for (const lowered of lowerNode(m.node, inputs, out)) {
      const stage = withoutUnitAxes(lowered)
      if (stage.body.k === 'map' && !appended) {
        defs.set(stage.out, stage)
        domainOf.set(i, stage.domain)
        continue
      }
      if (appended && spec.kind === 'contraction') continue // an epilogue, placed with the outputs below
      const placed = shareRows({ ...stage, body: mapBody(stage.body, inline) })
      domainOf.set(i, placed.domain)
      stages.push({ ...placed, origin: describe(m.node) })
    }
    if (output !== undefined && spec.kind === 'rows' && spec.kindOf(m.node) === 'map' && output.views.length === 0) {
      // Later stages of the row read the stored value instead of computing it again.
      const buffer = buffers.get(output.external.id)!
      stages.push(shareRows(outputStage(buffer, defs.get(out)!.domain, [], inline(load(out, defs.get(out)!.domain.map(of))), m.node)))
      const domain = defs.get(out)!.domain
      defs.set(out, { ...defs.get(out)!, body: { k: 'map', e: load(buffer, domain.map(of)) } })
    }
  }

  for (const o of spec.outputs) {
    const i = walked.indexOf.get(o.node)!
    const kind = spec.kindOf(o.node)
    const buffer = buffers.get(o.external.id)!
    if (kind === 'append') {
      if (spec.kind === 'contraction') {
        stages.push(appendStage(o.node, walked, valueOf, spec, contractionDomain(walked, spec, domainOf), inline, buffer))
      }
      continue
    }
    if (spec.kind === 'rows' && kind === 'map' && o.views.length === 0) continue
    const pushes = o.views.map(pushOf)
    const anchor = spec.kind === 'contraction' ? contractionDomain(walked, spec, domainOf) : domainOf.get(i)!
    const last = stages[stages.length - 1]
    if (kind === 'carried' && last?.out === valueOf[i]) {
      const landing = pushThrough(pushes, last.domain.map(of))
      stages[stages.length - 1] = { ...last, out: buffer, at: landing.at, ...(landing.guard ? { guard: landing.guard } : {}) }
      continue
    }
    stages.push(shareRows(outputStage(buffer, anchor, pushes, inline(load(valueOf[i], anchor.map(of))), o.node)))
  }
  return { name, doc: [], stages, args, params: paramsOf(stages, args) }
}

const pushOf = (view: Node): Push => {
  const push = invert(view)
  if (push === undefined) throw new Error(`internal: ${view.op} cannot be inverted`)
  return push
}

/** The domain of the group's contraction: its epilogue stages share it. */
function contractionDomain(walked: Walk, spec: GroupSpec, domainOf: ReadonlyMap<number, readonly Sym[]>): readonly Sym[] {
  const i = walked.members.findIndex((m) => spec.kindOf(m.node) === 'contraction')
  return domainOf.get(i)!
}

function outputStage(out: Buffer, domain: readonly Sym[], pushes: readonly Push[], e: Expr, node: Node): Stage {
  const landing = pushThrough(pushes, domain.map(of))
  return withoutUnitAxes({
    name: out.name, out, domain, body: { k: 'map', e }, origin: describe(node),
    ...(pushes.length > 0 ? { at: landing.at } : {}),
    ...(landing.guard ? { guard: landing.guard } : {}),
  }) // prettier-ignore
}

/** A cache append as the epilogue of a contraction: the views between the result and the appended value are inverted. */
function appendStage(
  node: Node, walked: Walk, valueOf: readonly Buffer[], spec: GroupSpec, domain: readonly Sym[], inline: (e: Expr) => Expr, out: Buffer,
): Stage {
  const [stage] = lowerNode(node, [virtual(node.inputs[0])], out)
  const views: Node[] = []
  let v = node.inputs[0]
  while (spec.kindOf(v) === 'view') {
    views.unshift(v)
    v = v.inputs[0]
  }
  const landing = pushThrough(views.map(pushOf), domain.map(of))
  const map = new Map<Sym, Ix>(stage.domain.map((s, i) => [s, landing.at[i]]))
  return withoutUnitAxes({
    name: out.name, out, domain, at: stage.at!.map((x) => substitute(x, map)), origin: describe(node),
    body: { k: 'map', e: inline(load(valueOf[walked.indexOf.get(v)!], domain.map(of))) },
    ...(landing.guard ? { guard: landing.guard } : {}),
  }) // prettier-ignore
}
