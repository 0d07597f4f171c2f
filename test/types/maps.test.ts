/** Index maps as the compiler makes them: views compose to what one would write by hand. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { add, coefficientOf, con, floorDiv, mod, mul, of, proveLe, sub, substitute, sym } from '../../src/types/ix.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { delinearise, elements, linearise, type Shape } from '../../src/types/shape.ts'

const over = (shape: Shape): Sym[] => shape.map((n, i) => sym(`i${i}`, { hi: sub(n, 1), role: 'loop' }))

const same = (xs: readonly Ix[], ys: readonly (Ix | Sym)[]) => {
  const expected = ys.map(of)
  if (xs.length !== ys.length || xs.some((x, i) => x !== expected[i]))
    expect.fail(`${xs.join(', ')} for ${expected.join(', ')}`)
}

const kinds = (x: Ix): string[] =>
  x.terms.flatMap((t) => t.atoms.flatMap((a) => ('a' in a ? [a.k, ...kinds(a.a), ...kinds(a.b)] : [])))

const plain = (x: Ix) => {
  if (kinds(x).length > 0) expect.fail(`left over: ${x}`)
}

const B = of(sym('B'))
const T = of(sym('T'))
const d = of(sym('d'))
const P = of(sym('P', { lo: 0, role: 'param' }))
const dims = fc.constantFrom(
  con(1),
  con(2),
  con(3),
  con(5),
  con(8),
  con(12),
  B,
  T,
  d,
  mul(2, T),
  add(T, 1),
  add(P, T),
  mul(B, d),
)
const shapes = fc.array(dims, { minLength: 1, maxLength: 4 })

test('a position comes apart into its coordinates', () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const vars = over(shape)
      same(delinearise(linearise(vars, shape), shape), vars)
    }),
    { numRuns: 500 },
  )
})

test('coordinates of a position make the position', () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const p = sym('p', { hi: sub(elements(shape), 1), role: 'loop' })
      same([linearise(delinearise(p, shape), shape)], [p])
    }),
    { numRuns: 500 },
  )
})

/** Shapes of the same elements: neighbouring dims merged at random. */
const merged = (shape: Shape, cuts: readonly boolean[]): Shape => {
  const out: Ix[] = []
  shape.forEach((n, i) => (i > 0 && cuts[i] ? out.push(mul(out.pop()!, n)) : out.push(n)))
  return out
}

test('chains of reshapes cancel', () => {
  const cuts = fc.array(fc.boolean(), { minLength: 4, maxLength: 4 })
  fc.assert(
    fc.property(shapes, fc.array(cuts, { minLength: 1, maxLength: 4 }), (shape, path) => {
      const vars = over(shape)
      let at: readonly Ix[] = vars.map(of)
      let here: Shape = shape
      for (const c of path) {
        const next = merged(shape, c)
        at = delinearise(linearise(at, here), next)
        here = next
        at.forEach(plain)
      }
      same([linearise(at, here)], [linearise(vars, shape)])
      const back = delinearise(linearise(at, here), shape)
      same(back, vars)
    }),
    { numRuns: 500 },
  )
})

test('reshapes, permutations and slices in between cancel', () => {
  const step = fc.record({
    cuts: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    swap: fc.nat(3),
    by: fc.nat(3),
    off: fc.nat(3),
  })
  fc.assert(
    fc.property(shapes, fc.array(step, { minLength: 1, maxLength: 4 }), (shape, path) => {
      const vars = over(shape)
      let at: readonly Ix[] = vars.map(of)
      // Each step is done and undone; what is between must not show.
      for (const { cuts, swap, by, off } of path) {
        const wide = shape.map((n, i) => (i === by % shape.length ? add(n, off) : n))
        const moved = at.map((x, i) => (i === by % shape.length ? add(x, off) : x))
        const order = wide.map((_, i) => (i + swap) % wide.length)
        const shuffled = order.map((i) => wide[i])
        const lin = linearise(
          order.map((i) => moved[i]),
          shuffled,
        )
        const view = merged(shuffled, cuts)
        const again = delinearise(linearise(delinearise(lin, view), view), shuffled)
        const unmoved = wide.map((_, i) => again[order.indexOf(i)])
        at = unmoved.map((x, i) => (i === by % shape.length ? sub(x, off) : x))
        at.forEach(plain)
      }
      same(at, vars)
    }),
    { numRuns: 500 },
  )
})

test('heads split, move and join without div or mod', () => {
  for (const [H, E] of [
    [con(12), con(64)],
    [con(3), con(5)],
    [con(7), d],
    [of(sym('H')), of(sym('E'))],
  ]) {
    const [b, i, c] = over([B, T, mul(H, E)])
    // [B, T, H*E] -> [B, T, H, E] -> [B, H, T, E], read where the joined tensor is written at c.
    const [b4, i4, h4, e4] = delinearise(linearise([b, i, c], [B, T, mul(H, E)]), [B, T, H, E])
    same([b4, i4], [b, i])
    same([h4, e4], [floorDiv(c, E), mod(c, E)])
    const address = linearise([b4, h4, i4, e4], [B, H, T, E])
    // Loops over heads and lanes: the merged loop is split again.
    const [h, e] = over([H, E])
    const split = substitute(address, new Map([[c, add(mul(E, h), e)]]))
    plain(split)
    same([split], [linearise([b, h, i, e], [B, H, T, E])])
    for (const s of [b, h, i, e]) expect(coefficientOf(split, s)).toBeDefined()
  }
})

test('a packed layout read by panels has no div or mod', () => {
  const N = con(768)
  const K = d
  const [k, n] = over([K, N])
  const shape = [con(96), K, con(8)]
  const address = linearise([floorDiv(n, 8), k, mod(n, 8)], shape)
  expect(proveLe(address, sub(mul(N, K), 1))).toBe(true)
  const p = sym('p', { hi: 95, role: 'loop' })
  for (let u = 0; u < 8; u++) {
    const x = substitute(address, new Map([[n, add(mul(8, p), u)]]))
    same([x], [add(mul(8, K, p), mul(8, k), u)])
  }
  const g = sym('g', { hi: 31, role: 'loop' })
  for (let u = 0; u < 24; u++) {
    const x = substitute(address, new Map([[n, add(mul(24, g), u)]]))
    same([x], [add(mul(24, K, g), mul(Math.floor(u / 8) * 8, K), mul(8, k), u % 8)])
  }
})

test('a tail keeps its bounds', () => {
  const M = T
  for (const tile of [4, 6, 8]) {
    const o = sym('o', { hi: floorDiv(sub(M, 1), tile), role: 'loop' })
    const r = sym('r', { hi: tile - 1, role: 'loop' })
    const row = add(mul(tile, o), r)
    expect(proveLe(mul(tile, o), sub(M, 1))).toBe(true)
    expect(proveLe(row, sub(M, 1))).toBe(false)
    expect(proveLe(row, add(M, tile - 2))).toBe(true)
  }
})
