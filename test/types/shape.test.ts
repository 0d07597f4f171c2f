import { expect, test } from 'vitest'
import { dtypeBytes, isDType, isStorageDType, loadedAs, storageBytes } from '../../src/types/dtype.ts'
import { add, mul, of, sym, type IxLike } from '../../src/types/ix.ts'
import { broadcastShapes, elements, printShape, sameShape, shape, strides } from '../../src/types/shape.ts'

const B = sym('B')
const T = sym('T')

test('print, compare, count', () => {
  const s = shape(B, T, mul(4, T), 3)
  expect(printShape(s)).toBe('[B, T, 4*T, 3]')
  expect(printShape([])).toBe('[]')
  expect(printShape(s, { name: (x) => x.name.toLowerCase() })).toBe('[b, t, 4*t, 3]')
  expect(sameShape(s, shape(B, T, add(T, mul(3, T)), 3))).toBe(true)
  expect(sameShape(s, shape(B, T))).toBe(false)
  expect(elements(s)).toBe(mul(12, B, T, T))
  expect(elements([])).toBe(of(1))
  expect(strides(s)).toEqual([mul(12, T, T), mul(12, T), of(3), of(1)])
})

test('a literal 1 or a missing axis stretches, from the right', () => {
  const both = (a: IxLike[], b: IxLike[]) => broadcastShapes(shape(...a), shape(...b))
  expect(both([B, T, 3], [3])).toEqual({ shape: shape(B, T, 3) })
  expect(both([T, 1], [B, 1, 4])).toEqual({ shape: shape(B, T, 4) })
  expect(both([], [T])).toEqual({ shape: shape(T) })
  expect(both([1], [1, 1])).toEqual({ shape: shape(1, 1) })
  expect(both([T, 3], [T, 4])).toEqual({ clash: { axis: 0, a: of(3), b: of(4) } })
  expect(both([T, 3], [B, 3])).toEqual({ clash: { axis: 1, a: of(T), b: of(B) } })
  const one = sym('one', { lo: 1, hi: 1 })
  expect(both([one], [T])).toEqual({ clash: { axis: 0, a: of(one), b: of(T) } })
})

test('element types', () => {
  expect(dtypeBytes('f32')).toBe(4)
  expect([storageBytes('BF16'), storageBytes('I64'), storageBytes('BOOL')]).toEqual([2, 8, 1])
  expect([loadedAs('BF16'), loadedAs('F64'), loadedAs('U8'), loadedAs('BOOL')]).toEqual(['f32', 'f32', 'i32', 'bool'])
  expect([isDType('f32'), isDType('F32'), isStorageDType('F32'), isStorageDType('toString')]).toEqual([
    true,
    false,
    true,
    false,
  ])
})
