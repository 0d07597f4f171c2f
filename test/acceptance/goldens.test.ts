/** The published cases on every target, from emitted modules, within each case's tolerance; prints a table. */
import { afterAll, describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import type { Target } from '../../src/target.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { compileFile, loadEmitted, targets } from '../support/emitted.ts'
import type { Result } from '../support/emitted.ts'
import { goldenTensors } from '../support/golden.ts'
import { readText } from '../support/models.ts'

interface Case {
  readonly rtol: number
  readonly atol: number
  readonly hyper: Readonly<Record<string, number>>
  readonly config?: Json
  readonly outputs: Readonly<Record<string, { readonly rtol?: number; readonly atol?: number }>>
}
const table: string[] = []
afterAll(() => console.log(['case · output · target: max error, share of tolerance', ...table].join('\n')))

async function open(name: string, target: Target) {
  const about = JSON.parse(readText(`test/golden/${name}/case.json`)) as Case
  const io = goldenTensors(name, 'io.safetensors')
  const compiled = compileFile(`test/golden/${name}/model.tfm`, target, about.config)
  const model = await loadEmitted(target, compiled, `test/golden/${name}/weights.safetensors`)
  const input = (key: string): Tensor => io.get(`in.${key}`)!
  const agree = (got: ArrayLike<number>, key: string): void => {
    const { rtol = about.rtol, atol = about.atol } = about.outputs[key]
    const want = io.get(`out.${key}`)!.data
    expect(got.length, key).toBe(want.length)
    let [error, share] = [0, 0]
    for (let i = 0; i < want.length; i++) {
      const e = Math.abs(got[i] - want[i])
      error = Math.max(error, e)
      share = Math.max(share, Number.isNaN(e) ? Infinity : e / (atol + rtol * Math.abs(want[i])))
    }
    table.push(`${name} · ${key} · ${target.name}: ${error.toExponential(2)}, ${(100 * share).toFixed(2)} %`)
    expect(share, key).toBeLessThanOrEqual(1)
  }
  return { about, model, input, agree }
}
const ints = (data: ArrayLike<number>, shape: readonly number[]) => ({ data: Int32Array.from(data), shape })
const given = (t: Tensor) => ({
  data: t.dtype === 'f32' ? Float32Array.from(t.data) : Int32Array.from(t.data),
  shape: t.shape,
})
/** Columns from … to - 1 of a [B, T] tensor. */
function columns(t: Tensor, from: number, to: number) {
  const [rows, length] = t.shape
  const picked = Array.from({ length: rows }, (_, b) => [...t.data.slice(b * length + from, b * length + to)]).flat()
  return ints(picked, [rows, to - from])
}
/** [B, 1, V] results of single steps as [B, steps, V]. */
function interleave(steps: readonly Result[]): Float32Array {
  const [rows, , width] = steps[0].shape
  const out = new Float32Array(rows * steps.length * width)
  steps.forEach((s, i) => {
    for (let b = 0; b < rows; b++) out.set(s.data.subarray(b * width, (b + 1) * width), (b * steps.length + i) * width)
  })
  return out
}
const argmax = (x: Float32Array): number => x.indexOf(Math.max(...x))

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 240_000 }, (_, target) => {
  test.each(['v01-seed-preln-layer', 'v02-preln-layer-standard'])('%s', async (name) => {
    const { model, input, agree } = await open(name, target)
    agree((await model.run({ x: given(input('x')), mask: given(input('mask')) })).y.data, 'y')
    agree((await model.run({ x: given(input('x_long')), mask: given(input('mask_long')) })).y.data, 'y_long')
    model.dispose()
  })

  test('v03-seed-layernorm', async () => {
    const { model, input, agree } = await open('v03-seed-layernorm', target)
    for (const x of ['x', 'x_small', 'x_offset']) {
      const t = input(x)
      const d = t.shape[t.shape.length - 1]
      const out = await model.run({ x: given({ ...t, shape: [t.data.length / d, d] }) })
      for (const norm of ['seed', 'seed_plain', 'ln', 'ln_plain']) agree(out[norm].data, `${norm}.${x}`)
    }
    model.dispose()
  })

  test('v05-seed-postln-block', async () => {
    const { model, input, agree } = await open('v05-seed-postln-block', target)
    const open_ = await model.run({ x: given(input('x')) })
    agree(open_.y.data, 'y')
    agree(open_.attn_weights.data, 'attn_weights')
    const padded = await model.run({ x: given(input('x')), key_padding_mask: given(input('key_padding_mask')) })
    agree(padded.y.data, 'y_pad')
    agree(padded.attn_weights.data, 'attn_weights_pad')
    model.dispose()
  })

  test('v06-gpt2-tiny: full, and step by step', async () => {
    const { about, model, input, agree } = await open('v06-gpt2-tiny', target)
    const ids = input('input_ids')
    const prompt = about.hyper.prompt_len
    agree((await model.run({ ids: given(ids) })).logits.data, 'logits')
    agree((await model.prefill({ ids: columns(ids, 0, prompt) })).logits.data, 'prefill_logits')
    const steps: Result[] = []
    for (let t = prompt; t < ids.shape[1]; t++) steps.push((await model.step({ ids: columns(ids, t, t + 1) })).logits)
    agree(interleave(steps), 'step_logits')
    // The prompt in two pieces gives the same.
    model.reset()
    await model.prefill({ ids: columns(ids, 0, 3) })
    const rest = (await model.prefill({ ids: columns(ids, 3, ids.shape[1]) })).logits
    const full = (await model.run({ ids: given(ids) })).logits
    const width = full.shape[2]
    for (const b of [0, 1]) {
      const want = full.data.slice((b * ids.shape[1] + 3) * width, (b + 1) * ids.shape[1] * width)
      const got = rest.data.slice(b * rest.shape[1] * width, (b + 1) * rest.shape[1] * width)
      for (let i = 0; i < want.length; i++)
        expect(Math.abs(got[i] - want[i])).toBeLessThan(about.atol + about.rtol * Math.abs(want[i]))
    }
    model.dispose()
  })

  test('v07-transformer-encdec: logits and greedy decoding', async () => {
    const { about, model, input, agree } = await open('v07-transformer-encdec', target)
    const source = { src: given(input('src')), src_padding_mask: given(input('src_padding_mask')) }
    const out = await model.run({ ...source, tgt: given(input('tgt')) })
    agree(out.memory.data, 'memory')
    agree(out.logits.data, 'logits')
    const { bos, decode_len: length } = about.hyper
    const rows = [[bos], [bos]]
    const steps: Result[] = []
    for (let i = 0; i < length; i++) {
      const last = ints(
        rows.map((r) => r[r.length - 1]),
        [2, 1],
      )
      const { logits } = i === 0 ? await model.prefill({ ...source, tgt: last }) : await model.step({ tgt: last })
      steps.push(logits)
      const width = logits.shape[2]
      rows.forEach((r, b) => r.push(argmax(logits.data.subarray(b * width, (b + 1) * width))))
    }
    agree(rows.flat(), 'greedy_ids')
    agree(interleave(steps), 'greedy_logits')
    model.dispose()
  })

  test('v11-layerscale-residual', async () => {
    const { model, input, agree } = await open('v11-layerscale-residual', target)
    const out = await model.run({ x: given(input('x')) })
    for (const name of ['layerscale', 'rezero', 'stacked']) agree(out[name].data, name)
    model.dispose()
  })
})
