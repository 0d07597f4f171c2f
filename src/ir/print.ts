/** Graphs as text. `parse.ts` reads it back: all but call frames and the text of spans survives. */
import { lineOf } from '../diagnostics/span.ts'
import type { Attr, Param } from '../ops/define.ts'
import { opOf } from '../ops/table.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { INF, of, print, range as bounds, symbolsOf } from '../types/ix.ts'
import type { TensorType } from '../types/tensor.ts'
import { isDim } from './attrs.ts'
import { indexOf } from './regions.ts'
import { nodesOf } from './traverse.ts'
import type { Constraint, Graph, Node, Origin } from './types.ts'

const quote = (s: string): string => JSON.stringify(s)

/**
 * `%12 = matmul(%3, %7) : f32[B, T, 768]  # gpt2.tfm:9 h.{i}.attn as q`, one line per node in dependence order, under a header
 * with dims, constraints and weight rules, above the inputs and outputs.
 */
export function printGraph(graph: Graph): string {
  const nodes = nodesOf(graph)
  const dim = dimPrinter(graph, nodes)
  const number = new Map(nodes.map((n, i) => [n, i]))
  const ref = (n: Node): string => `%${number.get(n)}`
  const doc = (text: string | undefined): string => (text === undefined ? '' : ` doc ${quote(text)}`)
  const lines = [`graph ${graph.name}${doc(graph.doc)}`]
  for (const s of graph.dims) lines.push(`dim ${dim(of(s))} ${range(s, graph.dims, dim)}`)
  for (const n of nodes) {
    const t = n.op === 'scan' ? indexOf(n) : undefined
    if (t !== undefined) lines.push(`loop ${dim(of(t))} ${range(t, graph.dims, dim)}`)
  }
  if (graph.sequence) lines.push(`sequence ${dim(of(graph.sequence))}`)
  for (const [name, value] of Object.entries(graph.hyper)) lines.push(`hyper ${name} = ${JSON.stringify(value)}`)
  for (const c of graph.constraints) lines.push(`where ${constraint(c, dim)}`)
  const { prefixes, ignore, rename } = graph.rules
  for (const p of prefixes) lines.push(`weights prefix ${quote(p.prefix)}${p.optional ? ' optional' : ''}`)
  for (const name of ignore) lines.push(`weights ignore ${quote(name)}`)
  for (const r of rename) lines.push(`weights rename ${quote(r.from)} to ${quote(r.to)}`)
  for (const p of graph.params) {
    const fallback = p.fallback === undefined ? '' : ` or ${quote(p.fallback)}`
    lines.push(`param ${quote(p.name)} [${p.shape.join(', ')}]${fallback}  # ${p.span.file.path}:${lineOf(p.span)}`)
  }
  lines.push('')
  for (const n of nodes) lines.push(nodeLine(n, ref, dim))
  lines.push('')
  for (const i of graph.inputs) {
    lines.push(`input ${i.name} = ${ref(i.node)}${i.default ? ` default ${ref(i.default)}` : ''}${doc(i.doc)}`)
  }
  for (const o of graph.outputs) lines.push(`output ${o.name} = ${ref(o.node)}${doc(o.doc)}`)
  for (const e of graph.entries) lines.push(`entry ${e.name}: ${e.inputs.join(', ')} -> ${e.outputs.join(', ')}`)
  return `${lines.join('\n')}\n`
}

type PrintDim = (d: Ix) => string

/** One node as `printGraph` shows it, with ids for its inputs; for messages. */
export function printNode(n: Node): string {
  return nodeLine(
    n,
    (x) => `%${x.id}`,
    (d) => print(d),
  )
}

export function printType(t: TensorType, dim: PrintDim = (d) => print(d)): string {
  return `${t.dtype}[${t.shape.map(dim).join(', ')}]`
}

function nodeLine(n: Node, ref: (n: Node) => string, dim: PrintDim): string {
  const { params } = opOf(n.op)
  const attrs = [...params.map((p) => p.name), 'given'].flatMap((name) => {
    const value = n.attrs[name]
    if (value === undefined) return []
    const param = params.find((p) => p.name === name)
    return [`${name} = ${printAttr(value, param, dim)}`]
  })
  const types = (n.results ?? [n.type]).map((t) => printType(t, dim))
  const type = types.length === 1 ? types[0] : `(${types.join(', ')})`
  return `${ref(n)} = ${n.op}(${[...n.inputs.map(ref), ...attrs].join(', ')}) : ${type}  # ${originText(n.origin)}`
}

/** `gpt2.tfm:9 h.{i}.attn as q` */
function originText(o: Origin): string {
  const scope = o.scope === '' ? '' : ` ${/^[^\s"]+$/.test(o.scope) ? o.scope : quote(o.scope)}`
  return `${o.span.file.path}:${lineOf(o.span)}${scope}${o.name === undefined ? '' : ` as ${o.name}`}`
}

function printAttr(a: Attr, param: Param | undefined, dim: PrintDim): string {
  if (typeof a === 'string') return param?.kind === 'dtype' ? a : quote(a)
  if (typeof a === 'number') return Object.is(a, -0) ? '-0' : String(a)
  if (typeof a === 'boolean') return String(a)
  if (isDim(a)) return dim(a)
  return `[${a.map((x: Ix | number) => (isDim(x) ? dim(x) : printAttr(x, undefined, dim))).join(', ')}]`
}

/** A bound by a dim that the graph does not have (P <= ctx - T in a step, whose T is 1) is the largest number that it may be. */
function range(s: Sym, dims: readonly Sym[], dim: PrintDim): string {
  const known = [...symbolsOf(s.hi)].every((x) => dims.includes(x))
  const most = known ? s.hi : of(bounds(s.hi).hi)
  const upper = most === INF ? '' : ` .. ${dim(most)}`
  return `from ${dim(s.lo)}${upper}${s.multipleOf > 1 ? ` by ${s.multipleOf}` : ''}`
}

function constraint(c: Constraint, dim: PrintDim): string {
  return `${c.k}(${dim(c.a)}, ${dim(c.b)}) ${quote(c.text)}  # ${c.span.file.path}:${lineOf(c.span)}`
}

/** Prints dims; symbols of one name are told apart by a number (`T`, `T_2`). */
function dimPrinter(graph: Graph, nodes: readonly Node[]): PrintDim {
  const symbols = new Set(graph.dims)
  for (const n of nodes) for (const d of n.type.shape) for (const s of symbolsOf(d)) symbols.add(s)
  for (const n of nodes) {
    const t = n.op === 'scan' ? indexOf(n) : undefined
    if (t !== undefined) symbols.add(t)
  }
  const names = new Map<Sym, string>()
  const taken = new Set<string>()
  for (const s of symbols) {
    let name = s.name
    for (let i = 2; taken.has(name); i++) name = `${s.name}_${i}`
    taken.add(name)
    names.set(s, name)
  }
  return (d) => print(d, { name: (s) => names.get(s) ?? s.name })
}
