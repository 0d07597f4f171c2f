import { describe, expect, test } from 'vitest'
import { codesOf, f32, graphOfText, messagesOf, run } from '../support/models.ts'

const x = f32([1, 2, 2], [1, -2, 3, -4])
const value = (expression: string, more = ''): number[] => {
  const graph = graphOfText(`model m(d = 2) { input x: f32[B, T, d]\n${more}\noutput y = ${expression} }`)
  return [...run(graph, { x }).get('y')!.data]
}

describe('residual', () => {
  test('adds the variable on the spine', () => {
    expect(value('residual(relu(x))')).toEqual([2, -2, 6, -4])
    expect(value('x |> relu |> residual')).toEqual([2, -2, 6, -4])
    expect(value('residual(2 * x)')).toEqual([3, -6, 9, -12])
    expect(value('residual(relu(x) + abs(x))')).toEqual([3, 0, 9, 0])
  })

  test('composes as written, in call and pipe form', () => {
    const of = (e: string) => value(e)
    expect(of('residual(layernorm(relu(x), affine = false))')).toEqual(of('x + layernorm(relu(x), affine = false)'))
    expect(of('layernorm(residual(relu(x)), affine = false)')).toEqual(of('layernorm(x + relu(x), affine = false)'))
    expect(of('residual(x |> relu |> layernorm(affine = false))')).toEqual(
      of('residual(layernorm(relu(x), affine = false))'),
    )
  })

  test('with scales: a · s + g · e', () => {
    expect(value('residual(relu(x), scale = 2)')).toEqual([3, -2, 9, -4])
    expect(value('residual(relu(x), scale = 2, skip_scale = 0.5)')).toEqual([2.5, -1, 7.5, -2])
    expect(value('residual(relu(x), scale = g)', 'g = [for i < d: f32(i)]')).toEqual([1, -2, 3, -4])
    expect(value('residual(relu(x), skip = 3 * x)')).toEqual([4, -6, 12, -12])
  })

  const model = (body: string): string => `model m(d = 4) {
    input x: f32[B, T, d]
    input z: f32[B, T, d]
    input memory: f32[B, S, d]
    param gain: f32[d] = "gain"
    block mix(a: f32[B, T, d], b: f32[B, S, d]) = a + sum(b, axis = S, keep = true)
    ${body}
  }`

  test('parameters and values of another type do not count', () => {
    expect(codesOf(model('output y = residual(mix(relu(x), memory) * gain)'))).toEqual(['TFM1703'])
  })

  test('refuses a second reading', () => {
    expect(codesOf(model('output y = residual(relu(x) + relu(z))'))[0]).toBe('TFM1301')
    expect(messagesOf(model('output y = residual(mix(relu(x), z))'))[0]).toContain('`x` and `z` have its type')
    expect(codesOf(model('h = x\noutput y = residual(relu(x) + relu(h))'))).not.toContain('TFM1301')
  })

  test('refuses what has no reading', () => {
    expect(codesOf(model('output y = residual(x)'))).toContain('TFM1302')
    expect(codesOf(model('output y = residual(linear(x, 8))'))).toContain('TFM1303')
    expect(codesOf(model('output y = residual(split(x, 2))'))).toContain('TFM1304')
    expect(codesOf(model('output y = residual(full(0, [4, 4]))'))).toContain('TFM1301')
    expect(codesOf(model('output y = residual(mix(b = memory, a = x))'))).toContain('TFM1301')
  })

  test('warns of a skip from a normalised value, not in post-norm blocks', () => {
    expect(codesOf(model('h = layernorm(x)\noutput y = residual(relu(h))'))).toContain('TFM1305')
    const post = 'x = residual(relu(x)) |> layernorm(name = "a")\noutput y = residual(relu(x))'
    expect(codesOf(model(post))).not.toContain('TFM1305')
    expect(codesOf(model('h = layernorm(x)\noutput y = residual(relu(h), skip = h)'))).not.toContain('TFM1305')
  })
})
