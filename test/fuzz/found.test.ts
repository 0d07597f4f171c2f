/** What random models have found, as small as it got: each is compiled for both targets and compared like the random ones. */
import { describe, expect, test } from 'vitest'
import { typescript } from '../../targets/typescript/index.ts'
import { wgsl } from '../../targets/wgsl/index.ts'
import { testDevice } from '../support/gpu.ts'
import { check } from './check.ts'
import type { Draw } from './model.ts'

const subjects = [
  { target: typescript, fused: true },
  { target: typescript, fused: false },
  { target: wgsl, fused: true },
]
const found: readonly (readonly [string, string, Readonly<Record<string, Draw>>?])[] = [
  ['results that are inputs, parameters, or another result', 'input x: f32[B, 2]\ninput n: i32[B]\nparam w: f32[3]\noutput a = x\noutput b = n\noutput c = w\noutput d = x * 2\noutput e = d'],
  ['both parts of a tensor joined with itself', 'input x: f32[B, T, 1, 7]\na, b = unstack(concat([x, x], axis = -2), axis = 2)\noutput y = a\noutput z = b'],
  ['a local that is called as the helper that its kernel needs', 'input x: f32[T, 3]\nerf = erf(x)\nh = erf * 2\noutput y = erf(h) + 0 * erf'],
  ['the bound of a sum of nothing that is seen', 'input x: f32[B, 16]\ny = softmax(x, axis = 0, mask = x < 0.5)\noutput z = linear(y, 3)', { x: { k: 'large' } }],
  ['the bound of attention that sees nothing', 'input x: f32[B, T, 12]\noutput y = layernorm(residual(self_attention(x, mask = [for i < T, j < T: j < i], heads = 2, name = "a")), name = "n")'],
  ['products that underflow', 'input x: f32[6, 16]\noutput y = x * x\noutput z = x @ transpose(x)', { x: { k: 'tiny' } }],
  ['a gather in a loop that moves its index', 'input ids: i32[B, T]\ninput w: f32[5, 8]\nx = w[ids]\noutput n = argmax(x, axis = 0)'],
  ['a number read once before a register tile', 'sequence T\ninput x: f32[B, T, 33]\ninput w: f32\ny = x * w\noutput z = linear(y[-1, :, :], 16)'],
  ['rotary positions of two dimensions', 'input x: f32[B, T, 4]\noutput y = x |> split_heads(heads = 2) |> rope'],
  ['an axis that only some stages of a row kernel have', 'input ids: i32[B, T]\ninput q: f32[B, 1, T, 3]\ninput k: f32[B, 1, T, 3]\ninput v: f32[B, 1, T, 5]\noutput y = attention(q, k, v, mask = causal(T) and keys(ids == 1), scale = 0.7)'],
  ['statistics of one row that another row reads', 'input x: f32[B, T, 7]\nlow = min(x, axis = [1, 2], keep = true)\noutput y = low @ transpose(reshape(low, [B, 1]))'],
  ['the place of the largest whole number', 'input ids: i32[B, T]\noutput y = argmax(ids)'],
  ['means of rows that columns read', 'input x: f32[T, T]\nm = mean(x)\noutput y = x - m\noutput z = tanh(x) * max(tanh(x), axis = 1)'],
  ['nothing times what has no bound', 'input x: f32[B, 3]\ninput z: f32[B, 3]\noutput y = 0.1 * x + z * log(1e-12 + abs(sin(x) * sin(x) + cos(x) * cos(x) - 1))', { z: { k: 'zero' } }],
  ['heads of attention as two results', 'input q: f32[B, 4, T, 3]\na, b, c, d = unstack(attention(q, q, q, mask = causal(T)), axis = 1)\noutput y = c\noutput z = d'],
] // prettier-ignore

describe('found by random models', () => {
  test.each(found.map(([name, body, draws]) => ({ name, body, draws })))(
    '$name',
    async ({ name, body, draws = {} }) => {
      const text = `model m {\n${body}\n}\n`
      const calls = [{ B: 2, T: 3, S: 2 }, { B: 1, T: 1, S: 1 }] // prettier-ignore
      const { findings } = await check({ name: 'm', text, calls, draws }, { subjects, device: testDevice })
      expect(findings, name).toEqual([])
    },
  )
})
