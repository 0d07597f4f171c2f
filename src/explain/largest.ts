/** The largest size that fits. */
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, IxOverflow, of, proveLe, substitute } from '../types/ix.ts'

/** Sizes that are looked at one by one: up to the first always, as kernels have other variants for few rows, up to the second where needs may fall. */
const scanned = { always: 64, falling: 65536 }

/**
 * The largest n in lo … hi such that all from lo to n fit; undefined if lo does not. Where `fits` is `monotone` (false stays false), it is asked
 * about twice log2(n) times beyond the first few.
 */
export function largest(fits: (n: number) => boolean, lo: number, hi: number, monotone = true): number | undefined {
  if (hi < lo || !fits(lo)) return undefined
  let [most, over] = [lo, hi + 1]
  for (let next = Math.max(1, 2 * lo); most < hi; next = Math.min(2 * most, hi)) {
    if (fits(Math.min(next, hi))) most = Math.min(next, hi)
    else {
      over = Math.min(next, hi)
      break
    }
  }
  while (over - most > 1) {
    const middle = Math.floor((most + over) / 2)
    if (fits(middle)) most = middle
    else over = middle
  }
  const end = Math.min(most, lo + (monotone ? scanned.always : scanned.falling))
  for (let n = lo; n < end; n++) if (!fits(n)) return n - 1
  return most
}

/** Whether it is proven that none of these falls when `s` becomes one more. */
export function onlyGrow(xs: readonly Ix[], s: Sym): boolean {
  const more = new Map([[s, add(of(s), con(1))]])
  return xs.every((x) => {
    try {
      return proveLe(x, substitute(x, more))
    } catch (thrown) {
      if (thrown instanceof IxOverflow) return false
      throw thrown
    }
  })
}
