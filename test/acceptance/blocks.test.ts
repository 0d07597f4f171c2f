/** The examples that no published case covers, with seeded weights: all that is checked of random models. */
import { expect, test } from 'vitest'
import { subjectsOf } from '../fuzz/batch.ts'
import { check } from '../fuzz/check.ts'
import { testDevice } from '../support/gpu.ts'
import { readText } from '../support/models.ts'

test.each([
  ['residual-block', false],
  ['preln-layer', true],
  ['postln-block', false],
] as const)(
  '%s: targets agree with the reference, fused and unfused, and steps with the whole',
  async (name, steps) => {
    const report = await check(
    {
      name, text: readText(`examples/${name}/model.tfm`), set: { d: 12, heads: 3 },
      calls: [{ B: 2, T: 7 }, { B: 1, T: 1 }], draws: name === 'postln-block' ? { keep: { k: 'flags' } } : {},
    },
    { subjects: subjectsOf(true), device: testDevice },
  ) // prettier-ignore
    expect(report.findings).toEqual([])
    expect(report.steppable).toBe(steps)
  },
)
