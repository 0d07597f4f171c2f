import { describe, expect, test } from 'vitest'
import { address, flatten } from '../../src/kernel/address.ts'
import type { Layout } from '../../src/kernel/buffer.ts'
import { newBuffer } from '../../src/kernel/buffer.ts'
import { naiveNest } from '../../src/kernel/build.ts'
import type { Expr } from '../../src/kernel/expr.ts'
import { bin, index, load } from '../../src/kernel/expr.ts'
import { mapStage } from '../../src/kernel/inline.ts'
import { printNest } from '../../src/kernel/print.ts'
import { verify } from '../../src/kernel/verify.ts'
import { mapper } from '../../src/kernel/walk.ts'
import { add, ceilDiv, con, floorDiv, mod, mul, of, sym } from '../../src/types/ix.ts'
import { attention, embedding, kernel, layernorm, matmul, permuted, softmax, T } from './kernels.ts'
import type { Example } from './kernels.ts'
import { tile4x4 } from './recipes.ts'
import { expectSame } from './same.ts'
import { inputsOf, run } from './run.ts'

const examples = {
  matmul: matmul(),
  layernorm: layernorm(),
  softmax: softmax(),
  attention: attention(),
  embedding: embedding(),
  permuted: permuted(),
}
const given: Expr[] = [bin('le', index(of(T)), index(con(64)))]

describe.each(Object.entries(examples))('%s', (_, { kernel }) => {
  const naive = naiveNest(kernel, { chunk: 4 })
  test('flat addresses and bases keep values', () => {
    const made = address(naive).nest
    for (const a of made.args) expect(a.buffer.shape.length).toBe(1)
    for (let t = 1; t <= 17; t++) {
      expectSame(naive, flatten(naive).nest, t, t % 4)
      expectSame(naive, made, t, t % 4)
    }
    expect(verify(made, { given }).filter((i) => i.rule === 'scope')).toEqual([])
  })
})

test('gathers and batches', () => {
  expect(printNest(address(naiveNest(embedding().kernel)).nest)).toMatchSnapshot()
  expect(printNest(address(naiveNest(attention().kernel)).nest)).toMatchSnapshot()
})

/** Panels of four columns: [n div 4][k][n mod 4], padded with zeros. */
function panels(K: number, N: number): Layout {
  const [k, n] = [sym('k', { lo: 0, hi: K - 1, role: 'loop' }), sym('n', { lo: 0, hi: N - 1, role: 'loop' })]
  const offset = add(mul(floorDiv(of(n), 4), 4 * K), mul(of(k), 4), mod(of(n), 4))
  return { name: 'panels4', axes: [k, n], offset, size: mul(ceilDiv(con(N), 4), 4 * K) }
}

test('a packed operand under a register tile is read at base + 4 k + constant', () => {
  const [N, K] = [12, 5]
  const plain = matmul(T, N, K)
  const [x, w, b] = plain.kernel.args.map((a) => a.buffer)
  const packed = newBuffer('w', 'f32', 'global', w.shape, panels(K, N))
  const m = mapper({ load: (buf, at) => (buf === w ? load(packed, at) : undefined) })
  const stages = plain.kernel.stages.map((s) => mapStage(s, m))
  const outputs = plain.kernel.args.slice(3).map((a) => a.buffer)
  const example: Example = { ...plain, kernel: kernel('matmul', stages, [x, packed, b], outputs) }
  const nest = address(tile4x4(example)).nest
  expect(printNest(nest)).toMatchSnapshot()
  for (let t = 1; t <= 9; t++) {
    const params = new Map([[T, t]])
    const rows = inputsOf(plain.kernel.args, params)
    const panelled = inputsOf(example.kernel.args, params)
    panelled.forEach((c, i) => {
      if (i !== 1) c.value.set(rows[i].value)
      else
        for (let k = 0; k < K; k++)
          for (let n = 0; n < N; n++) c.value[Math.floor(n / 4) * 4 * K + 4 * k + (n % 4)] = rows[1].value[k * N + n]
    })
    const [expected, found] = [
      run(naiveNest(plain.kernel), params, { inputs: rows }),
      run(nest, params, { inputs: panelled }),
    ]
    expected.forEach((c, i) =>
      c.value.forEach((v, at) => Number.isNaN(v) || expect(found[i].value[at]).toBeCloseTo(v, 9)),
    )
  }
})
