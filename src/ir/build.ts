/** Making nodes: `infer` runs on each, so that a node that exists is well typed. */
import type { Attrs } from '../ops/define.ts'
import { opOf, type OpName } from '../ops/table.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix } from '../types/ix.ts'
import type { TensorType } from '../types/tensor.ts'
import { attrsKey } from './attrs.ts'
import type { Node, Origin } from './types.ts'

let nextNode = 0

/** Types of the results of `op`. Throws `InferError` when the inputs do not fit, an internal error when their number does not. */
export function inferTypes(op: string, inputs: readonly TensorType[], attrs: Attrs): readonly TensorType[] {
  const record = opOf(op)
  checkArity(op, inputs.length, attrs)
  const types = record.infer(inputs, attrs)
  return 'dtype' in types ? [types] : types
}

function checkArity(op: string, count: number, attrs: Attrs): void {
  const { params } = opOf(op)
  if (params.some((p) => p.kind === 'tensors')) return
  const given = typeof attrs.given === 'string' ? attrs.given.split(' ').filter((n) => n !== '') : []
  const tensors = params.filter((p) => p.kind === 'tensor' && (p.default !== null || given.includes(p.name)))
  if (tensors.length !== count) throw new Error(`internal: ${op} takes ${tensors.length} tensors, not ${count}`)
}

/**
 * A new node. Inputs that are `undefined` are optional ones left out; attribute `given` then names those that are there.
 * Ids grow over the life of the process and are unique. Throws `InferError`.
 */
export function makeNode(op: string, inputs: readonly (Node | undefined)[], attrs: Attrs, origin: Origin): Node {
  const there = inputs.filter((n) => n !== undefined)
  const all = withGiven(op, inputs, attrs)
  const types = inferTypes(
    op,
    there.map((n) => n.type),
    all,
  )
  return {
    id: nextNode++,
    op: op as OpName,
    inputs: there,
    attrs: all,
    type: types[0],
    ...(types.length > 1 ? { results: types } : {}),
    origin,
  }
}

function withGiven(op: string, inputs: readonly (Node | undefined)[], attrs: Attrs): Attrs {
  if (attrs.given !== undefined) return attrs
  const tensors = opOf(op).params.filter((p) => p.kind === 'tensor')
  const optional = tensors.filter((p, i) => p.default === null && inputs[i] !== undefined)
  return optional.length === 0 ? attrs : { ...attrs, given: optional.map((p) => p.name).join(' ') }
}

const sameType = (a: TensorType, b: TensorType): boolean =>
  a === b || (a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((d, i) => d === b.shape[i]))

function rebuilt(n: Node, inputs: readonly Node[], attrs: Attrs): Node {
  if (attrs !== n.attrs && attrsKey(attrs) !== attrsKey(n.attrs)) return makeNode(n.op, inputs, attrs, n.origin)
  if (inputs.length === n.inputs.length && inputs.every((x, i) => x === n.inputs[i])) return n
  if (!inputs.every((x, i) => sameType(x.type, n.inputs[i].type))) return makeNode(n.op, inputs, attrs, n.origin)
  return { ...n, id: nextNode++, inputs }
}

export interface Builder {
  readonly node: (op: string, inputs: readonly (Node | undefined)[], attrs: Attrs, origin: Origin) => Node
  /**
   * `n` on other inputs, perhaps with other attributes; `n` itself where nothing changes. Passes rebuild most nodes this way: the shape rule
   * runs again only where a type or an attribute differs.
   */
  readonly again: (n: Node, inputs: readonly Node[], attrs?: Attrs) => Node
  /** A scalar of shape []. */
  readonly scalar: (value: number, dtype: DType, origin: Origin) => Node
  /** A tensor of `value`s with the type of `like`. */
  readonly fullLike: (like: Node, value: number, origin: Origin) => Node
  readonly full: (value: number, dtype: DType, shape: readonly Ix[], origin: Origin) => Node
}

/** With `share`, equal applications give the same node (the first one's origin stays); `from` are nodes known already. */
export function makeBuilder(options: { readonly share?: boolean; readonly from?: readonly Node[] } = {}): Builder {
  const known = new Map<string, Node>()
  const keyOf = (op: string, inputs: readonly (Node | undefined)[], attrs: Attrs): string =>
    `${op}(${inputs.map((n) => n?.id ?? '').join(',')})${attrsKey(attrs)}`
  for (const n of options.from ?? []) known.set(keyOf(n.op, n.inputs, n.attrs), n)
  const node: Builder['node'] = (op, inputs, attrs, origin) => {
    if (options.share !== true) return makeNode(op, inputs, attrs, origin)
    const key = keyOf(
      op,
      inputs.filter((n) => n !== undefined),
      withGiven(op, inputs, attrs),
    )
    let made = known.get(key)
    if (made === undefined) known.set(key, (made = makeNode(op, inputs, attrs, origin)))
    return made
  }
  const again: Builder['again'] = (n, inputs, attrs = n.attrs) => {
    const key = options.share === true ? keyOf(n.op, inputs, attrs) : ''
    let made = key === '' ? undefined : known.get(key)
    if (made === undefined) {
      made = rebuilt(n, inputs, attrs)
      if (key !== '') known.set(key, made)
    }
    return made
  }
  const full: Builder['full'] = (value, dtype, shape, origin) => node('full', [], { value, shape, dtype }, origin)
  return {
    node,
    again,
    full,
    scalar: (value, dtype, origin) => full(value, dtype, [], origin),
    fullLike: (like, value, origin) => full(value, like.type.dtype, like.type.shape, origin),
  }
}
