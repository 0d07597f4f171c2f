/** Published cases of single operations, convolutions and 16-bit weights, on the reference and on every target; prints a table. */
import { afterAll, describe, expect, test } from 'vitest'
import { inSteps, logitsOfPieces, open, openReference, subjects, table } from '../support/acceptance.ts'
import { run } from '../support/models.ts'
import { given, givenAll, joined } from '../support/tensors.ts'

afterAll(() => console.log(table.join('\n')))

/** Cases with one call of `run`, whose outputs have the names of the case; words that the language reserves end in `_`. */
const whole = ['v04-seed-resnet-block', 'v13-textcnn', 'v14-skipgram', 'v15-ops']

test.each(whole)('reference: %s', (name) => {
  const { about, graph, weights, inputs, agree } = openReference(name)
  const outputs = run(graph, Object.fromEntries(inputs), weights)
  for (const key of Object.keys(about.outputs)) agree(outputs.get(key) ?? outputs.get(`${key}_`), key)
})

describe.each(subjects)('%s', { timeout: 240_000 }, (_, target) => {
  test.each(whole)('%s', async (name) => {
    const { about, model, inputs, output, agree } = await open(name, target)
    const out = await model.run(givenAll(inputs))
    for (const key of Object.keys(about.outputs)) {
      const got = out[key] ?? out[`${key}_`]
      expect(got.shape, key).toEqual(output(key).shape)
      agree(got.data, key)
    }
    model.dispose()
  })

  test.each([
    ['f16', 'weights'],
    ['bf16', 'weights_bf16'],
  ])('v16-f16-bf16-weights: %s, full and step by step', async (dtype, file) => {
    const name = 'v16-f16-bf16-weights'
    const source = 'test/golden/v06-gpt2-tiny/model.tfm'
    const { about, model, input, agree } = await open(name, target, source, `test/golden/${name}/${file}.safetensors`)
    const ids = input('input_ids')
    agree((await model.run({ ids: given(ids) })).logits.data, `logits_${dtype}`)
    const [first, ...steps] = await logitsOfPieces(model, 'ids', ids, inSteps(about.hyper.prompt_len, ids.shape[1]))
    agree(first.data, `prefill_logits_${dtype}`)
    agree(joined(steps).data, `step_logits_${dtype}`)
    model.dispose()
  })
})
