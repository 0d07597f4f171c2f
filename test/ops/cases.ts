/** For every op, applications that are run through `evaluate` and through the stages of `lower`. `tsc` lists what a new op lacks. */
import type { Attr } from '../../src/ops/define.ts'
import type { OpName } from '../../src/ops/table.ts'
import type { DType } from '../../src/types/dtype.ts'
import type { IxLike } from '../../src/types/ix.ts'
import { add, con, mul, of, sub, sym } from '../../src/types/ix.ts'
import { shapeOf } from '../support/nodes.ts'

export const B = sym('B')
export const T = sym('T', { hi: 64 })
export const S = sym('S')
/** Past positions. */
export const P = sym('P', { lo: 0, hi: sub(64, T) })

/** Values that the dims take in turn: 1, and odd numbers. */
export const dimSets = [
  { B: 1, T: 1, S: 1, P: 0 },
  { B: 3, T: 5, S: 1, P: 2 },
  { B: 1, T: 3, S: 5, P: 1 },
] as const

export interface Operand {
  readonly dtype: DType
  readonly shape: readonly IxLike[]
  /** Real numbers within lo … hi (default -2 … 2), integers for i32 (default -4 … 4). */
  readonly lo?: number
  readonly hi?: number
}
export interface Case {
  readonly inputs: readonly (Operand | undefined)[]
  readonly attrs?: Readonly<Record<string, Attr>>
}

const f32 = (...shape: IxLike[]): Operand => ({ dtype: 'f32', shape })
const i32 = (...shape: IxLike[]): Operand => ({ dtype: 'i32', shape })
const bool = (...shape: IxLike[]): Operand => ({ dtype: 'bool', shape })
const within = (x: Operand, lo: number, hi: number): Operand => ({ ...x, lo, hi })
const of1 = (...inputs: Operand[]): Case => ({ inputs })
const on = (inputs: readonly (Operand | undefined)[], attrs: Readonly<Record<string, Attr>>): Case => ({
  inputs,
  attrs,
})

/** One operand, of each dtype in turn. */
const unary = (...dtypes: DType[]): Case[] => dtypes.map((dtype) => of1({ dtype, shape: [B, T, 3] }))
const positive: Case[] = [of1(within(f32(B, T), 0.1, 4))]
/** Equal shapes, and each way to broadcast. */
const pairs = (...dtypes: DType[]): Case[] =>
  dtypes.flatMap((dtype) => {
    const x = (...shape: IxLike[]): Operand => ({ dtype, shape })
    return [
      of1(x(B, T), x(B, T)),
      of1(x(B, T, 3), x(3)),
      of1(x(), x(T, 3)),
      of1(x(B, 1, 3), x(T, 1)),
      of1(x(T, 1), x(1, S)),
    ]
  })
const divided = (dtype: DType): Case[] => [
  of1({ dtype, shape: [B, T] }, within({ dtype, shape: [T] }, 1, 4)),
  of1({ dtype, shape: [B, T] }, within({ dtype, shape: [] }, -4, -1)),
]
const reduced: Case[] = (['f32', 'i32'] as const).flatMap((dtype) => {
  const x: Operand = { dtype, shape: [B, T, 3] }
  return [
    on([x], { axes: [2], keep: false }),
    on([x], { axes: [1], keep: true }),
    on([x], { axes: [0, 2], keep: false }),
    on([x], { axes: [], keep: false }),
  ]
})
const q = f32(B, 4, T, 3)
const k = f32(B, 2, S, 3)
const v = f32(B, 2, S, 5)

