/** Element-wise comparison of a result with its expected value and bound. */

export interface Comparison {
  readonly count: number
  /** Flat index of the element that uses most of its bound. */
  readonly worst: number
  readonly index: readonly number[]
  readonly got: number
  readonly want: number
  readonly error: number
  readonly bound: number
  /** error / bound at the worst element; at most 1 means that all agree. NaN on one side only counts as Infinity. */
  readonly used: number
}

/** Row-major coordinates of a flat index. */
export function coordinates(flat: number, shape: readonly number[]): number[] {
  const out: number[] = []
  let rest = flat
  for (let i = shape.length - 1; i >= 0; i--) {
    out.unshift(rest % shape[i])
    rest = Math.floor(rest / shape[i])
  }
  return out
}

const usedOf = (got: number, want: number, bound: number): number => {
  if (Number.isNaN(got) || Number.isNaN(want)) return Number.isNaN(got) && Number.isNaN(want) ? 0 : Infinity
  const error = Math.abs(got - want)
  if (error === 0 || got === want) return 0
  return bound > 0 ? error / bound : Infinity
}

/** Compares `got` with `want`, element by element, against `bound(i)`. Empty results agree. Lengths must be equal. */
export function compare(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  bound: (i: number) => number,
  shape: readonly number[],
): Comparison {
  if (got.length !== want.length) throw new Error(`internal: compared ${got.length} elements with ${want.length}`)
  let [worst, used] = [0, -1]
  for (let i = 0; i < want.length; i++) {
    const u = usedOf(got[i], want[i], bound(i))
    if (u > used) [worst, used] = [i, u]
  }
  const [g, w] = want.length > 0 ? [got[worst], want[worst]] : [0, 0]
  return {
    count: want.length, worst, index: coordinates(worst, shape), got: g, want: w, error: Math.abs(g - w),
    bound: want.length > 0 ? bound(worst) : 0, used: Math.max(0, used),
  } // prettier-ignore
}
