/** What must hold of any graph, checked again from the op table. Run after each pass in tests. */
import type { Attr, Param } from '../ops/define.ts'
import { InferError } from '../ops/define.ts'
import { opOf } from '../ops/table.ts'
import { isDType } from '../types/dtype.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { isConst, sub, symbolsOf } from '../types/ix.ts'
import { sameShape } from '../types/shape.ts'
import type { TensorType } from '../types/tensor.ts'
import { dimsOf, isDim } from './attrs.ts'
import { inferTypes } from './build.ts'
import { printNode, printType } from './print.ts'
import { indexOf, regionsOf } from './regions.ts'
import { rootsOf } from './traverse.ts'
import type { Graph, Node } from './types.ts'

/**
 * Throws an internal error that names the first node at fault: types that are not what `infer` gives, attributes of the wrong kind,
 * symbols that the graph does not list, cycles, params and inputs that do not match their nodes, outputs of one name, loops that
 * are read from outside, have two scans or change what they carry.
 */
export function verifyGraph(graph: Graph): void {
  const nodes = acyclic(rootsOf(graph))
  const known = new Set<Sym>(graph.dims)
  const indices = new Set(nodes.filter((n) => n.op === 'scan').flatMap((n) => indexOf(n) ?? []))
  for (const n of nodes) {
    checkAttrs(n)
    checkTypes(n)
    checkSymbols(n, known, indices)
  }
  checkLoops(graph, nodes)
  if (graph.sequence && !known.has(graph.sequence)) fail(`sequence ${graph.sequence.name} is not a dim of the graph`)
  unique('output', graph.outputs.map(o => o.name)) // prettier-ignore
  unique('input', graph.inputs.map(i => i.name)) // prettier-ignore
  checkParams(graph, nodes)
  checkInputs(graph, nodes)
}

const fail = (message: string, n?: Node): never => {
  throw new Error(`internal: ${message}${n === undefined ? '' : `\n  ${printNode(n)}`}`)
}

function unique(what: string, names: readonly string[]): void {
  for (const [i, name] of names.entries()) if (names.indexOf(name) !== i) fail(`${what} ${name} is there twice`)
}

/** All nodes after their inputs, or an error at a cycle. */
function acyclic(roots: readonly Node[]): Node[] {
  const state = new Map<Node, 'open' | 'done'>()
  const order: Node[] = []
  for (const root of roots) {
    const stack: { node: Node; next: number }[] = [{ node: root, next: 0 }]
    while (stack.length > 0) {
      const top = stack[stack.length - 1]
      if (top.next === 0) {
        if (state.get(top.node) === 'done') {
          stack.pop()
          continue
        }
        if (state.get(top.node) === 'open' && top.node.inputs.length > 0) fail('a node is its own input', top.node)
        state.set(top.node, 'open')
      }
      if (top.next < top.node.inputs.length) stack.push({ node: top.node.inputs[top.next++], next: 0 })
      else {
        state.set(top.node, 'done')
        order.push(top.node)
        stack.pop()
      }
    }
  }
  return order
}

function checkTypes(n: Node): void {
  let types: readonly TensorType[]
  try {
    types = inferTypes(
      n.op,
      n.inputs.map((x) => x.type),
      n.attrs,
    )
  } catch (error) {
    if (!(error instanceof InferError)) throw error
    return fail(`${error.code} ${error.message}`, n)
  }
  const own = n.results ?? [n.type]
  const same =
    types.length === own.length &&
    types.every((t, i) => t.dtype === own[i].dtype && sameShape(t.shape, own[i].shape)) &&
    own[0].dtype === n.type.dtype &&
    sameShape(own[0].shape, n.type.shape)
  if (!same) fail(`a node's type is not what its op gives, ${types.map((t) => printType(t)).join(', ')}`, n)
}

const isList = (a: Attr): a is readonly number[] => Array.isArray(a)

function fits(a: Attr, kind: Param['kind']): boolean {
  switch (kind) {
    case 'axis':
      return typeof a === 'number' && Number.isInteger(a) && a >= 0
    case 'axes':
      return isList(a) && a.every((x) => Number.isInteger(x) && x >= 0)
    case 'dim':
      return isDim(a)
    case 'dims':
      return Array.isArray(a) && a.every(isDim)
    case 'number':
      return typeof a === 'number'
    case 'numbers':
      return isList(a) && a.every((x) => typeof x === 'number')
    case 'bool':
      return typeof a === 'boolean'
    case 'string':
      return typeof a === 'string'
    case 'dtype':
      return typeof a === 'string' && isDType(a)
    default:
      return false
  }
}

