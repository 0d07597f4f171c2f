import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { naiveNest } from '../../src/kernel/build.ts'
import type { NestKernel } from '../../src/kernel/nest.ts'
import { printNest } from '../../src/kernel/print.ts'
import {
  coalesce,
  cse,
  forward,
  fuseAll,
  hoist,
  IllegalSchedule,
  reciprocals,
  reuse,
  scalarise,
  shareRows,
  simplify,
  vectorise,
} from '../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../src/kernel/stage.ts'
import { verify } from '../../src/kernel/verify.ts'
import { loopsOf } from '../../src/kernel/walk.ts'
import type { Sym } from '../../src/types/ix.ts'
import { evaluate } from '../../src/types/ix.ts'
import { panelLayout } from '../support/lowering.ts'
import { attention, embedding, layernorm, matmul, permuted, softmax, T } from './kernels.ts'
import { inputsOf, run } from './run.ts'
import { expectSame } from './same.ts'

const passes = [simplify, reuse, scalarise, hoist, fuseAll, shareRows, vectorise, reciprocals, simplify, cse, hoist]
const scheduled = (kernel: StageKernel, chunk = 8): NestKernel =>
  passes.reduce((n, rewrite) => rewrite(n), naiveNest(kernel, { chunk }))

describe.each(
  Object.entries({
    matmul: matmul(T, 9, 13),
    layernorm: layernorm(21),
    softmax: softmax(),
    attention: attention(2, 8),
    embedding: embedding(9, 7),
    permuted: permuted(),
  }),
)('%s', (_, { kernel }) => {
  const naive = naiveNest(kernel, { chunk: 8 })
  const made = scheduled(kernel)
  test('vectorised and shared out it keeps its values', () => {
    if (verify(naive).length === 0) expect(verify(made), printNest(made)).toEqual([])
    for (let t = 1; t <= 33; t += t < 18 ? 1 : 5) {
      expectSame(naive, made, t, t % 4, {}, 1e-10)
      expectSame(naive, made, t, t % 4, { threads: 'backward' }, 1e-10)
    }
  })
  test('each rewrite alone keeps its values', () => {
    for (const rewrite of [forward, fuseAll, reuse, shareRows, vectorise, reciprocals]) {
      const one = rewrite(naive)
      for (const t of [1, 4, 7]) expectSame(naive, one, t, 2, {}, 1e-10)
    }
    for (const [i, outer] of loopsOf(naive.body).entries()) {
      const inner = loopsOf(naive.body)[i + 1]
      if (inner === undefined) continue
      let one: NestKernel
      try {
        one = coalesce(naive, outer.v, inner.v).nest
      } catch (e) {
        if (e instanceof IllegalSchedule) continue
        throw e
      }
      for (const t of [1, 4, 7]) expectSame(naive, one, t, 2)
    }
  })
})

test('residual and layer norm: three passes, the sum stored in the first', () => {
  expect(printNest(scheduled(layernorm(768).kernel))).toMatchSnapshot()
})
test('softmax keeps its exponentials where the result goes', () => {
  expect(printNest(scheduled(softmax().kernel))).toMatchSnapshot()
})

/** Models that between them have every kind of kernel; those of the others are run on the targets themselves. */
const models = 'bilstm-tagger gemma griffin mamba mixtral mla mobilenet perceiver preln-layer retnet rwkv t5 wavenet'
  .split(' ')
  .map((name) => `examples/${name}/model.tfm`)
const sizes: Record<string, number> = { B: 2, T: 5, P: 3, S: 7, N: 3 }

test.each(models)('kernels of %s keep their values', (path) => {
  const text = readFileSync(path, 'utf8')
  const layers: Record<string, number> = /\blayers = (\d+)/.exec(text) === null ? {} : { layers: 1 }
  const { lowered } = compile(sourceFile(path, text), { panelLayout }, { fuse: true, set: layers })
  for (const kernel of lowered.module.kernels) {
    const naive = naiveNest(kernel)
    const params = new Map(kernel.params.map((s): [Sym, number] => [s, sizes[s.name] ?? 1]))
    const elements = kernel.args.map((a) => a.buffer.shape.reduce((n, x) => n * evaluate(x, (s) => params.get(s)!), 1))
    // Large products are the recipes of contractions; here they would only take long.
    if (elements.some((n) => n > 70_000)) continue
    const made = scheduled(kernel, 32)
    expect(verify(made), printNest(made)).toEqual([])
    const inputs = inputsOf(kernel.args, params)
    const copy = () => inputs.map((c) => ({ value: c.value.slice(), error: c.error.slice() }))
    const [a, b] = [run(naive, params, { inputs: copy() }), run(made, params, { inputs: copy() })]
    a.forEach((cells, i) =>
      cells.value.forEach((v, at) => {
        const w = b[i].value[at]
        if (!(Number.isNaN(v) && Number.isNaN(w)) && !(Math.abs(v - w) <= 1e-10 * Math.max(1, Math.abs(v))))
          throw new Error(`${kernel.name}: result ${i} at ${at} is ${w}, not ${v}\n${printNest(made)}`)
      }),
    )
  }
})
