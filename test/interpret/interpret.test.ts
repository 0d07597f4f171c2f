import { describe, expect, it } from 'vitest'
import { DiagnosticError } from '../../src/diagnostics/collector.ts'
import { interpret } from '../../src/interpret/index.ts'
import { makeNode } from '../../src/ir/build.ts'
import { nodesOf } from '../../src/ir/traverse.ts'
import type { Node } from '../../src/ir/types.ts'
import type { Attrs } from '../../src/ops/define.ts'
import { add, con, mul, of, sym } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { goldenTensors } from '../support/golden.ts'
import { gpt2Graph } from '../support/gpt2-graph.ts'
import { graphOf, inputNode, origin, shapeOf, span, tensorOf } from '../support/nodes.ts'

const B = sym('B')
const T = sym('T', { hi: 8 })
const node = (op: string, inputs: readonly Node[], attrs: Attrs = {}): Node => makeNode(op, inputs, attrs, origin)
const zeros = (dtype: Tensor['dtype'], ...shape: number[]): Tensor =>
  tensorOf(dtype, shape, new Float64Array(shape.reduce((n, d) => n * d, 1)))

function refusal(run: () => unknown): { code: string; message: string } {
  try {
    run()
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics[0]
    throw error
  }
  throw new Error('nothing was refused')
}

it('GPT-2 gives the logits of the golden case', () => {
  const graph = gpt2Graph({ vocab: 97, ctx: 32, d: 48, heads: 3, layers: 2 })
  const params = goldenTensors('v06-gpt2-tiny', 'weights.safetensors')
  const io = goldenTensors('v06-gpt2-tiny', 'io.safetensors')
  const [ids, want] = ['input_ids', 'logits'].map((name) => [...io].find(([key]) => key.endsWith(name))?.[1] as Tensor)
  const { outputs, dims } = interpret(graph, { inputs: new Map([['ids', ids]]), params })
  const logits = outputs.get('logits') as Tensor
  expect(logits.shape).toEqual([2, 19, 97])
  expect([...dims.values()]).toEqual([2, 19])
  let worst = 0
  for (const [i, x] of logits.data.entries())
    worst = Math.max(worst, Math.abs(x - want.data[i]) / Math.max(1, Math.abs(want.data[i])))
  // The golden values are float64 results rounded to f32.
  expect(worst).toBeLessThan(1.2e-7)
})

describe('dims', () => {
  const x = inputNode('x', 'f32', [B, T])
  const y = inputNode('y', 'f32', [T, mul(2, T)])
  const graph = graphOf({ z: node('matmul', [x, y]) }, [B, T], {
    constraints: [{ k: 'divides', a: of(T), b: con(2), span, text: 'T % 2 == 0' }],
  })
  const run = (...given: readonly (readonly [string, Tensor])[]): unknown =>
    interpret(graph, { inputs: new Map(given) })
  const good = [['x', zeros('f32', 3, 2)], ['y', zeros('f32', 2, 4)]] as const // prettier-ignore

  it('come from the shapes of the inputs', () => {
    expect(interpret(graph, { inputs: new Map(good) }).outputs.get('z')?.shape).toEqual([3, 4])
  })
  it('must agree: the message names input, axis and both extents', () => {
    const d = refusal(() => run(good[0], ['y', zeros('f32', 4, 4)]))
    expect(d.code).toBe('TFM2001')
    expect(d.message).toBe('input `y`: axis 0 is 4, but T is 2 by input `x`; the model says f32[T, 2*T], found [4, 4]')
    expect(refusal(() => run(good[0], ['y', zeros('f32', 2, 5)])).message).toContain('axis 1 is 5 instead of 2*T = 4')
    expect(refusal(() => run(good[0], ['y', zeros('f32', 2)])).message).toContain('1 axes instead of 2')
  })
  it('inputs must be there, known and of their dtype', () => {
    expect(refusal(() => run(good[0])).message).toBe('no value for input `y`')
    expect(refusal(() => run(...good, ['yy', good[1][1]])).code).toBe('TFM2002')
    expect(refusal(() => run(good[0], ['y', zeros('i32', 2, 4)])).code).toBe('TFM2003')
  })
  it('must keep their ranges and the constraints', () => {
    expect(refusal(() => run(['x', zeros('f32', 1, 3)], ['y', zeros('f32', 3, 6)])).message).toBe(
      '`T % 2 == 0` does not hold at T = 3',
    )
    expect(refusal(() => run(['x', zeros('f32', 1, 10)], ['y', zeros('f32', 10, 20)])).message).toBe(
      '`T <= 8` does not hold at T = 10',
    )
  })
})

