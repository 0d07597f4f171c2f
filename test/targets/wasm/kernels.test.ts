import { describe, expect, test } from 'vitest'
import { naiveNest } from '../../../src/kernel/build.ts'
import type { NestKernel } from '../../../src/kernel/nest.ts'
import { mapTo, split } from '../../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { Sym } from '../../../src/types/ix.ts'
import { of } from '../../../src/types/ix.ts'
import { wasmKernels } from '../../support/wasm-kernels.ts'
import type { WasmKernels } from '../../support/wasm-kernels.ts'
import * as examples from '../../kernel/kernels.ts'
import { at, global, kernel, map, P, plus, reduce, T, virtual } from '../../kernel/kernels.ts'
import { inputsOf, run } from '../../kernel/run.ts'

const exact = { roundoff: 0, accumulate: 0, ulp: {}, expSlope: 0, flush: 0 }

/** The emitted kernel and the naive nest agree at these params; what the nest does not write stays unwritten. */
function expectEqual(
  kernel: StageKernel,
  emitted: WasmKernels,
  params: readonly (readonly [Sym, number])[],
  seed = 1,
  place = 0,
): void {
  const values = new Map(params)
  const cells = inputsOf(kernel.args, values, seed)
  const arrays = kernel.args.map((a, i) =>
    a.buffer.of === 'f32' ? Float32Array.from(cells[i].value) : Int32Array.from(cells[i].value),
  )
  emitted.call(place, arrays, kernel.params.map((s) => values.get(s)!)) // prettier-ignore
  const wanted = run(naiveNest(kernel), values, { inputs: cells, rules: exact })
  const results = arrays.filter((_, i) => kernel.args[i].access !== 'read')
  results.forEach((got, r) => {
    for (let i = 0; i < got.length; i++) {
      const want = wanted[r].value[i]
      if (Number.isNaN(want)) {
        if (got instanceof Float32Array) expect(got[i], `${kernel.name} result ${r} at ${i}`).toBeNaN()
      } else if (Math.abs(got[i] - want) > 4e-6 * Math.max(1, Math.abs(want)) || Number.isNaN(got[i])) {
        const at = params.map(([s, n]) => `${s.name} = ${n}`).join(', ')
        expect.fail(`${kernel.name} at ${at}: result ${r} at ${i} is ${got[i]}, expected ${want}\n${emitted.text}`)
      }
    }
  })
}
const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 33]

describe('emitted kernels equal the naive nest', () => {
  test.each([1, 2, 3])('with %i threads', async (threads) => {
    for (const name of ['matmul', 'layernorm', 'softmax', 'embedding', 'permuted'] as const) {
      const { kernel } = examples[name]()
      const emitted = await wasmKernels([kernel], { threads })
      for (const t of sizes) expectEqual(kernel, emitted, [[T, t]], t)
    }
    const { kernel } = examples.attention(2, 8)
    const emitted = await wasmKernels([kernel], { threads })
    for (const t of [1, 2, 3, 31, 32, 33, 65]) for (const p of [0, 1, 31, 40]) expectEqual(kernel, emitted, [[T, t], [P, p]]) // prettier-ignore
  })
})

describe('loops shared out among threads', () => {
  test.each(['thread', 'thread.each'] as const)('%s, one iteration a step and four', async (kind) => {
    const [x, y] = [global('x', [T, T]), global('y', [T, T])]
    const made = [1, 4].map((step) => {
      const [r, c] = [loopSymbol('r', of(T)), loopSymbol('c', of(T))]
      const k = kernel('twice', [map(y, [r, c], plus(at(x, r, c), at(x, r, c)))], [x], [y])
      const nest = naiveNest(k)
      const [rows] = nest.body
      if (rows.k !== 'for') throw new Error('no loop over rows')
      if (step === 1) return { k, nest: mapTo(nest, rows.v, kind) }
      const { nest: blocks, outer } = split(nest, rows.v, step, 'guard')
      return { k, nest: mapTo(blocks, outer, kind) }
    })
    for (const threads of [1, 2, 3, 5]) {
      const emitted = await wasmKernels(made.map(({ nest }) => nest), { threads }) // prettier-ignore
      for (const t of [1, 2, 4, 5, 8, 9, 17]) made.forEach(({ k }, i) => expectEqual(k, emitted, [[T, t]], t, i))
    }
  })
  test('what is outside of them is done once', async () => {
    const [x, y, z] = [global('x', [T]), global('y', [T]), global('z', [1])]
    const [t, one] = [loopSymbol('t', of(T)), loopSymbol('one', 1)]
    const total = virtual('total', [one])
    const sum = loopSymbol('s', of(T))
    const stages = [reduce(total, [one], 'add', [sum], at(x, sum)), map(z, [one], at(total, one))]
    const nests = [naiveNest(kernel('z', stages, [x], [z])), naiveNest(kernel('y', [map(y, [t], at(x, t))], [x], [y]))]
    const nest = { ...nests[0], args: [...nests[0].args, nests[1].args[1]], body: [...nests[0].body, ...mapTo(nests[1], t2(nests[1]), 'thread').body] } // prettier-ignore
    const emitted = await wasmKernels([nest], { threads: 3 })
    const [zs, ys] = [new Float32Array(1), new Float32Array(5)]
    emitted.call(0, [Float32Array.of(1, 2, 3, 4, 5), zs, ys], [5])
    expect([...zs, ...ys]).toEqual([15, 1, 2, 3, 4, 5])
    expect(emitted.text).toContain('(if (i32.eqz (global.get $thread))')
  })
})
const t2 = (nest: NestKernel): Sym => {
  const [s] = nest.body
  if (s.k !== 'for') throw new Error('no loop')
  return s.v
}

test('ids out of range read the nearest row', async () => {
  const { kernel } = examples.embedding(9, 4)
  const emitted = await wasmKernels([kernel])
  const table = Float32Array.from({ length: 36 }, (_, i) => i)
  const ys = new Float32Array(16)
  emitted.call(0, [Int32Array.of(-5, 3, 100, -(2 ** 31)), table, new Float32Array(256), ys, new Int32Array(4)], [4])
  expect([0, 4, 8, 12].map((i) => ys[i])).toEqual([0, 12, 32, 0])
})
