/**
 * `tiled` in f16, for weights that are kept so and devices with `shader-f16` (src/kernel/half.ts says what is computed and how far it may be off): the
 * same tiles, threads and sums. Slices are 32 deep and half as large; a thread scales and rounds a block of 16 of a row of the left operand, and sums of
 * 16 products are f16, so that two multiply-adds go where one of f32 does, before they are added in f32.
 */
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Expr } from '../../../src/kernel/expr.ts'
import { across, bin, cast, constant, lane, load, local, newLocal, splat, un } from '../../../src/kernel/expr.ts'
import { SCALED, SHORT } from '../../../src/kernel/half.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix } from '../../../src/types/ix.ts'
import { add, ceilDiv, con, floorDiv, isConst, mod, mul, of, sym } from '../../../src/types/ix.ts'
import type { Made, Product, Tail } from './contraction.ts'
import { accumulator, clamp, fourDeep, fourWide, gridOf, join, plusProduct, range, vectorsOf } from './contraction.ts'
import { bound, forLoop, named } from './kit.ts'
import { ACROSS, DOWN, THREADS, sumsOf, tileOf } from './tiled.ts'

const DEEP = 32
const [DEEP4, SHORT4] = [DEEP / 4, SHORT / 4]
const BLOCKS = DEEP / SHORT

/** `rows` of a tile. Undefined where weights are not to be computed with in f16, or a tile has fewer blocks than threads. */
export function tiledHalf(p: Product, tail: Tail, rows: number): Made | undefined {
  const { kept } = p.c.b.buf.layout ?? {}
  if (kept?.arithmetic !== 'f16' || accumulator(p) !== 'f32' || (rows * BLOCKS) % THREADS !== 0) return undefined
  const g = gridOf(p, rows, ACROSS)
  const [lx, ly] = [loopSymbol('lx', ACROSS), loopSymbol('ly', DOWN)]
  const thread = add(lx, mul(ACROSS, ly))
  const whole = isConst(mod(p.depth.count, DEEP)) === 0
  const depth4 = ceilDiv(p.depth.count, 4)
  const k0 = sym('k4', { lo: 0, hi: add(depth4, whole ? -DEEP4 : -1), role: 'loop', multipleOf: DEEP4 })
  const four = (buf: ReturnType<typeof newBuffer>, at: Ix): Expr => load(buf, [at, con(0)], { lanes: 4, axis: 1 })

  // Vectors of a block lie one after another, blocks of a row too; what sums of a block are scaled back by lies beside.
  const a = newBuffer('tile_a', 'f16', 'workgroup', [con(rows * DEEP4), con(4)])
  const scales = newBuffer('scales', 'f32', 'workgroup', [con(rows * BLOCKS)])
  const b = newBuffer('tile_b', 'f16', 'workgroup', [con(DEEP * ACROSS), con(4)])

  const blocks = range((rows * BLOCKS) / THREADS).map((u) => {
    const cell = add(thread, u * THREADS)
    const row = add(mul(rows, g.y), floorDiv(cell, BLOCKS))
    return {
      cell,
      k4: mul(SHORT4, mod(cell, BLOCKS)),
      from: bound(`from_m${u}`, clamp(row, p.rows.count), p.rows.count),
    }
  })
  const fromA = blocks.map(({ from, k4 }, u) =>
    range(SHORT4).map((j) =>
      named(`next_a${u}_${j}`, fourDeep(p, p.c.a, join(g.batch, p.rows.at(from.v)), add(k0, k4, j), !whole)),
    ),
  )
  const column = bound('from_n', clamp(add(mul(ACROSS, g.x), lx), vectorsOf(p)), vectorsOf(p))
  // Two rows of four columns are a word: a thread has both.
  const placesOfB = range(DEEP / DOWN).map((u) => add(mul(2, ly), 2 * DOWN * (u >> 1) + (u & 1)))
  const fromB = placesOfB.map((k, u) =>
    named(`next_b${u}`, cast('f16', fourWide(p, g.batch, of(column.v), add(mul(4, k0), k)))),
  )
  const rounded = blocks.flatMap(({ cell }, u): Stmt[] => {
    const sizes = fromA[u].map((x) => un('abs', x.e))
    const four = named(
      'largest4',
      sizes.reduce((x, y) => bin('max', x, y)),
    )
    const largest = named('largest', across('max', four.e))
    const back = named('back', bin('mul', un('binade', largest.e), constant(1 / SCALED)))
    const scale = named('scale', un('invert', back.e))
    return [
      ...[four, largest, back, scale].map((x) => x.stmt),
      { k: 'store', buf: scales, at: [cell], e: back.e },
      ...fromA[u].map((x, j): Stmt => {
        const e = cast('f16', bin('mul', x.e, splat(scale.e, 4)))
        return { k: 'store', buf: a, at: [add(mul(SHORT4, cell), j), con(0)], e, axis: 1 }
      }),
    ]
  })
  const copies: Stmt[] = [
    ...fromA.flat().map((x) => x.stmt),
    ...fromB.map((x) => x.stmt),
    ...rounded,
    ...fromB.map((x, u): Stmt => ({
      k: 'store',
      buf: b,
      at: [add(mul(ACROSS, placesOfB[u]), lx), con(0)],
      e: x.e,
      axis: 1,
    })),
  ]

  const sums = sumsOf(p, rows)
  const short = sums.map((_, r) => newLocal(`short${r}`, 'f16', 4))
  const [block, ki] = [loopSymbol('block', BLOCKS), loopSymbol('ki', SHORT4)]
  const k4 = add(mul(SHORT4, block), ki)
  const right = range(4).map((j) => named(`b_${j}`, four(b, add(mul(ACROSS, add(mul(4, k4), j)), lx))))
  const rowOf = (r: number): Ix => add(ly, DOWN * r)
  const steps = short.flatMap((sum, r): Stmt[] => {
    const left = named(`a_${r}`, four(a, add(mul(DEEP4, rowOf(r)), k4)))
    return [left.stmt, ...right.map((x, j) => plusProduct(sum, lane(left.e, j), x.e))]
  })
  const inner: Stmt = { ...forLoop('serial', ki, [...right.map((x) => x.stmt), ...steps]), reduces: true }
  const none = splat(constant(0, 'f16'), 4)
  const added = sums.map((v, r) =>
    plusProduct(v, load(scales, [add(mul(BLOCKS, rowOf(r)), block)]), cast('f32', local(short[r]))),
  )
  const overBlocks: Stmt = {
    ...forLoop('serial', block, [...short.map((v): Stmt => ({ k: 'var', v, e: none })), inner, ...added]),
    reduces: true,
  }
  const slices: Stmt = {
    ...forLoop('serial', k0, [...copies, { k: 'barrier' }, overBlocks, { k: 'barrier' }], 0, depth4, DEEP4),
    reduces: true,
  }

  const before = [...blocks.map((x) => x.from.stmt), column.stmt]
  return tileOf(p, tail, g, rows, [lx, ly], [a, scales, b], before, sums, slices)
}
