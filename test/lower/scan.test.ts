/** Recurrences on every target, with and without fusion, against the reference. */
import { describe, expect, test } from 'vitest'
import type { Compiled } from '../../src/compile.ts'
import type { HostStep } from '../../src/program/types.ts'
import { expectTargetsAgree } from '../support/agree.ts'

const BT = [{ B: 2, T: 5 }, { B: 1, T: 1 }, { B: 3, T: 2 }] // prettier-ignore
const model = (body: string, head = 'm(d = 3)'): string => `model ${head} {\n  input x: f32[B, T, d]\n${body}\n}`
const stepsOf = (compiled: Compiled): readonly HostStep[] => compiled.lowered.module.programs[0].steps
/** `scan[dispatch 3]` for a loop of three dispatches. */
const shown = (steps: readonly HostStep[]): string =>
  steps.map((s) => (s.k === 'dispatch' ? 'd' : `${s.k}${s.k === 'layers' ? s.count : ''}[${shown(s.body)}]`)).join(' ')

describe('recurrences on all targets', { timeout: 120_000 }, () => {
  test('a state space with inputs that select (Gu & Dao 2023): h = exp(dt A) h + dt B x, y = C h', async () => {
    await expectTargetsAgree(
      `model selective(d = 4, s = 3) {
        input x: f32[B, T, d]
        param log_a: f32[d, s]
        a = -exp(log_a)
        dt = softplus(linear(x, d, name = "dt"))
        b, c = split(linear(x, 2 * s, name = "bc", bias = false), 2)
        y, h = scan t < T, axis = 1 carry h = zeros([B, d, s]) {
          decay = exp(unsqueeze(dt[:, t], 2) * a)
          h = decay * h + unsqueeze(dt[:, t] * x[:, t], 2) * unsqueeze(b[:, t], 1)
          yield sum(h * unsqueeze(c[:, t], 1), axis = 2)
        }
        output y = y
        output h = h
      }`,
      BT,
    )
  })
  test('retention (Sun et al. 2023): S = γ S + kᵀ v, y = q S, per head', async () => {
    await expectTargetsAgree(
      `model retention(d = 8, heads = 2) {
        input x: f32[B, T, d]
        q, k, v = x |> linear(3 * d, name = "qkv") |> split(3) |> each split_heads
        gamma = [for h < heads: 1 - 2 ** (-3 - h)]
        y, s = scan t < T, axis = 2 carry s = zeros([B, heads, d / heads, d / heads]) {
          s = reshape(gamma, [heads, 1, 1]) * s + unsqueeze(k[:, :, t], 3) * unsqueeze(v[:, :, t], 2)
          yield squeeze(unsqueeze(q[:, :, t], 2) @ s, 2)
        }
        output y = y
      }`,
      BT,
    )
  })
  test('both directions of an LSTM, in two layers', async () => {
    const compiled = await expectTargetsAgree(
      model(`
        repeat 2 as i scope "rnn" {
          f, fh, fc = lstm(x, 2, suffix = "l{i}")
          b, bh, bc = lstm(x, 2, suffix = "l{i}_reverse", reverse = true)
          x = linear(concat([f, b], axis = 2), d, name = "out{i}")
        }
        output y = x`),
      BT,
    )
    expect(shown(stepsOf(compiled))).toContain('scan[')
  })
  test('layers share the kernels of their loops', async () => {
    const layers = (n: number) =>
      expectTargetsAgree(
        model(`repeat ${n} as i scope "h.{i}" { y, h = gru(x, d, name = "gru"); x = x + y }\noutput y = x`),
        [{ B: 2, T: 3 }],
      )
    const [few, many] = [await layers(3), await layers(6)]
    expect(many.lowered.module.kernels.length).toBe(few.lowered.module.kernels.length)
    expect(shown(stepsOf(many))).toMatch(/layers2\[.*scan\[/)
  })
  test('a scan in a scan, from values of both', async () => {
    await expectTargetsAgree(
      model(`
        output y, r = scan t < T, axis = 1 carry row = zeros([B, d]) {
          next, last = scan j < d, axis = 1 carry left = x[:, t, 0] {
            left = tanh(left + row[:, j] * f32(t + 1) + x[:, t, j])
            yield left
          }
          row = next + 0.5 * unsqueeze(last, 1)
          yield row
        }`),
      BT,
    )
  })
  test('a reverse scan in a scan over the positions up to t', async () => {
    await expectTargetsAgree(
      model(`
        output y = scan t < T, axis = 1 {
          z, last = scan s < T, axis = 1, reverse = true carry a = zeros([B, d]) {
            a = select(s <= t, 0.5 * a + x[:, s], a)
            yield a
          }
          yield last + z[:, 0]
        }`),
      BT,
    )
  })
  test('carries that swap, turn, shift and keep their place', async () => {
    await expectTargetsAgree(
      model(`
        w = x[:, 0]
        y, a, b, c, e, k = scan t < T, axis = 1
          carry a = w, b = w + 1, c = w * 2, e = zeros([B, 4]), k = w {
          old = a
          a = b
          b = old
          c = flip(c, 1) + x[:, t]
          e = concat([e[:, 1:], x[:, t, 0:1]], axis = 1)
          yield a - b + c + k
        }
        output y = y
        output a = a
        output b = b
        output c = c
        output e = e
        output k = k`),
      BT,
    )
  })
  test('a carry turned and nothing else', async () => {
    await expectTargetsAgree(
      model('output y, h, g = scan t < T, axis = 1 carry h = x[:, 0], g = x[:, 0] { h = flip(h, 1); g = h; yield g }'),
      BT,
    )
  })
  test('carries of i32 and bool, indices from data, t as a number', async () => {
    await expectTargetsAgree(
      `model counts(v = 5, d = 3) {
        input ids: i32[B, T]
        param table: f32[v, d]
        output y, n, seen, h = scan t < T, axis = 1 carry n = i32(zeros([B])), seen = [for b < B: false], h = zeros([B, d]) {
          seen = seen or ids[:, t] == 2
          n = n + i32(seen) * (t + 1)
          h = h / 2 + table[ids[:, t]] * f32(t % 3)
          yield h + unsqueeze(f32(n), 1)
        }
      }`,
      BT,
    )
  })
  test('a fixed number of steps, and one', async () => {
    await expectTargetsAgree(
      model(`
        y, h = scan i < 4 carry h = x { h = tanh(linear(h, d, name = "step")) + f32(i); yield sum(h, axis = 2) }
        z, g = scan i < 1 carry g = x { g = g * f32(i + 2); yield g }
        output y = y
        output h = h
        output z = z
        output g = g`),
      BT,
    )
  })
  test('softmax attention over a memory at each step', async () => {
    await expectTargetsAgree(
      model(`
        input memory: f32[B, S, d]
        output y, h = scan t < T, axis = 1 carry h = zeros([B, d]) {
          scores = squeeze(unsqueeze(h + x[:, t], 1) @ transpose(memory), 1)
          context = squeeze(unsqueeze(softmax(scores), 1) @ memory, 1)
          h = tanh(linear(concat([context, x[:, t]], axis = 1), d, name = "mix"))
          yield layernorm(h, name = "norm")
        }`),
      [{ B: 2, T: 4, S: 3 }, { B: 1, T: 1, S: 1 }], // prettier-ignore
    )
  })
  test('parameters for each step, and a yield that is outside', async () => {
    await expectTargetsAgree(
      `model steps(n = 3, d = 4) {
        input x: f32[B, d]
        param w: f32[n, d, d]
        param b: f32[n, d]
        output y, z, h = scan i < n carry h = x { h = tanh(h @ transpose(w[i]) + b[i]); yield h, x }
      }`,
      [{ B: 2 }, { B: 1 }],
    )
  })
  test('more steps than one submission holds', async () => {
    await expectTargetsAgree('model long { input x: f32[T]\noutput y, h = scan t < T carry h = f32(0) { h = h / 2 + x[t]; yield h } }', [{ T: 4099 }]) // prettier-ignore
  })
  test('a step of an LSTM is a product, two maps and the stores', async () => {
    const compiled = await expectTargetsAgree(model('y, h, c = lstm(x, 4)\noutput y = y'), [{ B: 2, T: 3 }])
    expect(shown(stepsOf(compiled))).toContain('scan[d d d d]')
  })
})
