/** A small seeded generator: the same draws on every machine. */

export interface Random {
  /** 0 ≤ x < 1. */
  readonly next: () => number
  /** A whole number, both ends included. */
  readonly int: (from: number, to: number) => number
  readonly chance: (p: number) => boolean
  readonly pick: <X>(xs: readonly X[]) => X
  /** One of `[weight, x]`, in proportion to the weights. */
  readonly weighted: <X>(xs: readonly (readonly [number, X])[]) => X
  /** Mean 0, variance 1, within ±3.5. */
  readonly normal: () => number
}

/** Mulberry32. */
export function makeRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1))
  return {
    next,
    int,
    chance: (p) => next() < p,
    pick: (xs) => xs[int(0, xs.length - 1)],
    weighted: (xs) => {
      let at = next() * xs.reduce((sum, [w]) => sum + w, 0)
      for (const [w, x] of xs) if ((at -= w) < 0) return x
      return xs[xs.length - 1][1]
    },
    normal: () => (next() + next() + next() + next() - 2) * Math.sqrt(3),
  }
}

/** FNV-1a: a seed from a text. */
export function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0
}
