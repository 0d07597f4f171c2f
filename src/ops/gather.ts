import { dataIndex, load } from '../kernel/expr.ts'
import { print, sub } from '../types/ix.ts'
import { defineOp, EvaluateError, InferError } from './define.ts'
import { mapStage, sizeOf, stridesOf, tensor, typeFact, wantAxis, wantDtype } from './support.ts'

export const gather = defineOp<{ axis: number; batch: number }>({
  doc: "Elements of x at data-dependent positions: the axis is replaced by i's axes, y[.., a, b, ..] = x[.., i[a, b], ..]. Embedding is gather on axis 0. The first `batch` axes of x and i are the same ones: y[b, .., a, ..] = x[b, .., i[b, a], ..].",
  operator: 'x[i]',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'i', kind: 'tensor' },
    { name: 'axis', kind: 'axis', default: 0 },
    { name: 'batch', kind: 'number', default: 0 },
  ],
  infer: ([x, i], { axis, batch }) => {
    wantDtype('an index', 'i', 1, i, ['i32'])
    wantAxis(axis, x.shape.length, x)
    if (!Number.isInteger(batch) || batch < 0 || batch > Math.min(axis, i.shape.length)) {
      throw new InferError('TFM1404', `${batch} axes cannot stand before axis ${axis} of both`, [
        typeFact(0),
        typeFact(1),
      ])
    }
    const differs = i.shape.slice(0, batch).findIndex((d, a) => d !== x.shape[a])
    if (differs >= 0) {
      const [a, b] = [x.shape[differs], i.shape[differs]]
      throw new InferError('TFM1402', `axis ${differs} is ${print(a)} in {0:x} and ${print(b)} in {1:i}`, [
        typeFact(0),
        typeFact(1),
      ])
    }
    return { dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...i.shape.slice(batch), ...x.shape.slice(axis + 1)] }
  },
  evaluate: ([x, i], { axis, batch }, [shape]) => {
    const n = x.shape[axis]
    for (let p = 0; p < i.data.length; p++) {
      if (i.data[p] >= 0 && i.data[p] < n) continue
      const place = stridesOf(i.shape).map((s, a) => Math.floor(p / s) % i.shape[a])
      throw new EvaluateError(
        'TFM1411',
        `i${place.length > 0 ? `[${place.join(', ')}]` : ''} = ${i.data[p]}, but axis ${axis} of x has ${n} entries`,
        1,
      )
    }
    const out = tensor(x.dtype, shape)
    const outer = sizeOf(x.shape.slice(0, batch))
    const middle = sizeOf(x.shape.slice(batch, axis))
    const inner = sizeOf(x.shape.slice(axis + 1))
    const picks = sizeOf(i.shape.slice(batch))
    for (let o = 0, to = 0; o < outer * middle; o++) {
      const first = Math.floor(o / middle) * picks
      for (let p = 0; p < picks; p++, to += inner) {
        const from = (o * n + i.data[first + p]) * inner
        out.data.set(x.data.subarray(from, from + inner), to)
      }
    }
    return out
  },
  /** Out-of-range indices are refused before a kernel runs; here they are clamped, so that no load is out of bounds. */
  lower: ({ inputs: [x, i], out, attrs: { axis, batch } }) => [
    mapStage(out, (at) => {
      const behind = axis + i.shape.length - batch
      const place = load(i, [...at.slice(0, batch), ...at.slice(axis, behind)])
      return load(x, [...at.slice(0, axis), dataIndex(place, 0, sub(x.shape[axis], 1)), ...at.slice(behind)])
    }),
  ],
})
