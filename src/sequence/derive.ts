/** Derives prepare, prefill and step from a model written over the whole sequence (docs/sequence.md). */
import { makeBuilder } from '../ir/build.ts'
import { shapeOf } from '../ir/kinds.ts'
import { topological } from '../ir/traverse.ts'
import type { Graph, InputSpec, Node, OutputSpec } from '../ir/types.ts'
import { opOf } from '../ops/table.ts'
import type { Attrs } from '../ops/define.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, INF, isConst, of, sub, substitute, sym, symbolsOf } from '../types/ix.ts'
import { pastOnly } from './causal.ts'
import type { Reading } from './relation.ts'
import { readings } from './relation.ts'
import { substituteGraph } from './substitute.ts'

/** Why a model cannot be stepped: the node at fault, what it does, and the result that needs it. */
export interface Refusal {
  readonly node: Node
  readonly message: string
  readonly output: string
}
export interface State {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly Ix[]
  /** The axis of positions, of caches. */
  readonly axis?: number
}
export interface Derived {
  readonly prepare?: Graph
  readonly prefill: Graph
  readonly step: Graph
  readonly state: readonly State[]
  readonly T: Sym
  readonly past: Sym
  /** Largest P + T, Infinity if unbounded. */
  readonly max: number
}

type Form = 'local' | 'full' | '-'

class Stop extends Error {
  readonly refusal: Omit<Refusal, 'output'>
  constructor(node: Node, message: string) {
    super(message)
    this.refusal = { node, message }
  }
}

/** The derived programs, or the reason why there are none; undefined if the model declares no sequence. */
export function derive(graph: Graph): Derived | Refusal | undefined {
  const T = graph.sequence
  if (T === undefined) return undefined
  let current = graph.outputs[0]?.name ?? ''
  try {
    return deriveOrStop(graph, T, (name) => (current = name))
  } catch (e) {
    if (e instanceof Stop) return { ...e.refusal, output: current }
    throw e
  }
}

export const isRefusal = (d: Derived | Refusal | undefined): d is Refusal => d !== undefined && 'message' in d

