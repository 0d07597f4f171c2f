import { bin, load } from '../kernel/expr.ts'
import { of, print } from '../types/ix.ts'
import type { TensorType } from '../types/tensor.ts'
import { defineOp, InferError } from './define.ts'
import {
  broadcastShapes,
  domainOf,
  loopSymbol,
  sizeOf,
  stretch,
  stretchedAt,
  tensor,
  typeFact,
  wantDtype,
} from './support.ts'

interface Parts<D> {
  readonly batch: readonly D[]
  readonly free: readonly D[]
  readonly sum: readonly D[]
}
const partsOf = <D>(shape: readonly D[], batch: number, sum: number): Parts<D> => ({
  batch: shape.slice(0, batch),
  free: shape.slice(batch, shape.length - sum),
  sum: shape.slice(shape.length - sum),
})

export const contract = defineOp<{ batch: number; sum: number }>({
  doc: 'The matrix product over several axes: the last `sum` axes of both are summed over, the first `batch` run together and broadcast, y[b.., m.., n..] = Σ a[b.., m.., k..] · c[b.., n.., k..]. Convolutions are contractions of windows.',
  params: [
    { name: 'a', kind: 'tensor' },
    { name: 'c', kind: 'tensor' },
    { name: 'batch', kind: 'number', default: 0 },
    { name: 'sum', kind: 'number', default: 1 },
  ],
  infer: ([a, c], { batch, sum }) => {
    wantDtype('contract', 'a', 0, a, ['f32'])
    wantDtype('contract', 'c', 1, c, ['f32'])
    const counts = [batch, sum].every((n) => Number.isInteger(n) && n >= 0)
    if (!counts || batch + sum > Math.min(a.shape.length, c.shape.length)) {
      const what = `${batch} axes in front and ${sum} at the end are not in both`
      throw new InferError('TFM1404', what, [typeFact(0), typeFact(1)])
    }
    const [p, q] = [partsOf(a.shape, batch, sum), partsOf(c.shape, batch, sum)]
    const differs = p.sum.findIndex((d, i) => d !== q.sum[i])
    if (differs >= 0) {
      const [x, y] = [p.sum[differs], q.sum[differs]]
      const what = `the axes that are summed over differ: ${print(x)} in {0:a}, ${print(y)} in {1:c}`
      throw new InferError('TFM1407', what, [typeFact(0), typeFact(1)])
    }
    const types = [p, q].map((parts): TensorType => ({ dtype: 'f32', shape: parts.batch }))
    return { dtype: 'f32', shape: [...broadcastShapes(['a', 'c'], types), ...p.free, ...q.free] }
  },
  evaluate: ([a, c], { batch, sum }, [shape]) => {
    const out = tensor('f32', shape)
    const lead = shape.slice(0, batch)
    const [x, y] = [a, c].map((t) => stretch(t, [...lead, ...t.shape.slice(batch)]))
    const k = sizeOf(partsOf(a.shape, batch, sum).sum)
    const m = sizeOf(partsOf(a.shape, batch, sum).free)
    const n = sizeOf(partsOf(c.shape, batch, sum).free)
    for (let b = 0, p = 0; b < sizeOf(lead); b++) {
      for (let i = 0; i < m; i++) {
        const row = (b * m + i) * k
        for (let j = 0; j < n; j++, p++) {
          const column = (b * n + j) * k
          let total = 0
          for (let r = 0; r < k; r++) total += x[row + r] * y[column + r]
          out.data[p] = total
        }
      }
    }
    return out
  },
  lower: ({ inputs: [a, c], out, attrs: { batch, sum } }) => {
    const domain = domainOf(out.shape)
    const at = domain.map((s) => of(s))
    const over = partsOf(a.shape, batch, sum).sum.map((d, i) => loopSymbol(sum === 1 ? 'r' : `r${i}`, d))
    const rows = a.shape.length - sum
    const k = over.map((s) => of(s))
    const lead = at.slice(0, batch)
    const left = load(a, [...stretchedAt(a.shape.slice(0, batch), lead), ...at.slice(batch, rows), ...k])
    const right = load(c, [...stretchedAt(c.shape.slice(0, batch), lead), ...at.slice(rows), ...k])
    return [
      {
        name: out.name,
        out,
        domain,
        body: { k: 'reduce', fold: 'add', axes: over, e: bin('mul', left, right), empty: 0 },
      },
    ]
  },
})
