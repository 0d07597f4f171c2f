/** The published cases on every target, from emitted modules, within each case's tolerance; prints a table. */
import { afterAll, describe, expect, test } from 'vitest'
import { argmax, columns, given, interleave, ints, open, table } from '../support/acceptance.ts'
import { targets, type Result } from '../support/emitted.ts'

afterAll(() => console.log(table.join('\n')))

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

  test.each<[string, string?]>([['v06-gpt2-tiny'], ['v09-llama-tiny', 'examples/llama/model.tfm']])(
    '%s: full, and step by step',
    async (name, source) => {
      const { about, model, input, agree } = await open(name, target, source)
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
    },
  )

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

  test('v08-bert-tiny, as examples/bert describes it', async () => {
    const { model, input, agree } = await open('v08-bert-tiny', target, 'examples/bert/model.tfm')
    const out = await model.run({
      ids: given(input('input_ids')),
      attention_mask: given(input('attention_mask')),
      token_type_ids: given(input('token_type_ids')),
    })
    for (const name of ['last_hidden_state', 'pooler_output', 'seq_relationship_logits']) agree(out[name].data, name)
    agree(out.logits.data, 'prediction_logits')
    model.dispose()
  })

  test('v10-vit-tiny, as examples/vit describes it', async () => {
    const { model, input, agree } = await open('v10-vit-tiny', target, 'examples/vit/model.tfm')
    const out = await model.run({ pixel_values: given(input('pixel_values')) })
    for (const name of ['last_hidden_state', 'logits']) agree(out[name].data, name)
    model.dispose()
  })

  test('v11-layerscale-residual', async () => {
    const { model, input, agree } = await open('v11-layerscale-residual', target)
    const out = await model.run({ x: given(input('x')) })
    for (const name of ['layerscale', 'rezero', 'stacked']) agree(out[name].data, name)
    model.dispose()
  })
})