function deriveOrStop(graph: Graph, T: Sym, at: (output: string) => void): Derived {
  const length = of(T)
  const limit = bound(graph, T)
  const past = sym('P', { lo: 0, hi: limit === undefined ? INF : sub(limit, length), role: 'dim' })
  const total = add(length, of(past))
  const builder = makeBuilder({ share: true })
  const kind = (n: Node) => shapeOf(n).kind
  const readingOf = readings(length)
  const state = new Map<string, State>()
  const hoisted: OutputSpec[] = []

  // What each node depends on.
  const order = topological(graph.outputs.map((o) => o.node))
  const onSequence = new Set<Node>()
  const onInputs = new Set<Node>()
  const mentions = (n: Node): boolean =>
    n.type.shape.some((d) => symbolsOf(d).has(T)) ||
    Object.values(n.attrs).some((a) => ixs(a).some((x) => symbolsOf(x).has(T)))
  for (const n of order) {
    if (n.op === 'input' || n.inputs.some((x) => onInputs.has(x))) onInputs.add(n)
    if (mentions(n) || n.inputs.some((x) => onSequence.has(x))) onSequence.add(n)
  }
  const extent = (form: Form): Ix => (form === 'full' ? total : length)
  const isSequence = (d: Ix): boolean => d === length

  const memo = new Map<Node, Map<string, Node>>()
  const names = new Map<string, number>()
  const fresh = (wish: string): string => {
    const n = (names.get(wish) ?? 0) + 1
    names.set(wish, n)
    if (/\{\w+\}/.test(wish)) return wish.replace(/\{\w+\}/, String(n - 1)) // one per layer, in order
    return n === 1 ? wish : `${wish}.${n}`
  }

  /** A value that T does not touch: rebuilt if it costs nothing, kept by `prepare` otherwise. */
  const outside = (n: Node): Node => {
    const known = memo.get(n)?.get('')
    if (known !== undefined) return known
    const made = !onInputs.has(n) || (kind(n) === 'inline' && n.inputs.length > 0) ? copy(n) : keep(n)
    memo.set(n, new Map([['', made]]))
    return made
  }
  const copy = (n: Node): Node => builder.again(n, n.inputs.map(outside))
  const keep = (n: Node): Node => {
    const name = fresh(label(n))
    state.set(name, { name, dtype: n.type.dtype, shape: n.type.shape })
    hoisted.push({ name, node: n })
    return builder.node('state', [], { name, dtype: n.type.dtype, shape: n.type.shape }, n.origin)
  }

  const build = (n: Node, forms: readonly Form[]): Node => {
    if (!onSequence.has(n)) return outside(n)
    const key = forms.join()
    let mine = memo.get(n)
    if (mine === undefined) memo.set(n, (mine = new Map()))
    let made = mine.get(key)
    if (made === undefined) mine.set(key, (made = make(n, forms)))
    return made
  }

  const make = (n: Node, forms: readonly Form[]): Node => {
    for (const [i, d] of n.type.shape.entries()) {
      if (symbolsOf(d).has(T) && !isSequence(d))
        throw new Stop(n, `axis ${i} has an extent that mixes the sequence axis with others`)
    }
    const fullAxes = forms.flatMap((f, i) => (f === 'full' ? [i] : []))
    const k = kind(n)
    if (fullAxes.length > 0 && onInputs.has(n) && !(k === 'inline' && n.inputs.length > 0)) {
      if (fullAxes.length === 1 && !forms.includes('local')) return cache(n, fullAxes[0], forms)
      if (k !== 'map' && k !== 'view')
        throw new Stop(n, 'it is needed at all past positions along one axis and at the new ones along another')
    }
    if (n.op === 'input') return builder.node('input', [], n.attrs, n.origin)
    const read = readingOf(n)
    const operands = new Map(read.inputs.map((b, i) => [b, n.inputs[i]]))
    const inputs = n.inputs.map((x, i) => {
      if (!onSequence.has(x)) return outside(x)
      const wanted = x.type.shape.map((d, axis): Form =>
        symbolsOf(d).has(T) ? formOf(n, read, i, axis, forms, operands) : '-',
      )
      return build(x, wanted)
    })
    return builder.again(n, inputs, advanced(n, forms))
  }

  const formOf = (
    n: Node,
    read: Reading,
    i: number,
    axis: number,
    forms: readonly Form[],
    operands: Parameters<typeof pastOnly>[3],
  ): Form => {
    const wanted = new Set<Form>()
    for (const r of read.of(i, axis)) {
      if (r.k === 'same') wanted.add(forms[r.axis] === '-' ? 'local' : forms[r.axis])
      else if (r.k === 'latest') wanted.add('local')
      else if (r.k === 'other') throw new Stop(n, r.why)
      else {
        const query = read.stages[read.stages.length - 1].domain.find((_, a) => isSequence(n.type.shape[a]))
        if (query === undefined) throw new Stop(n, 'it reduces over all positions, later ones too')
        if (!pastOnly(r.stage, r.symbol, query, operands, kind))
          throw new Stop(n, 'it reads positions after its own: nothing in its mask implies key <= query')
        wanted.add('full')
      }
    }
    if (wanted.size > 1) throw new Stop(n, 'it reads an operand both at its own position and at all positions')
    return [...wanted][0] ?? 'local'
  }

  const cache = (n: Node, axis: number, forms: readonly Form[]): Node => {
    const local = build(
      n,
      forms.map((f) => (f === 'full' ? 'local' : f)),
    )
    const name = fresh(label(n))
    const shape = n.type.shape.map((d, i) => (i === axis ? total : d))
    state.set(name, { name, dtype: n.type.dtype, shape, axis })
    return builder.node('append', [local], { name, axis, past: of(past) }, n.origin)
  }

  /** The attributes over the wanted forms: shapes follow the axes, sources of positions shift by P. */
  const advanced = (n: Node, forms: readonly Form[]): Attrs => {
    const shape = n.type.shape.map((d, i) => (isSequence(d) ? extent(forms[i]) : d))
    let attrs: Attrs = n.attrs
    for (const [name, value] of Object.entries(attrs)) {
      if (Array.isArray(value) && value.length === n.type.shape.length && value.every((d, i) => d === n.type.shape[i]))
        attrs = { ...attrs, [name]: shape }
    }
    const axis = n.type.shape.findIndex(isSequence)
    const source = axis >= 0 && !n.inputs.some((x) => onSequence.has(x) && x.type.shape.some(isSequence))
    const advance = opOf(n.op).advance
    if (source && advance) return advance(attrs, axis, forms[axis] === 'full' ? con(0) : of(past), extent(forms[axis]))
    const left = Object.entries(attrs).find(
      ([name, a]) => ixs(a).some((x) => symbolsOf(x).has(T)) && !sameLength(name, n),
    )
    if (left !== undefined) throw new Stop(n, `it uses ${T.name} as a number (${left[0]}), which grows while decoding`)
    return attrs
  }
  const sameLength = (name: string, n: Node): boolean => {
    const a = n.attrs[name]
    if (Array.isArray(a)) return a.length === n.type.shape.length
    return n.inputs.some((x) => x.type.shape.some(isSequence)) // a slice of the last position, or of all
  }

  const outputs: OutputSpec[] = []
  const early: OutputSpec[] = []
  for (const o of graph.outputs) {
    at(o.name)
    if (!onSequence.has(o.node)) early.push(o)
    else
      outputs.push({
        ...o,
        node: build(
          o.node,
          o.node.type.shape.map((d): Form => (isSequence(d) ? 'local' : '-')),
        ),
      })
  }
  const reached = new Set(topological(outputs.map((o) => o.node)))
  const inputs = graph.inputs.flatMap((i): InputSpec[] => {
    const node = [...reached].find((n) => n.op === 'input' && n.attrs.name === i.name)
    return node === undefined ? [] : [{ ...i, node }]
  })
  const prefill: Graph = {
    ...graph, inputs, outputs, entries: [],
    dims: [...graph.dims, past],
    constraints: graph.constraints.map((c) => ({ ...c, a: substitute(c.a, new Map([[T, total]])), b: substitute(c.b, new Map([[T, total]])) })),
  } // prettier-ignore
  const step = substituteGraph(prefill, new Map([[T, con(1)]]))
  const prepareOutputs = [...hoisted, ...early]
  const needed = new Set(topological(prepareOutputs.map((o) => o.node)))
  const prepare: Graph | undefined =
    prepareOutputs.length === 0
      ? undefined
      : {
          ...graph,
          outputs: prepareOutputs,
          entries: [],
          inputs: graph.inputs.filter((i) => needed.has(i.node)),
          constraints: graph.constraints.filter((c) => ![c.a, c.b].some((x) => symbolsOf(x).has(T))),
        }
  return {
    prefill, step, T, past, state: [...state.values()],
    max: limit === undefined ? Infinity : (isConst(limit) ?? Infinity),
    ...(prepare === undefined ? {} : { prepare }),
  } // prettier-ignore
}

/** The bound of `where T <= ctx`, if it is a number. */
function bound(graph: Graph, T: Sym): Ix | undefined {
  const found = graph.constraints.find((c) => c.k === 'le' && c.a === of(T) && isConst(c.b) !== undefined)
  if (found !== undefined) return found.b
  return T.hi === INF ? undefined : T.hi
}

const label = (n: Node): string => [n.origin.scope, n.origin.name ?? n.op].filter((s) => s !== '').join('.')

/** The dims in an attribute value. */
function ixs(a: Attrs[string]): readonly Ix[] {
  if (Array.isArray(a)) return a.filter((x): x is Ix => typeof x === 'object')
  return typeof a === 'object' ? [a as Ix] : []
}