describe('values', () => {
  const x = inputNode('x', 'f32', [T])
  const a = node('neg', [x])
  const b = node('exp', [a])
  const graph = graphOf({ b }, [T])
  const inputs = new Map([['x', tensorOf('f32', [2], [0, 1])]])

  it('are forgotten unless they are kept', () => {
    expect(() => interpret(graph, { inputs }).value(a)).toThrowError('was not kept')
    expect([...interpret(graph, { inputs, keep: [a] }).value(a).data]).toEqual([-0, -1])
    const all = interpret(graph, { inputs, keep: 'all' })
    for (const n of nodesOf(graph)) expect(all.value(n).shape).toEqual([2])
  })

  it('only the outputs that are asked for', () => {
    const bad = node('gather', [x, inputNode('i', 'i32', [])], { axis: 0, batch: 0 })
    const two = graphOf({ b, bad }, [T])
    const given = new Map([...inputs, ['i', tensorOf('i32', [], [9])] as const])
    expect([...interpret(two, { inputs: given, outputs: ['b'] }).outputs.keys()]).toEqual(['b'])
    const d = refusal(() => interpret(two, { inputs: given }))
    expect(d.code).toBe('TFM1411')
    expect(d.message).toBe('i = 9, but axis 0 of x has 2 entries')
  })

  it('an input left out has its default', () => {
    const h = inputNode('h', 'f32', [T])
    const one = node('full', [], { value: 1, dtype: 'f32', shape: shapeOf([T]) })
    const sum = graphOf({ y: node('add', [x, h]) }, [T])
    const withDefault = { ...sum, inputs: sum.inputs.map((i) => (i.name === 'h' ? { ...i, default: one } : i)) }
    expect([...(interpret(withDefault, { inputs }).outputs.get('y') as Tensor).data]).toEqual([1, 2])
    const given = new Map([...inputs, ['h', tensorOf('f32', [2], [5, 5])] as const])
    expect([...(interpret(withDefault, { inputs: given }).outputs.get('y') as Tensor).data]).toEqual([5, 6])
  })

  it('a default may be made of another', () => {
    const [h, g] = ['h', 'g'].map((name) => inputNode(name, 'f32', [T]))
    const one = node('full', [], { value: 1, dtype: 'f32', shape: shapeOf([T]) })
    const defaults = new Map([[h, node('add', [g, g])], [g, one]]) // prettier-ignore
    const base = graphOf({ y: node('add', [x, h]) }, [T])
    const ports = [x, h, g].map((n) => ({ name: n.attrs.name as string, node: n, ...(defaults.has(n) ? { default: defaults.get(n) as Node } : {}) })) // prettier-ignore
    expect([...(interpret({ ...base, inputs: ports }, { inputs }).outputs.get('y') as Tensor).data]).toEqual([2, 3])
  })

  it('a weight that is missing has its fallback, or is an error', () => {
    const w = node('param', [], { name: 'head', shape: shapeOf([2]) })
    const base = graphOf({ w }, [])
    const tied = { ...base, params: [{ name: 'head', shape: [2], fallback: 'wte', span }, { name: 'wte', shape: [2], span }] } // prettier-ignore
    const params = new Map([['wte', tensorOf('f32', [2], [3, 4])]])
    expect([...(interpret(tied, { inputs: new Map(), params }).outputs.get('w') as Tensor).data]).toEqual([3, 4])
    expect(refusal(() => interpret(base, { inputs: new Map(), params })).message).toBe('no value for weight `head`')
    const wrong = new Map([['head', tensorOf('f32', [1], [3])]])
    expect(refusal(() => interpret(base, { inputs: new Map(), params: wrong })).message).toContain(
      'f32[1] instead of f32[2]',
    )
  })
})

it('kept values grow call by call', () => {
  const P = sym('P', { lo: 0 })
  const x = inputNode('x', 'f32', [T])
  const all = node('append', [x], { name: 'cache', axis: 0, past: of(P) })
  const graph = graphOf({ y: node('reduce_sum', [all], { axes: [0], keep: false }) }, [T, P])
  expect(all.type.shape[0]).toBe(add(P, T))
  const first = interpret(graph, { inputs: new Map([['x', tensorOf('f32', [2], [1, 2])]]), dims: { P: 0 } })
  expect(first.outputs.get('y')?.data[0]).toBe(3)
  const second = interpret(graph, {
    inputs: new Map([['x', tensorOf('f32', [1], [4])]]),
    dims: { P: 2 },
    state: first.state,
  })
  expect([...(second.state.get('cache') as Tensor).data]).toEqual([1, 2, 4])
  expect(second.outputs.get('y')?.data[0]).toBe(7)
  const third = { inputs: new Map([['x', tensorOf('f32', [1], [4])]]), dims: { P: 2 } }
  expect(refusal(() => interpret(graph, third)).message).toBe('no value for kept value `cache`')
})
