/** Decoder language models of Hugging Face, as examples/ describes them, against `transformers` itself. */
import { readdirSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from '../../grammar/parse.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import type { Json } from '../../src/frontend/index.ts'
import { checkFields, modelIn, normalise, parseArchitecture, readsOf } from '../../src/hf/index.ts'
import type { JsonObject } from '../../src/hf/json.ts'
import { interpret } from '../../src/interpret/index.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { loadParameters } from '../../src/weights/index.ts'
import type { Result } from '../support/emitted.ts'
import { columns, given, interleave } from '../support/acceptance.ts'
import { compileFile, loadEmitted, targets } from '../support/emitted.ts'
import { goldenTensors } from '../support/golden.ts'
import { expectClose, graphOfFile, readText } from '../support/models.ts'

// Made by test/golden/hf/make.py: `<model type>` or `<model type>-<variant>`.
const cases = readdirSync(new URL('../golden/hf', import.meta.url)).filter((name) => {
  if (name.includes('.')) return false
  const { architectures } = JSON.parse(readText(`test/golden/hf/${name}/config.json`)) as { architectures: string[] }
  return /CausalLM$|LMHeadModel$/.test(architectures[0])
})
/** In f32, over two or three layers: logits are of the order of 1, so some ten roundings of 6e-8 each, with room for sums of 97 terms. */
const bounds = { atol: 2e-5, rtol: 1e-4 }

const table: string[] = []
afterAll(() => console.log(['case · output · target: max error, share of tolerance', ...table].join('\n')))

function open(name: string) {
  const raw = JSON.parse(readText(`test/golden/hf/${name}/config.json`)) as JsonObject
  const type = raw.model_type as string
  const source = `examples/${type}/model.tfm`
  const architecture = parseArchitecture(readText(`examples/${type}/architecture.json`), `${type}.json`, source)
  const config: JsonObject = normalise(raw, architecture.aliases)
  return { raw, type, source, architecture, config, io: goldenTensors(`hf/${name}`, 'io.safetensors') }
}
const weightsOf = (name: string): string => `test/golden/hf/${name}/model.safetensors`

function agree(got: ArrayLike<number>, want: Tensor, where: string): void {
  expect(got.length, where).toBe(want.data.length)
  let [error, share] = [0, 0]
  for (let i = 0; i < want.data.length; i++) {
    const e = Math.abs(got[i] - want.data[i])
    error = Math.max(error, e)
    share = Math.max(share, Number.isNaN(e) ? Infinity : e / (bounds.atol + bounds.rtol * Math.abs(want.data[i])))
  }
  table.push(`${where}: ${error.toExponential(2)}, ${(100 * share).toFixed(2)} %`)
  expect(share, where).toBeLessThanOrEqual(1)
}

describe('reference', () => {
  test.each(cases)('%s', async (name) => {
    const { raw, source, architecture, config, io } = open(name)
    const graph = graphOfFile(source, { config: config as Json })
    // Configurations in the form of transformers 5 mean the same when no one brings them into the published form.
    expect(graphOfFile(source, { config: raw as Json }).hyper).toEqual(graph.hyper)
    const ast = modelIn(parse(sourceFile(source, readText(source))).ast, undefined)!
    expect(checkFields(config, readsOf(ast), [architecture], 'config.json', name).problems).toEqual([])
    const path = new URL(`../../${weightsOf(name)}`, import.meta.url).pathname
    const params = await loadParameters(path, graph.params, graph.rules)
    const { outputs } = interpret(graph, { inputs: new Map([['ids', io.get('in.ids')!]]), params })
    expectClose(outputs.get('logits'), io.get('out.logits')!, 1e-5, 2e-6)
  })
})

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 240_000 }, (_, target) => {
  test.each(cases)('%s', async (name) => {
    const { source, config, io } = open(name)
    const model = await loadEmitted(target, compileFile(source, target, config as Json), weightsOf(name))
    const ids = io.get('in.ids')!
    const want = io.get('out.logits')!
    const [rows, length, width] = want.shape
    agree((await model.run({ ids: given(ids) })).logits.data, want, `${name} · whole · ${target.name}`)

    const prompt = 4
    const first = (await model.prefill({ ids: columns(ids, 0, prompt) })).logits
    const steps: Result[] = []
    for (let t = prompt; t < length; t++) steps.push((await model.step({ ids: columns(ids, t, t + 1) })).logits)
    const later = interleave(steps)
    const pieces = new Float32Array(want.data.length)
    for (let b = 0; b < rows; b++) {
      pieces.set(first.data.subarray(b * prompt * width, (b + 1) * prompt * width), b * length * width)
      const rest = (length - prompt) * width
      pieces.set(later.subarray(b * rest, (b + 1) * rest), (b * length + prompt) * width)
    }
    agree(pieces, want, `${name} · in steps · ${target.name}`)
    model.dispose()
  })
})
