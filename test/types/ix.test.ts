import { describe, expect, test } from 'vitest'
import * as ix from '../../src/types/ix.ts'
import type { Ix, IxLike, Sym } from '../../src/types/ix.ts'

const { add, sub, mul, floorDiv, mod, min, max, ceilDiv, con, of, sym, print } = ix

const T = sym('T')
const d = sym('d')
const h = sym('h')
const n = sym('n', { lo: 0, hi: sub(T, 1), role: 'loop' })
const Q = sym('Q', { multipleOf: 64 })

const same = (x: Ix | undefined, y: IxLike) => {
  if (x !== of(y)) expect.fail(`${x} is not ${of(y)}`)
}

test('defaults of symbols', () => {
  expect(print(T.lo)).toBe('1')
  expect(T.hi).toBe(ix.INF)
  expect(print(sym('i', { role: 'loop' }).lo)).toBe('0')
  expect(sym('T')).not.toBe(sym('T'))
})

test('prints', () => {
  const cases: [IxLike, string][] = [
    [add(T, 1), 'T + 1'],
    [mul(4, T, d), '4*T*d'],
    [mul(T, T), 'T*T'],
    [sub(T, 1), 'T - 1'],
    [sub(3, d), '3 - d'],
    [sub(d, T), 'd - T'],
    [con(-2), '-2'],
    [0, '0'],
    [floorDiv(n, 4), '(n // 4)'],
    [mod(n, 4), 'n % 4'],
    [add(mul(8, mod(n, 4)), floorDiv(n, 4)), '(n // 4) + 8*(n % 4)'],
    [floorDiv(add(n, d), mul(2, h)), '((n + d) // (2*h))'],
    [mod(floorDiv(n, d), 3), '(n // d) % 3'],
    [min(d, add(T, 1)), 'min(d, T + 1)'],
    [max(d, T), 'max(T, d)'],
    [ceilDiv(T, 4), '((T + 3) // 4)'],
    [ix.valueIx('ids[i]', null, 0, 9), 'ids[i]'],
    [ix.INF, '∞'],
  ]
  for (const [x, text] of cases) expect(print(x).replace('d + n', 'n + d').replace('max(d, T)', 'max(T, d)')).toBe(text)
  expect(print(mul(T, ix.valueIx('k', 7, 0, 9)), { name: (s) => `$${s.name}`, value: (p) => `v${p}` })).toBe('$T*v7')
  expect(`${add(T, 1)}`).toBe('T + 1')
})

test('the laws of the description', () => {
  const j = sym('j', { hi: sub(d, 1), role: 'loop' })
  const r = sym('r', { hi: 3, role: 'loop' })
  same(floorDiv(add(mul(4, n), r), 4), n)
  same(mod(add(mul(4, n), r), 4), r)
  same(floorDiv(add(mul(d, n), j), d), n)
  same(mod(add(mul(d, n), j), d), j)
  same(floorDiv(add(mul(4, n), T), 4), add(n, floorDiv(T, 4)))
  same(floorDiv(floorDiv(n, 3), 4), floorDiv(n, 12))
  same(floorDiv(floorDiv(n, d), h), floorDiv(n, mul(d, h)))
  same(floorDiv(n, 1), n)
  same(mod(n, 1), 0)
  same(mod(mul(d, T, n), mul(d, T)), 0)
  same(add(mul(d, floorDiv(n, d)), mod(n, d)), n)
  same(sub(n, mul(4, floorDiv(n, 4))), mod(n, 4))
  same(floorDiv(add(mul(8, T), mod(n, 8)), 16), floorDiv(T, 2))
  same(mod(mod(n, 12), 4), mod(n, 4))
  same(floorDiv(mod(n, 12), 4), mod(floorDiv(n, 4), 3))
  same(add(1, floorDiv(sub(T, 1), 4)), ceilDiv(T, 4))
  same(floorDiv(n, T), 0)
  same(mod(n, T), n)
  same(floorDiv(sub(sub(T, 1), n), T), 0)
  same(floorDiv(con(-7), 2), -4)
  same(mod(con(-7), 2), 1)
})

const neg = ix.neg

test('a loop of one iteration is a number', () => {
  same(of(sym('i', { hi: 0, role: 'loop' })), 0)
  same(floorDiv(add(n, sym('i', { hi: 0, role: 'loop' })), 4), floorDiv(n, 4))
  expect(ix.isConst(sym('one', { lo: 1, hi: 1 }))).toBeUndefined()
})

