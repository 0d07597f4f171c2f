/**
 * The reference: every op by its own `evaluate`, in float64, on the graph as the front end made it. Other targets are judged against
 * this, so it shares nothing with lowering, and does nothing clever except to forget values that are no longer needed.
 */
import { callMissing, indexOutOfRange } from '../diagnostics/catalogue.ts'
import { DiagnosticError } from '../diagnostics/collector.ts'
import { resolveAttrs } from '../ir/attrs.ts'
import { printNode } from '../ir/print.ts'
import { regionsOf, type Loop } from '../ir/regions.ts'
import { topological } from '../ir/traverse.ts'
import type { Graph, Node } from '../ir/types.ts'
import { EvaluateError } from '../ops/define.ts'
import { opOf } from '../ops/table.ts'
import type { Ix } from '../types/ix.ts'
import { of } from '../types/ix.ts'
import type { Tensor } from '../types/tensor.ts'
import { bindDims, evaluateAt, type Dims } from './bind.ts'

/** Anything that finds tensors by name; a `Map` does. */
export interface Tensors {
  readonly get: (name: string) => Tensor | undefined
}

export interface InterpretOptions {
  readonly inputs: ReadonlyMap<string, Tensor>
  readonly params?: Tensors
  /** Dims that no input's shape gives, by name: the past length `P` of a step. */
  readonly dims?: Readonly<Record<string, number>>
  /** Kept values by name. A cache holds its `past` positions; it may be absent at past 0. */
  readonly state?: Tensors
  /** Only these outputs (all by default). */
  readonly outputs?: readonly string[]
  /** Values to hold on to for `value`; outputs are always kept. */
  readonly keep?: 'all' | readonly Node[]
}

export interface Interpreted {
  readonly outputs: Map<string, Tensor>
  /** What `append` nodes made of the kept values, by name. */
  readonly state: Map<string, Tensor>
  /** The value of a node; an internal error if it was not kept. */
  readonly value: (node: Node) => Tensor
  readonly dims: Dims
}

/**
 * Evaluates a graph. Throws `DiagnosticError`: TFM2001 … TFM2004 for inputs that do not fit (`bind.ts`), TFM2002 for a missing weight,
 * TFM1411 for an index that the data puts out of range.
 */
export function interpret(graph: Graph, options: InterpretOptions): Interpreted {
  const dims = bindDims(graph, options.inputs, options.dims)
  const wanted = graph.outputs.filter((o) => options.outputs?.includes(o.name) ?? true)
  const instead = new Map(
    graph.inputs.flatMap((i) => (i.default && !options.inputs.has(i.name) ? [[i.node, i.default] as const] : [])),
  )
  // An input that is left out needs its default.
  const inputsOf = (n: Node): readonly Node[] => {
    const other = instead.get(n)
    return other === undefined ? n.inputs : [other]
  }
  const order = topological(
    wanted.map((o) => o.node),
    inputsOf,
  )
  const regions = regionsOf(order)
  // A loop reads what its steps read, for as long as it runs.
  const readBy = (n: Node): readonly Node[] => {
    const loop = regions.endedBy(n)
    if (loop === undefined) return inputsOf(n)
    const read = new Set([...order.filter((m) => regions.inside(m, loop)).flatMap(inputsOf), ...n.inputs])
    return [...read].filter((x) => !regions.inside(x, loop))
  }
  const bodies = new Map(
    regions.loops.map((loop) => [loop, order.filter((n) => regions.of(n) === loop && n.op !== 'carry')]),
  )
  const outside = order.filter((n) => regions.of(n) === undefined)
  const left = new Map<Node, number>()
  for (const n of outside) for (const x of readBy(n)) left.set(x, (left.get(x) ?? 0) + 1)
  const kept = new Set<Node>([
    ...wanted.map((o) => o.node),
    ...(Array.isArray(options.keep) ? (options.keep as readonly Node[]) : []),
  ])
  const values = new Map<Node, Tensor>()
  const results = new Map<Node, readonly Tensor[]>()
  const state = new Map<string, Tensor>()
  const value = (n: Node): Tensor => {
    const v = values.get(n)
    if (v === undefined) throw new Error(`internal: the value of ${printNode(n)} was not kept`)
    return v
  }
  const step = (n: Node, at: Dims): void => {
    const loop = regions.endedBy(n)
    if (loop !== undefined) results.set(n, run(loop, at))
    else if (n.op === 'part') values.set(n, results.get(n.inputs[0])![n.attrs.index as number])
    else values.set(n, evaluateNode(graph, n, instead, value, at, options, state))
  }
  /** The results of a loop: what is carried takes its next values at once, after each step. */
  const run = (loop: Loop, at: Dims): Tensor[] => {
    const count = evaluateAt(loop.extent, at)
    const stacks = loop.yields.map(({ node, axis }) => stack(node, axis, count, at))
    let carried = loop.carries.map((c) => c && value(c.inputs[0]))
    for (let i = 0; i < count; i++) {
      const t = loop.reverse ? count - 1 - i : i
      const now = loop.t === undefined ? at : new Map([...at, [loop.t, t]])
      for (const [j, c] of loop.carries.entries()) if (c !== undefined) values.set(c, carried[j]!)
      for (const n of bodies.get(loop)!) step(n, now)
      for (const [j, { node }] of loop.yields.entries()) stacks[j].put(value(node), t)
      carried = loop.next.map(value)
    }
    return [...stacks.map((s) => s.whole), ...carried.map((c) => c!)]
  }
  for (const n of outside) {
    step(n, dims)
    if (options.keep === 'all') continue
    for (const x of readBy(n)) {
      const uses = (left.get(x) ?? 0) - 1
      left.set(x, uses)
      if (uses > 0 || kept.has(x)) continue
      values.delete(x)
      results.delete(x)
    }
  }
  return { outputs: new Map(wanted.map((o) => [o.name, value(o.node)])), state, value, dims }
}

