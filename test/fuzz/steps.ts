/** A sequence in pieces: inputs and results cut along it, and the derived programs on the reference. */
import { bindDims, interpret } from '../../src/interpret/index.ts'
import type { Graph, Node } from '../../src/ir/types.ts'
import type { Derived } from '../../src/sequence/derive.ts'
import { of } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { compare } from '../../src/diff/compare.ts'

type Values = ReadonlyMap<string, Tensor>

/** `[from, count]` of each piece: about half, about a quarter, then one by one. */
export function piecesOf(length: number): (readonly [number, number])[] {
  const counts = [Math.floor(length / 2), Math.floor(length / 4)].filter((n) => n > 1)
  const out: (readonly [number, number])[] = []
  let at = 0
  for (const n of counts) {
    out.push([at, n])
    at += n
  }
  for (; at < length; at++) out.push([at, 1])
  return out
}

/** The values that lie along the sequence, cut to `count` positions; others as they are. */
export function cut(
  graph: Pick<Graph, 'sequence'> & { readonly inputs: readonly { readonly name: string; readonly node: Node }[] },
  values: Values,
  from: number,
  count: number,
): Map<string, Tensor> {
  const length = of(graph.sequence!)
  return new Map(
    graph.inputs.flatMap(({ name, node }): (readonly [string, Tensor])[] => {
      const t = values.get(name)
      if (t === undefined) return []
      return [
        [
          name,
          node.type.shape.reduce((cutting, d, axis) => (d === length ? rows(cutting, axis, from, count) : cutting), t),
        ],
      ]
    }),
  )
}

function rows(t: Tensor, axis: number, from: number, count: number): Tensor {
  const inner = t.shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const outer = t.shape.slice(0, axis).reduce((a, b) => a * b, 1)
  const shape = t.shape.map((n, a) => (a === axis ? count : n))
  const data = new Float64Array(outer * count * inner)
  for (let o = 0; o < outer; o++) {
    const start = (o * t.shape[axis] + from) * inner
    data.set(t.data.subarray(start, start + count * inner), o * count * inner)
  }
  return { ...t, shape, data }
}

/** Throws if the derived programs, in pieces, give anything but the whole. */
export function stepped(graph: Graph, derived: Derived, given: Values, want: Values, params: Values): void {
  const length = graph.sequence!
  const size = given.get(graph.inputs.find((i) => i.node.type.shape.includes(of(length)))!.name)!
  const axis = graph.inputs.find((i) => given.get(i.name) === size)!.node.type.shape.indexOf(of(length))
  const total = size.shape[axis]
  const others = Object.fromEntries(
    [...bindDims(graph, given)].flatMap(([s, n]) => (s === length ? [] : [[s.name, n]])),
  )
  const state = new Map<string, Tensor>()
  const pick = (g: Graph, values: Values): Map<string, Tensor> =>
    new Map(g.inputs.flatMap(({ name }) => (values.has(name) ? [[name, values.get(name)!] as const] : [])))
  if (derived.prepare) {
    const { outputs } = interpret(derived.prepare, { inputs: pick(derived.prepare, given), params })
    for (const [name, t] of outputs) state.set(name, t)
    expectSame(outputs, new Map([...want].filter(([name]) => outputs.has(name))), 'of prepare')
  }
  for (const [from, count] of piecesOf(total)) {
    const program = count === 1 ? derived.step : derived.prefill
    const inputs = pick(program, cut(graph, given, from, count))
    const done = interpret(program, { inputs, params, state, dims: { ...others, [derived.past.name]: from } })
    for (const [name, t] of done.state) state.set(name, t)
    const rows = cut({ ...graph, inputs: graph.outputs }, want, from, count)
    const due = [...rows].filter(
      ([name, t]) => done.outputs.has(name) && (from + count === total || t !== want.get(name)),
    )
    expectSame(done.outputs, new Map(due), `at ${from} to ${from + count - 1} of ${total}`)
  }
}

function expectSame(got: Values, want: Values, where: string): void {
  for (const [name, w] of want) {
    const largest = w.data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-30)
    const t = got.get(name)
    if (t === undefined || t.shape.join() !== w.shape.join())
      throw new Error(`${name} ${where} is [${t?.shape ?? 'missing'}], not [${w.shape}]`)
    const c = compare(t.data, w.data, () => 1e-9 * largest, w.shape)
    if (c.used > 1) throw new Error(`${name}[${c.index}] ${where} is ${c.got}, not ${c.want}`)
  }
}
