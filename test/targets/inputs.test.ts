/** Elements of inputs that are no numbers are refused alike by every target, wherever it looks at them. */
import { expect, test } from 'vitest'
import { compile } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { loadEmitted, targets } from '../support/emitted.ts'

const text = 'model double {\n  input x: f32[N, D]\n  output y = x + x\n}\n'
const empty = Uint8Array.from(Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]))

test.each(targets.map((t) => [t.name, t] as const))('%s', async (_, target) => {
  const model = await loadEmitted(target, compile(sourceFile('double.tfm', text), target), empty)
  const x = Float32Array.from({ length: 45 }, (_, i) => i)
  const run = (data: ArrayLike<number>) => model.run({ x: { data, shape: [5, 9] } })
  expect((await run(x)).y.data).toEqual(x.map((v) => 2 * v))
  for (const at of [0, 17, 44]) {
    const bad = x.slice()
    bad[at] = NaN
    const place = `x[${Math.floor(at / 9)}, ${at % 9}] = NaN, expected a number`
    await expect(run(bad)).rejects.toThrow(place)
    await expect(run(Array.from(bad))).rejects.toThrow(place)
  }
  expect((await run(x)).y.data[44]).toBe(88)
  model.dispose()
})
