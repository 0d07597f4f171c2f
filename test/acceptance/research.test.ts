/**
 * Architectures beyond the hub's usual ones, against PyTorch in float64 (test/golden/torch/make.py): the whole, and where there is a
 * sequence, steps.
 */
import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { compileFile, loadEmitted, targets } from '../support/emitted.ts'
import { goldenTensors } from '../support/golden.ts'
import { readText } from '../support/models.ts'

/** Relative and absolute parts of the tolerance, as in the published cases. */
const [rtol, atol] = [1e-3, 1e-4]
const cases = [
  'mamba', 'retnet', 'linear-attention', 'wavenet', 'swin', 'mobilenet', 'perceiver', 'bilstm-tagger',
] as const // prettier-ignore

const given = (t: Tensor) => ({
  data: t.dtype === 'f32' ? Float32Array.from(t.data) : Int32Array.from(t.data),
  shape: t.shape,
})
/** Positions from … to - 1 of axis 1. */
function columns(t: Tensor, from: number, to: number): Tensor {
  const [rows, length] = t.shape
  const inner = t.data.length / rows / length
  const parts = Array.from({ length: rows }, (_, b) => [
    ...t.data.subarray((b * length + from) * inner, (b * length + to) * inner),
  ])
  return { ...t, shape: [rows, to - from, ...t.shape.slice(2)], data: Float64Array.from(parts.flat()) }
}

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 120_000 }, (_, target) => {
  test.each(cases)('%s', async (name) => {
    const folder = `torch/${name}`
    const io = goldenTensors(folder, 'io.safetensors')
    const config = JSON.parse(readText(`test/golden/${folder}/config.json`)) as Json
    const compiled = compileFile(`examples/${name}/model.tfm`, target, config)
    const model = await loadEmitted(target, compiled, `test/golden/${folder}/model.safetensors`)
    const inputs = new Map([...io].flatMap(([k, t]) => (k.startsWith('in.') ? [[k.slice(3), t] as const] : [])))
    const [key] = [...io.keys()].filter((k) => k.startsWith('out.'))
    const want = io.get(key)!
    const agree = (got: ArrayLike<number>, from = want): void => {
      expect(got.length).toBe(from.data.length)
      for (let i = 0; i < got.length; i++)
        expect(Math.abs(got[i] - from.data[i])).toBeLessThanOrEqual(atol + rtol * Math.abs(from.data[i]))
    }
    const call = (from: number, to: number) =>
      Object.fromEntries([...inputs].map(([n, t]) => [n, given(columns(t, from, to))]))
    const output = key.slice(4)
    agree((await model.run(Object.fromEntries([...inputs].map(([n, t]) => [n, given(t)]))))[output].data)
    if (compiled.derived !== undefined) {
      const length = [...inputs.values()][0].shape[1]
      agree((await model.prefill(call(0, 3)))[output].data, columns(want, 0, 3))
      agree((await model.prefill(call(3, 5)))[output].data, columns(want, 3, 5))
      for (let t = 5; t < length; t++) agree((await model.step(call(t, t + 1)))[output].data, columns(want, t, t + 1))
    }
    expect(compiled.derived !== undefined).toBe(/^\s*sequence /m.test(readText(`examples/${name}/model.tfm`)))
    model.dispose()
  })
})
