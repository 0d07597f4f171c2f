/**
 * Weights that stay in few bits in GPU memory. A matrix [K, N] is computed with as if it lay row by row, `L = k * stride + n`, columns padded to whole
 * fours. In memory it is words of 16 bytes, `vec4u`, so that a thread that makes four columns reads all of a word and its neighbour the next one:
 *
 * - `f16`, `bf16`: 2 rows of 4 columns: `.xy` is the even row, `.zw` the odd one.
 * - `int8`: 4 rows of 4 columns: a component is a row, its lowest byte the first column.
 * - `int4`: 8 rows of 4 columns: a component is two rows, the even one in its low half; the lowest 4 bits are the first column.
 *
 * Levels have no sign: 128 (8) stands for 0, and the weight is its scale times what a level is above that. Rows are padded to blocks of 32, each with a
 * scale for every column. Scales are f16 and follow the levels: a word is those of an even block (`.xy`) and of the odd one after it (`.zw`).
 *
 * All in all a matrix of words: rows of levels, then rows of scales, each as long as the columns' fours. One in parts is cut into ranges of columns,
 * each a matrix of its own that lies so.
 */
import { offsetOf } from '../../src/kernel/address.ts'
import type { Buffer, KeptAs, Layout } from '../../src/kernel/buffer.ts'
import type { Ix } from '../../src/types/ix.ts'
import { add, con, floorDiv, isConst, mod, mul, sym } from '../../src/types/ix.ts'

/** Rows that share a scale. */
export const BLOCK = 32
/** Columns of a word. */
export const COLUMNS = 4
/** Rows of a word. */
export const rowsOfWord: Readonly<Record<KeptAs, number>> = { f16: 2, bf16: 2, int8: 4, int4: 8 }
export const hasScales = (as: KeptAs): boolean => as === 'int8' || as === 'int4'

const padded = (n: number, to: number): number => Math.ceil(n / to) * to
/** Rows that are stored together: those of a block, or of a word. */
export const rowsTogether = (as: KeptAs): number => (hasScales(as) ? BLOCK : rowsOfWord[as])
const rowsOf = (as: KeptAs, k: number): number => padded(k, rowsTogether(as))

/** Bytes of a matrix [k, n] that is kept so. */
export function keptBytes(as: KeptAs, k: number, n: number): number {
  const columns = padded(n, COLUMNS)
  return (rowsOf(as, k) / rowsOfWord[as] + (hasScales(as) ? Math.ceil(k / (2 * BLOCK)) : 0)) * columns * 4
}

/** The layout of a constant right operand [K, N] that is kept in fewer bits; undefined where K is too short for blocks. */
export function keptLayout(k: number, n: number, as: KeptAs): Layout | undefined {
  if (hasScales(as) && k < BLOCK) return undefined
  const [a, b] = [sym('k', { lo: 0, hi: k - 1, role: 'loop' }), sym('n', { lo: 0, hi: n - 1, role: 'loop' })]
  const [rows, stride] = [rowsOf(as, k), padded(n, COLUMNS)]
  return {
    name: as,
    axes: [a, b],
    offset: add(mul(a, stride), b),
    size: con(rows * stride),
    kept: { as, rows, stride: con(stride), bytes: keptBytes(as, k, n) },
  }
}

/** The same of a buffer [K, N] whose sizes are symbols, multiples of a block and of 4. */
export function namedLayout(k: Ix, n: Ix, kept: NonNullable<Layout['kept']>): Layout {
  const [a, b] = [sym('k', { lo: 0, hi: add(k, -1), role: 'loop' }), sym('n', { lo: 0, hi: add(n, -1), role: 'loop' })]
  return { name: kept.as, axes: [a, b], offset: add(mul(a, n), b), size: mul(k, n), kept: { ...kept, stride: n } }
}

/** A word: its row and column among all, and where it lies where they are in one piece. */
export interface Word {
  readonly row: Ix
  readonly column: Ix
  readonly at: Ix
}
/** Where an element lies: its word, its row in the word and its column, and the word of its scale with the row in that. */
export interface Place {
  readonly word: Word
  readonly row: Ix
  readonly column: Ix
  readonly scale?: { readonly word: Word; readonly row: Ix }
}

export function placeOf(b: Buffer, at: readonly Ix[]): Place {
  const { as, stride, rows } = b.layout!.kept!
  const L = offsetOf(b, at)
  const [k, n] = [floorDiv(L, stride!), mod(L, stride!)]
  const [fours, four] = [floorDiv(stride!, COLUMNS), floorDiv(n, COLUMNS)]
  const wordIn = (row: Ix, first: Ix = con(0), before: Ix = con(0)): Word =>
    ({ row: add(before, row), column: four, at: add(first, add(mul(row, fours), four)) }) // prettier-ignore
  const per = rowsOfWord[as]
  const levels = { word: wordIn(floorDiv(k, per)), row: mod(k, per), column: mod(n, COLUMNS) }
  if (!hasScales(as)) return levels
  const before = isConst(stride!) === undefined ? floorDiv(b.shape[0], per) : con(rows / per)
  const word = wordIn(floorDiv(k, 2 * BLOCK), floorDiv(b.layout!.size, COLUMNS * per), before)
  return { ...levels, scale: { word, row: mod(floorDiv(k, BLOCK), 2) } }
}
