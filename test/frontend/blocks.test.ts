import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import { build, codesOf, f32, graphOfText, messagesOf, run } from '../support/models.ts'

const paramsOf = (text: string): string[] => graphOfText(text).params.map((p) => p.name)
const model = (body: string, head = 'd = 4, heads = 2'): string => `model m(${head}) { input x: f32[B, T, d]\n${body} }`
const numbers = (text: string, data = [1, 2, 3, 4]): number[] => [
  ...run(graphOfText(text), { x: f32([1, 1, data.length], data) }).get('y')!.data,
]

describe('calls', () => {
  test('a pipe is a call', () => {
    expect(numbers(model('block f(x: f32[..., D], n, m = 1) = x * n + m\noutput y = x |> f(2, m = 3)'))).toEqual([
      5, 7, 9, 11,
    ])
  })

  test('each maps a tuple, which is no value', () => {
    const body = 'a, b = split(x, 2) |> each relu\noutput y = concat([b, a])'
    expect(numbers(model(body), [1, -2, -3, 4])).toEqual([0, 4, 1, 0])
    expect(codesOf(model('t = split(x, 2)\noutput y = x'))).toEqual(['TFM1601'])
    expect(codesOf(model('a, b, c = split(x, 2)\noutput y = x'))).toEqual(['TFM1605'])
  })

  test('a block may give several results', () => {
    const body =
      'block two(x: f32[..., D]) -> f32[..., D], f32[..., D] { return x, 2 * x }\na, b = two(x)\noutput y = b - a'
    expect(numbers(model(body))).toEqual([1, 2, 3, 4])
    expect(codesOf(model('block one(x: f32[..., D]) -> f32[D] = x\noutput y = one(x)'))).toEqual(['TFM1403'])
  })

  test('max and min are of two tensors, or along an axis', () => {
    expect(numbers(model('output y = max(x, 2.5)'))).toEqual([2.5, 2.5, 3, 4])
    expect(numbers(model('output y = max(x)'))).toEqual([4])
    expect(numbers(model('output y = min(x, axis = -1, keep = true)'))).toEqual([1])
  })

  test('an optional tensor is `none` when left out', () => {
    const f = 'block f(x: f32[..., D], by: f32[...] = none) { if by == none { return x }\nreturn x * by }'
    expect(numbers(model(`${f}\noutput y = f(x) + f(x, by = x)`))).toEqual([2, 6, 12, 20])
  })
})

describe('dims', () => {
  test('are bound by matching, the same within a signature', () => {
    const f = 'block f(a: f32[..., N], b: f32[N]) = a + b'
    expect(codesOf(model(`${f}\ninput z: f32[3]\noutput y = f(x, z)`))).toEqual(['TFM1402'])
    expect(codesOf(model(`${f}\ninput z: f32[4]\noutput y = f(x, z)`))).toEqual([])
    expect(numbers(model('block g(x: f32[..., 2 * N]) = x * N\noutput y = g(x)'))).toEqual([2, 4, 6, 8])
  })

  test('of two names differ', () => {
    expect(codesOf('model m { input a: f32[T]\ninput b: f32[S]\noutput y = a + b }')).toEqual(['TFM1406'])
  })

  test('where bounds a dim: what it proves, and what the call checks', () => {
    const bounded = (where: string): string =>
      `model m(ctx = 8) { input ids: i32[B, T] ${where}\nparam w: f32[ctx, 2] = "w"\noutput y = w[ids] + w[0:T] }`
    expect(codesOf(bounded(''))).toEqual(['TFM1410'])
    const graph = graphOfText(bounded('where T <= ctx'))
    expect(graph.constraints.map((c) => c.text)).toEqual(['T <= ctx'])
    expect(graph.dims.map((s) => `${s.name} <= ${String(s.hi)}`)).toContain('T <= 8')
  })

  test('exact division is proved, or left to the call', () => {
    const half = (where: string): string => `model m { input x: f32[T] ${where}\noutput y = reshape(x, [T / 2, 2]) }`
    expect(graphOfText(half('where T % 2 == 0')).constraints.map((c) => c.k)).toEqual(['divides'])
    expect(codesOf('model m(d = 7) { input x: f32[d]\noutput y = full(0, [d / 2]) }')).toContain('TFM1405')
    expect(
      graphOfText(
        'model m(d = 7) { input x: f32[d]\noutput y = full(0, [d // 2]) + sum(x) }',
      ).outputs[0].node.type.shape.map(String),
    ).toEqual(['3'])
  })
})

