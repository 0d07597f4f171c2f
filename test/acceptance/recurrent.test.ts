/** The published recurrent layers on the reference and every target; prints a table. */
import { afterAll, describe, expect, test } from 'vitest'
import { given, open, table } from '../support/acceptance.ts'
import { targets } from '../support/emitted.ts'
import { goldenTensors } from '../support/golden.ts'
import { expectClose, graphOfFile, modelOfCase, run } from '../support/models.ts'

const name = 'v12-rnn-lstm-gru'
const outputs = ['rnn_y', 'rnn_h', 'lstm_y', 'lstm_h', 'lstm_c', 'gru_y', 'gru_h']
afterAll(() => console.log(table.join('\n')))

test('the reference', () => {
  const graph = graphOfFile(modelOfCase(name))
  const io = goldenTensors(name, 'io.safetensors')
  const params = goldenTensors(name, 'weights.safetensors')
  const [x, h0, c0] = ['x', 'h0', 'c0'].map((key) => io.get(`in.${key}`)!)
  const [zero, from] = [run(graph, { x }, params), run(graph, { x, h0, c0 }, params)]
  for (const key of outputs) {
    // The published values are rounded to f32.
    expectClose(zero.get(key), io.get(`out.${key}`)!, 1e-7, 1e-8)
    expectClose(from.get(key), io.get(`out.${key}_h0`)!, 1e-7, 1e-8)
  }
})

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 120_000 }, (_, target) => {
  test(name, async () => {
    const { model, input, agree } = await open(name, target)
    const x = given(input('x'))
    const zero = await model.run({ x })
    const from = await model.run({ x, h0: given(input('h0')), c0: given(input('c0')) })
    for (const key of outputs) {
      agree(zero[key].data, key)
      agree(from[key].data, `${key}_h0`)
    }
    // Shorter sequences, down to one step, are prefixes.
    const T = x.shape[1]
    for (const n of [1, 4]) {
      const { data, shape } = input('x')
      const d = shape[2]
      const front = Float32Array.from({ length: shape[0] * n * d }, (_, i) => data[Math.floor(i / (n * d)) * T * d + (i % (n * d))]) // prettier-ignore
      const short = await model.run({ x: { data: front, shape: [shape[0], n, d] } })
      const width = zero.lstm_y.shape[2]
      for (let b = 0; b < shape[0]; b++) {
        for (let i = 0; i < n * width; i++) {
          expect(short.lstm_y.data[b * n * width + i]).toBeCloseTo(zero.lstm_y.data[b * T * width + i], 6)
        }
      }
    }
    model.dispose()
  })
})
