import { describe, expect, it } from 'vitest'
import { makeNode } from '../../src/ir/build.ts'
import { printType } from '../../src/ir/print.ts'
import type { Attr } from '../../src/ops/define.ts'
import { InferError } from '../../src/ops/define.ts'
import type { OpName } from '../../src/ops/table.ts'
import { ops } from '../../src/ops/table.ts'
import type { DType } from '../../src/types/dtype.ts'
import type { IxLike } from '../../src/types/ix.ts'
import { add, con, mul, of, sub, sym } from '../../src/types/ix.ts'
import { inputNode, origin, shapeOf } from '../support/nodes.ts'

const B = sym('B')
const T = sym('T', { hi: 1024 })
const S = sym('S')

type In = readonly [DType, ...IxLike[]]
const apply = (op: OpName, inputs: readonly (In | undefined)[], attrs: Readonly<Record<string, Attr>> = {}): string => {
  const nodes = inputs.map((x, i) => (x === undefined ? undefined : inputNode(`x${i}`, x[0], x.slice(1) as IxLike[])))
  return printType(makeNode(op, nodes, attrs, origin).type)
}
function refused(
  op: OpName,
  inputs: readonly (In | undefined)[],
  attrs: Readonly<Record<string, Attr>> = {},
): InferError {
  try {
    apply(op, inputs, attrs)
  } catch (error) {
    if (error instanceof InferError) return error
    throw error
  }
  throw new Error(`${op} was not refused`)
}

describe('broadcasting', () => {
  it('stretches missing axes and literal ones', () => {
    expect(
      apply('add', [
        ['f32', B, T, 768],
        ['f32', 768],
      ]),
    ).toBe('f32[B, T, 768]')
    expect(
      apply('mul', [
        ['f32', B, 1, T],
        ['f32', S, 1],
      ]),
    ).toBe('f32[B, S, T]')
    expect(apply('add', [['f32'], ['f32', T]])).toBe('f32[T]')
    expect(apply('select', [['bool', T, 1], ['f32', 3], ['f32']])).toBe('f32[T, 3]')
    expect(
      apply('lt', [
        ['i32', T],
        ['i32', T, 1],
      ]),
    ).toBe('bool[T, T]')
  })
  it('never stretches a symbol, and says which shapes meet', () => {
    const e = refused('add', [
      ['f32', B],
      ['f32', B, T],
    ])
    expect(e.code).toBe('TFM1406')
    expect(e.message).toContain('[B] and [B, T]')
    expect(e.facts.map((f) => f.input)).toEqual([0, 1])
    expect(e.fix).toContain('unsqueeze')
    expect(
      refused('add', [
        ['f32', T],
        ['f32', S],
      ]).code,
    ).toBe('TFM1406')
    expect(
      refused('add', [
        ['f32', 3],
        ['f32', 4],
      ]).code,
    ).toBe('TFM1402')
  })
})

describe('dtypes', () => {
  it('never mix', () => {
    const e = refused('mul', [['i32', T], ['f32']])
    expect(e.code).toBe('TFM1801')
    expect(e.fix).toBe('f32(a)')
    expect(
      refused('add', [
        ['f32', T],
        ['i32', T],
      ]).fix,
    ).toBe('f32(b)')
    expect(refused('select', [['bool'], ['i32'], ['f32']]).fix).toBe('f32(a)')
  })
  it('are refused where a function has no meaning for them', () => {
    expect(
      refused('div', [
        ['i32', T],
        ['i32', T],
      ]).fix,
    ).toContain('//')
    for (const op of ['exp', 'floor', 'erf'] as const) expect(refused(op, [['i32', T]]).code).toBe('TFM1801')
    expect(refused('add', [['bool'], ['bool']]).code).toBe('TFM1801')
    expect(refused('and', [['f32'], ['f32']]).code).toBe('TFM1801')
    expect(refused('lt', [['bool'], ['bool']]).code).toBe('TFM1801')
    expect(refused('reduce_sum', [['bool', T]], { axes: [0], keep: false }).code).toBe('TFM1801')
    expect(refused('not', [['i32', T]]).fix).toBe('x != 0')
    expect(refused('full', [], { value: 0.5, dtype: 'i32', shape: [] }).code).toBe('TFM1801')
  })
})

describe('matmul', () => {
  it('joins the inner axes and broadcasts the rest', () => {
    expect(
      apply('matmul', [
        ['f32', B, T, 768],
        ['f32', 768, 3072],
      ]),
    ).toBe('f32[B, T, 3072]')
    expect(
      apply('matmul', [
        ['f32', B, 12, T, 64],
        ['f32', B, 1, 64, S],
      ]),
    ).toBe('f32[B, 12, T, S]')
  })
  it('refuses inner axes that differ, with transpose where that would do', () => {
    const e = refused('matmul', [
      ['f32', B, T, 768],
      ['f32', 50257, 768],
    ])
    expect(e.code).toBe('TFM1407')
    expect(e.message).toContain('768')
    expect(e.message).toContain('50257')
    expect(e.fix).toBe('a @ transpose(b)')
    expect(
      refused('matmul', [
        ['f32', 3],
        ['f32', 3, 4],
      ]).code,
    ).toBe('TFM1403')
    expect(
      refused('matmul', [
        ['f32', B, 3, 3],
        ['f32', T, 3, 3],
      ]).code,
    ).toBe('TFM1406')
    expect(
      refused('matmul', [
        ['i32', 3, 3],
        ['f32', 3, 3],
      ]).code,
    ).toBe('TFM1801')
  })
})

