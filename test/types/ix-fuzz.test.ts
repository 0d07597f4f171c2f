import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as ix from '../../src/types/ix.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { again, asRead, at, build, maps, plain, trees, worlds, type Tree, type World } from './trees.ts'

const RUNS = Number(process.env.TFM_FUZZ_RUNS ?? 250)
const anyTree = fc.oneof(trees(), maps)

/** `f` for each world and tree. */
function over(f: (w: World, ...ts: Tree[]) => void, count: number, runs = RUNS): void {
  fc.assert(
    fc.property(worlds, fc.array(anyTree, { minLength: count, maxLength: count }), (w, ts) => f(w, ...ts)),
    { numRuns: runs },
  )
}

test('a built polynomial evaluates to what its tree does', () => {
  over((w, t) => {
    const x = build(t, w)
    for (const row of w.rows) {
      if (at(x, w, row) !== plain(t, row)) expect.fail(`${x} at ${row}: ${at(x, w, row)}, not ${plain(t, row)}`)
    }
  }, 1)
})

test('terms read as the same number, and build the same polynomial', () => {
  over((w, t) => {
    const x = build(t, w)
    for (const row of w.rows) if (asRead(x, w, row) !== plain(t, row)) expect.fail(`${x} at ${row}`)
    if (again(x) !== x) expect.fail(`${x} became ${again(x)}`)
  }, 1)
})

test('ranges hold', () => {
  over((w, t) => {
    const x = build(t, w)
    const { lo, hi } = ix.range(x)
    for (const row of w.rows) {
      const n = plain(t, row)
      if (n < lo || n > hi) expect.fail(`${x} at ${row} is ${n}, outside ${lo}..${hi}`)
    }
  }, 1)
})

test('what is proved is so', () => {
  over((w, s, t) => {
    const x = build(s, w)
    const y = build(t, w)
    const all = (f: (a: number, b: number) => boolean) => w.rows.every((row) => f(plain(s, row), plain(t, row)))
    if (ix.proveLe(x, y) && !all((a, b) => a <= b)) expect.fail(`${x} <= ${y}`)
    if (ix.proveLt(x, y) && !all((a, b) => a < b)) expect.fail(`${x} < ${y}`)
    if (ix.proveGe(x, y) && !all((a, b) => a >= b)) expect.fail(`${x} >= ${y}`)
    if (ix.proveEq(x, y) && !all((a, b) => a === b)) expect.fail(`${x} = ${y}`)
    const q = ix.exactDiv(x, y)
    if (q && !w.rows.every((row) => at(q, w, row) * plain(t, row) === plain(s, row))) expect.fail(`${x} / ${y} = ${q}`)
  }, 2)
})

test('substitution commutes with evaluation', () => {
  // Each symbol becomes a fixed value of one assignment, or a fresh symbol plus a constant.
  over((w, t) => {
    const x = build(t, w)
    for (const row of w.rows.slice(0, 12)) {
      const all = new Map<Sym, Ix>(w.syms.map((s, i) => [s, ix.con(row[i])]))
      const v = row[row.length - 1]
      const n = ix.isConst(ix.mapValues(ix.substitute(x, all), () => ix.con(v)))
      if (n !== plain(t, row)) expect.fail(`${x} at ${row} became ${n}, not ${plain(t, row)}`)
      const [T, d, m, i, j] = w.syms
      const half = ix.substitute(
        x,
        new Map([
          [i, ix.con(row[3])],
          [j, ix.sub(ix.of(d), row[1] - row[4])],
        ]),
      )
      const read = at(half, { ...w, syms: [T, d, m] }, [row[0], row[1], row[2], v])
      if (read !== plain(t, row)) expect.fail(`${x} at ${row}: ${half}`)
    }
  }, 1)
})

