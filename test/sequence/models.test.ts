/** Models in pieces and steps equal the whole run: on the reference, in TypeScript and in WGSL. */
import { describe, expect, test } from 'vitest'
import { compileGraph } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { typescript } from '../../targets/typescript/index.ts'
import { graphOfText } from '../support/models.ts'
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

describe('tails of the standard library', { timeout: 120_000 }, () => {
  test('depthwise and dilated convolutions, a pool over the past', async () => {
    const compiled = await expectStepsEqualRun(`model convs(d = 4) {
  sequence T
  input x: f32[B, T, d]
  y = transpose(x, 1, 2)
  y = silu(conv1d(y, d, 4, groups = d, causal = true, name = "depthwise"))
  y = conv1d(y, d, 3, dilation = 2, causal = true, name = "dilated")
  y = max_pool(pad(y, axis = 2, before = 2, value = -3e38), 3, stride = 1)
  output y = transpose(y, 1, 2)
}`)
    expect(stateSizes(compiled, { B: 2 })).toEqual({ fixed: 2 * 4 * (3 + 4 + 2), growing: 0 })
  })

  test('a running sum, and one of integers', async () => {
    await expectStepsEqualRun(`model sums(d = 3) {
  sequence T
  input x: f32[B, T, d]
  input n: i32[B, T]
  output y = cumsum(x, axis = 1) / unsqueeze(f32(iota(T) + 1), axis = -1)
  output z = f32(cumsum(n))
}`)
  })
})

/** `layers` of attention with rotary positions; `mask` may mention `i`. */
const llama = (mask: string, extra = ''): string => `model llama(vocab = 11, d = 8, heads = 2, layers = 2) {
  sequence T
  ${extra}
  block attn(x: f32[B, T, d], mask: bool[...]) {
    q, k, v = x |> linear(3 * d, name = "qkv") |> split(3) |> each split_heads
    return attention(rope(q), rope(k), v, mask = mask) |> merge_heads |> linear(d, name = "out")
  }
  input ids: i32[B, T]
  param wte: f32[vocab, d]
  x = wte[ids]
  repeat layers as i scope "h.{i}" {
    x = residual(attn(layernorm(x, name = "ln"), ${mask}, name = "attn"))
  }
  output logits = layernorm(x, name = "ln_f") @ transpose(wte)
}`

describe('windows', { timeout: 120_000 }, () => {
  test('keys and values of the last positions only', async () => {
    const compiled = await expectStepsEqualRun(llama('sliding(T, 3)'))
    expect(stateSizes(compiled, { B: 2 })).toEqual({ fixed: 2 * 2 * 2 * 2 * 8, growing: 0 })
  })

  test('a layer with a window, a layer without', async () => {
    const compiled = await expectStepsEqualRun(llama('sliding(T, if i % 2 == 0 then 4 else T)'))
    expect(stateSizes(compiled, { B: 2 })).toEqual({ fixed: 2 * 2 * 3 * 8, growing: 2 * 2 * 8 })
  })

  test('a window wider than the sequence, and one of a single position', async () => {
    await expectStepsEqualRun(llama('causal(T) and sliding(T, if i == 0 then 20 else 1)'), { length: 5 })
  })
})

describe('masked sums', { timeout: 120_000 }, () => {
  test('a sum over past positions, and a running maximum', async () => {
    await expectStepsEqualRun(`model sums(d = 3) {
  sequence T
  input x: f32[B, T, d]
  output y = [for b < B, i < T, c < d: sum[for j < T: select(j <= i, x[b, j, c] * (i - j), 0)]]
  output z = [for b < B, i < T: max[for j < T: select(j <= i, x[b, j, 0], -3e38)]]
  output w = [for b < B, i < T, c < d: sum[for j < T: f32(j < i) * x[b, j, c]]]
}`)
  })

  test('attention written out', async () => {
    await expectStepsEqualRun(`model plain(d = 4) {
  sequence T
  input x: f32[B, T, d]
  scores = linear(x, d, name = "q") @ permute(linear(x, d, name = "k"), [0, 2, 1])
  output y = softmax(scores, mask = causal(T)) @ linear(x, d, name = "v")
}`)
  })
})

describe('refusals', () => {
  const why = (body: string): string => {
    const graph = graphOfText(`model m(d = 4) {\n  sequence T\n  input x: f32[B, T, d] where T >= 4\n  ${body}\n}`)
    const { notSteppable } = compileGraph(graph, sourceFile('test.tfm', ''), typescript)
    return `${notSteppable?.code}: ${notSteppable?.reasons?.map((r) => r.message).join()}`
  }
  test.each([
    ['output y = attention(unsqueeze(x, axis = 1), unsqueeze(x, axis = 1), unsqueeze(x, axis = 1))', /after its own/],
    ['output y = x - mean(x, axis = 1, keep = true)', /later ones too/],
    ['output y = flip(x, axis = 1)', /other positions than its own/],
    ['output y = x * f32([for t < T, c < 1: T - t])', /T as a number \(start\)/],
    ['output y = x + x[:, 0:1]', /fixed positions/],
    ['output y = x[:, 1:T]', /fewer entries/],
    ['output y = pad(x, axis = 1, before = 1)', /more entries/],
    ['output y = pad(x, axis = 1, before = 1, after = 1)[:, 2:T + 2]', /positions than its own|before its own/],
    ['output y = [for b < B, t < T, c < d: select(t > 0, x[b, t - 1, c], 0)]', /positions that data choose/],
    ['output y = sum[for j < T: select(j <= 2, x[0, j, 0], 0)]', /later ones too/],
    ['output y = [for i < T: sum[for j < T: select(not (j > i + 1), x[0, j, 0], 0)]]', /nothing in its mask/],
    ['output y = reshape(x, [B * T, d])', /mixes the sequence axis/],
  ])('%s', (body, reason) => {
    expect(why(body)).toMatch(/^TFM1701/)
    expect(why(body)).toMatch(reason)
  })
})