describe('views', () => {
  it('reshape keeps the number of elements, provably', () => {
    expect(apply('reshape', [['f32', B, T, 768]], { shape: shapeOf([B, T, 12, 64]) })).toBe('f32[B, T, 12, 64]')
    expect(apply('reshape', [['f32', B, T, 3]], { shape: [mul(B, T, 3)] })).toBe('f32[3*B*T]')
    expect(refused('reshape', [['f32', B, T]], { shape: shapeOf([B, S]) }).code).toBe('TFM1408')
  })
  it('slice must be in range for all values of the dims', () => {
    expect(apply('slice', [['f32', 1024, 768]], { axis: 0, start: con(0), size: of(T) })).toBe('f32[T, 768]')
    expect(apply('slice', [['f32', T]], { axis: 0, start: sub(T, 1), size: con(1) })).toBe('f32[1]')
    const e = refused('slice', [['f32', 1000]], { axis: 0, start: con(0), size: of(T) })
    expect(e.code).toBe('TFM1410')
    expect(e.fix).toBe('where T <= 1000')
    expect(refused('slice', [['f32', T]], { axis: 0, start: con(-1), size: con(1) }).code).toBe('TFM1410')
    expect(refused('slice', [['f32', T]], { axis: 1, start: con(0), size: con(1) }).code).toBe('TFM1404')
  })
  it('unfold counts the whole windows, and wants one', () => {
    const at = (axis: number, size: number, stride = 1, dilation = 1) => ({
      axis,
      size: con(size),
      stride: con(stride),
      dilation: con(dilation),
    })
    expect(apply('unfold', [['f32', B, add(T, 2), 3]], at(1, 3))).toBe('f32[B, T, 3, 3]')
    expect(apply('unfold', [['f32', add(T, 6)]], at(0, 4, 1, 2))).toBe('f32[T, 4]')
    expect(apply('unfold', [['i32', 15]], at(0, 3, 2))).toBe('i32[7, 3]')
    expect(apply('unfold', [['f32', mul(2, T), B]], at(0, 2, 2))).toBe('f32[T, B, 2]')
    const e = refused('unfold', [['f32', T]], at(0, 3))
    expect([e.code, e.fix]).toEqual(['TFM1410', 'where T >= 3'])
    expect(refused('unfold', [['f32', 5]], at(0, 6)).code).toBe('TFM1410')
    expect(refused('unfold', [['f32', 5]], at(0, 1, 0)).code).toBe('TFM1410')
    expect(refused('unfold', [['f32', 5]], at(1, 1)).code).toBe('TFM1404')
  })
  it('permute, broadcast, flip, pad, concat', () => {
    expect(apply('permute', [['f32', B, T, 3]], { order: [2, 0, 1] })).toBe('f32[3, B, T]')
    expect(refused('permute', [['f32', B, T]], { order: [0, 0] }).code).toBe('TFM1404')
    expect(apply('broadcast', [['f32', T, 1]], { shape: shapeOf([B, T, 5]) })).toBe('f32[B, T, 5]')
    expect(refused('broadcast', [['f32', T]], { shape: shapeOf([S]) }).code).toBe('TFM1406')
    expect(apply('flip', [['f32', B, T]], { axis: 1 })).toBe('f32[B, T]')
    expect(apply('pad', [['f32', T]], { axis: 0, before: con(2), after: con(1), value: 0 })).toBe('f32[T + 3]')
    expect(refused('pad', [['f32', T]], { axis: 0, before: con(-2), after: con(1), value: 0 }).code).toBe('TFM1410')
    expect(
      apply(
        'concat',
        [
          ['f32', B, T],
          ['f32', B, S],
        ],
        { axis: 1 },
      ),
    ).toBe(printType({ dtype: 'f32', shape: [of(B), add(T, S)] }))
    expect(
      refused(
        'concat',
        [
          ['f32', B, T],
          ['f32', S, T],
        ],
        { axis: 1 },
      ).code,
    ).toBe('TFM1402')
    expect(
      refused(
        'concat',
        [
          ['f32', B, T],
          ['f32', T],
        ],
        { axis: 0 },
      ).code,
    ).toBe('TFM1403')
    expect(
      refused(
        'concat',
        [
          ['f32', B],
          ['i32', B],
        ],
        { axis: 0 },
      ).code,
    ).toBe('TFM1801')
  })
  it('gather replaces the axis by the axes of the index', () => {
    expect(
      apply(
        'gather',
        [
          ['f32', 50257, 768],
          ['i32', B, T],
        ],
        { axis: 0, batch: 0 },
      ),
    ).toBe('f32[B, T, 768]')
    expect(
      refused(
        'gather',
        [
          ['f32', 5, 3],
          ['f32', B],
        ],
        { axis: 0, batch: 0 },
      ).fix,
    ).toBe('i32(i)')
  })
})

