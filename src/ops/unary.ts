/** Functions of one operand, element by element. */
import { un } from '../kernel/expr.ts'
import type { UnaryFn } from '../kernel/expr.ts'
import type { DType } from '../types/dtype.ts'
import { load } from '../kernel/expr.ts'
import { defineOp } from './define.ts'
import type { Op } from './define.ts'
import { erf as erfOf, roundHalfEven } from './special.ts'
import { mapStage, tensor, wantDtype } from './support.ts'

const numbers: readonly DType[] = ['f32', 'i32']
const floats: readonly DType[] = ['f32']

function unary(f: UnaryFn, doc: string, dtypes: readonly DType[], apply: (x: number) => number, operator?: string): Op {
  return defineOp({
    doc,
    params: [{ name: 'x', kind: 'tensor' }],
    ...(operator === undefined ? {} : { operator }),
    infer: ([x]) => {
      wantDtype(f, 'x', 0, x, dtypes)
      return x
    },
    evaluate: ([x], _, [shape]) => {
      const out = tensor(x.dtype, shape)
      for (let i = 0; i < out.data.length; i++) out.data[i] = apply(x.data[i])
      return out
    },
    lower: ({ inputs: [x], out }) => [mapStage(out, (at) => un(f, load(x, at)))],
  })
}

export const neg = unary('neg', 'The negative, -x.', numbers, (x) => -x, '-x')
export const abs = unary('abs', 'The absolute value |x|.', numbers, Math.abs)
export const sign = unary('sign', '-1, 0 or 1.', numbers, Math.sign)
export const floor = unary('floor', 'The greatest integer not above x.', floats, Math.floor)
export const ceil = unary('ceil', 'The least integer not below x.', floats, Math.ceil)
export const round = unary('round', 'The nearest integer, ties to even.', floats, roundHalfEven)
export const exp = unary('exp', 'e to the power of x.', floats, Math.exp)
export const expm1 = unary('expm1', 'exp(x) - 1, accurate near 0.', floats, Math.expm1)
export const log = unary('log', 'The natural logarithm.', floats, Math.log)
export const log1p = unary('log1p', 'log(1 + x), accurate near 0.', floats, Math.log1p)
export const sqrt = unary('sqrt', 'The square root.', floats, Math.sqrt)
export const sin = unary('sin', 'The sine of x in radians.', floats, Math.sin)
export const cos = unary('cos', 'The cosine of x in radians.', floats, Math.cos)
export const tanh = unary('tanh', 'The hyperbolic tangent.', floats, Math.tanh)
export const erf = unary('erf', 'The error function 2/√π ∫₀ˣ exp(-t²) dt.', floats, erfOf)
export const not = unary('not', 'True where x is false.', ['bool'], (x) => 1 - x, 'not x')
