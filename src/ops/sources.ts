/** Values made from nothing: positions, fills, small tables. */
import { constant as literal, bin, index, select } from '../kernel/expr.ts'
import type { Expr } from '../kernel/expr.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix } from '../types/ix.ts'
import { add, con, isConst, mul } from '../types/ix.ts'
import { linearise } from '../types/shape.ts'
import { defineOp, InferError } from './define.ts'
import { mapStage, showShape, tensor, wantAtLeast } from './support.ts'

export const iota = defineOp<{ n: Ix; start: Ix }>({
  doc: 'The positions start, start + 1, … start + n - 1.',
  params: [
    { name: 'n', kind: 'dim' },
    { name: 'start', kind: 'dim', default: 0 },
  ],
  infer: (_, { n }) => {
    wantAtLeast('the length of iota', n, 0)
    return { dtype: 'i32', shape: [n] }
  },
  evaluate: (_, { start }, [shape]) => {
    const out = tensor('i32', shape)
    for (let i = 0; i < out.data.length; i++) out.data[i] = start + i
    return out
  },
  lower: ({ out, attrs: { start } }) => [mapStage(out, ([i]) => index(add(start, i)))],
  advance: (attrs, _axis, past, length) => ({ ...attrs, n: length, start: add(attrs.start, past) }),
})

const admits = (dtype: DType, v: number): boolean =>
  dtype === 'f32' || (dtype === 'bool' ? v === 0 || v === 1 : Number.isInteger(v) && v >= -(2 ** 31) && v < 2 ** 31)

function wantValue(dtype: DType, v: number): void {
  if (!admits(dtype, v)) throw new InferError('TFM1801', `${v} is no ${dtype}`)
}

export const full = defineOp<{ value: number; shape: readonly Ix[]; dtype: DType }>({
  doc: 'A tensor whose elements are all `value`. Number literals become one of shape [].',
  params: [
    { name: 'value', kind: 'number' },
    { name: 'shape', kind: 'dims' },
    { name: 'dtype', kind: 'dtype', default: 'f32' },
  ],
  infer: (_, { value, dtype, shape }) => {
    wantValue(dtype, value)
    return { dtype, shape }
  },
  evaluate: (_, { value, dtype }, [shape]) => {
    const out = tensor(dtype, shape)
    out.data.fill(value)
    return out
  },
  lower: ({ out, attrs: { value, dtype } }) => [mapStage(out, () => literal(value, dtype))],
})

export const constant = defineOp<{ values: readonly number[]; shape: readonly Ix[]; dtype: DType }>({
  doc: 'A small table of numbers in row-major order, as constant folding makes it.',
  params: [
    { name: 'values', kind: 'numbers' },
    { name: 'shape', kind: 'dims' },
    { name: 'dtype', kind: 'dtype', default: 'f32' },
  ],
  infer: (_, { values, dtype, shape }) => {
    const n = isConst(mul(...shape, 1))
    if (n !== values.length) {
      throw new InferError('TFM1402', `${values.length} values do not fill ${showShape(shape)}`)
    }
    for (const v of values) wantValue(dtype, v)
    return { dtype, shape }
  },
  evaluate: (_, { values, dtype }, [shape]) => tensor(dtype, shape, Float64Array.from(values)),
  /** A balanced tree of selects on the linear index. */
  lower: ({ out, attrs: { values, dtype } }) => [
    mapStage(out, (at) => {
      const place = index(linearise(at, out.shape))
      const pick = (lo: number, hi: number): Expr => {
        if (values.slice(lo, hi).every((v) => Object.is(v, values[lo]))) return literal(values[lo], dtype)
        const middle = (lo + hi) >> 1
        return select(bin('lt', place, index(con(middle))), pick(lo, middle), pick(middle, hi))
      }
      return pick(0, values.length)
    }),
  ],
})
