/** The published recurrent layers on the reference and every target; prints a table. */
import { afterAll, describe, expect, test } from 'vitest'
import { open, openReference, subjects, table } from '../support/acceptance.ts'
import { expectClose, run } from '../support/models.ts'
import { deviationOf, given, positions } from '../support/tensors.ts'

const name = 'v12-rnn-lstm-gru'
const outputs = ['rnn_y', 'rnn_h', 'lstm_y', 'lstm_h', 'lstm_c', 'gru_y', 'gru_h']
afterAll(() => console.log(table.join('\n')))

test('the reference', () => {
  const { graph, weights, input, output } = openReference(name)
  const [x, h0, c0] = ['x', 'h0', 'c0'].map(input)
  const [zero, from] = [run(graph, { x }, weights), run(graph, { x, h0, c0 }, weights)]
  for (const key of outputs) {
    // The published values are rounded to f32.
    expectClose(zero.get(key), output(key), 1e-7, 1e-8)
    expectClose(from.get(key), output(`${key}_h0`), 1e-7, 1e-8)
  }
})

describe.each(subjects)('%s', { timeout: 120_000 }, (_, target) => {
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
    for (const n of [1, 4]) {
      const short = await model.run({ x: given(positions(input('x'), 0, n)) })
      const want = positions(
        { dtype: 'f32', shape: zero.lstm_y.shape, data: Float64Array.from(zero.lstm_y.data) },
        0,
        n,
      )
      expect(deviationOf(short.lstm_y.data, want.data, { rtol: 0, atol: 5e-7 }).share).toBeLessThanOrEqual(1)
    }
    model.dispose()
  })
})