function checkAttrs(n: Node): void {
  const { params } = opOf(n.op)
  for (const [name, value] of Object.entries(n.attrs)) {
    if (name === 'given' && typeof value === 'string') continue
    const param = params.find((p) => p.name === name)
    if (param === undefined) return fail(`${n.op} has no attribute ${name}`, n)
    if (!fits(value, param.kind)) fail(`attribute ${name} is no ${param.kind}`, n)
  }
  for (const p of params) {
    if (p.kind === 'tensor' || p.kind === 'tensors' || p.default === null || n.attrs[p.name] !== undefined) continue
    fail(`attribute ${p.name} is missing`, n)
  }
}

/** Attributes may mention the index of a loop, shapes only dims of the graph. */
function checkSymbols(n: Node, known: ReadonlySet<Sym>, indices: ReadonlySet<Sym>): void {
  const check = (d: Ix, loops: boolean): void => {
    for (const s of symbolsOf(d)) {
      if (!known.has(s) && !(loops && indices.has(s))) fail(`${s.name} is not a dim of the graph`, n)
    }
  }
  for (const t of n.results ?? [n.type]) for (const d of t.shape) check(d, false)
  for (const d of dimsOf(n.attrs)) check(d, true)
}

const sameType = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape)

function checkLoops(graph: Graph, nodes: readonly Node[]): void {
  const regions = regionsOf(nodes)
  for (const { scan, t, extent, carries, next } of regions.loops) {
    if (t !== undefined && (t.role !== 'loop' || t.hi !== sub(extent, 1)))
      fail(`${t.name} does not run over the steps`, scan)
    for (const [i, c] of carries.entries()) {
      if (c !== undefined && !sameType(c.type, next[i].type)) fail('a carry changes its type', c)
    }
  }
  for (const n of nodes) {
    const [x] = n.inputs
    if (n.op === 'carry') {
      const loop = regions.loops.find((l) => l.key === n.attrs.loop)
      if (loop?.carries[n.attrs.index as number] !== n) fail('a carry that its scan does not have', n)
    } else if (n.op === 'part') {
      const type = (x.results ?? [x.type])[n.attrs.index as number]
      if (type === undefined || !sameType(type, n.type)) fail('a part that is not one of the results', n)
    } else if (n.inputs.some((y) => y.op === 'scan')) fail('a scan is read by something other than its parts', n)
  }
  for (const n of rootsOf(graph)) {
    if (n.op === 'scan') fail('a scan is no value', n)
    if (regions.of(n) !== undefined) fail('a value inside of a loop is read from outside', n)
  }
}

function checkParams(graph: Graph, nodes: readonly Node[]): void {
  const specs = new Map(graph.params.map((p) => [p.name, p]))
  for (const p of graph.params) {
    if (p.fallback !== undefined && !specs.has(p.fallback))
      fail(`param ${p.name} falls back to ${p.fallback}, which is none`)
  }
  for (const n of nodes) {
    if (n.op !== 'param') continue
    const spec = specs.get(n.attrs.name as string)
    if (spec === undefined) return fail('a param that the graph does not list', n)
    const same = spec.shape.length === n.type.shape.length && n.type.shape.every((d, i) => isConst(d) === spec.shape[i])
    if (!same) fail(`a param whose shape is listed as [${spec.shape.join(', ')}]`, n)
  }
}

function checkInputs(graph: Graph, nodes: readonly Node[]): void {
  const listed = new Set(graph.inputs.map((i) => i.node))
  for (const i of graph.inputs) {
    if (i.node.op !== 'input' || i.node.attrs.name !== i.name) fail(`input ${i.name} is not its node`, i.node)
    if (
      i.default &&
      !(i.default.type.dtype === i.node.type.dtype && sameShape(i.default.type.shape, i.node.type.shape))
    ) {
      fail(`the default of input ${i.name} has another type`, i.default)
    }
  }
  for (const n of nodes) if (n.op === 'input' && !listed.has(n)) fail('an input that the graph does not list', n)
}
