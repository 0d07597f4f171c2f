/** Models in pieces and steps equal the whole run: on the reference, in TypeScript and in WGSL. */
import { describe, expect, test } from 'vitest'
import { expectStepsEqualRun, stateSizes } from '../support/stepping.ts'

const attention = `
  block attn(x: f32[B, T, d], mask: bool[...]) {
    q, k, v = x |> linear(3 * d, name = "qkv") |> split(3) |> each split_heads
    return attention(q, k, v, mask = mask) |> merge_heads |> linear(d, name = "out")
  }`

const conv = `
  block shifted(x: f32[B, T, d]) {
    param w: f32[3, d]
    p = pad(x, axis = 1, before = 2)
    return w[0] * p[:, 0:T] + w[1] * p[:, 1:T + 1] + w[2] * p[:, 2:T + 2]
  }`

describe('tails', { timeout: 120_000 }, () => {
  test('a causal depthwise convolution', async () => {
    const compiled = await expectStepsEqualRun(`model conv(d = 3) {
  sequence T
  ${conv}
  input x: f32[B, T, d]
  output y = shifted(x, name = "c")
}`)
    expect(stateSizes(compiled, { B: 2 })).toEqual({ fixed: 2 * 2 * 3, growing: 0 })
  })

  test('two layers, dilation, a pad that is not zero', async () => {
    await expectStepsEqualRun(`model conv(d = 4) {
  sequence T
  ${conv}
  input x: f32[B, T, d]
  repeat 2 as i scope "h.{i}" {
    x = residual(gelu(linear(shifted(x), d)))
  }
  p = pad(x, axis = 1, before = 4, value = 0.5)
  output y = p[:, 0:T] - 2 * p[:, 2:T + 2] + p[:, 4:T + 4]
}`)
  })

  test('token shift', async () => {
    await expectStepsEqualRun(`model shift(d = 4) {
  sequence T
  input x: f32[B, T, d]
  param mix: f32[d]
  param first: f32[1, 1, d]
  before = concat([broadcast(first, [B, 1, d]), x[:, 0:T - 1]], axis = 1)
  output y = linear(x + mix * (before - x), d)
  output z = x - pad(x, axis = 1, before = 1)[:, 0:T]
}`)
  })
})

describe('attention', { timeout: 120_000 }, () => {
  test('learned positions, a tied head', async () => {
    await expectStepsEqualRun(`model gpt(vocab = 11, ctx = 16, d = 8, heads = 2, layers = 2) {
  sequence T
  ${attention}
  input ids: i32[B, T] where T <= ctx
  param wte: f32[vocab, d]
  param wpe: f32[ctx, d]
  x = wte[ids] + wpe[0:T]
  repeat layers as i scope "h.{i}" {
    x = residual(attn(layernorm(x, name = "ln"), causal(T), name = "attn"))
  }
  output logits = layernorm(x, name = "ln_f") @ transpose(wte)
  output last = logits[:, -1]
}`)
  })
})