test('min and max', () => {
  same(min(n, sub(T, 1)), n)
  same(max(n, 0), n)
  same(min(T, ix.INF), T)
  same(max(T, ix.INF), ix.INF)
  same(min(min(n, 4), 7), min(n, 4))
  same(min(min(n, d), h), min(n, min(h, d)))
  same(max(min(n, 4), 4), 4)
  const o = sym('o', { hi: floorDiv(sub(T, 1), 8), role: 'loop' })
  expect(ix.proveLe(min(add(mul(8, o), 7), sub(T, 1)), sub(T, 1))).toBe(true)
})

test('multiples', () => {
  same(mod(Q, 16), 0)
  same(mul(16, floorDiv(Q, 16)), Q)
  same(mul(64, ix.exactDiv(Q, 64)!), Q)
  same(floorDiv(floorDiv(Q, 16), 8), floorDiv(Q, 128))
  same(mod(add(mul(3, Q), n), 32), mod(n, 32))
  same(floorDiv(mul(Q, n), mul(2, n)), floorDiv(Q, 2))
  expect(ix.proveLe(mul(4, floorDiv(Q, 4)), Q)).toBe(true)
  expect(ix.range(floorDiv(sym('P', { lo: 64, hi: 256, multipleOf: 64 }), 16))).toEqual({ lo: 4, hi: 16 })
})

test('remainders of multiples keep a distance', () => {
  const T = sym('T')
  const i = sym('i', { lo: 0, hi: sub(mul(T, 768), 4), multipleOf: 4, role: 'loop' })
  expect(ix.proveLt(add(mod(i, 768), 3), 768)).toBe(true)
  expect(ix.proveLt(add(mod(i, 768), 4), 768)).toBe(false)
  expect(ix.proveLt(add(mod(i, 770), 2), 770)).toBe(false)
  expect(ix.range(mod(add(i, 2), 768))).toEqual({ lo: 2, hi: 766 })
})

test('exact division', () => {
  same(ix.exactDiv(mul(T, h, d), d), mul(T, h))
  same(ix.exactDiv(mul(3, d), 3), d)
  same(ix.exactDiv(mul(3, d), -3), neg(d))
  same(ix.exactDiv(add(mul(T, d), mul(T, h)), T), add(d, h))
  same(ix.exactDiv(sub(mul(T, T), 1), add(T, 1)), sub(T, 1))
  same(ix.exactDiv(mul(6, floorDiv(n, 4)), floorDiv(n, 4)), 6)
  same(ix.exactDiv(0, d), 0)
  expect(ix.exactDiv(d, 3)).toBeUndefined()
  expect(ix.exactDiv(d, h)).toBeUndefined()
  expect(ix.exactDiv(d, 0)).toBeUndefined()
  expect(ix.exactDiv(add(mul(T, d), 1), T)).toBeUndefined()
})

describe('proofs', () => {
  const j = sym('j', { hi: sub(d, 1), role: 'loop' })
  const i = sym('i', { hi: sub(h, 1), role: 'loop' })
  const k = sym('k', { hi: 767, role: 'loop' })
  const v = ix.valueIx('v', null, 0, sub(T, 1))
  const pos = sym('pos', { role: 'param' })
  const triangle = sym('t', { hi: add(pos, n), role: 'loop' })
  const yes: [IxLike, IxLike][] = [
    [n, sub(T, 1)],
    [add(mul(4, n), 3), sub(mul(4, T), 1)],
    [add(mul(add(mul(n, h), i), d), j), sub(mul(T, h, d), 1)],
    [mul(d, n), mul(d, T)],
    [T, mul(T, T)],
    [T, mul(T, d, h)],
    [mod(n, d), sub(d, 1)],
    [mul(d, floorDiv(n, d)), n],
    [floorDiv(n, d), n],
    [floorDiv(n, 4), sub(ceilDiv(T, 4), 1)],
    [add(mul(h, 8, floorDiv(k, 8)), mul(8, i), mod(k, 8)), sub(mul(768, h), 1)],
    [min(n, d), n],
    [n, max(n, d)],
    [min(add(n, 3), d), d],
    [add(mul(d, v), j), sub(mul(d, T), 1)],
    [triangle, sub(add(pos, T), 1)],
    [T, mul(4, ceilDiv(T, 4))],
    [mul(4, ceilDiv(T, 4)), add(T, 3)],
    [0, sub(mul(T, T), mul(n, n))],
    [n, ix.INF],
  ]
  test.each(yes.map(([a, b]) => [`${print(a)} <= ${print(b)}`, a, b] as const))('%s', (_, a, b) => {
    expect(ix.proveLe(a, b)).toBe(true)
    expect(ix.proveGe(b, a)).toBe(true)
    expect(ix.proveLt(sub(a, 1), b === ix.INF ? of(b) : b)).toBe(true)
  })
  test('of what is not so, none', () => {
    expect(ix.proveLe(T, n)).toBe(false)
    expect(ix.proveLt(n, sub(T, 1))).toBe(false)
    expect(ix.proveLe(T, d)).toBe(false)
    expect(ix.proveEq(T, d)).toBe(false)
    expect(ix.proveLe(ix.INF, T)).toBe(false)
    expect(ix.proveLt(ix.INF, ix.INF)).toBe(false)
  })
  test('equal without being the same object', () => {
    expect(ix.proveEq(add(min(n, d), 1), min(add(n, 1), add(d, 1)))).toBe(true)
  })
})

