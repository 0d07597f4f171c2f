/** Blocks of the library over unknown dims, against torch (test/golden/library/make_library.py), on the reference and on every target. */
import { describe, expect, test } from 'vitest'
import { compileFile, loadEmitted, targets } from '../support/emitted.ts'
import { goldenTensors } from '../support/golden.ts'
import { expectClose, graphOfFile, run } from '../support/models.ts'
import { givenAll } from '../support/tensors.ts'

const folder = 'test/golden/library'
const tensors = goldenTensors('library', 'io.safetensors')
const weights = goldenTensors('library', 'weights.safetensors')
const sizes = ['a', 'b']
const part = (size: string, side: 'in' | 'out') =>
  [...tensors].flatMap(([key, t]) => (key.startsWith(`${size}.${side}.`) ? [[key.split('.')[2], t] as const] : []))

test.each(sizes)('reference, sizes %s', (size) => {
  const got = run(graphOfFile(`${folder}/model.tfm`), Object.fromEntries(part(size, 'in')), weights)
  for (const [name, want] of part(size, 'out')) {
    expect([name, got.get(name)?.shape, got.get(name)?.dtype]).toEqual([name, want.shape, want.dtype])
    expectClose(got.get(name), want, 2e-6, 2e-6)
  }
})

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 240_000 }, (_, target) => {
  test('all sizes by one module', async () => {
    const model = await loadEmitted(target, compileFile(`${folder}/model.tfm`, target), `${folder}/weights.safetensors`)
    for (const size of sizes) {
      const got = await model.run(givenAll(part(size, 'in')))
      for (const [name, want] of part(size, 'out')) {
        expect([name, got[name].shape]).toEqual([name, want.shape])
        expectClose({ ...want, data: Float64Array.from(got[name].data) }, want, 2e-5, 1e-5)
      }
    }
    model.dispose()
  })
})
