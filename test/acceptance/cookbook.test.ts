/** Every recipe of docs/cookbook.md, compiled as it is printed there and compared with PyTorch (test/golden/cookbook/make.py) on each target. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { format } from '../../grammar/format.ts'
import { compile, type Compiled } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { interpret } from '../../src/interpret/index.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { loadParameters } from '../../src/weights/open.ts'
import { writeSafetensors } from '../../src/weights/write.ts'
import { loadEmitted, targets } from '../support/emitted.ts'
import { goldenTensors } from '../support/golden.ts'
import { readText } from '../support/models.ts'
import { deviationOf, givenAll, positions, type Result } from '../support/tensors.ts'

/** As in the published cases. */
const tolerance = { rtol: 1e-3, atol: 1e-4 }

const recipes = [...readText('docs/cookbook.md').matchAll(/^```tfm\n([\s\S]*?)^```/gm)].map(([, text = '']) => ({
  name: /^model (\w+)/m.exec(text)![1],
  text,
}))
const values = goldenTensors('cookbook', 'cookbook.safetensors')

/** The tensors of a recipe of one kind: w, in or out. */
function tensorsOf(recipe: string, kind: string): [string, Tensor][] {
  const prefix = `${recipe}.${kind}.`
  return [...values].flatMap(([k, t]): [string, Tensor][] =>
    k.startsWith(prefix) ? [[k.slice(prefix.length), t]] : [],
  )
}
const weightsOf = (recipe: string): Uint8Array =>
  writeSafetensors(tensorsOf(recipe, 'w').map(([name, t]) => ({ name, shape: t.shape, data: t.data })))

function agree(got: ArrayLike<number>, want: Tensor): void {
  expect(got.length).toBe(want.data.length)
  const { share, index } = deviationOf(got, want.data, tolerance)
  expect(share, `element ${index}: ${got[index]}, want ${want.data[index]}`).toBeLessThanOrEqual(1)
}

async function reference(compiled: Compiled, name: string): Promise<Map<string, Tensor>> {
  const folder = mkdtempSync(join(tmpdir(), 'tfm-cookbook-'))
  const file = join(folder, 'model.safetensors')
  writeFileSync(file, weightsOf(name))
  const { graph } = compiled
  const params = await loadParameters(file, graph.params, graph.rules)
  rmSync(folder, { recursive: true })
  return interpret(graph, { inputs: new Map(tensorsOf(name, 'in')), params }).outputs
}

test('there are at least twenty, each with values', () => {
  expect(recipes.length).toBeGreaterThanOrEqual(20)
  expect([...new Set([...values.keys()].map((k) => k.split('.')[0]))].sort()).toEqual(recipes.map((r) => r.name).sort())
})

test.each(recipes)('$name is laid out as tfmc fmt does', ({ text }) => expect(format(text)).toBe(text))

describe.each(targets.map((t) => [t.name, t] as const))('%s', { timeout: 120_000 }, (_, target) => {
  test.each(recipes)('$name', async ({ name, text }) => {
    const compiled = compile(sourceFile(`${name}.tfm`, text), target)
    const inputs = tensorsOf(name, 'in')
    const [[output, want]] = tensorsOf(name, 'out')
    agree((await reference(compiled, name)).get(output)!.data, want)

    const model = await loadEmitted(target, compiled, weightsOf(name), { selftest: false })
    agree((await model.run(givenAll(inputs)))[output].data, want)

    expect(compiled.derived !== undefined, compiled.notSteppable?.message).toBe(/^ {2}sequence T$/m.test(text))
    if (compiled.derived !== undefined) {
      const length = want.shape[1]
      const piece = async (from: number, to: number): Promise<void> => {
        // What has no positions goes along with the first call.
        const parts = inputs.flatMap(([n, t]) => {
          if (t.shape[1] === length) return [[n, positions(t, from, to)] as const]
          return from === 0 ? [[n, t] as const] : []
        })
        const call = to - from > 1 || from === 0 ? model.prefill : model.step
        const got: Result = (await call(givenAll(parts)))[output]
        agree(got.data, positions(want, from, to))
      }
      await piece(0, 2)
      await piece(2, 4)
      for (let t = 4; t < length; t++) await piece(t, t + 1)
    }
    model.dispose()
  })
})
