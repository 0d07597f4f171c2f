import { describe, expect, test } from 'vitest'
import { parse } from '../../grammar/parse.ts'
import { check } from '../../src/check/index.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { elaborate } from '../../src/frontend/index.ts'
import type { Constraint, Graph } from '../../src/ir/types.ts'
import { add, mul, of } from '../../src/types/ix.ts'

function graphOf(text: string): Graph {
  const { graph } = elaborate(parse(sourceFile('test.tfm', text)).ast)
  if (!graph) throw new Error('the source is wrong')
  return graph
}

const graph = graphOf('model m { input x: f32[B, T] where T <= 8, T % 2 == 0\noutput y = x }')
const T = of(graph.dims.find((dim) => dim.name === 'T')!)
const { span } = graph.inputs[0].node.origin
const given = (k: Constraint['k'], a: Constraint['a'], b: Constraint['b']): Graph => ({
  ...graph,
  constraints: [...graph.constraints, { k, a, b, span, text: 'given' }],
})

describe('check', () => {
  test('keeps what defines the range of a dim, since the range is taken for granted', () => {
    expect(check(graph).graph?.constraints.map((c) => c.text)).toEqual(['T <= 8', 'T % 2 == 0'])
  })

  test('drops what is proved', () => {
    const texts = (g: Graph) => check(g).graph?.constraints.map((c) => c.text)
    expect(texts(given('le', T, of(9)))).not.toContain('given')
    expect(texts(given('le', mul(2, T), of(16)))).not.toContain('given')
    expect(texts(given('divides', mul(3, T), of(6)))).not.toContain('given')
    expect(texts(given('eq', add(T, T), mul(2, T)))).not.toContain('given')
  })

  test('keeps what is open', () => {
    expect(check(given('le', T, of(4))).graph?.constraints.at(-1)?.text).toBe('given')
    expect(check(given('divides', T, of(4))).graph?.constraints.at(-1)?.text).toBe('given')
  })

  test('refuses what cannot hold', () => {
    const { graph: none, diagnostics } = check(given('le', of(9), T))
    expect(none).toBeUndefined()
    expect(diagnostics.map((d) => d.code)).toEqual(['TFM1214'])
  })

  test('warns of what is declared for nothing, not of fallbacks', () => {
    const text = `model m { input x: f32[T, 4]
      input z: f32[T]
      param a: f32[4] = "a"
      param b: f32[4] = "b" or a
      param c: f32[4] = "c"
      output y = x * b }`
    expect(check(graphOf(text)).diagnostics.map((d) => d.message)).toEqual([
      'input `z` is not used',
      'parameter `c` is declared and not used',
    ])
  })

  test('is for graphs that hold together', () => {
    expect(() => check({ ...graph, dims: [] })).toThrow('internal')
  })
})
