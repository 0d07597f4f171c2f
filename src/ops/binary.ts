/** Functions of two operands, element by element, with broadcasting from the right. */
import { bin } from '../kernel/expr.ts'
import type { BinaryFn } from '../kernel/expr.ts'
import type { DType } from '../types/dtype.ts'
import { defineOp, InferError } from './define.ts'
import type { Op } from './define.ts'
import { broadcastShapes, loadStretched, mapStage, sameDtype, stretch, tensor, typeFact } from './support.ts'

const numbers: readonly DType[] = ['f32', 'i32']
const all: readonly DType[] = ['f32', 'i32', 'bool']

interface Rule {
  readonly takes: readonly DType[]
  /** Absent: the operands' dtype. */
  readonly gives?: DType
  readonly operator?: string
  /** Name in the language. */
  readonly call?: string
  /** What to write for the dtypes that it does not take. */
  readonly fix?: string
}

function binary(f: BinaryFn, doc: string, rule: Rule, apply: (a: number, b: number) => number): Op {
  const named = rule.operator ?? f
  return defineOp({
    doc,
    params: [
      { name: 'a', kind: 'tensor' },
      { name: 'b', kind: 'tensor' },
    ],
    ...(rule.operator === undefined ? {} : { operator: rule.operator }),
    ...(rule.call === undefined ? {} : { call: rule.call }),
    infer: (types) => {
      const dtype = sameDtype(['a', 'b'], types)
      if (!rule.takes.includes(dtype)) {
        const facts = types.map((t, i) => typeFact(i))
        throw new InferError('TFM1801', `\`${named}\` takes ${rule.takes.join(' or ')}, not ${dtype}`, facts, rule.fix)
      }
      return { dtype: rule.gives ?? dtype, shape: broadcastShapes(['a', 'b'], types) }
    },
    evaluate: ([a, b], _, [shape]) => {
      const out = tensor(rule.gives ?? a.dtype, shape)
      const [x, y, z] = [stretch(a, shape), stretch(b, shape), out.data]
      for (let i = 0; i < z.length; i++) z[i] = apply(x[i], y[i])
      return out
    },
    lower: ({ inputs: [a, b], out }) => [mapStage(out, (at) => bin(f, loadStretched(a, at), loadStretched(b, at)))],
  })
}

const arithmetic = (operator: string): Rule => ({ takes: numbers, operator, fix: 'convert with f32(x) or i32(x)' })
const comparison = (operator: string): Rule => ({ takes: numbers, gives: 'bool', operator })
const logic = (operator: string): Rule => ({ takes: ['bool'], operator, fix: 'compare first: x != 0' })

export const add = binary('add', 'The sum.', arithmetic('a + b'), (a, b) => a + b)
export const sub = binary('sub', 'The difference.', arithmetic('a - b'), (a, b) => a - b)
export const mul = binary('mul', 'The product, element by element.', arithmetic('a * b'), (a, b) => a * b)
export const div = binary(
  'div',
  'The quotient of floats; integers divide by `//`.',
  { takes: ['f32'], operator: 'a / b', fix: '{0:a} // {1:b} for the floor, or f32({0:a}) / f32({1:b})' },
  (a, b) => a / b,
)
export const floordiv = binary('floordiv', 'The quotient rounded down: floor(a / b).', arithmetic('a // b'), (a, b) =>
  Math.floor(a / b),
)
export const mod = binary(
  'mod',
  'The rest of `//`: a - b * floor(a / b), with the sign of b.',
  arithmetic('a % b'),
  (a, b) => {
    const r = a % b
    return r !== 0 && r < 0 !== b < 0 ? r + b : r
  },
)
export const pow = binary(
  'pow',
  'a to the power of b.',
  { takes: ['f32'], operator: 'a ** b', fix: 'f32({0:a}) ** f32({1:b}), or a product' },
  (a, b) => a ** b,
)
export const min = binary('min', 'The smaller of two.', { takes: numbers, call: 'min' }, Math.min)
export const max = binary('max', 'The larger of two.', { takes: numbers, call: 'max' }, Math.max)
export const eq = binary('eq', 'Whether equal.', { takes: all, gives: 'bool', operator: 'a == b' }, (a, b) =>
  Number(a === b),
)
export const ne = binary('ne', 'Whether different.', { takes: all, gives: 'bool', operator: 'a != b' }, (a, b) =>
  Number(a !== b),
)
export const lt = binary('lt', 'Whether less.', comparison('a < b'), (a, b) => Number(a < b))
export const le = binary('le', 'Whether less or equal.', comparison('a <= b'), (a, b) => Number(a <= b))
export const gt = binary('gt', 'Whether greater.', comparison('a > b'), (a, b) => Number(a > b))
export const ge = binary('ge', 'Whether greater or equal.', comparison('a >= b'), (a, b) => Number(a >= b))
export const and = binary('and', 'Whether both hold.', logic('a and b'), (a, b) => a * b)
export const or = binary('or', 'Whether one holds.', logic('a or b'), (a, b) => Math.max(a, b))
