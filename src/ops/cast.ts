/** Conversions. Nothing converts implicitly. */
import { bin, cast, constant, load, select } from '../kernel/expr.ts'
import type { Expr } from '../kernel/expr.ts'
import type { DType } from '../types/dtype.ts'
import { defineOp } from './define.ts'
import type { Op } from './define.ts'
import { mapStage, tensor } from './support.ts'

/** In kernels `bool` is made by comparison and read by `select`, so that `cast` is between f32 and i32 only. */
function converted(to: DType, e: Expr): Expr {
  if (e.of === to) return e
  if (to === 'bool') return bin('ne', e, constant(0, e.of))
  return e.of === 'bool' ? select(e, constant(1, to), constant(0, to)) : cast(to, e)
}

function conversion(to: DType, doc: string, apply: (x: number) => number): Op {
  return defineOp({
    doc,
    params: [{ name: 'x', kind: 'tensor' }],
    infer: ([x]) => ({ dtype: to, shape: x.shape }),
    evaluate: ([x], _, [shape]) => tensor(to, shape, x.data.map(apply)),
    lower: ({ inputs: [x], out }) => [mapStage(out, (at) => converted(to, load(x, at)))],
  })
}

export const f32 = conversion('f32', 'As a float; true is 1.', (x) => x)
export const i32 = conversion('i32', 'As an integer, towards zero; true is 1.', (x) => Math.trunc(x) + 0)
export const bool = conversion('bool', 'Whether not zero.', (x) => Number(x !== 0))