export const cases: Readonly<Record<OpName, readonly Case[]>> = {
  input: [],
  param: [],
  state: [],
  append: [
    on([f32(B, T, 3)], { name: 'cache', axis: 1, past: of(P) }),
    on([f32(T)], { name: 'cache', axis: 0, past: of(P) }),
  ],
  hold: [on([f32(B, T, 3)], { name: 'h' })],
  iota: [on([], { n: of(T), start: con(0) }), on([], { n: of(T), start: of(P) })],
  full: [on([], { value: 1.5, dtype: 'f32', shape: shapeOf([T, 3]) }), on([], { value: 1, dtype: 'bool', shape: [] })],
  constant: [
    on([], { values: [3, 1, 4, 1, 5, 9], dtype: 'i32', shape: shapeOf([2, 3]) }),
    on([], { values: [0.5, 0.5, 0.5], dtype: 'f32', shape: shapeOf([3]) }),
  ],
  neg: unary('f32', 'i32'),
  abs: unary('f32', 'i32'),
  sign: unary('f32', 'i32'),
  floor: unary('f32'),
  ceil: unary('f32'),
  round: unary('f32'),
  exp: unary('f32'),
  expm1: unary('f32'),
  log: positive,
  log1p: positive,
  sqrt: positive,
  sin: unary('f32'),
  cos: unary('f32'),
  tanh: unary('f32'),
  erf: unary('f32'),
  not: unary('bool'),
  add: pairs('f32', 'i32'),
  sub: pairs('f32', 'i32'),
  mul: pairs('f32', 'i32'),
  div: divided('f32'),
  floordiv: [...divided('f32'), ...divided('i32')],
  mod: [...divided('f32'), ...divided('i32')],
  pow: [of1(within(f32(B, T), 0.1, 3), f32(T))],
  min: pairs('f32', 'i32'),
  max: pairs('f32', 'i32'),
  eq: pairs('f32', 'i32', 'bool'),
  ne: pairs('f32', 'i32', 'bool'),
  lt: pairs('f32', 'i32'),
  le: pairs('f32', 'i32'),
  gt: pairs('f32', 'i32'),
  ge: pairs('f32', 'i32'),
  and: pairs('bool'),
  or: pairs('bool'),
  select: [of1(bool(B, T), f32(B, T), f32(B, T)), of1(bool(T, 1), f32(), f32(B, 1, 3)), of1(bool(B, T), i32(T), i32())],
  f32: unary('f32', 'i32', 'bool'),
  i32: unary('f32', 'i32', 'bool'),
  bool: unary('f32', 'i32', 'bool'),
  reduce_sum: reduced,
  reduce_prod: reduced,
  reduce_max: reduced,
  reduce_min: reduced,
  argmax: [
    on([f32(B, T)], { axis: 1, keep: false }),
    on([within(i32(B, T, 3), -1, 1)], { axis: 1, keep: true }),
    on([f32(5)], { axis: 0, keep: false }),
  ],
  matmul: [
    of1(f32(B, T, 3), f32(3, 5)),
    of1(f32(T, S), f32(S, T)),
    of1(f32(B, 1, T, 5), f32(3, 5, S)),
    of1(f32(3, 5), f32(B, 5, 1)),
  ],
  contract: [
    on([f32(B, T, 3), f32(S, 3)], { batch: 0, sum: 1 }),
    on([f32(1, 5, 3, 2), f32(B, T, S, 3, 2)], { batch: 1, sum: 2 }),
    on([f32(B, 3, 1, 5), f32(1, 3, T, 5)], { batch: 2, sum: 1 }),
    on([f32(T, 3), f32(3)], { batch: 0, sum: 0 }),
  ],
  reshape: [
    on([f32(B, T, 12)], { shape: shapeOf([B, T, 3, 4]) }),
    on([f32(B, T, 3, 4)], { shape: shapeOf([mul(B, T), 12]) }),
    on([f32(mul(B, T), 1)], { shape: shapeOf([T, B]) }),
    on([f32(6, 5)], { shape: shapeOf([5, 1, 6]) }),
    on([f32(T)], { shape: shapeOf([1, T, 1]) }),
    on([f32(1, 1)], { shape: [] }),
    on([i32(T, 3)], { shape: shapeOf([3, T]) }),
  ],
  permute: [on([f32(B, T, 3)], { order: [2, 0, 1] }), on([f32(T, S)], { order: [1, 0] }), on([bool()], { order: [] })],
  slice: [
    on([f32(B, 5)], { axis: 1, start: con(1), size: con(3) }),
    on([f32(64, 3)], { axis: 0, start: of(P), size: of(T) }),
    on([f32(T)], { axis: 0, start: sub(T, 1), size: con(1) }),
  ],
  broadcast: [on([f32(T, 1)], { shape: shapeOf([B, T, 3]) }), on([f32()], { shape: shapeOf([T]) })],
  unfold: [
    on([f32(B, add(T, 2))], { axis: 1, size: con(3), stride: con(1), dilation: con(1) }),
    on([f32(add(mul(2, T), 3), 3)], { axis: 0, size: con(2), stride: con(2), dilation: con(3) }),
    on([i32(9, B)], { axis: 0, size: con(4), stride: con(3), dilation: con(1) }),
    on([f32(B, 7, 3)], { axis: 1, size: con(1), stride: con(2), dilation: con(5) }),
  ],
  flip: [on([f32(B, T)], { axis: 1 }), on([f32(B, T)], { axis: 0 })],
  concat: [
    on([f32(B, T, 3), f32(B, 1, 3), f32(B, S, 3)], { axis: 1 }),
    on([i32(5), i32(3)], { axis: 0 }),
    on([f32(B, T)], { axis: 1 }),
  ],
  pad: [
    on([f32(B, T)], { axis: 1, before: con(2), after: con(1), value: -1 }),
    on([i32(T, 3)], { axis: 0, before: of(P), after: con(0), value: 7 }),
  ],
  gather: [
    on([f32(5, 3), within(i32(B, T), 0, 4)], { axis: 0, batch: 0 }),
    on([f32(B, 5, 3), within(i32(T), 0, 4)], { axis: 1, batch: 0 }),
    on([f32(B, T), within(i32(), 0, 0)], { axis: 1, batch: 0 }),
    on([f32(B, T, 5, 3), within(i32(B, S), 0, 4)], { axis: 2, batch: 1 }),
    on([f32(B, T, 5), within(i32(B, T), 0, 4)], { axis: 2, batch: 2 }),
  ],
  attention: [
    of1(q, k, v),
    on([q, k, v, bool(T, S)], { scale: 0.5 }),
    on([q, k, v, undefined, f32(4, 1, S)], {}),
    on([q, k, v, bool(B, 1, 1, S), f32(B, 4, T, S)], {}),
    of1(f32(B, 3, T, 2), f32(B, 3, add(P, T), 2), f32(B, 3, add(P, T), 1)),
    on([q, k, v], { softcap: 1.5 }),
    on([q, k, v, undefined, undefined, f32(4)], {}),
    on([q, k, v, bool(B, 1, T, S), f32(T, S), f32(4)], { scale: 2, softcap: 0.5 }),
  ],
  // Run by their loop: test/ir/loops.test.ts and what follows it.
  carry: [],
  scan: [],
  part: [],
  retain: [of1(f32(B, T)), of1(bool())],
  collect: [
    on([f32(B, 3)], { t: sub(T, 1), extent: of(T), axis: 1 }),
    on([i32(B)], { t: con(0), extent: of(T), axis: 0 }),
    on([f32()], { t: sub(T, 1), extent: of(T), axis: 0 }),
  ],
}
