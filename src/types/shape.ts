/** Shapes: row-major, one index polynomial per axis. */
import { add, con, floorDiv, isConst, mul, of, print, sub, type Ix, type IxLike, type PrintOptions } from './ix.ts'

export type Shape = readonly Ix[]

export function shape(...dims: readonly IxLike[]): Shape {
  return dims.map(of)
}

/** `[B, T, 4*d]`. */
export function printShape(s: Shape, opts?: PrintOptions): string {
  return `[${s.map((d) => print(d, opts)).join(', ')}]`
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i])
}

export interface Clash {
  /** From the right, 0 the last. */
  readonly axis: number
  readonly a: Ix
  readonly b: Ix
}

/**
 * From the right; a missing axis or a literal 1 stretches, a symbol never does, even one that is always 1.
 * The rightmost clash is reported.
 */
export function broadcastShapes(a: Shape, b: Shape): { readonly shape: Shape } | { readonly clash: Clash } {
  const out: Ix[] = []
  for (let axis = 0; axis < Math.max(a.length, b.length); axis++) {
    const x = a[a.length - 1 - axis]
    const y = b[b.length - 1 - axis]
    if (x === undefined || y === undefined) out.unshift(x ?? y)
    else if (x === y || isConst(y) === 1) out.unshift(x)
    else if (isConst(x) === 1) out.unshift(y)
    else return { clash: { axis, a: x, b: y } }
  }
  return { shape: out }
}

/** The number of elements; 1 for a scalar. */
export function elements(s: Shape): Ix {
  return mul(...s)
}

/** Elements from one index to the next, per axis. */
export function strides(s: Shape): readonly Ix[] {
  const out: Ix[] = []
  let stride = con(1)
  for (let i = s.length - 1; i >= 0; i--) {
    out.unshift(stride)
    stride = mul(stride, s[i])
  }
  return out
}

/** The position of an element: `(i*h + j)*e + k`. */
export function linearise(coords: readonly IxLike[], s: Shape): Ix {
  if (coords.length !== s.length) throw new Error(`internal: ${coords.length} coordinates for rank ${s.length}`)
  return coords.reduce<Ix>((at, c, i) => add(mul(at, s[i]), c), con(0))
}

/** The coordinates of the element at a position within the shape: the first one takes no remainder. */
export function delinearise(ix: IxLike, s: Shape): readonly Ix[] {
  const out: Ix[] = []
  let rest = of(ix)
  for (let i = s.length - 1; i > 0; i--) {
    const over = floorDiv(rest, s[i])
    out.unshift(sub(rest, mul(s[i], over)))
    rest = over
  }
  if (s.length > 0) out.unshift(isConst(s[0]) === 1 ? con(0) : rest)
  return out
}
