/** Recurrences in pieces and steps equal the whole run. */
import { describe, expect, test } from 'vitest'
import { compileGraph } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { typescript } from '../../targets/typescript/index.ts'
import { graphOfText } from '../support/models.ts'
import { expectStepsEqualRun, stateSizes } from '../support/stepping.ts'

describe('scans', { timeout: 120_000 }, () => {
  test('an LSTM of two layers with given starts', async () => {
    const compiled = await expectStepsEqualRun(
      `model lstm(d = 4, n = 4) {
  sequence T
  block layer(x: f32[B, T, D], h0: f32[B, n], c0: f32[B, n]) {
    param wi: f32[4 * n, D] = "weight_ih"
    param wh: f32[4 * n, n] = "weight_hh"
    a = x @ transpose(wi)
    y, h, c = scan t < T, axis = 1 carry h = h0, c = c0 {
      i, f, g, o = split(a[:, t] + h @ transpose(wh), 4)
      c = sigmoid(f) * c + sigmoid(i) * tanh(g)
      h = sigmoid(o) * tanh(c)
      yield h
    }
    return y, h, c
  }
  input x: f32[B, T, d]
  input h0: f32[B, n] = zeros([B, n])
  y, h, c = layer(x, h0, zeros([B, n]), name = "l0")
  y, h, c = layer(y, h, c, name = "l1")
  output y = y
  output h = h
}`.replace('layer(y, h, c, name', 'layer(y, h0, h0, name'),
    )
    expect(stateSizes(compiled, { B: 2 })).toEqual({ fixed: 4 * 2 * 4, growing: 0 })
  })

  test('a decaying state: retention, with the position as a number and a table of it', async () => {
    await expectStepsEqualRun(`model retention(d = 4, ctx = 16) {
  sequence T
  param table: f32[ctx, d]
  input x: f32[B, T, d] where T <= ctx
  k = linear(x, d, name = "k")
  v = linear(x, d, name = "v")
  y, s = scan t < T, axis = 1 carry s = zeros([B, d, d]) {
    s = 0.9 * s + unsqueeze(k[:, t], axis = 2) * unsqueeze(v[:, t], axis = 1)
    yield sum(s * unsqueeze(x[:, t], axis = 2), axis = 1) * f32(t) + table[t]
  }
  output y = y
}`)
  })
})

describe('scans with other pieces', { timeout: 120_000 }, () => {
  test('a selective state space (Mamba) between layers of attention', async () => {
    const compiled = await expectStepsEqualRun(`model hybrid(vocab = 11, d = 4, n = 3, heads = 2) {
  sequence T
  block mamba(x: f32[B, T, D]) {
    param a: f32[D, n]
    x = transpose(silu(conv1d(transpose(x, 1, 2), D, 3, groups = D, causal = true, name = "conv")), 1, 2)
    step = softplus(linear(x, D, name = "dt"))
    b, c = linear(x, 2 * n, name = "bc") |> split(2)
    y, h = scan t < T, axis = 1 carry h = zeros([B, D, n]) {
      s = unsqueeze(step[:, t], axis = 2)
      h = exp(-exp(a) * s) * h + s * unsqueeze(b[:, t], axis = 1) * unsqueeze(x[:, t], axis = 2)
      yield sum(h * unsqueeze(c[:, t], axis = 1), axis = 2)
    }
    return y
  }
  block attn(x: f32[B, T, D]) {
    q, k, v = x |> linear(3 * D, name = "qkv") |> split(3) |> each split_heads
    return attention(q, k, v, mask = causal(T)) |> merge_heads
  }
  input ids: i32[B, T]
  param wte: f32[vocab, d]
  x = wte[ids]
  x = residual(mamba(rmsnorm(x, name = "n0"), name = "m0"))
  x = residual(attn(rmsnorm(x, name = "n1"), name = "a1"))
  x = residual(mamba(rmsnorm(x, name = "n2"), name = "m2"))
  output logits = x @ transpose(wte)
}`)
    expect(stateSizes(compiled, { B: 2 })).toEqual({ fixed: 2 * 2 * (4 * 2 + 4 * 3), growing: 2 * 2 * 4 })
  })

  test('earlier positions in the body: padded values, and all of them under a mask', async () => {
    await expectStepsEqualRun(`model body(d = 4) {
  sequence T
  input x: f32[B, T, d]
  k = linear(x, d, name = "k")
  p = pad(x, axis = 1, before = 1)
  y, h = scan t < T, axis = 1 carry h = ones([B, d]) {
    seen = sum(select(unsqueeze(iota(T) <= t, axis = -1), k, 0), axis = 1)
    h = tanh(0.5 * h + p[:, t] - p[:, t + 1] + seen / f32(t + 1))
    yield h
  }
  output y = y
  output h = h
}`)
  })
})

describe('refused scans', () => {
  const why = (body: string): string => {
    const graph = graphOfText(`model m(d = 4) {\n  sequence T\n  input x: f32[B, T, d]\n  ${body}\n}`)
    const { notSteppable } = compileGraph(graph, sourceFile('test.tfm', ''), typescript)
    return `${notSteppable?.code}: ${notSteppable?.reasons?.map((r) => r.message).join()}`
  }
  const sum = (options: string, start: string): string =>
    `y, s = scan t < T, axis = 1${options} carry s = ${start} {\n s = s + x[:, t]\n yield s\n }\n`
  test.each([
    [`${sum(', reverse = true', 'zeros([B, d])')} output z = y`, /runs from the last position/],
    [`${sum('', 'x[:, 0]')} output z = y`, /starts from values of the sequence/],
    [`${sum('', 'zeros([B, d])')} output z = x + unsqueeze(s, axis = 1)`, /known after the last position/],
  ])('%s', (body, reason) => {
    expect(why(body)).toMatch(/^TFM1701/)
    expect(why(body)).toMatch(reason)
  })
})
