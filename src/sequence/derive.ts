/** Derives prepare, prefill and step from a model written over the whole sequence (docs/sequence.md). */
import { dimsOf } from '../ir/attrs.ts'
import { makeBuilder } from '../ir/build.ts'
import { shapeOf } from '../ir/kinds.ts'
import { topological } from '../ir/traverse.ts'
import type { Graph, InputSpec, Node, OutputSpec } from '../ir/types.ts'
import type { Lead } from '../ops/define.ts'
import { InferError } from '../ops/define.ts'
import { opOf } from '../ops/table.ts'
import type { Sym } from '../types/ix.ts'
import { add, con, INF, isConst, of, sub, substitute, sym } from '../types/ix.ts'
import { regionsOf } from '../ir/regions.ts'
import { sightOf } from './causal.ts'
import type { Form, Frame } from './forms.ts'
import { advanced, boundOf, mentions, slackOf, startOf, Stop } from './forms.ts'
import type { State } from './kept.ts'
import { keeping } from './kept.ts'
import { atOne, loopsOf, spread, varies } from './loops.ts'
import type { Reading, Relation } from './relation.ts'
import { readings } from './relation.ts'
import { lengthened } from './shift.ts'
import { substituteGraph } from './substitute.ts'

export type { State } from './kept.ts'

/** Why a model cannot be stepped: the node at fault, what it does, and the result that needs it. */
export interface Refusal {
  readonly node: Node
  readonly message: string
  readonly output: string
}
export interface Derived {
  readonly prepare?: Graph
  readonly prefill: Graph
  readonly step: Graph
  readonly state: readonly State[]
  /** States that `prefill` and `step` replace: results of that name are not the caller's. */
  readonly replaced: readonly string[]
  readonly T: Sym
  readonly past: Sym
  /** Largest P + T, Infinity if unbounded. */
  readonly max: number
}

/** A reduction whose window cannot be kept: it sees all keys instead. */
class WithoutWindow extends Error {
  readonly node: Node
  constructor(node: Node) {
    super('internal: retried')
    this.node = node
  }
}

/** The derived programs, or the reason why there are none; undefined if the model declares no sequence. */
export function derive(written: Graph): Derived | Refusal | undefined {
  const T = written.sequence
  if (T === undefined) return undefined
  const graph = lengthened(written)
  const unbounded = new Set<Node>()
  let current = graph.outputs[0]?.name ?? ''
  for (;;) {
    try {
      return deriveOrStop(graph, T, unbounded, (name) => (current = name))
    } catch (e) {
      if (e instanceof WithoutWindow) unbounded.add(e.node)
      else if (e instanceof Stop) return { node: e.node, message: e.message, output: current }
      else throw e
    }
  }
}

export const isRefusal = (d: Derived | Refusal | undefined): d is Refusal => d !== undefined && 'message' in d

