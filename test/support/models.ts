/** Models of the tests and examples, elaborated and evaluated by the reference. */
import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { parse } from '../../grammar/parse.ts'
import { check, type CheckedGraph } from '../../src/check/index.ts'
import { hasErrors, render, sourceFile, type Diagnostic } from '../../src/diagnostics/index.ts'
import { elaborate, type ElaborateOptions, type Explanation } from '../../src/frontend/index.ts'
import { interpret } from '../../src/interpret/index.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { deviationOf } from './tensors.ts'

const root = new URL('../../', import.meta.url)

export const readText = (path: string): string => readFileSync(new URL(path, root), 'utf8')

/** The published cases whose models are examples. */
const examples: Readonly<Record<string, string>> = {
  'v03-seed-layernorm': 'layernorms',
  'v04-seed-resnet-block': 'resnet-block',
  'v07-transformer-encdec': 'transformer',
  'v11-layerscale-residual': 'layerscale',
  'v12-rnn-lstm-gru': 'recurrent',
  'v13-textcnn': 'text-cnn',
  'v14-skipgram': 'skip-gram',
}
/** Where the model of the published case `name` lies. */
export const modelOfCase = (name: string): string =>
  name in examples ? `examples/${examples[name]}/model.tfm` : `test/golden/${name}/model.tfm`

export interface Built {
  readonly graph?: CheckedGraph
  readonly diagnostics: readonly Diagnostic[]
  readonly explain: Explanation
}

/** All three steps; never throws on bad source. */
export function build(text: string, options: ElaborateOptions = {}, path = 'test.tfm'): Built {
  const parsed = parse(sourceFile(path, text))
  const { graph, diagnostics, explain } = elaborate(parsed.ast, { ...options, syntax: parsed.diagnostics })
  const found = [...parsed.diagnostics, ...diagnostics]
  if (!graph || hasErrors(found)) return { diagnostics: found, explain }
  const checked = check(graph)
  const all = [...found, ...checked.diagnostics]
  return { ...(checked.graph ? { graph: checked.graph } : {}), diagnostics: all, explain }
}

/** The graph of a source that must be right. */
export function graphOfText(text: string, options: ElaborateOptions = {}, path = 'test.tfm'): CheckedGraph {
  const { graph, diagnostics } = build(text, options, path)
  if (!graph) throw new Error(diagnostics.map((d) => render(d)).join('\n'))
  return graph
}

export const graphOfFile = (path: string, options: ElaborateOptions = {}): CheckedGraph =>
  graphOfText(readText(path), options, path)

/** `CODE message` of each diagnostic. */
export const messagesOf = (text: string, options: ElaborateOptions = {}): string[] =>
  build(text, options).diagnostics.map((d) => `${d.code} ${d.message}`)

export const codesOf = (text: string, options: ElaborateOptions = {}): string[] =>
  build(text, options).diagnostics.map((d) => d.code)

/** Evaluates; `inputs` and `params` by name. */
export function run(
  graph: CheckedGraph,
  inputs: Readonly<Record<string, Tensor>>,
  params: { readonly get: (name: string) => Tensor | undefined } = new Map(),
): Map<string, Tensor> {
  return interpret(graph, { inputs: new Map(Object.entries(inputs)), params }).outputs
}

/** Every element within atol + rtol · |want|; the message has the worst. */
export function expectClose(got: Tensor | undefined, want: Tensor, rtol: number, atol: number): void {
  if (!got) throw new Error('no such output')
  expect(got.shape).toEqual(want.shape)
  const { share, index } = deviationOf(got.data, want.data, { rtol, atol })
  expect(share, `element ${index}: ${got.data[index]}, want ${want.data[index]}`).toBeLessThanOrEqual(1)
}

export const f32 = (shape: readonly number[], values: Iterable<number>): Tensor => ({
  dtype: 'f32',
  shape,
  data: Float64Array.from(values),
})
export const i32 = (shape: readonly number[], values: Iterable<number>): Tensor => ({
  dtype: 'i32',
  shape,
  data: Float64Array.from(values),
})
