import { dataIndex, load } from '../kernel/expr.ts'
import { sub } from '../types/ix.ts'
import { defineOp, EvaluateError } from './define.ts'
import { mapStage, sizeOf, stridesOf, tensor, wantAxis, wantDtype } from './support.ts'

export const gather = defineOp<{ axis: number }>({
  doc: "Elements of x at data-dependent positions: the axis is replaced by i's axes, y[.., a, b, ..] = x[.., i[a, b], ..]. Embedding is gather on axis 0.",
  operator: 'x[i]',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'i', kind: 'tensor' },
    { name: 'axis', kind: 'axis', default: 0 },
  ],
  infer: ([x, i], { axis }) => {
    wantDtype('an index', 'i', 1, i, ['i32'])
    wantAxis(axis, x.shape.length, x)
    return { dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...i.shape, ...x.shape.slice(axis + 1)] }
  },
  evaluate: ([x, i], { axis }, [shape]) => {
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
    const outer = sizeOf(x.shape.slice(0, axis))
    const inner = sizeOf(x.shape.slice(axis + 1))
    for (let o = 0, to = 0; o < outer; o++) {
      for (let p = 0; p < i.data.length; p++, to += inner) {
        const from = (o * n + i.data[p]) * inner
        out.data.set(x.data.subarray(from, from + inner), to)
      }
    }
    return out
  },
  /** Out-of-range indices are refused before a kernel runs; here they are clamped, so that no load is out of bounds. */
  lower: ({ inputs: [x, i], out, attrs: { axis } }) => [
    mapStage(out, (at) => {
      const behind = axis + i.shape.length
      const which = dataIndex(load(i, at.slice(axis, behind)), 0, sub(x.shape[axis], 1))
      return load(x, [...at.slice(0, axis), which, ...at.slice(behind)])
    }),
  ],
})
