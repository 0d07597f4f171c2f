/** Decoder language models of Hugging Face, as examples/ describes them, against `transformers` itself. */
import { readdirSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import type { JsonObject } from '../../src/hf/index.ts'
import { interpret } from '../../src/interpret/index.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { loadParameters } from '../../src/weights/index.ts'
import { expectWithin, inSteps, logitsOfPieces, table } from '../support/acceptance.ts'
import { described, problemsOf } from '../support/architectures.ts'
import { compileFile, loadEmitted, targets } from '../support/emitted.ts'
import { goldenTensors } from '../support/golden.ts'
import { codesOf, expectClose, graphOfFile, readText } from '../support/models.ts'
import { given, joined } from '../support/tensors.ts'

// Made by test/golden/hf/make.py: `<model type>` or `<model type>-<variant>`.
const cases = readdirSync(new URL('../golden/hf', import.meta.url)).filter((name) => {
  if (name.includes('.')) return false
  const { architectures } = JSON.parse(readText(`test/golden/hf/${name}/config.json`)) as { architectures: string[] }
  return /CausalLM$|LMHeadModel$/.test(architectures[0])
})
/** In f32, over two or three layers: logits are of the order of 1, so some ten roundings of 6e-8 each, with room for sums of 97 terms. */
const bounds = { atol: 2e-5, rtol: 1e-4 }

afterAll(() => console.log(table.join('\n')))

/** Model types that examples/ describes. */
const types = readdirSync(new URL('../../examples', import.meta.url))

function open(name: string) {
  const raw = JSON.parse(readText(`test/golden/hf/${name}/config.json`)) as JsonObject
  return { raw, ...described(raw), io: goldenTensors(`hf/${name}`, 'io.safetensors') }
}
const weightsOf = (name: string): string => `test/golden/hf/${name}/model.safetensors`

/** Within the bounds; what stands before `start` of each row is padding, of which nothing is said. */
function agree(got: ArrayLike<number>, want: Tensor, where: string, start?: Tensor): void {
  const [, length, width] = want.shape
  const counts = (i: number): boolean =>
    !start || Math.floor(i / width) % length >= start.data[Math.floor(i / (length * width))]
  expectWithin(got, want, bounds, where, counts)
}

describe('reference', () => {
  test.each(cases)('%s', async (name) => {
    const { raw, source, config, io } = open(name)
    const graph = graphOfFile(source, { config: config as Json })
    // Configurations in the form of transformers 5 mean the same when no one brings them into the published form.
    expect(graphOfFile(source, { config: raw as Json }).hyper).toEqual(graph.hyper)
    expect(problemsOf(raw)).toEqual([])
    const path = new URL(`../../${weightsOf(name)}`, import.meta.url).pathname
    const params = await loadParameters(path, graph.params, graph.rules)
    const { outputs } = interpret(graph, { inputs: new Map([['ids', io.get('in.ids')!]]), params })
    expectClose(outputs.get('logits'), io.get('out.logits')!, 1e-5, 2e-6)
    if (!graph.inputs.some((i) => i.name === 'start')) return
    const [ids, start] = [io.get('in.padded_ids')!, io.get('in.start')!]
    const padded = interpret(graph, { inputs: new Map(Object.entries({ ids, start })), params }).outputs
    agree(padded.get('logits')!.data, io.get('out.padded_logits')!, `${name} · padded · reference`, start)
  })
})

describe('published configurations', () => {
  const published = JSON.parse(readText('test/golden/hf/published.json')) as Record<
    string,
    { readonly config: JsonObject; readonly numbers: number }
  >
  const known = Object.entries(published).filter(([, { config }]) => types.includes(config.model_type as string))
  test.each(known)('%s', (name, { config: raw, numbers }) => {
    const { source, architecture, config } = described(raw)
    expect(problemsOf(raw)).toEqual([])
    const graph = graphOfFile(source, { config: config as Json })
    const tied = graph.params.filter((p) => p.fallback !== undefined && raw.tie_word_embeddings !== false)
    const count = graph.params
      .filter((p) => !tied.includes(p))
      .reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0)
    expect(count, `${name} by ${architecture.file}`).toBe(numbers)
  })
})

