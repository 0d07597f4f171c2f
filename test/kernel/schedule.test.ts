import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { naiveNest } from '../../src/kernel/build.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import { printNest } from '../../src/kernel/print.ts'
import {
  cse,
  hoist,
  IllegalSchedule,
  jam,
  mapTo,
  reorder,
  scalarise,
  split,
  tighten,
  unroll,
  widen,
} from '../../src/kernel/schedule/index.ts'
import type { Tail } from '../../src/kernel/schedule/index.ts'
import { exprsOf, loadsOf, loopsOf, visitStmts } from '../../src/kernel/walk.ts'
import type { Sym } from '../../src/types/ix.ts'
import { attention, embedding, layernorm, matmul, P, permuted, softmax, T } from './kernels.ts'
import { run } from './run.ts'
import { tile4x4 } from './recipes.ts'
import { expectSame } from './same.ts'

const examples = {
  matmul: matmul(),
  layernorm: layernorm(),
  softmax: softmax(),
  attention: attention(),
  embedding: embedding(),
  permuted: permuted(),
}

test('a register-blocked matmul has 16 sums and 8 loads per step', () => {
  const nest = tile4x4(matmul(T, 12, 5))
  expect(printNest(nest)).toMatchSnapshot()
  const first = loopsOf(nest.body).find((l) => l.reduces)!
  const sums = first.body.filter((s) => s.k === 'assign')
  expect(sums.length).toBe(16)
  expect(sums.every((s) => s.v.of === 'f64')).toBe(true)
  let loads = 0
  visitStmts(first.body, (s) => exprsOf(s).forEach((e) => (loads += loadsOf(e).length)))
  expect(loads).toBe(8)
})

test.each([[4, 4], [12, 5], [13, 7], [5, 2]])('register-blocked matmul with N = %i, K = %i', (n, k) => {
  const example = matmul(T, n, k)
  for (let t = 1; t <= 17; t++) expectSame(naiveNest(example.kernel), tile4x4(example), t, 0)
}) // prettier-ignore

describe.each(Object.entries(examples))('%s', (_, { kernel }) => {
  const naive = naiveNest(kernel, { chunk: 4 })
  test.each(Object.entries({ cse, hoist, tighten, scalarise, both: (n: NestKernel) => cse(hoist(cse(n))) }))(
    '%s keeps values',
    (_, rewrite) => {
      const made = rewrite(naive)
      for (let t = 1; t <= 17; t++) expectSame(naive, made, t, t % 4)
    },
  )
  test('widen keeps values and shrinks errors', () => {
    const made = widen(naive)
    for (let t = 1; t <= 9; t++) expectSame(naive, made, t, t % 4)
    const params = new Map([[T, 9], [P, 2]]) // prettier-ignore
    const js = { roundoff: 2 ** -24, accumulate: 2 ** -53, ulp: { exp: 2 }, expSlope: 0, flush: 0 }
    const [narrow, wide] = [run(naive, params), run(made, params, { rules: js })]
    wide.forEach((c, i) => c.error.forEach((e, at) => expect(e).toBeLessThanOrEqual(narrow[i].error[at] * 1.01)))
  })
})

test('random schedules of every kernel keep its values, at every size', () => {
  const step = fc.record({
    what: fc.constantFrom('split', 'split', 'jam', 'unroll', 'reorder', 'cse', 'hoist'),
    loop: fc.nat(20),
    factor: fc.integer({ min: 2, max: 5 }),
    tail: fc.constantFrom<Tail>('peel', 'guard', 'clamp', 'exact'),
  })
  let taken = 0
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(examples)),
      fc.array(step, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 17 }),
      fc.nat(4),
      (example, steps, t, p) => {
        const naive = naiveNest(example.kernel, { chunk: 4 })
        let nest = naive
        for (const s of steps) {
          const loops = loopsOf(nest.body)
          const v: Sym = loops[s.loop % loops.length].v
          const inner = loops[(s.loop + 1) % loops.length].v
          try {
            if (s.what === 'split') nest = split(nest, v, s.factor, s.tail).nest
            else if (s.what === 'reorder') nest = reorder(nest, v, inner)
            else nest = { cse, hoist, jam, unroll }[s.what](nest, v)
            taken++
          } catch (e) {
            if (!(e instanceof IllegalSchedule)) throw e
          }
        }
        expectSame(naive, nest, t, p)
      },
    ),
    { numRuns: 150, seed: 7 },
  )
  expect(taken).toBeGreaterThan(150)
})

test('reasons for refusing', () => {
  const { kernel, symbols } = matmul()
  const naive = naiveNest(kernel)
  expect(() => jam(naive, symbols.k)).toThrow('joined by a fold')
  expect(() => unroll(naive, symbols.m)).toThrow('not constant')
  expect(() => mapTo(naive, symbols.k, 'grid.x')).toThrow('joined by a fold')
  expect(() => mapTo(naive, symbols.m, 'local.x')).toThrow('not constant')
  expect(() => mapTo(mapTo(naive, symbols.n, 'grid.x'), symbols.m, 'grid.x')).toThrow('inside another loop')
  expect(() => reorder(naive, symbols.n, symbols.k)).toThrow('holds more')
  expect(() => split(naive, symbols.m, 4, 'exact')).toThrow('not known to divide')
  expect(() => split(naive, symbols.k, 4, 'clamp')).toThrow('count its last element')
})
