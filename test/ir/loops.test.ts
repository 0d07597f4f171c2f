import { describe, expect, it } from 'vitest'
import { makeNode } from '../../src/ir/build.ts'
import { parseGraph } from '../../src/ir/parse.ts'
import { printGraph } from '../../src/ir/print.ts'
import { regionsOf } from '../../src/ir/regions.ts'
import { nodesOf } from '../../src/ir/traverse.ts'
import type { Node } from '../../src/ir/types.ts'
import { verifyGraph } from '../../src/ir/verify.ts'
import type { Attrs } from '../../src/ops/define.ts'
import { runPasses } from '../../src/passes/pass.ts'
import { pipeline } from '../../src/passes/pipeline.ts'
import { add, con, of, sub, sym, type Sym } from '../../src/types/ix.ts'
import { graphOf, inputNode, origin, shapeOf } from '../support/nodes.ts'

const T = sym('T')
const S = sym('S')
const n = (op: string, inputs: readonly Node[], attrs: Attrs = {}): Node => makeNode(op, inputs, attrs, origin)
const index = (name: string, extent: Sym): Sym => sym(name, { lo: 0, hi: sub(extent, 1), role: 'loop' })
const at = (x: Node, axis: number, t: Sym): Node => {
  const one = n('slice', [x], { axis, start: of(t), size: con(1) })
  return n('reshape', [one], { shape: x.type.shape.filter((_, a) => a !== axis) })
}
const carry = (x: Node, loop: string, i = 0): Node => n('carry', [x], { loop, index: i })
const scan = (next: readonly Node[], yields: readonly Node[], loop: string, t: Sym, extent: Sym): Node =>
  n('scan', [...next, ...yields], {
    loop, t: of(t), extent: of(extent), carries: next.length, axes: yields.map(() => 0), reverse: false,
  }) // prettier-ignore
const part = (x: Node, i: number): Node => {
  const { dtype, shape } = (x.results ?? [x.type])[i]
  return n('part', [x], { index: i, dtype, shape })
}

const x = inputNode('x', 'f32', [T, 3])
const h0 = inputNode('h0', 'f32', [3])
const t = index('t', T)
const h = carry(h0, 'a')
const outside = n('tanh', [x])
const step = n('add', [at(outside, 0, t), h])
const whole = scan([step], [step], 'a', t, T)
const single = graphOf({ y: part(whole, 0), last: part(whole, 1) }, [T])

describe('loops', () => {
  it('are read back as they are printed', () => {
    const text = printGraph(single)
    expect(text).toContain('loop t from 0 .. T - 1')
    expect(text).toMatch(/scan\(%\d+, %\d+, loop = "a", t = t, extent = T, carries = 1, axes = \[0\], reverse = false\) : \(f32\[T, 3\], f32\[3\]\)/)
    expect(text).toMatch(/part\(%\d+, index = 1, dtype = f32, shape = \[3\]\) : f32\[3\]/)
    const again = parseGraph(text)
    expect(printGraph(again)).toBe(text)
    verifyGraph(again)
  }) // prettier-ignore

  it('hold what depends on a carry or on t', () => {
    verifyGraph(single)
    const regions = regionsOf(nodesOf(single))
    expect(regions.loops.map((l) => l.key)).toEqual(['a'])
    const [loop] = regions.loops
    expect(loop.carries).toEqual([h])
    expect(loop.next).toEqual([step])
    expect([outside, whole, part(whole, 0)].map((m) => regions.of(m))).toEqual([undefined, undefined, undefined])
    expect([h, step, step.inputs[0]].map((m) => regions.of(m))).toEqual([loop, loop, loop])
  })

  it('nest', () => {
    const s = index('s', S)
    const w = inputNode('w', 'f32', [S, 3])
    const inner = carry(h, 'b')
    const alone = n('tanh', [at(w, 0, s)])
    const whole = scan([n('mul', [inner, alone])], [], 'b', s, S)
    const outer = scan([n('add', [part(whole, 0), h])], [], 'a', t, T)
    const graph = graphOf({ y: part(outer, 0) }, [T, S])
    verifyGraph(graph)
    const regions = regionsOf(nodesOf(graph))
    expect(regions.loops.map((l) => [l.key, l.depth, l.parent?.key])).toEqual([
      ['a', 0, undefined],
      ['b', 1, 'a'],
    ])
    const [a, b] = regions.loops
    expect([whole, inner, alone].map((m) => regions.of(m)?.key)).toEqual(['a', 'b', 'b'])
    expect([regions.inside(alone, a), regions.inside(h, b)]).toEqual([true, false])
    const text = printGraph(graph)
    expect(printGraph(parseGraph(text))).toBe(text)
  })

  it('survive the passes', () => {
    const graph = runPasses(single, pipeline)
    verifyGraph(graph)
    expect(nodesOf(graph).filter((m) => m.op === 'carry' || m.op === 'scan').length).toBe(2)
  })

  it('are not folded, though what they carry starts from a number', () => {
    const start = n('full', [], { value: 0, dtype: 'f32', shape: [] })
    const c = carry(start, 'a')
    const step = n('add', [c, n('full', [], { value: 1, dtype: 'f32', shape: [] })])
    const graph = runPasses(graphOf({ y: part(scan([step], [], 'a', t, T), 0) }, [T]), pipeline)
    verifyGraph(graph)
    expect(nodesOf(graph).some((m) => m.op === 'carry')).toBe(true)
  })

  it('of one step have t = 0', () => {
    const one = sym('t', { lo: 0, hi: 0, role: 'loop' })
    const body = n('add', [carry(h0, 'a'), at(x, 0, one)])
    const whole = n('scan', [body], {
      loop: 'a', t: of(one), extent: con(1), carries: 1, axes: [], reverse: false,
    }) // prettier-ignore
    const graph = graphOf({ y: part(whole, 0) }, [T])
    verifyGraph(graph)
    expect(regionsOf(nodesOf(graph)).loops[0].t).toBeUndefined()
    expect(printGraph(parseGraph(printGraph(graph)))).toBe(printGraph(graph))
  })

  const twice = scan([n('tanh', [h])], [], 'a', index('u', T), T)
  const wide = inputNode('wide', 'f32', [T, 3])
  const refused: readonly (readonly [string, Record<string, Node>, RegExp])[] = [
    ['a value of the inside as an output', { y: part(whole, 0), z: step }, /read from outside/],
    ['two scans of one loop', { y: part(whole, 0), z: part(twice, 0) }, /loop a has two scans/],
    ['a carry of no loop', { y: h }, /a carry of a, which no scan ends/],
    ['a carry that changes its type', { y: part(scan([n('add', [wide, h])], [], 'a', t, T), 0) }, /changes its type/],
    ['a scan as a value', { y: n('tanh', [whole]) }, /read by something other than its parts/],
    ['a part that is not there', { y: n('part', [whole], { index: 2, dtype: 'f32', shape: shapeOf([3]) }) }, /not one of the results/],
    ['an index with another range', { y: part(scan([n('add', [h, at(x, 0, t)])], [], 'a', t, S), 0) }, /does not run over/],
    ['a carry that starts inside', { y: part(scan([h, n('tanh', [carry(h, 'a', 1)])], [], 'a', t, T), 0) }, /starts from inside/],
    ['a shape that depends on t', { y: part(scan([h], [n('iota', [], { n: add(t, 1), start: con(0) })], 'a', t, T), 0) }, /t is not a dim/],
  ] // prettier-ignore
  for (const [what, outputs, message] of refused)
    it(`refuse ${what}`, () => expect(() => verifyGraph(graphOf(outputs, [T, S]))).toThrowError(message))
})
