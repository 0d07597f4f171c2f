/** Two loops around each other as one over all pairs. */
import type { Ix, Sym } from '../../types/ix.ts'
import { con, floorDiv, isConst, mod, mul, of, proveLe, sub, sym } from '../../types/ix.ts'
import type { For, NestKernel } from '../nest.ts'
import { mapExprs, mapper, symbolsOfIx } from '../walk.ts'
import { IllegalSchedule, replaceLoop, requireIndependent } from './edit.ts'

/**
 * `outer` holds nothing but `inner`: one loop over r takes their place, outer is r div n, inner r mod n. Addresses of row-major storage are
 * linear in r again. Legal for independent iterations from 0 on, of step 1, with bounds that do not depend on each other.
 */
export function coalesce(nest: NestKernel, outer: Sym, inner: Sym): { readonly nest: NestKernel; readonly v: Sym } {
  let v: Sym | undefined
  const made = replaceLoop(nest, outer, (loop) => {
    const [inside] = loop.body
    if (loop.body.length !== 1 || inside.k !== 'for' || inside.v !== inner)
      throw new IllegalSchedule('coalesce', `${outer.name} holds more than the loop over ${inner.name}`)
    for (const l of [loop, inside]) {
      if (l.step !== 1 || isConst(l.lo) !== 0)
        throw new IllegalSchedule('coalesce', `${l.v.name} does not count from 0 in steps of 1`)
      requireIndependent('coalesce', l)
    }
    if (loop.kind !== inside.kind) throw new IllegalSchedule('coalesce', 'the loops are of different kinds')
    if (symbolsOfIx(inside.hi).has(outer))
      throw new IllegalSchedule('coalesce', `the bounds of ${inner.name} depend on ${outer.name}`)
    if (!proveLe(1, inside.hi)) throw new IllegalSchedule('coalesce', `${inner.name} may have no iteration`)
    return [joined(loop, inside, (made) => (v = made))]
  })
  return { nest: made, v: v! }
}

function joined(outer: For, inner: For, named: (v: Sym) => void): For {
  const n: Ix = inner.hi
  const hi = mul(outer.hi, n)
  const v = sym(outer.v.name, { lo: 0, hi: sub(hi, 1), role: 'loop' })
  named(v)
  const syms = new Map([
    [outer.v, floorDiv(of(v), n)],
    [inner.v, mod(of(v), n)],
  ])
  return { ...outer, v, lo: con(0), hi, body: mapExprs(inner.body, mapper({ syms })) }
}
