/** What conditions say of indices beyond the bounds of one symbol. */
import { expect, test } from 'vitest'
import { bin, index } from '../../src/kernel/expr.ts'
import { Facts } from '../../src/kernel/facts.ts'
import { con, floorDiv, mod, of, sub, sym } from '../../src/types/ix.ts'
import type { Ix } from '../../src/types/ix.ts'

const k = sym('k', { lo: 0, hi: 1023, role: 'loop' })
const start = Facts.given([k], [])
const below = (x: Ix, n: number) => bin('lt', index(x), index(con(n)))
const atLeast = (x: Ix, n: number) => bin('le', index(con(n)), index(x))

test('a remainder below a bound', () => {
  const facts = start.assume(below(mod(of(k), 128), 64))
  expect(facts.proveLe(mod(of(k), 128), con(63))).toBe(true)
  expect(facts.proveLe(mod(of(k), 128), con(62))).toBe(false)
  expect(start.proveLe(mod(of(k), 128), con(63))).toBe(false)
})

test('half of a remainder, from either side', () => {
  const half = mod(floorDiv(of(k), 2), 128)
  const low = start.assume(below(mod(of(k), 256), 64))
  expect(low.proveLe(half, con(31))).toBe(true)
  expect(low.proveLe(half, con(30))).toBe(false)
  const high = start.assume(atLeast(mod(of(k), 256), 64))
  expect(high.proveLe(0, sub(half, 32))).toBe(true)
  expect(high.proveLe(0, sub(half, 33))).toBe(false)
})

test('it stays known when another condition narrows the symbol, and in what lies inside', () => {
  const facts = start.assume(below(mod(of(k), 128), 64)).assume(below(of(k), 512))
  expect(facts.proveLe(facts.refine(mod(of(k), 128)), con(63))).toBe(true)
  expect(facts.proveLe(facts.refine(of(k)), con(511))).toBe(true)
})
