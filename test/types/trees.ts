/** Random expression trees over symbols of small ranges, and the ground truth about them: plain arithmetic. */
import fc from 'fast-check'
import * as ix from '../../src/types/ix.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'

export type Tree =
  | { readonly k: 'con'; readonly n: number }
  | { readonly k: 'sym'; readonly i: number }
  | { readonly k: 'value' }
  | { readonly k: 'add' | 'sub' | 'mul' | 'div' | 'mod' | 'min' | 'max' | 'ceil'; readonly a: Tree; readonly b: Tree }

/** An assignment: the symbols in order, then the value. */
export type Row = readonly number[]

export interface World {
  readonly syms: readonly Sym[]
  readonly value: Ix
  /** Every assignment within the bounds. */
  readonly rows: readonly Row[]
}

/** T and d are dims, m a multiple of 4, i below T or T*d, j signed, the value below d. */
export const worlds: fc.Arbitrary<World> = fc
  .record({
    T: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 2 }), fc.boolean()),
    d: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 1 }), fc.boolean()),
    m: fc.integer({ min: 0, max: 2 }),
    wide: fc.boolean(),
    j: fc.tuple(fc.integer({ min: -5, max: 2 }), fc.integer({ min: 0, max: 2 })),
  })
  .map(({ T: [tlo, tmore, topen], d: [dlo, dmore, dopen], m: mhi, wide, j: [jlo, jmore] }) => {
    const T = ix.sym('T', { lo: tlo, hi: topen ? ix.INF : tlo + tmore })
    const d = ix.sym('d', { lo: dlo, hi: dopen ? ix.INF : dlo + dmore })
    const m = ix.sym('m', { lo: 0, hi: mhi * 4, multipleOf: 4, role: 'param' })
    const i = ix.sym('i', { hi: ix.sub(wide ? ix.mul(T, d) : T, 1), role: 'loop' })
    const j = ix.sym('j', { lo: jlo, hi: jlo + jmore, role: 'loop' })
    const value = ix.valueIx(`v${T.id}`, 'payload', 0, ix.sub(d, 1))
    const rows: Row[] = []
    for (let t = tlo; t <= tlo + tmore; t++)
      for (let e = dlo; e <= dlo + dmore; e++)
        for (let n = 0; n <= mhi * 4; n += 4)
          for (let p = 0; p < (wide ? t * e : t); p++)
            for (let q = jlo; q <= jlo + jmore; q++) for (let v = 0; v < e; v++) rows.push([t, e, n, p, q, v])
    return { syms: [T, d, m, i, j], value, rows }
  })

/** Divisors: numbers, dims, products and sums of them. */
const divisors: fc.Arbitrary<Tree> = fc.letrec<{ d: Tree }>((tie) => ({
  d: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    fc.integer({ min: 1, max: 12 }).map((n): Tree => ({ k: 'con', n })),
    fc.integer({ min: 0, max: 1 }).map((i): Tree => ({ k: 'sym', i })),
    fc
      .tuple(fc.constantFrom('mul' as const, 'add' as const), tie('d'), tie('d'))
      .map(([k, a, b]): Tree => ({ k, a, b })),
  ),
})).d

export function trees(depth = 4): fc.Arbitrary<Tree> {
  return fc.letrec<{ t: Tree }>((tie) => ({
    t: fc.oneof(
      { maxDepth: depth, withCrossShrink: true, depthSize: 'large' },
      { arbitrary: fc.integer({ min: -6, max: 12 }).map((n): Tree => ({ k: 'con', n })), weight: 2 },
      { arbitrary: fc.integer({ min: 0, max: 4 }).map((i): Tree => ({ k: 'sym', i })), weight: 4 },
      { arbitrary: fc.constant<Tree>({ k: 'value' }), weight: 1 },
      {
        arbitrary: fc
          .tuple(
            fc.constantFrom('add' as const, 'sub' as const, 'mul' as const, 'min' as const, 'max' as const),
            tie('t'),
            tie('t'),
          )
          .map(([k, a, b]): Tree => ({ k, a, b })),
        weight: 6,
      },
      {
        arbitrary: fc
          .tuple(fc.constantFrom('div' as const, 'mod' as const, 'ceil' as const), tie('t'), divisors)
          .map(([k, a, b]): Tree => ({ k, a, b })),
        weight: 6,
      },
    ),
  })).t
}

