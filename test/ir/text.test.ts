import { describe, expect, it } from 'vitest'
import { makeNode } from '../../src/ir/build.ts'
import { IrSyntaxError, parseGraph } from '../../src/ir/parse.ts'
import { printGraph } from '../../src/ir/print.ts'
import { verifyGraph } from '../../src/ir/verify.ts'
import type { OpName } from '../../src/ops/table.ts'
import { ops } from '../../src/ops/table.ts'
import { con, max, mod, mul, of, sub, sym } from '../../src/types/ix.ts'
import { B, cases, P, S, T } from '../ops/cases.ts'
import { gpt2Graph } from '../support/gpt2-graph.ts'
import { graphOf, inputNode, origin, shapeOf, span } from '../support/nodes.ts'

describe('graphs as text', () => {
  it('reads back what it prints: GPT-2', () => {
    const graph = gpt2Graph({ vocab: 97, ctx: 32, d: 48, heads: 3, layers: 2 })
    const text = printGraph(graph)
    const again = parseGraph(text)
    expect(printGraph(again)).toBe(text)
    verifyGraph(again)
    expect(text).toContain('dim T from 1 .. 32')
    expect(text).toContain('sequence T')
    expect(text).toMatch(/%\d+ = matmul\(%\d+, %\d+\) : f32\[B, T, 97\] {2}# gpt2\.tfm:1 as logits/)
  })

  it('reads back every op', () => {
    for (const op of Object.keys(ops) as OpName[]) {
      for (const c of cases[op]) {
        const nodes = c.inputs.map((x, i) => (x === undefined ? undefined : inputNode(`x${i}`, x.dtype, x.shape)))
        const graph = graphOf({ y: makeNode(op, nodes, c.attrs ?? {}, origin) }, [B, T, S, P])
        const text = printGraph(graph)
        const again = parseGraph(text)
        expect(printGraph(again)).toBe(text)
        verifyGraph(again)
        expect(again.outputs[0].node.attrs.given).toBe(graph.outputs[0].node.attrs.given)
      }
    }
  })

  it('keeps headers, origins, odd numbers and strings', () => {
    const N = sym('N', { lo: 2, hi: mul(3, T), multipleOf: 4 })
    const x = inputNode('x', 'f32', [T, N, mod(N, 3), max(T, sub(N, 1))])
    const named = makeNode('neg', [x], {}, { span, frames: [], scope: 'h.{i + 1}.attn', name: 'q' })
    const inf = makeNode(
      'full',
      [],
      { value: -Infinity, shape: shapeOf([T]), dtype: 'f32' },
      { ...origin, name: 'low' },
    )
    const tiny = makeNode('full', [], { value: 1.5e-7, shape: [], dtype: 'f32' }, { ...origin, scope: 'a.b' })
    const w = makeNode('param', [], { name: 'h.0."w"', shape: shapeOf([3]) }, origin)
    const graph = graphOf({ y: named, low: inf, tiny, w }, [T, N], {
      name: 'odd',
      doc: 'Says "this".',
      sequence: T,
      hyper: { d: 3, name: 'x y', bias: true },
      constraints: [{ k: 'divides', a: of(N), b: con(4), span, text: 'N % 4 == 0' }],
      rules: {
        prefixes: [{ prefix: 'transformer.', optional: true }],
        ignore: ['h.*.bias'],
        rename: [{ from: 'gamma', to: 'weight' }],
      },
      entries: [{ name: 'encode', inputs: ['x'], outputs: ['y', 'low'] }],
      params: [
        { name: 'h.0."w"', shape: [3], fallback: 'v', span },
        { name: 'v', shape: [3], span },
      ],
    })
    const text = printGraph(graph)
    const again = parseGraph(text)
    expect(printGraph(again)).toBe(text)
    verifyGraph(again)
    const { origin: o } = again.outputs[0].node
    expect([o.scope, o.name]).toEqual(['h.{i + 1}.attn', 'q'])
    expect(again.outputs[2].node.origin.scope).toBe('a.b')
    expect(again.entries).toEqual(graph.entries)
    expect(again.rules).toEqual(graph.rules)
    expect(again.hyper).toEqual(graph.hyper)
    expect(again.outputs[1].node.attrs.value).toBe(-Infinity)
    expect(again.dims[1].multipleOf).toBe(4)
  })

  it('tells symbols of one name apart', () => {
    const other = sym('T')
    const text = printGraph(graphOf({ y: inputNode('x', 'f32', [T, other]) }, [T, other]))
    expect(text).toContain('f32[T, T_2]')
    expect(printGraph(parseGraph(text))).toBe(text)
  })

  it('says which line is wrong', () => {
    const text = printGraph(graphOf({ y: makeNode('neg', [inputNode('x', 'f32', [T])], {}, origin) }, [T]))
    const wrong = (from: string, to: string): string => {
      try {
        parseGraph(text.replace(from, to))
      } catch (error) {
        if (error instanceof IrSyntaxError) return error.message
        throw error
      }
      throw new Error('accepted')
    }
    expect(wrong('neg(%0)', 'neg(%7)')).toContain('%7 is not defined')
    expect(wrong('= neg(', '= minus(')).toContain('no op minus')
    expect(wrong('neg(%0) : f32[T]', 'neg(%0) : i32[T]')).toMatch(/^line \d+: %1 is f32\[T\], not i32\[T\]/)
    expect(wrong('shape = [T]', 'shape = [U]')).toContain('no dim U')
    expect(wrong('output y', 'produce y')).toContain('no such statement')
  })
})
