import { describe, expect, test } from 'vitest'
import { naiveNest } from '../../src/kernel/build.ts'
import { pointEvaluator } from '../../src/kernel/point.ts'
import { printNest, printStages } from '../../src/kernel/print.ts'
import { extentOf } from '../../src/kernel/walk.ts'
import { evaluate } from '../../src/types/ix.ts'
import { attention, embedding, layernorm, matmul, P, permuted, softmax, T } from './kernels.ts'
import { inputsOf, rules, run } from './run.ts'

const examples = {
  matmul: matmul(),
  layernorm: layernorm(),
  softmax: softmax(),
  attention: attention(),
  embedding: embedding(),
  permuted: permuted(),
}

test.each(Object.entries(examples))('%s as stages and as a naive nest', (_, example) => {
  expect(`${printStages(example.kernel)}\n${printNest(naiveNest(example.kernel))}`).toMatchSnapshot()
})

const sizes = [1, 2, 3, 4, 5, 7, 8, 16, 17].map((t) => [t, t % 5] as const)
describe.each(Object.entries(examples))('%s', (_, { kernel }) => {
  test.each(sizes)('naive nest and point evaluation agree at T = %i, P = %i', (t, p) => {
    const params = new Map([[T, t], [P, p]]) // prettier-ignore
    const inputs = inputsOf(kernel.args, params)
    const cells = new Map(kernel.args.map((a, i) => [a.buffer, inputs[i]]))
    const point = pointEvaluator(kernel, (b) => (i) => cells.get(b)!.value[i], params, rules, { chunk: 4 })
    const expected = kernel.stages.filter(s => s.out.space === 'global').map(s => {
      const extents = s.domain.map(v => evaluate(extentOf(v), x => params.get(x)!))
      return { out: s.out, points: grid(extents).map(c => point(s, c)).filter(x => x !== undefined) }
    }) // prettier-ignore
    run(naiveNest(kernel, { chunk: 4 }), params, { inputs })
    let points = 0
    for (const { out, points: list } of expected) {
      const { value, error } = cells.get(out)!
      for (const x of list) {
        points++
        expect(Math.abs(value[x.offset] - x.value)).toBeLessThanOrEqual(1e-9 * Math.abs(x.value) + 1e-15)
        expect(error[x.offset]).toBeGreaterThanOrEqual(0)
        expect(error[x.offset]).toBeLessThanOrEqual(2 * x.bound + 1e-15)
        // A point also merges chunks that the nest skips.
        expect(x.bound).toBeLessThanOrEqual(4 * error[x.offset] + 1e-15)
      }
      // What no point defines stays as it was.
      expect([...value].filter((x) => !Number.isNaN(x)).length).toBe(new Set(list.map((x) => x.offset)).size)
    }
    expect(points).toBeGreaterThan(0)
  })
})

function grid(extents: readonly number[]): number[][] {
  return extents.reduce<number[][]>(
    (all, n) => all.flatMap((c) => Array.from({ length: n }, (_, i) => [...c, i])),
    [[]],
  )
}
