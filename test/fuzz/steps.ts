/** A sequence in pieces: inputs and results cut along it, and the derived programs on the reference. */
import { interpret, type Dims } from '../../src/interpret/index.ts'
import type { Graph, Node } from '../../src/ir/types.ts'
import type { ProgramSource } from '../../src/lower/program.ts'
import { of } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { compare } from '../../src/diff/compare.ts'
import { positions } from '../support/tensors.ts'

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
          node.type.shape.reduce(
            (cutting, d, axis) => (d === length ? positions(cutting, from, from + count, axis) : cutting),
            t,
          ),
        ],
      ]
    }),
  )
}

/** What a piece must give: what a run over all positions up to its end gives at its own. */
export function expectedOf(graph: Graph, whole: Values, from: number, count: number): Map<string, Tensor> {
  return cut({ ...graph, inputs: graph.outputs }, whole, from, count)
}

/** Throws if the derived programs, in pieces, give anything but the whole. `wholeOf(n)` is a run over the first n positions. */
export function stepped(
  graph: Graph,
  programs: readonly ProgramSource[],
  given: Values,
  dims: Dims,
  params: Values,
  wholeOf: (length: number) => Values,
): void {
  const T = graph.sequence!
  const others = Object.fromEntries([...dims].flatMap(([s, n]) => (s === T ? [] : [[s.name, n]])))
  const state = new Map<string, Tensor>()
  const run = (name: string, from: number, count: number): Map<string, Tensor> => {
    const { graph: part, keep } = programs.find((p) => p.name === name)!
    const mine = new Set(part.inputs.map((i) => i.name))
    const inputs = new Map([...cut(graph, given, from, count)].filter(([input]) => mine.has(input)))
    const done = interpret(part, { inputs, params, state, dims: { ...others, P: from, [T.name]: count } })
    for (const [key, t] of done.state) state.set(key, t)
    for (const key of keep) if (done.outputs.has(key)) state.set(key, done.outputs.get(key)!)
    return done.outputs
  }
  const pieces = piecesOf(dims.get(T)!)
  if (programs.some((p) => p.name === 'prepare')) run('prepare', 0, pieces[0][1])
  for (const [from, count] of pieces) {
    const got = run(from > 0 && count === 1 ? 'step' : 'prefill', from, count)
    const want = expectedOf(graph, wholeOf(from + count), from, count)
    expectSame(got, new Map([...want].filter(([name]) => got.has(name))), `at ${from} to ${from + count - 1}`)
  }
}

function expectSame(got: Values, want: Values, where: string): void {
  for (const [name, w] of want) {
    const largest = w.data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-30)
    const t = got.get(name)!
    if (t.shape.join() !== w.shape.join()) throw new Error(`${name} ${where} is [${t.shape}], not [${w.shape}]`)
    const c = compare(t.data, w.data, () => 1e-9 * largest, w.shape)
    if (c.used > 1) throw new Error(`${name}[${c.index}] ${where} is ${c.got}, not ${c.want}`)
  }
}
