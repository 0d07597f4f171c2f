/** Models in pieces and steps equal the whole run: on the reference, in TypeScript and in WGSL. */
import { describe, test } from 'vitest'
import { expectStepsEqualRun } from '../support/stepping.ts'

const attention = `
  block attn(x: f32[B, T, d], mask: bool[...]) {
    q, k, v = x |> linear(3 * d, name = "qkv") |> split(3) |> each split_heads
    return attention(q, k, v, mask = mask) |> merge_heads |> linear(d, name = "out")
  }`

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