/** `count` values of a node's type along a new axis. */
function stack(
  n: Node,
  axis: number,
  count: number,
  dims: Dims,
): { readonly whole: Tensor; readonly put: (x: Tensor, t: number) => void } {
  const shape = numbers(n.type.shape, dims)
  const size = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1)
  const [outer, inner] = [size(shape.slice(0, axis)), size(shape.slice(axis))]
  const data = new Float64Array(outer * count * inner)
  return {
    whole: { dtype: n.type.dtype, shape: [...shape.slice(0, axis), count, ...shape.slice(axis)], data },
    put: (x, t) => {
      for (let o = 0; o < outer; o++) data.set(x.data.subarray(o * inner, (o + 1) * inner), (o * count + t) * inner)
    },
  }
}

const numbers = (shape: readonly Ix[], dims: Dims): number[] => shape.map((d) => evaluateAt(d, dims))

function evaluateNode(
  graph: Graph,
  n: Node,
  instead: ReadonlyMap<Node, Node>,
  value: (n: Node) => Tensor,
  dims: Dims,
  options: InterpretOptions,
  state: Map<string, Tensor>,
): Tensor {
  const name = n.attrs.name as string
  const shape = numbers(n.type.shape, dims)
  switch (n.op) {
    case 'input': {
      const other = instead.get(n)
      return other === undefined ? fitting(options.inputs.get(name), 'input', name, shape, n) : value(other)
    }
    case 'param':
      return fitting(paramOf(graph, name, options.params), 'weight', name, shape, n)
    case 'state':
      return fitting(options.state?.get(name), 'kept value', name, shape, n)
    case 'append': {
      const axis = n.attrs.axis as number
      const past = evaluateAt(n.attrs.past as Ix, dims)
      const before = shape.map((d, a) => (a === axis ? past : d))
      const held =
        past === 0 ? { dtype: n.type.dtype, shape: before, data: new Float64Array(0) } : options.state?.get(name)
      const whole = apply(n, [value(n.inputs[0]), fitting(held, 'kept value', name, before, n)], shape, dims)
      state.set(name, whole)
      return whole
    }
    default:
      return apply(n, n.inputs.map(value), shape, dims)
  }
}

function apply(n: Node, inputs: readonly Tensor[], shape: readonly number[], dims: Dims): Tensor {
  const attrs = resolveAttrs(n.attrs, (s) => evaluateAt(of(s), dims))
  try {
    const result = opOf(n.op).evaluate(inputs, attrs, [shape])
    return 'dtype' in result ? result : result[0]
  } catch (error) {
    if (!(error instanceof EvaluateError)) throw error
    throw new DiagnosticError([{ ...outOfRange(error, n), code: error.code }])
  }
}

/** The message of `evaluate`, with the name that the source gives the index. */
function outOfRange(error: EvaluateError, n: Node) {
  const culprit = n.inputs[error.input]
  const name = culprit.origin.name ?? (culprit.op === 'input' ? (culprit.attrs.name as string) : undefined)
  const base = indexOutOfRange(n.origin.span, '', 0, '', 0)
  return { ...base, message: name === undefined ? error.message : error.message.replace(/^i(?=\[| )/, name) }
}

/** A weight, or what stands in for it where the checkpoint lacks it. */
function paramOf(graph: Graph, name: string, params: Tensors | undefined): Tensor | undefined {
  const tried = new Set<string>()
  for (let at: string | undefined = name; at !== undefined && !tried.has(at);) {
    const found = params?.get(at)
    if (found !== undefined) return found
    tried.add(at)
    const missing: string = at
    at = graph.params.find((p) => p.name === missing)?.fallback
  }
  return undefined
}

function fitting(t: Tensor | undefined, what: string, name: string, shape: readonly number[], n: Node): Tensor {
  const span = n.origin.span
  if (t === undefined) throw new DiagnosticError([callMissing(span, `no value for ${what}`, name)])
  if (t.dtype === n.type.dtype && t.shape.length === shape.length && t.shape.every((d, a) => d === shape[a])) return t
  const found = `${t.dtype}[${t.shape.join(', ')}]`
  throw new DiagnosticError([
    callMissing(span, `${found} instead of ${n.type.dtype}[${shape.join(', ')}] for ${what}`, name),
  ])
}
