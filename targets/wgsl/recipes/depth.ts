/**
 * How a thread walks k: what it loads of both operands at a step, and adds to sums of four columns. The recipes `matvec` and `direct` share it, and so
 * their threads take whole words of weights that are kept in fewer bits.
 */
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { across, bin, constant, lane, local, newLocal, splat, vec } from '../../../src/kernel/expr.ts'
import type { For, Stmt } from '../../../src/kernel/nest.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix, IxLike } from '../../../src/types/ix.ts'
import { add, ceilDiv, isConst, mod, mul, of } from '../../../src/types/ix.ts'
import { rowsOfWord } from '../kept.ts'
import type { Product, Side, Syms } from './contraction.ts'
import { accumulator, clampColumn, fourDeep, fourWide, isUnitStride, join, operand, plusProduct, range } from './contraction.ts' // prettier-ignore
import { forLoop, named, serial } from './kit.ts'

/** Whether k runs in vectors of four. */
export const inFours = (p: Product): boolean => isConst(mod(p.depth.count, 4)) === 0

/** Whether k is innermost in the right operand. */
export const walksDepth = (p: Product): boolean => isUnitStride(p.c.b, p.c.sum) && !isUnitStride(p.c.b, p.c.n)

/** Rows of b in 16 bytes. */
const wordRows = (p: Product): number => {
  const kept = p.c.b.buf.layout?.kept
  return kept ? rowsOfWord[kept.as] : 1
}
/**
 * How many times four rows of b a thread takes at once, so that it reads four words of 16 bytes: one of floats; of weights in fewer bits as many as
 * a word has rows, where k is a multiple of that.
 */
export function foursAtOnce(p: Product): number {
  let fours = inFours(p) ? wordRows(p) : 1
  while (isConst(mod(p.depth.count, 4 * fours)) !== 0 && fours > 1) fours /= 2
  return fours
}

/** What a thread makes. */
export interface Share {
  readonly batch: Syms
  /** Its vectors of columns, or of sets of columns with the side that is summed. */
  readonly columns: readonly { readonly column4: Ix; readonly side: Side }[]
  /** Sums of its rows, for each of the vectors of columns. */
  readonly sums: readonly (readonly Local[])[]
  /** The left operand of its ith row: at four k, or at one where k does not run in fours. */
  readonly left: (i: number, k: Ix) => Expr
}

/** Sums of so many rows and vectors of columns. */
export const newSums = (p: Product, rows: number, vectors: number): readonly (readonly Local[])[] =>
  range(rows).map((i) =>
    range(vectors).map((j) => {
      const number = rows * vectors === 1 ? '' : String(i * vectors + j)
      return newLocal(`acc${number}`, accumulator(p), 4)
    }),
  )
export const startAt = (sums: readonly (readonly Local[])[]): Stmt[] =>
  sums.flat().map((v) => ({ k: 'var', v, e: splat(constant(0, v.of), 4) }))

const lefts = (t: Share, k: Ix): readonly { readonly stmt: Stmt; readonly e: Expr }[] =>
  t.sums.map((_, i) => named(t.sums.length === 1 ? 'a_k' : `a_${i}`, t.left(i, k)))

/** The walk from step `first` on, every `apart`th. */
export const walkOf = (p: Product, t: Share, first: IxLike, apart: number): For =>
  walksDepth(p) ? alongDepth(p, t, first, apart) : alongColumns(p, t, first, apart)

/** b[k, n] with n innermost: four rows of b at a time. */
function alongColumns(p: Product, t: Share, first: IxLike, apart: number): For {
  const fours = foursAtOnce(p)
  const deep = inFours(p)
  const [count, name] = deep ? [ceilDiv(p.depth.count, 4 * fours), `k${4 * fours}`] : [p.depth.count, 'k']
  const k = loopSymbol(name, count)
  const step = (four: Ix): Stmt[] => {
    const ks = deep ? range(4).map((j) => add(mul(4, four), j)) : [four]
    const bs = t.columns.map(({ column4, side }, c) =>
      ks.map((x, j) => named(`b_${c * ks.length + j}`, fourWide(p, t.batch, column4, x, side))),
    )
    const as = lefts(t, four)
    const sums = t.sums.flatMap((row, i) =>
      row.flatMap((sum, c) => bs[c].map((b, j) => plusProduct(sum, deep ? lane(as[i].e, j) : as[i].e, b.e))),
    )
    return [...bs.flat().map((x) => x.stmt), ...as.map((x) => x.stmt), ...sums]
  }
  // A word at a time: constant loops are unrolled by drivers, and take less text.
  const together = Math.min(fours, Math.max(1, wordRows(p) / 4))
  const u = loopSymbol('u', fours / together)
  const some = range(together).flatMap((i) => step(add(mul(fours, k), mul(together, u), i)))
  const steps: Stmt[] =
    fours === together
      ? range(fours).flatMap((i) => step(add(mul(fours, k), i)))
      : [{ ...serial(u, some), reduces: true }]
  return { ...forLoop('serial', k, steps, first, count, apart), reduces: true }
}

/** b[n, k] with k innermost: products with rows of b. */
function alongDepth(p: Product, t: Share, first: IxLike, apart: number): For {
  const fours = inFours(p)
  const [count, name] = fours ? [ceilDiv(p.depth.count, 4), 'k4'] : [p.depth.count, 'k']
  const k = loopSymbol(name, count)
  const weight = ({ column4, side }: Share['columns'][number], j: number): Expr => {
    const at = join(t.batch, side(clampColumn(p, column4, j)))
    return fours ? fourDeep(p, p.c.b, at, of(k), false) : operand(p, p.c.b, join(at, p.depth.at(of(k))))
  }
  const bs = t.columns.map((own, c) => range(4).map((j) => named(`b_${4 * c + j}`, weight(own, j))))
  const as = lefts(t, of(k))
  const sums = t.sums.flatMap((row, i) =>
    row.map((sum, c): Stmt => {
      const dots = vec(bs[c].map((b) => (fours ? across('add', bin('mul', as[i].e, b.e)) : bin('mul', as[i].e, b.e))))
      return { k: 'assign', v: sum, e: bin('add', local(sum), dots) }
    }),
  )
  const steps = [...bs.flat().map((x) => x.stmt), ...as.map((x) => x.stmt), ...sums]
  return { ...forLoop('serial', k, steps, first, count, apart), reduces: true }
}
