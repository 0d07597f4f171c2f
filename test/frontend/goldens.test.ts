/** The published cases and the trained models, from `.tfm` through the reference, against what PyTorch gives in float64. */
import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import { tensorsOf } from '../support/golden.ts'
import { openReference } from '../support/acceptance.ts'
import { expectClose, graphOfFile, i32, readText, run } from '../support/models.ts'

describe('golden cases', () => {
  test.each(['v01-seed-preln-layer', 'v02-preln-layer-standard'])('%s', (name) => {
    const { graph, weights, input, agree } = openReference(name)
    agree(run(graph, { x: input('x'), mask: input('mask') }, weights).get('y'), 'y')
    agree(run(graph, { x: input('x_long'), mask: input('mask_long') }, weights).get('y'), 'y_long')
  })

  test('v03-seed-layernorm', () => {
    const { graph, weights, input, agree } = openReference('v03-seed-layernorm')
    for (const x of ['x', 'x_small', 'x_offset']) {
      const { shape, data, dtype } = input(x)
      const rows = { dtype, data, shape: [shape.slice(0, -1).reduce((a, b) => a * b, 1), shape.at(-1)!] }
      const outputs = run(graph, { x: rows }, weights)
      for (const norm of ['seed', 'seed_plain', 'ln', 'ln_plain']) {
        const got = outputs.get(norm)!
        agree({ ...got, shape }, `${norm}.${x}`)
      }
    }
  })

  test('v05-seed-postln-block', () => {
    const { graph, weights, input, agree } = openReference('v05-seed-postln-block')
    const unmasked = run(graph, { x: input('x') }, weights)
    agree(unmasked.get('y'), 'y')
    agree(unmasked.get('attn_weights'), 'attn_weights')
    const padded = run(graph, { x: input('x'), key_padding_mask: input('key_padding_mask') }, weights)
    agree(padded.get('y'), 'y_pad')
    agree(padded.get('attn_weights'), 'attn_weights_pad')
  })

  test.each<[string, string?]>([['v06-gpt2-tiny'], ['v09-llama-tiny', 'examples/llama/model.tfm']])(
    '%s',
    (name, source) => {
      const { graph, weights, input, agree } = openReference(name, source)
      const ids = input('input_ids')
      agree(run(graph, { ids }, weights).get('logits'), 'logits')
      const first = i32([2, 7], [...ids.data.slice(0, 7), ...ids.data.slice(19, 26)])
      agree(run(graph, { ids: first }, weights).get('logits'), 'prefill_logits')
    },
  )

  test('v07-transformer-encdec', () => {
    const { about, graph, weights, input, agree } = openReference('v07-transformer-encdec')
    const source = { src: input('src'), src_padding_mask: input('src_padding_mask') }
    const outputs = run(graph, { ...source, tgt: input('tgt') }, weights)
    agree(outputs.get('memory'), 'memory')
    agree(outputs.get('logits'), 'logits')
    const { bos, decode_len: steps, tgt_vocab: vocab } = about.hyper
    let rows = [[bos], [bos]]
    for (let step = 0; step < steps; step++) {
      const logits = run(graph, { ...source, tgt: i32([2, step + 1], rows.flat()) }, weights).get('logits')!
      rows = rows.map((row, b) => {
        const last = logits.data.slice((b * (step + 1) + step) * vocab, (b * (step + 1) + step + 1) * vocab)
        return [...row, last.indexOf(Math.max(...last))]
      })
    }
    agree(i32([2, steps + 1], rows.flat()), 'greedy_ids')
  })

  test('v11-layerscale-residual', () => {
    const { graph, weights, input, agree } = openReference('v11-layerscale-residual')
    const outputs = run(graph, { x: input('x') }, weights)
    for (const name of ['layerscale', 'rezero', 'stacked']) agree(outputs.get(name), name)
  })
})

describe('trained models', () => {
  test('translate: teacher-forced logits', () => {
    const { rtol, atol } = JSON.parse(readText('test/models/translate/io.json')) as { rtol: number; atol: number }
    const config = JSON.parse(readText('examples/translate/config.json')) as Json
    const graph = graphOfFile('examples/translate/model.tfm', { config })
    const io = tensorsOf('test/models/translate/io.safetensors')
    const inputs = { src: io.get('in.source')!, tgt: io.get('in.target')! }
    const outputs = run(graph, inputs, tensorsOf('examples/translate/model.safetensors'))
    expectClose(outputs.get('logits'), io.get('out.logits')!, rtol, atol)
  })

  test('shakespeare: logits', () => {
    const about = JSON.parse(readText('test/models/shakespeare/io.json')) as { rtol?: number; atol?: number }
    const config = JSON.parse(readText('examples/shakespeare/config.json')) as Json
    const graph = graphOfFile('examples/shakespeare/model.tfm', { config })
    const io = tensorsOf('test/models/shakespeare/io.safetensors')
    const outputs = run(graph, { ids: io.get('in.ids')! }, tensorsOf('examples/shakespeare/model.safetensors'))
    expectClose(outputs.get('logits'), io.get('out.logits')!, about.rtol ?? 2e-4, about.atol ?? 2e-4)
  })

  test('the parameters are exactly the tensors of the checkpoint', () => {
    for (const name of ['shakespeare', 'translate']) {
      const config = JSON.parse(readText(`examples/${name}/config.json`)) as Json
      const graph = graphOfFile(`examples/${name}/model.tfm`, { config })
      const stored = tensorsOf(`examples/${name}/model.safetensors`)
      expect(graph.params.map((p) => p.name).sort()).toEqual([...stored.keys()].sort())
      for (const p of graph.params) expect(stored.get(p.name)!.shape).toEqual(p.shape)
    }
  })
})