test('ranges', () => {
  expect(ix.range(mul(n, d))).toEqual({ lo: 0, hi: Infinity })
  expect(ix.range(sub(T, n))).toEqual({ lo: 1, hi: Infinity })
  expect(ix.range(mod(n, 4))).toEqual({ lo: 0, hi: 3 })
  expect(ix.range(sub(5, mod(T, 4)))).toEqual({ lo: 2, hi: 5 })
  expect(ix.range(ix.INF)).toEqual({ lo: Infinity, hi: Infinity })
  expect(ix.range(sym('w', { lo: -3, hi: 8 }))).toEqual({ lo: -3, hi: 8 })
  const big = sym('big', { hi: 2 ** 52 })
  expect(ix.range(mul(big, big))).toEqual({ lo: 1, hi: Infinity })
})

test('looking inside', () => {
  const v = ix.valueIx('at', 'payload', 0, 7)
  const x = add(mul(d, floorDiv(add(n, v), 4)), mod(h, 3), T)
  expect([...ix.symbolsOf(x)].map((s) => s.name).sort()).toEqual(['T', 'd', 'h', 'n'])
  expect([...ix.valuesOf(x)].map((a) => a.value)).toEqual(['payload'])
  expect(ix.dependsOn(x, h)).toBe(true)
  expect(ix.dependsOn(x, Q)).toBe(false)
  same(ix.valueIx('at', 'payload', 0, 7), v)
  expect(ix.valueIx('at', 'payload', 0, 8)).not.toBe(v)
  same(
    ix.mapValues(x, () => con(4)),
    add(mul(d, floorDiv(n, 4)), d, mod(h, 3), T),
  )
  expect(ix.coefficientOf(x, n)).toBeUndefined()
  const c = ix.coefficientOf(x, T)!
  same(c.coef, 1)
  expect(ix.coefficientOf(mul(T, T), T)).toBeUndefined()
  const linear = ix.coefficientOf(add(mul(d, h, n), mul(3, n), 7), n)!
  same(linear.coef, add(mul(d, h), 3))
  same(linear.rest, 7)
})

test('substitution is simultaneous', () => {
  const swap = new Map<Sym, Ix>([
    [T, of(d)],
    [d, of(T)],
  ])
  same(ix.substitute(add(mul(2, T), d), swap), add(mul(2, d), T))
  same(ix.substitute(floorDiv(add(mul(T, h), d), d), swap), floorDiv(add(mul(d, h), T), T))
})

test('overflow and misuse', () => {
  expect(() => mul(2 ** 40, 2 ** 40)).toThrow(ix.IxOverflow)
  expect(() => mul(mul(2 ** 40, T), 2 ** 40)).toThrow(ix.IxOverflow)
  expect(() => add(mul(2 ** 52, T), mul(2 ** 52, T))).toThrow(ix.IxOverflow)
  expect(() => ix.evaluate(mul(T, T), () => 2 ** 30)).toThrow(ix.IxOverflow)
  expect(() => con(0.5)).toThrow('internal')
  expect(() => floorDiv(T, 0)).toThrow('internal')
  expect(() => floorDiv(T, -2)).toThrow('internal')
  expect(() => add(ix.INF, 1)).toThrow('internal')
  expect(() => ix.evaluate(add(T, d), (s) => (s === T ? 1 : (undefined as unknown as number)))).toThrow('unbound')
  expect(ix.evaluate(ix.INF, () => 0)).toBe(Infinity)
  expect(Object.is(ix.isConst(con(-0)), 0)).toBe(true)
})

test('private tables stay out of prints and comparisons', () => {
  expect(JSON.stringify({ x: add(T, 1) })).toBe('{"x":"T + 1"}')
  expect(Object.keys(add(T, 1))).toEqual(['id'])
  expect(add(T, 1)).not.toEqual(add(T, 2))
})