test('a symbol splits into tile and lane', () => {
  over((w, t) => {
    const i = w.syms[3]
    const x = build(t, w)
    const outer = ix.sym('io', { hi: ix.floorDiv(i.hi, 4), role: 'loop' })
    const inner = ix.sym('ii', { hi: ix.min(3, ix.sub(i.hi, ix.mul(4, outer))), role: 'loop' })
    const y = ix.substitute(x, new Map([[i, ix.add(ix.mul(4, outer), inner)]]))
    for (const row of w.rows) {
      const [T, d, m, n, j, v] = row
      const tiled = { ...w, syms: [w.syms[0], w.syms[1], w.syms[2], outer, inner, w.syms[4]] }
      const read = at(y, tiled, [T, d, m, Math.floor(n / 4), n % 4, j, v])
      if (read !== plain(t, row)) expect.fail(`${x} at ${row}: ${y} is ${read}, not ${plain(t, row)}`)
    }
  }, 1)
})

test('a linear symbol comes apart', () => {
  over((w, t) => {
    const x = build(t, w)
    for (const s of w.syms) {
      const parts = ix.coefficientOf(x, s)
      if (!parts) continue
      expect(ix.dependsOn(parts.coef, s) || ix.dependsOn(parts.rest, s)).toBe(false)
      expect(ix.add(ix.mul(parts.coef, s), parts.rest) === x).toBe(true)
    }
  }, 1)
})

test('laws of rings and of floor division give the same object', () => {
  const same = (x: Ix, y: Ix, law: string) => {
    if (x !== y) expect.fail(`${law}: ${x} and ${y}`)
  }
  over((w, r, s, t) => {
    const [a, b, c] = [r, s, t].map((u) => build(u, w))
    same(ix.add(a, b, c), ix.add(c, ix.add(b, a)), 'a+b+c')
    same(ix.mul(a, b), ix.mul(b, a), 'a*b')
    same(ix.mul(ix.mul(a, b), c), ix.mul(a, ix.mul(b, c)), 'a*b*c')
    same(ix.mul(a, ix.add(b, c)), ix.add(ix.mul(a, b), ix.mul(a, c)), 'a*(b+c)')
    same(ix.add(ix.sub(a, b), b), a, 'a-b+b')
    same(ix.min(a, b), ix.min(b, a), 'min')
    same(ix.max(a, b), ix.max(b, a), 'max')
    const [T, d] = w.syms
    for (const n of [ix.con(3), ix.con(4), ix.of(d), ix.mul(2, d), ix.mul(T, d), ix.add(T, 1)]) {
      const q = ix.floorDiv(a, n)
      same(ix.add(ix.mul(n, q), ix.mod(a, n)), a, `n*(a//n) + a%n, n = ${n}, a = ${a}`)
      same(ix.floorDiv(ix.add(a, ix.mul(n, b)), n), ix.add(q, b), `(a + n*b)//n, n = ${n}, a = ${a}, b = ${b}`)
      same(ix.mod(ix.add(a, ix.mul(n, b)), n), ix.mod(a, n), `(a + n*b)%n, n = ${n}, a = ${a}, b = ${b}`)
      same(ix.mod(ix.mod(a, n), n), ix.mod(a, n), `a%n%n, n = ${n}, a = ${a}`)
    }
  }, 3)
})

test('a bounded coordinate comes back from a position', () => {
  over((w, t) => {
    const [T, d] = w.syms
    const a = build(t, w)
    for (const n of [ix.con(4), ix.of(d), ix.mul(T, d)]) {
      const low = ix.sym('low', { hi: ix.sub(n, 1), role: 'loop' })
      const p = ix.add(ix.mul(n, a), low)
      if (ix.floorDiv(p, n) !== a) expect.fail(`(${p}) // ${n} = ${ix.floorDiv(p, n)}`)
      if (ix.mod(p, n) !== ix.of(low)) expect.fail(`(${p}) % ${n} = ${ix.mod(p, n)}`)
    }
  }, 1)
})
