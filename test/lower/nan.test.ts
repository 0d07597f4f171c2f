/** NaN is not hidden: attention hands it on, and only a row that sees nothing is zero. */
import { expect, test } from 'vitest'
import { compile } from '../../src/compile.ts'
import { makeSimulator } from '../../src/diff/simulate.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { exactRules, panelLayout } from '../support/lowering.ts'

const text = `model m {
  input x: f32[B, 1, T, 2]
  input keep: i32[B, T]
  output y = attention(x, x, x, mask = keys(keep == 1))
}
`
test('attention', () => {
  const { lowered, graph } = compile(sourceFile('m.tfm', text), { panelLayout })
  const simulator = makeSimulator({ module: lowered.module, rules: exactRules, mode: 'worst', tensor: () => [] })
  const run = (x: number[], keep: number[]): number[] => {
    const inputs = new Map([['x', x], ['keep', keep]]) // prettier-ignore
    return [
      ...simulator.run('run', { inputs, dims: new Map(graph.dims.map((d) => [d, d.name === 'T' ? 2 : 1])) }).get('y')!
        .value,
    ]
  }
  expect(run([1, 2, 3, NaN], [1, 1]).every(Number.isNaN)).toBe(true)
  expect(run([1, 2, 3, 4], [0, 0])).toEqual([0, 0, 0, 0])
})