describe('implicit parameters', () => {
  test('come from the call, the callers outward, the model, the default', () => {
    const f =
      'block f(x: f32[..., D], auto eps = 1) = x * eps\nblock g(x: f32[..., D], eps = 2) = f(x)\nblock h(x: f32[..., D]) = f(x)'
    const y = (e: string, head = 'd = 4') => numbers(`${f}\n${model(`output y = ${e}`, head)}`, [1, 0, 0, 0])[0]
    expect(y('f(x)')).toBe(1)
    expect(y('f(x, eps = 5)')).toBe(5)
    expect(y('g(x)')).toBe(2)
    expect(y('g(x, eps = 7)', 'd = 4, eps = 3')).toBe(7)
    expect(y('h(x)', 'd = 4, eps = 3')).toBe(3)
  })

  test('locals never count, and unmarked parameters take nothing', () => {
    const f = 'block f(x: f32[..., D], auto eps = 1, n = 1) = x * eps * n'
    expect(numbers(`${f}\n${model('eps = 9\nn = 9\noutput y = f(x)', 'd = 4')}`)).toEqual([1, 2, 3, 4])
    expect(numbers(`${f}\n${model('output y = f(x)', 'd = 4, n = 9')}`)).toEqual([1, 2, 3, 4])
  })

  test('without a value, or of the wrong kind', () => {
    expect(codesOf(model('output y = split_heads(x)', 'd = 4'))).toEqual(['TFM1203'])
    expect(codesOf(model('output y = linear(x, d)', 'd = 4, bias = 3'))).toEqual(['TFM1208'])
  })

  test('are explained', () => {
    const { explain } = build(model('output y = encoder_layer(x)', 'd = 4, heads = 2, eps = 1e-12'))
    const eps = explain.implicit.find((p) => p.block === 'layernorm' && p.param === 'eps')
    expect(eps).toMatchObject({ value: '1e-12', source: 'hyper', from: 'm.eps', via: ['encoder_layer'] })
    const heads = explain.implicit.find((p) => p.block === 'split_heads')
    expect(heads).toMatchObject({ value: '2', from: 'm.heads' })
  })
})

describe('names of weights', () => {
  test('name prefixes what the callee declares, not its arguments', () => {
    const text = model(
      'block attn(x: f32[..., D]) = linear(x, D, name = "p")\noutput y = attn(layernorm(x, name = "ln_1"), name = "attn")',
    )
    expect(paramsOf(text)).toEqual(['ln_1.weight', 'ln_1.bias', 'attn.p.weight', 'attn.p.bias'])
  })

  test('scope only prefixes; repeat fills its index; origins keep the template', () => {
    const graph = graphOfText(
      model(
        'scope "a" { param g: f32[d] = "g" }\nh = x * g\nrepeat 2 as i scope "h.{i}" { h = linear(h, d, bias = false, name = "fc") }\noutput y = h',
      ),
    )
    expect(graph.params.map((p) => p.name)).toEqual(['a.g', 'h.0.fc.weight', 'h.1.fc.weight'])
    expect(graph.outputs[0].node.origin.scope).toBe('h.{i}.fc')
  })

  test('one path twice is an error, shared weights are not', () => {
    expect(codesOf(model('output y = linear(linear(x, d), d)'))).toEqual(['TFM1501', 'TFM1501'])
    expect(paramsOf(model('share f = linear(n = d, name = "f")\noutput y = f(f(x))'))).toEqual(['f.weight', 'f.bias'])
    expect(codesOf(model('share f = linear(name = "f")\noutput y = f(f(x, d), 3)'))).toContain('TFM1402')
  })

  test('a fallback names another parameter', () => {
    const graph = graphOfText(model('param a: f32[d] = "a"\nparam b: f32[d] = "b" or a\noutput y = x * b'))
    expect(graph.params).toMatchObject([{ name: 'a' }, { name: 'b', fallback: 'a' }])
    expect(codesOf(model('param b: f32[d] = "b" or x\noutput y = x * b'))).toEqual(['TFM1503'])
  })

  test('rules of the checkpoint', () => {
    const { rules } = graphOfText(
      model('weights { prefix "t." optional; ignore "h.*.bias"; rename "gamma" to "weight" }\noutput y = x'),
    )
    expect(rules).toEqual({
      prefixes: [{ prefix: 't.', optional: true }],
      ignore: ['h.*.bias'],
      rename: [{ from: 'gamma', to: 'weight' }],
    })
  })
})

