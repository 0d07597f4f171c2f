import { expect, test } from 'vitest'
import { compile } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { address } from '../../src/kernel/address.ts'
import { naiveNest } from '../../src/kernel/build.ts'
import { cse, hoist, scalarise, simplify, tighten } from '../../src/kernel/schedule/index.ts'
import { verify } from '../../src/kernel/verify.ts'
import { exampleNames } from '../support/examples.ts'
import { panelLayout } from '../support/lowering.ts'
import { readText } from '../support/models.ts'

const models = exampleNames().map((name) => `examples/${name}/model.tfm`)

/** Layers and experts beyond these repeat the kernels of those before. */
const enough = { layers: 6, experts: 8 }

function settings(text: string): Record<string, number> {
  const given = Object.entries(enough).filter(([name, most]) => {
    const found = new RegExp(`\\b${name} = (\\d+)`).exec(text)
    return found !== null && Number(found[1]) > most
  })
  return Object.fromEntries(given)
}

test.each(models.flatMap((path) => [true, false].map((fuse) => [path, fuse] as const)))(
  'every kernel of %s is valid, naive, cleaned up and flat (fuse = %s)',
  (path, fuse) => {
    const text = readText(path)
    const { lowered } = compile(sourceFile(path, text), { panelLayout }, { fuse, set: settings(text) })
    expect(lowered.module.kernels.length).toBeGreaterThan(0)
    for (const kernel of lowered.module.kernels) {
      const naive = naiveNest(kernel)
      const clean = simplify(cse(hoist(tighten(scalarise(naive)))))
      expect(verify(naive), kernel.name).toEqual([])
      expect(verify(clean), kernel.name).toEqual([])
      expect(
        verify(address(clean).nest).filter((i) => i.rule !== 'range'),
        kernel.name,
      ).toEqual([])
    }
  },
)