describe('what would be another model is refused', () => {
  const llama = { model_type: 'llama', architectures: ['LlamaForCausalLM'], hidden_size: 32, num_attention_heads: 4 }
  test.each<[string, JsonObject, string]>([
    ['an unknown field', { ...llama, residual_multiplier: 2 }, 'residual_multiplier'],
    ['scaling of rotary positions by fields that are not read', { ...llama, rope_scaling: { rope_type: 'longrope', short_factor: [1] } }, 'rope_scaling.short_factor'],
    ['a scaling where there is none', { ...llama, model_type: 'mistral', rope_scaling: { type: 'linear', factor: 2 } }, 'rope_scaling'],
    ['quantised weights', { ...llama, quantization_config: { quant_method: 'gptq' } }, 'quantization_config.quant_method'],
    ['gelu instead of its approximation', { ...llama, model_type: 'gemma', hidden_activation: 'gelu' }, 'hidden_activation'],
    ['attention to both sides', { ...llama, model_type: 'gemma2', use_bidirectional_attention: true }, 'use_bidirectional_attention'],
    ['a head of its own', { ...llama, model_type: 'bloom', tie_word_embeddings: false }, 'tie_word_embeddings'],
  ])('%s', (_, raw, field) => {
    expect(problemsOf(raw).join()).toContain(field)
  }) // prettier-ignore
  test.each<[string, JsonObject, string]>([
    ['an unknown kind of rotary positions', { ...llama, rope_scaling: { rope_type: 'longrope', factor: 2 } }, 'TFM1222'],
    ['the same, by the name of transformers 5', { ...llama, rope_parameters: { rope_type: 'dynamic', factor: 2 } }, 'TFM1222'],
    ['a scaling without its factor', { ...llama, rope_scaling: { type: 'linear' } }, 'TFM1222'],
    ['a scaling that llama does not have', { ...llama, rope_scaling: { rope_type: 'yarn', factor: 2 } }, 'TFM1214'],
    ['an unknown activation', { ...llama, hidden_act: 'gelu_erf_fast' }, 'TFM1222'],
    ['windows of no width', { ...llama, model_type: 'qwen2', use_sliding_window: true, sliding_window: null }, 'TFM1214'],
    ['heads that do not divide', { ...llama, num_key_value_heads: 3 }, 'TFM1214'],
    ['two norms in an old Falcon', { ...llama, model_type: 'falcon', num_ln_in_parallel_attn: 2 }, 'TFM1214'],
  ])('%s', (_, raw, code) => {
    const source = `examples/${String(raw.model_type)}/model.tfm`
    expect(codesOf(readText(source), { config: raw as Json })).toContain(code)
  }) // prettier-ignore
})

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 240_000 }, (_, target) => {
  test.each(cases)('%s', async (name) => {
    const { source, config, io } = open(name)
    const compiled = compileFile(source, target, config as Json)
    const model = await loadEmitted(target, compiled, weightsOf(name), { selftest: false })
    const batches: readonly [name: string, ids: Tensor, want: Tensor, start?: Tensor][] = [
      ['alone', io.get('in.ids')!, io.get('out.logits')!],
      ['padded', io.get('in.padded_ids')!, io.get('out.padded_logits')!, io.get('in.start')!],
    ]
    for (const [kind, ids, want, start] of batches) {
      if (start && !compiled.graph.inputs.some((i) => i.name === 'start')) continue
      const more = start ? { start: given(start) } : {}
      const where = (what: string): string => `${name} · ${kind}, ${what} · ${target.name}`
      agree((await model.run({ ids: given(ids), ...more })).logits.data, want, where('whole'), start)

      model.reset()
      const pieces = await logitsOfPieces(model, 'ids', ids, inSteps(4, want.shape[1]), more)
      agree(joined(pieces).data, want, where('in steps'), start)
    }
    model.dispose()
  })
})