describe('reductions', () => {
  it('drop axes or keep them as 1', () => {
    expect(apply('reduce_max', [['f32', B, T, 3]], { axes: [0, 2], keep: false })).toBe('f32[T]')
    expect(apply('reduce_sum', [['i32', B, T]], { axes: [1], keep: true })).toBe('i32[B, 1]')
    expect(apply('argmax', [['f32', B, T]], { axis: 1, keep: false })).toBe('i32[B]')
    expect(refused('reduce_sum', [['f32', B]], { axes: [1], keep: false }).code).toBe('TFM1404')
    expect(refused('reduce_sum', [['f32', B]], { axes: [0, 0], keep: false }).code).toBe('TFM1404')
  })
})

describe('attention', () => {
  const q: In = ['f32', B, 12, T, 64]
  const k: In = ['f32', B, 4, S, 64]
  const v: In = ['f32', B, 4, S, 32]
  it('groups heads and takes the features of v', () => {
    expect(apply('attention', [q, k, v])).toBe('f32[B, 12, T, 32]')
    expect(apply('attention', [q, k, v, ['bool', T, S]])).toBe('f32[B, 12, T, 32]')
    expect(apply('attention', [q, k, v, undefined, ['f32', 12, 1, S]])).toBe('f32[B, 12, T, 32]')
    expect(apply('attention', [q, k, v, ['bool', B, 1, 1, S], ['f32', T, S]], { scale: 1 })).toBe('f32[B, 12, T, 32]')
    const all: (In | undefined)[] = [q, k, v, ['bool', T, S], undefined, ['f32', 12]]
    expect(apply('attention', all, { softcap: 50 })).toBe('f32[B, 12, T, 32]')
  })
  it('refuses what does not fit', () => {
    expect(refused('attention', [q, ['f32', B, 5, S, 64], ['f32', B, 5, S, 64]]).code).toBe('TFM1405')
    expect(refused('attention', [q, ['f32', B, 4, S, 63], v]).code).toBe('TFM1402')
    expect(refused('attention', [q, k, ['f32', B, 4, T, 32]]).code).toBe('TFM1402')
    expect(refused('attention', [['f32', T, 64], k, v]).code).toBe('TFM1403')
    expect(refused('attention', [q, k, v, ['f32', T, S]]).code).toBe('TFM1801')
    expect(refused('attention', [q, k, v, ['bool', S, T]]).code).toBe('TFM1406')
    const sinks = (x: In) => refused('attention', [q, k, v, undefined, undefined, x]).code
    expect(sinks(['f32', 4])).toBe('TFM1402')
    expect(sinks(['f32', 1, 12])).toBe('TFM1403')
    expect(sinks(['bool', 12])).toBe('TFM1801')
    expect(refused('attention', [q, k, v], { softcap: 0 }).code).toBe('TFM1410')
    expect(refused('attention', [q, k, v], { softcap: -1 }).code).toBe('TFM1410')
  })
})

it('append grows the axis by what is past', () => {
  const P = sym('P', { lo: 0 })
  expect(apply('append', [['f32', B, T, 3]], { name: 'k', axis: 1, past: of(P) })).toBe(
    printType({ dtype: 'f32', shape: [of(B), add(P, T), con(3)] }),
  )
})

it('positions shift when a result starts behind others', () => {
  const P = sym('P', { lo: 0 })
  expect(ops.iota.advance?.({ n: of(T), start: con(0) }, 0, of(P), of(T))).toEqual({ n: of(T), start: of(P) })
  const attrs = { axis: 0, start: con(0), size: of(T) }
  expect(ops.slice.advance?.(attrs, 0, of(P), of(T))).toEqual({ ...attrs, start: of(P) })
  expect(ops.slice.advance?.(attrs, 1, of(P), of(T))).toBe(attrs)
})

it('every op says what it is', () => {
  for (const [name, op] of Object.entries(ops)) {
    expect(op.doc, name).toMatch(/\.$/)
    expect(new Set(op.params.map((p) => p.name)).size, name).toBe(op.params.length)
  }
})

it('an error calls the inputs by the names it is given', () => {
  const e = refused('matmul', [
    ['f32', B, T, 768],
    ['f32', 50257, 768],
  ])
  expect(e.named(['x', 'wte']).fix).toBe('x @ transpose(wte)')
  expect(e.named(['x', undefined]).message).toContain('the last axis of x (768) with the second to last of b (50257)')
})