function deriveOrStop(graph: Graph, T: Sym, unbounded: ReadonlySet<Node>, at: (output: string) => void): Derived {
  const length = of(T)
  const max = boundOf(T, graph.constraints)
  const past = sym('P', { lo: 0, hi: max === undefined ? INF : sub(max, length), role: 'dim' })
  const frame: Frame = { T, length, past: of(past) }
  const builder = makeBuilder({ share: true })
  const kept = keeping(
    builder,
    frame,
    graph.outputs.map((o) => o.name),
  )
  const kind = (n: Node) => shapeOf(n).kind

  // What each node depends on.
  const defaults = graph.inputs.flatMap((i) => (i.default ? [i.default] : []))
  const order = topological([...graph.outputs.map((o) => o.node), ...defaults])
  const regions = regionsOf(order)
  const onInputs = new Set<Node>()
  for (const n of order) if (n.op === 'input' || n.inputs.some((x) => onInputs.has(x))) onInputs.add(n)
  const onSequence = spread(order, regions, (n) => [...n.type.shape, ...dimsOf(n.attrs)].some((d) => mentions(d, T)))
  // Values that are known at the end of a call only.
  const final = new Set<Node>()

  /** Logic of positions and integers, or a view of it: what is kept is its operands. */
  const cheap = (n: Node): boolean =>
    n.inputs.length > 0 && (kind(n) === 'inline' || (kind(n) === 'view' && cheap(n.inputs[0])))
  const memo = new Map<Node, Map<string, Node>>()
  /** A value that T does not touch: rebuilt if it costs nothing, kept by `prepare` otherwise. */
  const outside = (n: Node): Node => {
    const known = memo.get(n)?.get('')
    if (known !== undefined) return known
    const costless = !onInputs.has(n) || cheap(n)
    const made = costless ? builder.again(n, n.inputs.map(outside)) : kept.constant(n)
    memo.set(n, new Map([['', made]]))
    return made
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
  /** All axes over the new positions only. */
  const local = (n: Node): Node => build(n, formsOf(n, 0))
  const formsOf = (n: Node, form: Form): Form[] => n.type.shape.map((d) => (mentions(d, T) ? form : '-'))

  const loops = loopsOf(regions, frame, builder, kept, local, onSequence)
  const readingOf = readings(T, loops.steps)

  const make = (n: Node, forms: readonly Form[]): Node => {
    for (const [i, d] of n.type.shape.entries()) {
      const slack = slackOf(d, frame)
      if (!mentions(d, T)) continue
      if (slack === undefined) throw new Stop(n, `axis ${i} has an extent that mixes the sequence axis with others`)
      if (slack < 0) throw new Stop(n, `axis ${i} has fewer entries than there are positions`)
      if (slack > 0 && n.op === 'input') throw new Stop(n, `axis ${i} has more entries than there are positions`)
    }
    if (varies(n, loops.steps)) throw new Stop(n, 'its size differs from step to step of a scan')
    const lead = opOf(n.op).leads?.(
      n.inputs.map((x) => x.type),
      n.attrs,
    )
    const made = lead && !loops.inside(n) ? led(n, forms, lead) : undefined
    if (made !== undefined) return made
    const wide = forms.flatMap((f, i) => (f === 'full' || (f !== '-' && f > 0) ? [i] : []))
    if (wide.length > 0 && onInputs.has(n) && !cheap(n) && !loops.inside(n)) {
      const [axis] = wide
      if (wide.length === 1 && !forms.includes(0) && slackOf(n.type.shape[axis], frame) === 0)
        return remembered(n, axis, forms[axis] as 'full' | number)
    }
    if (n.op === 'input') {
      if (wide.length > 0)
        throw new Stop(n, 'it is needed at past positions along one axis and at the new ones along another')
      return builder.node('input', [], n.attrs, n.origin)
    }
    const looped = loops.make(n, forms)
    if (looped !== undefined) {
      if (loops.final(n)) final.add(n)
      return looped
    }
    const read = readingOf(n)
    const inputs = n.inputs.map((x, i) => operand(n, i, forms, read))
    const relations = n.inputs.flatMap((x, i) => x.type.shape.flatMap((d, a) => (mentions(d, T) ? read.of(i, a) : [])))
    const latest = relations.some((r) => r.k === 'latest')
    if (latest || n.inputs.some((x) => final.has(x))) {
      if (forms.some((f) => f !== '-') || loops.around(n).length > 0)
        throw new Stop(n, 'it takes what is known after the last position to earlier ones')
      final.add(n)
    }
    const attrs = advanced(n, forms, frame, latest)
    return builder.again(n, inputs, relations.some((r) => r.k === 'step') ? attrs : loops.numbered(n, attrs))
  }

  /** Input `i` of `n` over the positions that `n` needs for `forms`. */
  const operand = (n: Node, i: number, forms: readonly Form[], read: Reading): Node => {
    const x = n.inputs[i]
    if (!onSequence.has(x)) return outside(x)
    const asked = x.type.shape.map((d, axis) =>
      mentions(d, T) ? demand(n, read, i, axis, forms) : { form: '-' as Form, windowed: false },
    )
    const wanted = asked.map((a) => a.form)
    if (!asked.some((a) => a.windowed)) return hidden(n, x, build(x, wanted), wanted, read)
    const before = window
    window = n
    try {
      let made = build(x, wanted)
      if (x.type.dtype === 'bool' && read.guards(i))
        asked.forEach((a, axis) => {
          if (a.windowed) made = builder.node('and', [made, exists(made, axis, a.form as number)], {}, n.origin)
        })
      return made
    } catch (e) {
      // What stands in the way of a window may be no obstacle to all positions.
      if (e instanceof Stop || e instanceof InferError) throw new WithoutWindow(n)
      throw e
    } finally {
      window = before
    }
  }
  /** The reduction for whose window values are built. */
  let window: Node | undefined

  /** Which of the positions of `x` on `axis`, of form `form`, there are. */
  const exists = (x: Node, axis: number, form: number): Node => {
    const n = x.type.shape[axis]
    const position = builder.node('iota', [], { n, start: startOf(form, frame) }, x.origin)
    const there = builder.node('ge', [position, builder.scalar(0, 'i32', x.origin)], {}, x.origin)
    const shape = [n, ...x.type.shape.slice(axis + 1).map(() => con(1))]
    return builder.node('reshape', [there], { shape }, x.origin)
  }
  /** An operand that chooses positions of another one must do so also where it is at a position before the first. */
  const hidden = (n: Node, x: Node, made: Node, wanted: readonly Form[], read: Reading): Node => {
    if (window === undefined || !read.chosen || x.type.dtype !== 'i32') return made
    return wanted.reduce((y, form, axis) => {
      if (typeof form !== 'number' || form === 0) return y
      return builder.node('select', [exists(y, axis, form), y, builder.scalar(0, 'i32', n.origin)], {}, n.origin)
    }, made)
  }

  const demand = (
    n: Node,
    read: Reading,
    i: number,
    axis: number,
    forms: readonly Form[],
  ): { readonly form: Form; readonly windowed: boolean } => {
    const wanted = new Map<Form, boolean>()
    for (const r of read.of(i, axis)) {
      if (r.k === 'other') throw new Stop(n, r.why)
      if (r.k === 'same') wanted.set(forms[r.axis], wanted.get(forms[r.axis]) ?? false)
      else if (r.k === 'latest' || r.k === 'step') wanted.set(0, wanted.get(0) ?? false)
      else {
        const back = windowOf(n, r, read)
        wanted.set(back ?? 'full', back !== undefined && back > 0)
      }
    }
    if (wanted.size > 1) throw new Stop(n, 'it reads an operand both at its own position and at all positions')
    const [[form, windowed]] = [...wanted, [0, false] as const]
    return { form, windowed }
  }

  /** How far back reduction `r` of `n` sees, if a window is all that it sees. Throws `Stop` where it looks ahead. */
  const windowOf = (n: Node, r: Relation & { k: 'all' }, read: Reading): number | undefined => {
    const queries = read.stages[read.stages.length - 1].domain.flatMap((symbol, a) => {
      const slack = slackOf(n.type.shape[a], frame)
      return slack === undefined ? [] : [{ symbol, slack }]
    })
    queries.push(...loops.around(n).map((symbol) => ({ symbol, slack: 0 })))
    if (queries.length === 0) throw new Stop(n, 'it reduces over all positions, later ones too')
    const operands = new Map(read.inputs.map((b, i) => [b, n.inputs[i]]))
    for (const { symbol, slack } of queries) {
      const sight = sightOf(r.stage, r.symbol, symbol, slack, operands, kind)
      if (sight === undefined) continue
      const guarded = n.inputs.some(
        (x, i) => read.guards(i) && x.type.shape.some((_, a) => read.of(i, a).some((s) => s.k === 'all')),
      )
      const pays = sight.window !== undefined && (max === undefined || sight.window < max - 1)
      return pays && guarded && slack === 0 && !unbounded.has(n) ? sight.window : undefined
    }
    throw new Stop(n, 'it reads positions after its own: nothing in its mask implies key <= query')
  }

  const grown = new Set<Node>()
  const tails = new Map<Node, Node>()
  /** `n` at all positions, or at `form` past ones and the new ones: computed at the new ones, and kept. */
  const remembered = (n: Node, axis: number, form: 'full' | number): Node => {
    // Integers and flags are small: they may be kept both ways.
    const values = n.type.dtype === 'f32'
    if (form === 'full') {
      grown.add(n)
      if (values && tails.has(n)) throw new WithoutWindow(tails.get(n)!)
      return kept.grown(n, axis, local(n))
    }
    if (window !== undefined) {
      if (values && grown.has(n)) throw new WithoutWindow(window)
      tails.set(n, window)
    }
    const shape = n.type.shape.map((d, i) => (i === axis ? con(form) : d))
    return kept.tailed(n, axis, local(n), builder.full(0, n.type.dtype, shape, n.origin))
  }

  /** What puts entries before an operand: the last of both are kept; undefined if it is nothing of the kind. */
  const led = (n: Node, forms: readonly Form[], { axis, body, start }: Lead): Node | undefined => {
    const form = forms[axis]
    const x = n.inputs[body]
    const before = isConst(sub(n.type.shape[axis], x.type.shape[axis]))
    if (form === '-' || before === undefined || start.inputs.some((i) => onSequence.has(n.inputs[i]))) return undefined
    if (form === 'full') {
      const inputs = n.inputs.map((y, i) => (i === body ? build(x, forms) : outside(y)))
      return builder.again(n, inputs, advanced(n, forms, frame, false))
    }
    const own = build(
      x,
      forms.map((f, a) => (a === axis ? 0 : f)),
    )
    if (before + form === 0) return own
    const first = builder.node(
      start.op,
      start.inputs.map((i) => n.inputs[i]),
      start.attrs,
      n.origin,
    )
    const missing = first.type.shape.map((d, a) => (a === axis ? con(form) : d))
    const all =
      form === 0
        ? first
        : builder.node('concat', [builder.full(0, n.type.dtype, missing, n.origin), first], { axis }, n.origin)
    return kept.tailed(n, axis, own, all)
  }

  const outputs: OutputSpec[] = []
  const early: OutputSpec[] = []
  for (const o of graph.outputs) {
    at(o.name)
    if (!onSequence.has(o.node)) early.push(o)
    else if (o.node.type.shape.some((d) => (slackOf(d, frame) ?? 0) > 0))
      throw new Stop(o.node, 'it has more entries than there are positions')
    else outputs.push({ ...o, node: local(o.node) })
  }
  const reached = new Set(topological([...outputs, ...kept.next].map((o) => o.node)))
  const inputs = graph.inputs.flatMap((i): InputSpec[] => {
    const node = [...reached].find((n) => n.op === 'input' && n.attrs.name === i.name)
    if (node === undefined) return []
    return [{ ...i, node, ...(i.default ? { default: local(i.default) } : {}) }]
  })
  const total = new Map([[T, add(length, of(past))]])
  const prefill: Graph = {
    ...graph, inputs, outputs: [...outputs, ...kept.next], entries: [],
    dims: [...graph.dims, past],
    constraints: graph.constraints.map((c) => ({ ...c, a: substitute(c.a, total), b: substitute(c.b, total) })),
  } // prettier-ignore
  const step = substituteGraph(prefill, atOne(loops.steps, T))
  const prepared = [...kept.prepared, ...early]
  const needed = new Set(topological(prepared.map((o) => o.node)))
  const prepare: Graph | undefined =
    prepared.length === 0
      ? undefined
      : {
          ...graph,
          outputs: prepared,
          entries: [],
          inputs: graph.inputs.filter((i) => needed.has(i.node)),
          constraints: graph.constraints.filter((c) => ![c.a, c.b].some((x) => mentions(x, T))),
        }
  return {
    prefill, step, T, past, state: kept.state, replaced: kept.next.map((o) => o.name),
    max: max ?? Infinity,
    ...(prepare === undefined ? {} : { prepare }),
  } // prettier-ignore
}
