/**
 * A config.json that leaves a field out means the default of transformers: each model that ships must have it too. The defaults were recorded
 * with test/golden/hf-folders/defaults.py.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from '../../grammar/parse.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { elaborate, type Json } from '../../src/frontend/index.ts'
import {
  checkFields,
  chooseArchitecture,
  modelIn,
  completed,
  readRegistry,
  readsOf,
  tiesOf,
  type Chosen,
  type JsonObject,
} from '../../src/hf/index.ts'

const recorded = JSON.parse(readFileSync('test/golden/hf-folders/defaults.json', 'utf8')) as Record<string, JsonObject>

const registry = await readRegistry()
const all = registry.flatMap((architecture) =>
  architecture.modelTypes
    .filter((type) => Object.hasOwn(recorded, type))
    .flatMap((type) => [...architecture.classes.values()].map((c): [string, string, Chosen] => [type, c.name, { architecture, class: c }])),
) // prettier-ignore
const firsts = all.filter(([type], i) => all.findIndex((other) => other[0] === type) === i)

const configOf = (type: string, { architecture, class: c }: Chosen): JsonObject => ({
  ...completed(recorded[type], architecture),
  architectures: [c.name],
})
const sourceOf = ({ architecture }: Chosen) => parse(sourceFile('model.tfm', readFileSync(architecture.source, 'utf8'))).ast // prettier-ignore

describe('the configuration of transformers', () => {
  test.each(all.filter(([, , { architecture, class: c }]) => Object.keys({ ...architecture.tied, ...c.tied }).length > 0))(
    '%s %s: whether the head is tied where nothing is said',
    (type, _, { architecture }) => {
      const none = completed({ model_type: type }, architecture)
      expect(tiesOf([], none).tied).toBe(recorded[type].tie_word_embeddings)
    },
  ) // prettier-ignore

  test.each(all)('%s %s has no field that is not dealt with', (type, _, chosen) => {
    const model = modelIn(sourceOf(chosen), chosen.class.model)!
    const rules = [chosen.architecture, chosen.class]
    const { problems } = checkFields(configOf(type, chosen), readsOf(model), rules, 'config.json', chosen.class.model)
    expect(problems.map((p) => p.message)).toEqual([])
  })

  test.each(firsts)('%s %s: fields that are left out mean the same', (type, _, chosen) => {
    const ast = sourceOf(chosen)
    // Hyperparameters alone: what is done with them is tested where the models are.
    const items = ast.items.map((item) => (item.k === 'model' ? { ...item, body: { ...item.body, stmts: [] } } : item))
    const hypers = (config: JsonObject) => {
      const { explain } = elaborate({ ...ast, items }, { config: config as Json, model: chosen.class.model })
      return Object.fromEntries(explain.hyper.map(({ name, value }) => [name, value]))
    }
    const config = configOf(type, chosen)
    const none = completed({ model_type: type, architectures: config.architectures }, chosen.architecture)
    const [got, want] = [hypers(none), hypers(config)]
    // Without a list of the kinds of layers a model works them out; test/examples holds these against transformers.
    for (const [name, value] of Object.entries(got)) if (value === '[]') delete want[name]
    expect(Object.keys(got).length).toBeGreaterThan(4)
    expect(got).toMatchObject(want)
  })
})

describe('configurations as they were published (test/golden/hf-folders/published.json: the fields and values of well-known checkpoints)', () => {
  const published = JSON.parse(readFileSync('test/golden/hf-folders/published.json', 'utf8')) as Record<
    string,
    JsonObject
  >
  test.each(Object.entries(published))('%s is dealt with', (_, config) => {
    const chosen = chooseArchitecture(registry, config, 'config.json')
    const values = completed(config, chosen.architecture)
    const model = modelIn(sourceOf(chosen), chosen.class.model)!
    const { problems } = checkFields(
      values,
      readsOf(model),
      [chosen.architecture, chosen.class],
      'config.json',
      'model',
    )
    expect(problems.map((p) => p.message)).toEqual([])
  })
})