/** Chains of divisions and remainders of few numerators: what reshapes make. */
export const maps: fc.Arbitrary<Tree> = fc.letrec<{ t: Tree }>((tie) => ({
  t: fc.oneof(
    { maxDepth: 5, depthSize: 'large' },
    fc.constantFrom<Tree>({ k: 'sym', i: 3 }, { k: 'sym', i: 4 }),
    fc
      .tuple(fc.constantFrom('div' as const, 'mod' as const), tie('t'), fc.constantFrom(2, 3, 4, 6))
      .map(([k, a, n]): Tree => ({ k, a, b: { k: 'con', n } })),
    fc
      .tuple(fc.constantFrom(-4, -2, -1, 2, 3, 4, 6, 12), tie('t'), tie('t'))
      .map(([n, a, b]): Tree => ({ k: 'add', a: { k: 'mul', a: { k: 'con', n }, b: a }, b })),
  ),
})).t

const floor = (a: number, b: number): number => Math.floor(a / b)

export function plain(t: Tree, row: Row): number {
  switch (t.k) {
    case 'con':
      return t.n
    case 'sym':
      return row[t.i]
    case 'value':
      return row[row.length - 1]
  }
  const a = plain(t.a, row)
  const b = plain(t.b, row)
  switch (t.k) {
    case 'add':
      return a + b
    case 'sub':
      return a - b
    case 'mul':
      return a * b
    case 'div':
      return floor(a, b)
    case 'mod':
      return a - b * floor(a, b)
    case 'ceil':
      return -floor(-a, b)
    case 'min':
      return Math.min(a, b)
    case 'max':
      return Math.max(a, b)
  }
}

const MAKE = { ...ix, div: ix.floorDiv, ceil: ix.ceilDiv }

export function build(t: Tree, w: World): Ix {
  if (t.k === 'con') return ix.con(t.n)
  if (t.k === 'sym') return ix.of(w.syms[t.i])
  return t.k === 'value' ? w.value : MAKE[t.k](build(t.a, w), build(t.b, w))
}

export function at(x: Ix, w: World, row: Row): number {
  return ix.evaluate(
    x,
    (s) => row[w.syms.indexOf(s)],
    () => row[row.length - 1],
  )
}

/** `x` as its `terms` read, by plain arithmetic: what an emitter would compute. */
export function asRead(x: Ix, w: World, row: Row): number {
  let sum = 0
  for (const t of x.terms) {
    let p = t.coef
    for (const a of t.atoms) {
      if (a.k === 'sym') p *= row[w.syms.indexOf(a)]
      else if (a.k === 'value') p *= row[row.length - 1]
      else {
        const l = asRead(a.a, w, row)
        const r = asRead(a.b, w, row)
        const q = floor(l, r)
        p *= a.k === 'div' ? q : a.k === 'mod' ? l - r * q : a.k === 'min' ? Math.min(l, r) : Math.max(l, r)
      }
    }
    sum += p
  }
  return sum
}

/** `x` built again from its `terms`. */
export function again(x: Ix): Ix {
  return ix.add(
    ...x.terms.map((t) =>
      ix.mul(
        t.coef,
        ...t.atoms.map((a) => {
          if (a.k === 'sym') return ix.of(a)
          if (a.k === 'value') return ix.valueIx(a.key, a.value, a.lo, a.hi)
          return MAKE[a.k](again(a.a), again(a.b))
        }),
      ),
    ),
  )
}
