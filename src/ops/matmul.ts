import { bin, load } from '../kernel/expr.ts'
import { of, print } from '../types/ix.ts'
import type { TensorType } from '../types/tensor.ts'
import { defineOp, InferError } from './define.ts'
import {
  broadcastShapes,
  domainOf,
  loopSymbol,
  sizeOf,
  stretchedAt,
  tensor,
  typeFact,
  wantDtype,
  wantRank,
} from './support.ts'

const batchOf = (t: TensorType): TensorType => ({ dtype: t.dtype, shape: t.shape.slice(0, -2) })

export const matmul = defineOp({
  doc: 'The matrix product over the last two axes, [..., M, K] @ [..., K, N]; leading axes broadcast: y[i, j] = Σₖ a[i, k] · b[k, j].',
  operator: 'a @ b',
  params: [
    { name: 'a', kind: 'tensor' },
    { name: 'b', kind: 'tensor' },
  ],
  infer: ([a, b]) => {
    for (const [i, t] of [a, b].entries()) {
      const name = i === 0 ? 'a' : 'b'
      wantDtype('`@`', name, i, t, ['f32'])
      wantRank('`@`', name, i, t, (r) => r >= 2, 'two or more axes on both sides')
    }
    const [m, k] = a.shape.slice(-2)
    const [l, n] = b.shape.slice(-2)
    if (k !== l) {
      throw new InferError(
        'TFM1407',
        `\`@\` joins the last axis of {0:a} (${print(k)}) with the second to last of {1:b} (${print(l)}), which differ`,
        [typeFact(0), typeFact(1)],
        k === n ? '{0:a} @ transpose({1:b})' : undefined,
      )
    }
    return { dtype: 'f32', shape: [...broadcastShapes(['a', 'b'], [batchOf(a), batchOf(b)]), m, n] }
  },
  evaluate: ([a, b], _, [shape]) => {
    const out = tensor('f32', shape)
    const [m, n] = shape.slice(-2)
    const k = a.shape[a.shape.length - 1]
    const batch = shape.slice(0, -2)
    const [fromA, fromB] = [a, b].map((t) => batchOffsets(t.shape.slice(0, -2), batch))
    for (let p = 0; p < fromA.length; p++) {
      multiply(a.data, fromA[p] * m * k, b.data, fromB[p] * k * n, out.data, p * m * n, m, k, n)
    }
    return out
  },
  lower: ({ inputs: [a, b], out }) => {
    const domain = domainOf(out.shape)
    const at = domain.map((s) => of(s))
    const [row, column] = at.slice(-2)
    const batch = at.slice(0, -2)
    const r = loopSymbol('r', a.shape[a.shape.length - 1])
    const left = load(a, [...stretchedAt(a.shape.slice(0, -2), batch), row, of(r)])
    const right = load(b, [...stretchedAt(b.shape.slice(0, -2), batch), of(r), column])
    return [
      {
        name: out.name,
        out,
        domain,
        body: { k: 'reduce', fold: 'add', axes: [r], e: bin('mul', left, right), empty: 0 },
      },
    ]
  },
})

/** Which matrix of an operand belongs to each matrix of the result. */
function batchOffsets(own: readonly number[], batch: readonly number[]): Int32Array {
  const offsets = new Int32Array(sizeOf(batch))
  for (let p = 0; p < offsets.length; p++) {
    let rest = p
    let stride = 1
    for (let axis = batch.length - 1; axis >= 0; axis--) {
      const d = own[axis - batch.length + own.length] ?? 1
      if (d !== 1) offsets[p] += (rest % batch[axis]) * stride
      rest = Math.floor(rest / batch[axis])
      stride *= d
    }
  }
  return offsets
}

/** c += a @ b; rows of b are swept in memory order, four at a time. */
function multiply(
  a: Float64Array,
  a0: number,
  b: Float64Array,
  b0: number,
  c: Float64Array,
  c0: number,
  m: number,
  k: number,
  n: number,
): void {
  for (let i = 0; i < m; i++) {
    const row = c0 + i * n
    const left = a0 + i * k
    let r = 0
    for (; r + 3 < k; r += 4) {
      const x0 = a[left + r]
      const x1 = a[left + r + 1]
      const x2 = a[left + r + 2]
      const x3 = a[left + r + 3]
      const p = b0 + r * n
      for (let j = 0; j < n; j++) {
        c[row + j] += x0 * b[p + j] + x1 * b[p + n + j] + (x2 * b[p + 2 * n + j] + x3 * b[p + 3 * n + j])
      }
    }
    for (; r < k; r++) {
      const x = a[left + r]
      const p = b0 + r * n
      for (let j = 0; j < n; j++) c[row + j] += x * b[p + j]
    }
  }
}
