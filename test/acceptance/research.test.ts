/**
 * Architectures beyond the hub's usual ones, against PyTorch in float64 (test/golden/torch/make.py): the reference and each target on the
 * whole, and where there is a sequence, in pieces and steps.
 */
import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import { interpret } from '../../src/interpret/index.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { loadParameters } from '../../src/weights/open.ts'
import { compileFile, loadEmitted, targets } from '../support/emitted.ts'
import { goldenTensors } from '../support/golden.ts'
import { expectClose, readText } from '../support/models.ts'
import { givenAll, positions, type Result } from '../support/tensors.ts'

/** Relative and absolute parts of the tolerance, as in the published cases. */
const [rtol, atol] = [1e-3, 1e-4]
const cases = [
  'mamba', 'retnet', 'linear-attention', 'wavenet', 'swin', 'mobilenet', 'perceiver', 'bilstm-tagger', 'conformer', 'mla', 'rwkv',
  'griffin',
] as const // prettier-ignore

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 120_000 }, (_, target) => {
  test.each(cases)('%s', async (name) => {
    const folder = `test/golden/torch/${name}`
    const io = goldenTensors(`torch/${name}`, 'io.safetensors')
    const source = `examples/${name}/model.tfm`
    const compiled = compileFile(source, target, JSON.parse(readText(`${folder}/config.json`)) as Json)
    const inputs = new Map([...io].flatMap(([k, t]) => (k.startsWith('in.') ? [[k.slice(3), t] as const] : [])))
    const [key] = [...io.keys()].filter((k) => k.startsWith('out.'))
    const output = key.slice(4)
    const want = io.get(key)!

    const { graph } = compiled
    const weights = new URL(`../../${folder}/model.safetensors`, import.meta.url).pathname
    const params = await loadParameters(weights, graph.params, graph.rules)
    expectClose(interpret(graph, { inputs, params }).outputs.get(output), want, rtol, atol)

    const model = await loadEmitted(target, compiled, `${folder}/model.safetensors`, { selftest: false })
    const agree = (got: Result, from: Tensor): void =>
      expectClose({ dtype: 'f32', shape: got.shape, data: Float64Array.from(got.data) }, from, rtol, atol)
    const part = (from: number, to: number) => givenAll([...inputs].map(([n, t]) => [n, positions(t, from, to)]))
    agree((await model.run(givenAll(inputs)))[output], want)

    const sequence = /^ {2}sequence /m.test(readText(source))
    expect(compiled.derived !== undefined, compiled.notSteppable?.message).toBe(sequence)
    if (sequence) {
      agree((await model.prefill(part(0, 3)))[output], positions(want, 0, 3))
      agree((await model.prefill(part(3, 5)))[output], positions(want, 3, 5))
      for (let t = 5; t < want.shape[1]; t++)
        agree((await model.step(part(t, t + 1)))[output], positions(want, t, t + 1))
    }
    model.dispose()
  })
})
