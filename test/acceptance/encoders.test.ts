/** Encoders, encoder-decoders, vision and audio models of Hugging Face, as examples/ describes them, against `transformers` itself. */
import { afterAll, describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import type { JsonObject } from '../../src/hf/index.ts'
import { interpret } from '../../src/interpret/index.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { openWeights, readTensor, writeSafetensors } from '../../src/weights/index.ts'
import { loadWeights, modelName } from '../../targets/runtime/weights.ts'
import { expectWithin, inSteps, logitsOfPieces, table } from '../support/acceptance.ts'
import { described, problemsOf } from '../support/architectures.ts'
import { compileFile, loadEmitted, targets, type Emitted } from '../support/emitted.ts'
import { goldenTensors } from '../support/golden.ts'
import { codesOf, expectClose, graphOfFile, readText } from '../support/models.ts'
import { argmax, given, givenAll, ints, joined, positions, type Result } from '../support/tensors.ts'

/** Folders of test/golden/hf, made by make_encoders.py there. */
const cases = [
  'bert',
  'roberta',
  'distilbert',
  't5',
  't5-gated',
  'mpnet',
  'electra',
  'albert',
  'vit',
  'whisper',
  'bart',
  'modernbert',
  'clip',
]

type Config = JsonObject & { readonly model_type: string }
type Tensors = Record<string, Tensor>

afterAll(() => console.log(table.join('\n')))

/** A case: what its classes are given and give, and of all its tensors those that a checkpoint of one class has. */
async function open(name: string) {
  const config = JSON.parse(readText(`test/golden/hf/${name}/config.json`)) as Config
  const { source: file, architecture } = described(config)
  const stored = await openWeights(new URL(`../golden/hf/${name}/model.safetensors`, import.meta.url).pathname)
  const inputs: Tensors = {}
  const classes: Record<string, Tensors> = {}
  for (const [key, tensor] of goldenTensors(`hf/${name}`, 'io.safetensors')) {
    const [side, first, output] = key.split('.')
    if (side === 'in') inputs[first] = tensor
    else (classes[first] ??= {})[output] = tensor
  }
  const weightsOf = async (cls: string): Promise<Uint8Array> => {
    const lacking = stored.metadata.get(cls)!.split(' ')
    const names = [...stored.tensors.keys()].filter((key) => !lacking.includes(key))
    return writeSafetensors(
      await Promise.all(names.map(async (key) => ({ name: key, ...(await readTensor(stored, key)), dtype: 'F32' }))),
    )
  }
  const configOf = (cls: string): Json => ({ ...config, architectures: [cls] })
  const [main] = config.architectures as readonly string[]
  const modelOf = (cls: string): string => architecture.classes.get(cls)!.model
  return { file, main, modelOf, inputs, classes, weightsOf, configOf }
}

function agree(got: Result, want: Tensor, where: string): void {
  expect(got.shape, where).toEqual(want.shape)
  expectWithin(got.data, want, { rtol: 2e-4, atol: 5e-5 }, where)
}

/** Three positions at once and the rest one by one give what the whole gives; greedy decoding gives the ids of `greedy`. */
async function decodes(
  model: Emitted,
  source: Readonly<Record<string, unknown>>,
  ids: Tensor,
  logits: Tensor,
  greedy: Tensor,
  where: string,
) {
  const [rows, length] = ids.shape
  const width = logits.shape[2]
  const pieces = await logitsOfPieces(model, 'decoder_ids', ids, inSteps(3, length), source)
  agree(joined(pieces), logits, where)
  model.reset()
  let last = given(positions(greedy, 0, 1))
  for (let t = 1; t < greedy.shape[1]; t++) {
    const step = await (t === 1 ? model.prefill({ ...source, decoder_ids: last }) : model.step({ decoder_ids: last }))
    const best = Array.from({ length: rows }, (_, b) => argmax(step.logits.data.subarray(b * width, (b + 1) * width)))
    last = ints(best, [rows, 1])
    expect([...last.data], `${where}, greedy ${t}`).toEqual([...positions(greedy, t, t + 1).data])
  }
}

const opened = await Promise.all(cases.map(async (name) => ({ name, ...(await open(name)) })))
const classes = opened.flatMap((c) => Object.keys(c.classes).map((cls) => [c.name, cls, c] as const))

describe('reference', () => {
  test.each(classes)('%s %s', async (_, cls, { file, modelOf, inputs, classes, weightsOf, configOf }) => {
    const graph = graphOfFile(file, { config: configOf(cls), model: modelOf(cls) })
    const params = new Map<string, Tensor>()
    const tied = await loadWeights(await weightsOf(cls), graph.params, graph.rules, ({ name, shape }, data) =>
      params.set(name, { dtype: 'f32', shape, data: Float64Array.from(data) }),
    )
    for (const [name, other] of tied) params.set(name, params.get(other)!)
    const wanted = Object.entries(inputs).filter(([name]) => graph.inputs.some((i) => i.name === name))
    const { outputs } = interpret(graph, { inputs: new Map(wanted), params })
    for (const [name, want] of Object.entries(classes[cls]))
      if (name !== 'greedy') expectClose(outputs.get(name), want, 1e-5, 1e-6)
  })
})

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

describe('published configurations: every field accounted for, as many numbers, the same defaults', () => {
  const published = JSON.parse(readText('test/golden/hf/published-encoders.json')) as Record<
    string,
    { readonly config: Config; readonly defaults: Config; readonly numbers: number }
  >
  test.each(Object.entries(published))('%s', (_, { config, defaults, numbers }) => {
    expect(problemsOf(config)).toEqual([])
    const graphOf = (values: Json) => graphOfFile(described(config).source, { config: values })
    const own = graphOf(config).params.filter((p) => p.fallback === undefined)
    expect(own.reduce((n, { shape }) => n + sizeOf(shape), 0)).toBe(numbers)
    const { architectures } = config
    // Types that share a model have defaults of their own; their checkpoints name them.
    if (described(config).source === `examples/${config.model_type}/model.tfm`)
      expect(graphOf({ architectures }).hyper).toEqual(graphOf({ ...defaults, architectures }).hyper)
  })
})

test('names of old checkpoints of BERT, with and without the prefix', () => {
  const { rules, params } = graphOfFile('examples/bert/model.tfm', { config: { architectures: ['BertForMaskedLM'] } })
  const names = [
    'bert.embeddings.LayerNorm.gamma',
    'embeddings.LayerNorm.beta',
    'cls.predictions.transform.LayerNorm.gamma',
  ]
  const known = names.map((name) => modelName(name, rules))
  expect(known).toEqual([
    'embeddings.LayerNorm.weight',
    'embeddings.LayerNorm.bias',
    'cls.predictions.transform.LayerNorm.weight',
  ])
  for (const name of known) expect(params.map((p) => p.name)).toContain(name)
  const idle = [
    'bert.embeddings.position_ids',
    'cls.predictions.decoder.bias',
    'bert.pooler.dense.weight',
    'cls.seq_relationship.bias',
  ]
  expect(idle.map((name) => modelName(name, rules))).toEqual(idle.map(() => undefined))
  expect(params.find((p) => p.name === 'cls.predictions.decoder.weight')?.fallback).toBe(
    'embeddings.word_embeddings.weight',
  )
})

describe('what would be another model is refused', () => {
  const of = (type: string, cls: string, more: object) =>
    ({ model_type: type, architectures: [cls], ...more }) as unknown as Config
  test.each<[string, Config, string]>([
    ['positions by distance', of('bert', 'BertModel', { position_embedding_type: 'relative_key' }), 'position_embedding_type'],
    ['a decoder', of('roberta', 'RobertaForMaskedLM', { is_decoder: true }), 'is_decoder'],
    ['pruned heads', of('bert', 'BertModel', { pruned_heads: { 0: [1] } }), 'pruned_heads'],
    ['a sum of layers', of('whisper', 'WhisperForConditionalGeneration', { use_weighted_layer_sum: true }), 'use_weighted_layer_sum'],
    ['an unknown field', of('t5', 'T5EncoderModel', { attention_window: 3 }), 'attention_window'],
  ])('%s', (_, config, field) => expect(problemsOf(config).join()).toContain(field)) // prettier-ignore
  test.each<[string, Config, string]>([
    ['a class without a head here', of('bert', 'BertForMultipleChoice', {}), 'TFM1222'],
    ['the same of T5', of('t5', 'T5ForSequenceClassification', {}), 'TFM1222'],
    ['an unknown activation', of('distilbert', 'DistilBertModel', { activation: 'gelu_10' }), 'TFM1222'],
    ['an unknown gate', of('t5', 'T5EncoderModel', { feed_forward_proj: 'gated-mish' }), 'TFM1222'],
    ['heads that do not divide', of('vit', 'ViTModel', { num_attention_heads: 7 }), 'TFM1214'],
    ['other buckets than its authors wrote', of('mpnet', 'MPNetModel', { relative_attention_num_buckets: 16 }), 'TFM1214'],
  ])('%s', (_, config, code) => {
    expect(codesOf(readText(described(config).source), { config })).toContain(code)
  }) // prettier-ignore
})

// A software adapter takes its time to compile: there the first class of each case.
const first = classes.filter(([, cls, { main }]) => cls === main)

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 240_000 }, (_, target) => {
  test.each(target.name === 'wgsl' ? first : classes)(
    '%s %s',
    async (name, cls, { file, modelOf, inputs, classes, weightsOf, configOf }) => {
      const compiled = compileFile(file, target, configOf(cls), {
        model: modelOf(cls),
      })
      const model = await loadEmitted(target, compiled, await weightsOf(cls), { selftest: false })
      const wanted = Object.entries(inputs).filter(([key]) => compiled.graph.inputs.some((i) => i.name === key))
      const got = await model.run(givenAll(wanted))
      const { greedy, ...results } = classes[cls]
      const where = `${name} · ${cls}`
      for (const [key, want] of Object.entries(results)) agree(got[key], want, `${where} · ${key} · ${target.name}`)
      if (greedy !== undefined) {
        const source = givenAll(wanted.filter(([key]) => key !== 'decoder_ids'))
        await decodes(
          model,
          source,
          inputs.decoder_ids,
          results.logits,
          greedy,
          `${where} · logits of steps · ${target.name}`,
        )
      }
      model.dispose()
    },
  )
})
