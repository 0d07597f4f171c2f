/** The architectures that ship, and what is said about files that are no architecture. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from '../../grammar/parse.ts'
import { DiagnosticError, sourceFile } from '../../src/diagnostics/index.ts'
import {
  checkFields,
  chooseArchitecture,
  completed,
  modelIn,
  normalise,
  parseArchitecture,
  readRegistry,
  readsOf,
} from '../../src/hf/index.ts'
import { isNeutral } from '../../src/hf/neutral.ts'
import { packageRoot } from '../../src/package-root.ts'

const registry = await readRegistry()

describe('every architecture.json', () => {
  test.each(registry.map((a) => [a.file, a] as const))('%s names models of its model.tfm', (_, architecture) => {
    const { ast } = parse(sourceFile('model.tfm', readFileSync(architecture.source, 'utf8')))
    for (const { model } of architecture.classes.values()) {
      const found = modelIn(ast, model)
      expect(found, model).toBeDefined()
      // A field that the model reads and that has no effect anywhere is said twice.
      const reads = readsOf(found!)
      for (const ignored of architecture.ignores) expect(reads).not.toContain(ignored)
    }
  })

  test('has classes that no other has', () => {
    const all = registry.flatMap((a) => a.modelTypes.flatMap((t) => [...a.classes.keys()].map((c) => `${t} ${c}`)))
    expect(all.filter((x, i) => all.indexOf(x) !== i)).toEqual([])
  })

  test('lies in a folder of examples/', () => {
    for (const { file } of registry) expect(readFileSync(join(packageRoot(), file), 'utf8')).toContain(`"model_type"`)
    expect(registry.length).toBeGreaterThan(0)
  })
})

const messagesOf = (action: () => unknown): string[] => {
  try {
    action()
  } catch (thrown) {
    if (thrown instanceof DiagnosticError)
      return thrown.diagnostics.map((d) => [d.code, d.message, d.fix, d.help].filter((x) => x !== undefined).join(' '))
    throw thrown
  }
  return []
}

const llama = parseArchitecture(
  JSON.stringify({
    model_type: ['llama', 'mistral'],
    architectures: {
      LlamaForCausalLM: 'llama',
      LlamaForSequenceClassification: { model: 'scores', task: 'classify', requires: { pad_token_id: [0] } },
    },
    task: 'generate',
    requires: { hidden_act: ['silu', 'swish'], rope_scaling: [null] },
    ignores: ['pretraining_tp', 'vision_*', 'a.**.c'],
    aliases: { n_embd: 'hidden_size' },
  }),
  'examples/llama/architecture.json',
  'model.tfm',
)

describe('parsing', () => {
  test('classes take the task and rules of the file, and their own', () => {
    expect(llama.classes.get('LlamaForCausalLM')).toMatchObject({ model: 'llama', task: 'generate', requires: {} })
    expect(llama.classes.get('LlamaForSequenceClassification')).toMatchObject({ model: 'scores', task: 'classify' })
  })
  const whole = { model_type: 'x', architectures: { X: 'x' } }
  const wrong: [string, unknown, RegExp][] = [
    ['not JSON', '{', /TFM1911 f: is not JSON/],
    ['a list', [], /is not a JSON object/],
    ['an unknown key', { ...whole, require: {} }, /it has "require"; did you mean requires\?/],
    ['no type', { architectures: { X: 'x' } }, /"model_type" is not a list of strings/],
    ['no classes', { model_type: 'x', architectures: {} }, /names no class/],
    ['classes as a list', { model_type: 'x', architectures: ['X'] }, /not an object of class names/],
    ['a class without a model', { model_type: 'x', architectures: { X: 3 } }, /"architectures\.X" does not name a model/],
    ['a task', { ...whole, task: 'dream' }, /"task" is none of generate, fill-mask/],
    ['a value that is no list', { ...whole, requires: { act: 'relu' } }, /"requires\.act" of it is not a list of allowed/],
    ['defaults of another type', { ...whole, defaults: { y: {} } }, /"defaults\.y" is none of its model types, x/],
    ['defaults that are no fields', { ...whole, defaults: { x: 1 } }, /"defaults\.x" is not an object of fields/],
    ['an alias', { ...whole, aliases: { a: 1 } }, /"aliases\.a" is not a path/],
  ] // prettier-ignore
  test.each(wrong)('%s', (_, json, message) => {
    const text = typeof json === 'string' ? json : JSON.stringify(json)
    expect(messagesOf(() => parseArchitecture(text, 'f', 's')).join()).toMatch(message)
  })
})

describe('choosing', () => {
  const choose = (config: Record<string, never | string | string[]>, wanted?: string) =>
    chooseArchitecture([llama], config, 'config.json', wanted)
  test('by type and class, or the class that is wanted', () => {
    expect(choose({ model_type: 'mistral', architectures: ['LlamaForCausalLM'] }).class.model).toBe('llama')
    const config = { model_type: 'llama', architectures: ['LlamaForCausalLM'] }
    expect(choose(config, 'LlamaForSequenceClassification').class.model).toBe('scores')
  })
  const wrong: [string, Record<string, string | string[]>, RegExp][] = [
    ['no type', {}, /TFM1910 config\.json has no "model_type"/],
    ['another type', { model_type: 'lama' }, /no architecture for model_type "lama" did you mean llama\? known are llama, mistral/],
    ['another class', { model_type: 'llama', architectures: ['LlamaForCausal'] }, /has no class "LlamaForCausal" here did you mean LlamaForCausalLM\?/],
    ['no class', { model_type: 'llama' }, /names no class .* has several .* known are LlamaForCausalLM, LlamaForSeq/],
  ] // prettier-ignore
  test.each(wrong)('%s', (_, config, message) => {
    expect(messagesOf(() => choose(config)).join()).toMatch(message)
  })
})

describe('fields', () => {
  const check = (config: Record<string, never>, reads: readonly string[] = ['hidden_size']) => {
    const { problems, ...rest } = checkFields(normalise(config, llama.aliases), reads, [llama], 'config.json', 'llama')
    return { ...rest, problems: problems.map((p) => `${p.code} ${p.message}`) }
  }
  const json = (x: unknown) => x as Record<string, never>
  test('are read, required or known not to matter', () => {
    const found = check(
      json({
        n_embd: 8, hidden_act: 'swish', torch_dtype: 'float16', attention_dropout: 0.5, pretraining_tp: 1, rope_scaling: null,
        id2label: { 0: 'a' }, is_decoder: false, text_config: { hidden_dropout_prob: 1, is_decoder: false }, vision_config: { a: { b: 1 } }, a: { b: { c: 1 } },
      }),
    ) // prettier-ignore
    expect(found.problems).toEqual([])
    expect(found.read).toEqual(['hidden_size'])
    expect(found.required).toEqual(['hidden_act', 'rope_scaling', 'is_decoder', 'text_config.is_decoder'])
    expect(found.ignored).toContain('id2label.0')
  })
  const wrong: [string, unknown, RegExp][] = [
    ['another value', { hidden_act: 'relu' }, /^TFM1912 config\.json: "hidden_act" is "relu", and llama stands for "silu" or "swish"$/],
    ['null is a value', { hidden_act: null }, /"hidden_act" is null/],
    ['not mentioned', { hiden_size: 8 }, /"hiden_size" is 8, and llama does not read it \(did you mean hidden_size\?\)/],
    ['below what is read', { hidden_size: { real: 8 } }, /"hidden_size\.real" is 8/],
    ['within what must be null', { rope_scaling: { rope_type: 'linear', factor: 2 } }, /^TFM1912 config\.json: "rope_scaling" is \{.*\}, and llama stands for null$/],
    ['usual', { is_decoder: true }, /"is_decoder" is true, and llama stands for false/],
    ['usual, in a nested configuration', { text_config: { is_decoder: true } }, /"text_config\.is_decoder" is true/],
    ['quantised', { quantization_config: { bits: 4 } }, /"quantization_config\.bits" is 4/],
    ['two names, two values', { n_embd: 8, hidden_size: 9 }, /"n_embd" is 8/],
  ] // prettier-ignore
  test.each(wrong)('%s', (_, config, message) => {
    const { problems } = check(json(config))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(message)
  })
  test('items and sizes of lists are reads of the list', () => {
    const config = json({ architectures: ['A'], image_size: [4, 8], id2name: { 0: 'a', 1: 'b' }, is_decoder: true })
    const found = check(config, ['architectures.0', 'image_size.0', 'image_size.1', 'id2name.length', 'is_decoder'])
    expect(found.problems).toEqual([])
  })
  test('neutral ones are so in nested configurations too, and nowhere else', () => {
    expect(isNeutral('text_config.vision_config.torch_dtype')).toBe(true)
    expect(isNeutral('encoder.torch_dtype')).toBe(false)
    expect(isNeutral('hidden_size')).toBe(false)
    expect(isNeutral('quantization_config.bits')).toBe(false)
  })
})

describe('configurations of other versions', () => {
  test('rotary settings of transformers 5', () => {
    const plain = { rope_parameters: { rope_theta: 5e5, rope_type: 'default' } }
    expect(normalise(plain)).toEqual({ rope_theta: 5e5 })
    const scaled = { rope_scaling: null, rope_parameters: { rope_theta: 5e5, rope_type: 'llama3', factor: 8, partial_rotary_factor: 0.5 } }
    expect(normalise(scaled)).toEqual({ rope_theta: 5e5, partial_rotary_factor: 0.5, rope_scaling: { rope_type: 'llama3', factor: 8 } })
    const kinds = { full_attention: { rope_theta: 1e6, rope_type: 'default' }, sliding_attention: { rope_theta: 1e4, rope_type: 'default' } }
    expect(normalise({ rope_parameters: kinds })).toEqual({ rope_theta: 1e6, rope_local_base_freq: 1e4 })
    expect(normalise({ rope_parameters: kinds }, { 'rope_parameters.sliding_attention.rope_theta': 'local' })).toEqual({ rope_theta: 1e6, local: 1e4 })
    expect(normalise({ text_config: plain })).toEqual({ text_config: { rope_theta: 5e5 } })
  }) // prettier-ignore
  test('fields that are left out; null stays', () => {
    const of = { aliases: {}, defaults: { mistral: { sliding_window: 4096, rope_scaling: { factor: 2 } } } }
    expect(completed({ model_type: 'mistral' }, of)).toEqual({ model_type: 'mistral', ...of.defaults.mistral })
    const given = { model_type: 'mistral', sliding_window: null, rope_scaling: { factor: 3 } }
    expect(completed(given, of)).toEqual(given)
    expect(completed({ model_type: 'llama' }, of)).toEqual({ model_type: 'llama' })
  })
  test('`type` of earlier ones', () => {
    expect(normalise({ rope_scaling: { type: 'linear', factor: 2 } })).toEqual({ rope_scaling: { rope_type: 'linear', factor: 2 } })
    const both = { rope_scaling: { type: 'yarn', rope_type: 'yarn', factor: 2 } }
    expect(normalise(both)).toEqual({ rope_scaling: { rope_type: 'yarn', factor: 2 } })
    const different = { rope_scaling: { type: 'mrope', rope_type: 'default' } }
    expect(normalise(different)).toEqual({ rope_scaling: { type: 'mrope' } })
  }) // prettier-ignore
})

describe('a folder of architectures', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tfm-registry-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  test('is read in the order of the names', async () => {
    for (const name of ['b', 'a', 'none']) {
      mkdirSync(join(folder, name))
      if (name === 'none') continue
      writeFileSync(
        join(folder, name, 'architecture.json'),
        JSON.stringify({ model_type: name, architectures: { X: name } }),
      )
    }
    const found = await readRegistry(folder)
    expect(found.map((a) => a.modelTypes[0])).toEqual(['a', 'b'])
    expect(dirname(found[0].source)).toBe(join(folder, 'a'))
  })
})