describe('hyperparameters', () => {
  const text =
    'model m(d = 4 from "n_embd" or "width.d", wide = 2 * d from "n_inner", kind = "a", on = true) where d % 2 == 0 { input x: f32[B, d]\noutput y = linear(x, wide) }'
  const hyper = (options: Parameters<typeof graphOfText>[1]) => graphOfText(text, options).hyper

  test('default, configuration (null is absent), --set', () => {
    expect(hyper({})).toEqual({ d: 4, wide: 8, kind: 'a', on: true })
    expect(hyper({ config: { n_embd: 6, n_inner: null } })).toMatchObject({ d: 6, wide: 12 })
    expect(hyper({ config: { n_embd: 6, n_inner: 5 }, set: { d: 8 } })).toMatchObject({ d: 8, wide: 5 })
    expect(hyper({ config: { n_embd: null, width: { d: 8 } } })).toMatchObject({ d: 8 })
    expect(hyper({ config: { n_embd: 6, width: { d: 8 } } })).toMatchObject({ d: 6 })
  })

  test('paths into a configuration: objects, items, one number for all items, sizes', () => {
    const paths =
      'model m(a = "" from "architectures.0", h = 1 from "image.0", w = 1 from "image.1", n = 2 from "id2label.length", k = 3 from "text.size", s = 1 from "images.length") { input x: f32[h]\noutput y = x }'
    const of = (config: Json) => graphOfText(paths, { config }).hyper
    const config = {
      architectures: ['A', 'B'],
      image: [20, 12],
      id2label: { 0: 'x', 1: 'y', 2: 'z' },
      images: [1, 2, 3],
    }
    expect(of(config)).toEqual({ a: 'A', h: 20, w: 12, n: 3, k: 3, s: 3 })
    expect(of({ image: 7, text: { size: 5 }, architectures: [] })).toEqual({ a: '', h: 7, w: 7, n: 2, k: 5, s: 1 })
    expect(of({ text: { size: 4 }, 'text.size': 6, architectures: null })).toMatchObject({ a: '', k: 6 })
  })

  test('mistakes', () => {
    expect(messagesOf(text, { set: { e: 1 } })[0]).toMatch(/^TFM1213/)
    expect(messagesOf(text, { set: { d: 3 } })[0]).toBe('TFM1214 `d % 2 == 0` does not hold: d = 3')
    expect(messagesOf(text, { set: { on: 3 } })[0]).toMatch(/^TFM1208/)
    expect(codesOf('model m(d) { input x: f32[d]\noutput y = x }')).toEqual(['TFM1212'])
  })
})

describe('scoping', () => {
  test('a local block shadows std in this file only; an override also within std', () => {
    const norm = '(x: f32[..., D], auto eps = 1e-5, affine = true, shift = true) = 0 * x'
    const layer = 'output y = layernorm(x, affine = false) + encoder_layer(x, name = "e", ff = 4)'
    const scaled = (word: string): number =>
      graphOfText(model(`${word} layernorm${norm}\n${layer}`)).params.filter((p) => p.name.includes('norm')).length
    expect(scaled('block')).toBe(4)
    expect(scaled('override block')).toBe(0)
    expect(codesOf(model('override block layernorm(x: f32[..., D]) = x\noutput y = x'))).toEqual(['TFM1206'])
  })

  test('imports, renamed; models of imported files', () => {
    const files: Record<string, string> = {
      'lib/a.tfm': 'import { half } from "./b.tfm"\nblock f(x: f32[...]) = half(x) + 1',
      'lib/b.tfm': 'block half(x: f32[...]) = x / 2',
    }
    const text = `import { f as g } from "./lib/a.tfm"\n${model('output y = g(x)')}`
    const graph = graphOfText(text, { resolve: (path) => files[path] })
    expect([...run(graph, { x: f32([1, 1, 4], [2, 4, 6, 8]) }).get('y')!.data]).toEqual([2, 3, 4, 5])
    expect(
      codesOf('import { q } from "./lib/b.tfm"\nmodel m { input x: f32[T]\noutput y = x }', {
        resolve: (p) => files[p],
      }),
    ).toEqual(['TFM1102'])
  })
})
