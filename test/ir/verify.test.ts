import { describe, expect, it } from 'vitest'
import { attrsKey, resolveAttrs, substituteAttrs } from '../../src/ir/attrs.ts'
import { makeBuilder, makeNode } from '../../src/ir/build.ts'
import { nodesOf, rewriteGraph, topological, usesOf } from '../../src/ir/traverse.ts'
import type { Graph, Node } from '../../src/ir/types.ts'
import { verifyGraph } from '../../src/ir/verify.ts'
import type { Attrs } from '../../src/ops/define.ts'
import { con, of, sym } from '../../src/types/ix.ts'
import { gpt2Graph } from '../support/gpt2-graph.ts'
import { graphOf, inputNode, origin, shapeOf } from '../support/nodes.ts'

const T = sym('T')
const x = inputNode('x', 'f32', [T, 3])
const node = (op: string, inputs: readonly Node[], attrs: Attrs = {}): Node => makeNode(op, inputs, attrs, origin)

describe('the verifier', () => {
  it('accepts what the builder makes', () => {
    verifyGraph(gpt2Graph({ vocab: 97, ctx: 32, d: 48, heads: 3, layers: 2 }))
  })

  const y = node('reduce_sum', [x], { axes: [1], keep: true })
  const broken: readonly (readonly [string, Graph, RegExp])[] = [
    ['a type that infer does not give', graphOf({ y: { ...y, type: { dtype: 'f32', shape: shapeOf([T, 3]) } } }, [T]), /type is not what its op gives.*f32\[T, 1\]/],
    ['inputs that do not fit', graphOf({ y: { ...y, op: 'not', attrs: {} } }, [T]), /TFM1801/],
    ['an attribute of the wrong kind', graphOf({ y: { ...y, attrs: { axes: con(1), keep: true } } }, [T]), /attribute axes is no axes/],
    ['an attribute that is missing', graphOf({ y: { ...y, attrs: { axes: [1] } } }, [T]), /attribute keep is missing/],
    ['an attribute that the op lacks', graphOf({ y: { ...y, attrs: { ...y.attrs, extra: 1 } } }, [T]), /no attribute extra/],
    ['a dim that is not listed', graphOf({ y }, []), /T is not a dim/],
    ['two outputs of one name', { ...graphOf({ y }, [T]), outputs: [{ name: 'y', node: y }, { name: 'y', node: x }] }, /output y is there twice/],
    ['an input that is not listed', { ...graphOf({ y }, [T]), inputs: [] }, /input that the graph does not list/],
    ['a param that is not listed', { ...graphOf({ w: node('param', [], { name: 'w', shape: shapeOf([3]) }) }, []), params: [] }, /param that the graph does not list/],
  ] // prettier-ignore
  for (const [what, graph, message] of broken)
    it(`refuses ${what}`, () => expect(() => verifyGraph(graph)).toThrowError(message))

  it('refuses a cycle', () => {
    const inputs: Node[] = [x]
    const a: Node = { ...node('neg', [x]), inputs }
    const b = node('exp', [a])
    inputs[0] = b
    const graph: Graph = { ...graphOf({}, [T]), outputs: [{ name: 'y', node: b }] }
    expect(() => verifyGraph(graph)).toThrowError(/its own input/)
  })
})

describe('attributes', () => {
  it('have keys that do not depend on order', () => {
    expect(attrsKey({ a: 1, b: of(T) })).toBe(attrsKey({ b: of(T), a: 1 }))
    expect(attrsKey({ v: 0 })).not.toBe(attrsKey({ v: -0 }))
    expect(attrsKey({ v: '1' })).not.toBe(attrsKey({ v: 1 }))
    expect(attrsKey({ v: con(1) })).not.toBe(attrsKey({ v: 1 }))
  })
  it('resolve and substitute dims', () => {
    const attrs = { shape: shapeOf([T, 3]), start: of(T), axis: 1 }
    expect(resolveAttrs(attrs, () => 7)).toEqual({ shape: [7, 3], start: 7, axis: 1 })
    expect(substituteAttrs(attrs, new Map([[T, con(1)]])).start).toBe(con(1))
    expect(substituteAttrs(attrs, new Map())).toBe(attrs)
  })
})

describe('builders', () => {
  it('share equal nodes when asked to', () => {
    const builder = makeBuilder({ share: true })
    const a = builder.node('neg', [x], {}, origin)
    expect(builder.node('neg', [x], {}, { ...origin, name: 'other' })).toBe(a)
    expect(builder.node('abs', [x], {}, origin)).not.toBe(a)
    expect(makeBuilder().node('neg', [x], {}, origin)).not.toBe(makeBuilder().node('neg', [x], {}, origin))
    expect(builder.fullLike(x, 2, origin).type).toEqual(x.type)
  })
  it('leave out optional tensors and say which are given', () => {
    const q = inputNode('q', 'f32', [1, 2, T, 4])
    const bias = inputNode('bias', 'f32', [T, T])
    const made = makeNode('attention', [q, q, q, undefined, bias], {}, origin)
    expect(made.attrs.given).toBe('bias')
    expect(made.inputs).toEqual([q, q, q, bias])
    expect(makeNode('attention', [q, q, q], {}, origin).attrs.given).toBeUndefined()
  })
})

describe('walks', () => {
  const a = node('neg', [x])
  const b = node('add', [a, a])
  const c = node('mul', [b, x])
  it('put nodes after their inputs, once', () => {
    expect(topological([c])).toEqual([x, a, b, c])
    expect(usesOf([x, a, b, c]).get(a)).toEqual([b, b])
  })
  it('rewrite bottom-up, share, and keep what does not change', () => {
    const graph = graphOf({ c, a }, [T])
    expect(nodesOf(rewriteGraph(graph, () => undefined))).toEqual(nodesOf(graph))
    const out = rewriteGraph(graph, (n, builder) =>
      n.op === 'neg' ? builder.node('abs', n.inputs, {}, n.origin) : undefined,
    )
    verifyGraph(out)
    expect(nodesOf(out).map((n) => n.op)).toEqual(['input', 'abs', 'add', 'mul'])
    expect(out.outputs[1].node).toBe(out.outputs[0].node.inputs[0].inputs[0])
  })
  it('survive very deep graphs', () => {
    let deep = x
    for (let i = 0; i < 20_000; i++) deep = node('neg', [deep])
    verifyGraph(graphOf({ deep }, [T]))
  })
})
