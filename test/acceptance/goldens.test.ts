/** The published cases on every target, from emitted modules, within each case's tolerance; prints a table. */
import { afterAll, describe, expect, test } from 'vitest'
import { inSteps, logitsOfPieces, open, subjects, table } from '../support/acceptance.ts'
import { argmax, deviationOf, given, ints, joined, type Result } from '../support/tensors.ts'

afterAll(() => console.log(table.join('\n')))

describe.each(subjects)('%s', { timeout: 240_000 }, (_, target) => {
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
    const unmasked = await model.run({ x: given(input('x')) })
    agree(unmasked.y.data, 'y')
    agree(unmasked.attn_weights.data, 'attn_weights')
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
      const length = ids.shape[1]
      const { logits } = await model.run({ ids: given(ids) })
      agree(logits.data, 'logits')
      const [first, ...steps] = await logitsOfPieces(model, 'ids', ids, inSteps(about.hyper.prompt_len, length))
      agree(first.data, 'prefill_logits')
      agree(joined(steps).data, 'step_logits')
      model.reset()
      const pieces = joined(await logitsOfPieces(model, 'ids', ids, [3, length - 3]))
      const { share } = deviationOf(pieces.data, logits.data, about)
      expect(share, 'the prompt in two pieces gives the same').toBeLessThanOrEqual(1)
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
    agree(joined(steps).data, 'greedy_logits')
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
