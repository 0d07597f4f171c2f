/**
 * `tiled`: a workgroup of 16 × 8 threads makes a tile of results, 64 columns wide. A thread holds rows ly, ly + 8, … of one vector of columns.
 * Slices of both operands, 16 deep, pass through workgroup memory: all loads of a slice are under way before the first is stored.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { constant, lane, load, local, newLocal, splat, vec } from '../../../src/kernel/expr.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, ceilDiv, con, floorDiv, isConst, mod, mul, of, sym } from '../../../src/types/ix.ts'
import type { Grid, Made, Product, Tail } from './contraction.ts'
import {
  accumulator,
  callTail,
  clamp,
  fourDeep,
  fourWide,
  gridOf,
  isUnitStride,
  join,
  liesDeep,
  plusProduct,
  range,
  vectorsOf,
} from './contraction.ts'
import { below, bound, forLoop, named } from './kit.ts'

export const [ACROSS, DOWN] = [16, 8]
export const THREADS = ACROSS * DOWN
const DEEP = 16
const DEEP4 = DEEP / 4

/**
 * Rows of a tile. 64 unless the number of rows is known: few rows are not padded to 64; of many, a thread may hold 16, which reads each vector of b for
 * twice as many products, where there are tiles enough left to fill a GPU.
 */
export function tileRows(p: Product): 32 | 64 | 128 {
  const [rows, columns] = [isConst(p.rows.count), p.known.columns]
  if (rows === undefined) return 64
  if (rows <= 32) return 32
  return rows % 128 === 0 && columns !== undefined && (rows / 128) * Math.ceil(columns / 64) >= 256 ? 128 : 64
}

/** `rows` of a tile: a multiple of 32. */
export function tiled(p: Product, tail: Tail, rows: number): Made {
  const g = gridOf(p, rows, ACROSS)
  const type = accumulator(p)
  const [lx, ly] = [loopSymbol('lx', ACROSS), loopSymbol('ly', DOWN)]
  const thread = add(lx, mul(ACROSS, ly))
  const whole = isConst(mod(p.depth.count, DEEP)) === 0
  // In vectors of four.
  const depth4 = ceilDiv(p.depth.count, 4)
  const k0 = sym('k4', { lo: 0, hi: add(depth4, whole ? -DEEP4 : -1), role: 'loop', multipleOf: DEEP4 })

  // Where a thread's vectors lie in a slice: neighbouring threads read neighbours in storage.
  const a = newBuffer('tile_a', type, 'workgroup', [con(rows * DEEP4), con(4)])
  const aAlongK = isUnitStride(p.c.a, p.c.sum) || !isUnitStride(p.c.a, p.c.m)
  const cellOfA = (row: Ix, k4: Ix): Ix => (aAlongK ? add(mul(DEEP4, row), k4) : add(mul(rows, k4), row))
  const aPlaces = range((rows * DEEP4) / THREADS).map((u) => {
    const cell = add(thread, u * THREADS)
    return aAlongK
      ? { cell, row: floorDiv(cell, DEEP4), k4: mod(cell, DEEP4) }
      : { cell, row: mod(cell, rows), k4: floorDiv(cell, rows) }
  })
  const b = slicesOfB(p, g, lx, ly)

  const rowOf = aPlaces.map(({ row }, u) =>
    bound(`from_m${u}`, clamp(add(mul(rows, g.y), row), p.rows.count), p.rows.count),
  )
  const fromA = aPlaces.map(({ k4 }, u) =>
    named(`next_a${u}`, fourDeep(p, p.c.a, join(g.batch, p.rows.at(rowOf[u].v)), add(k0, k4), !whole)),
  )
  const fromB = range(DEEP / DOWN).map((u) => named(`next_b${u}`, b.next(u, of(k0))))
  const copies: Stmt[] = [
    ...fromA.map((x) => x.stmt),
    ...fromB.map((x) => x.stmt),
    ...aPlaces.map(({ cell }, u): Stmt => ({ k: 'store', buf: a, at: [cell, con(0)], e: fromA[u].e, axis: 1 })),
    ...fromB.map((x, u): Stmt => ({ k: 'store', buf: b.buf, at: b.cell(u), e: x.e, axis: b.cell(u).length - 1 })),
  ]

  const sums = sumsOf(p, rows)
  const ki = loopSymbol('ki', DEEP4)
  const right = b.vectors(of(ki))
  const steps = sums.flatMap((sum, r): Stmt[] => {
    const left = named(`a_${r}`, load(a, [cellOfA(add(ly, DOWN * r), of(ki)), con(0)], { lanes: 4, axis: 1 }))
    return [left.stmt, ...right.of.map((x, j) => plusProduct(sum, lane(left.e, j), x))]
  })
  const inner: Stmt = { ...forLoop('serial', ki, [...right.stmts, ...steps]), reduces: true }
  const slices: Stmt = {
    ...forLoop('serial', k0, [...copies, { k: 'barrier' }, inner, { k: 'barrier' }], 0, depth4, DEEP4),
    reduces: true,
  }

  return tileOf(p, tail, g, rows, [lx, ly], [a, b.buf], [...rowOf.map((x) => x.stmt), ...b.columns], sums, slices)
}

/** The sums of a thread: rows `ly`, `ly` + 8, … of a tile, four columns each. */
export function sumsOf(p: Product, rows: number): readonly Local[] {
  const count = isConst(p.rows.count)
  const per = count !== undefined && count <= rows ? Math.ceil(count / DOWN) : rows / DOWN
  return range(per).map((r) => newLocal(`acc${r}`, accumulator(p), 4))
}

/** The threads of a tile: what they need first, sums of zero, the walk over slices, and what becomes of the sums. */
export function tileOf(
  p: Product,
  tail: Tail,
  g: Grid,
  rows: number,
  [lx, ly]: readonly [Sym, Sym],
  shared: readonly Buffer[],
  before: readonly Stmt[],
  sums: readonly Local[],
  slices: Stmt,
): Made {
  const first = bound('row', add(mul(rows, g.y), ly), mul(rows, ceilDiv(p.rows.count, rows)))
  const column4 = bound('column4', add(mul(ACROSS, g.x), lx), mul(ACROSS, ceilDiv(vectorsOf(p), ACROSS)))
  const calls = sums.map((sum, r) => {
    const row: Ix = add(first.v, DOWN * r)
    return { row, call: callTail(tail, [...g.place, row, of(column4.v)], local(sum)) }
  })
  const results = calls.flatMap(({ row, call }) => below(row, p.rows.count, call.stmts))
  const zero = splat(constant(0, accumulator(p)), 4)
  const body: Stmt[] = [
    ...before,
    ...sums.map((v): Stmt => ({ k: 'var', v, e: zero })),
    slices,
    first.stmt,
    column4.stmt,
    ...below(of(column4.v), vectorsOf(p), results),
  ]
  const threads = forLoop('local.y', ly, [forLoop('local.x', lx, body)])
  const allocated = shared.map((buf): Stmt => ({ k: 'alloc', buf }))
  return { nest: { ...p.kernel, body: g.wrap([...allocated, threads]) }, calls: calls.map((c) => c.call) }
}

/** How slices of b lie in workgroup memory. */
interface SlicesOfB {
  readonly buf: Buffer
  /** Names for the columns that a thread copies. */
  readonly columns: readonly Stmt[]
  /** The `u`th vector that a thread copies, and where to. */
  readonly next: (u: number, k4: Ix) => Expr
  readonly cell: (u: number) => readonly Ix[]
  /** The thread's four columns at four consecutive k. */
  readonly vectors: (k4: Ix) => { readonly stmts: readonly Stmt[]; readonly of: readonly Expr[] }
}
function slicesOfB(p: Product, g: Grid, lx: Sym, ly: Sym): SlicesOfB {
  const type = accumulator(p)
  const load4 = (buf: Buffer, at: readonly Ix[]): Expr => load(buf, [...at, con(0)], { lanes: 4, axis: at.length })
  const first = mul(ACROSS, g.x)
  if (liesDeep(p, p.c.b, p.c.n)) {
    // Vectors along k, as in storage. A thread turns four columns of them around in its registers. One vector more in each row, so that threads
    // that read neighbouring columns do not meet in one memory bank.
    const buf = newBuffer('tile_b', type, 'workgroup', [con(4), con(ACROSS), con(DEEP4 + 1), con(4)])
    const columns = range(DEEP / DOWN).map((u) => {
      const column = add(mul(4, add(first, ly, u * DOWN)), floorDiv(lx, DEEP4))
      return bound(`from_n${u}`, clamp(column, p.columns.count), p.columns.count)
    })
    return {
      buf,
      columns: columns.map((x) => x.stmt),
      next: (u, k4) => fourDeep(p, p.c.b, join(g.batch, p.columns.at(columns[u].v)), add(k4, mod(lx, DEEP4)), false),
      cell: (u) => [floorDiv(lx, DEEP4), add(ly, u * DOWN), mod(lx, DEEP4), con(0)],
      vectors: (k4) => {
        const read = range(4).map((j) => named(`n_${j}`, load4(buf, [con(j), of(lx), k4])))
        const turned = range(4).map((i) => named(`b_${i}`, vec(read.map((x) => lane(x.e, i)))))
        return { stmts: [...read, ...turned].map((x) => x.stmt), of: turned.map((x) => x.e) }
      },
    }
  }
  // One vector more where threads store columns of a slice.
  const alongK = isUnitStride(p.c.b, p.c.sum) && !isUnitStride(p.c.b, p.c.n)
  const buf = newBuffer('tile_b', type, 'workgroup', [con(DEEP), con(ACROSS + (alongK ? 1 : 0)), con(4)])
  const places = range(DEEP / DOWN).map((u) => {
    const down = add(ly, u * DOWN)
    return alongK ? { k: of(lx), n4: down } : { k: down, n4: of(lx) }
  })
  const columns = (alongK ? places : places.slice(0, 1)).map(({ n4 }, u) =>
    bound(`from_n${u}`, clamp(add(first, n4), vectorsOf(p)), vectorsOf(p)),
  )
  return {
    buf,
    columns: columns.map((x) => x.stmt),
    next: (u, k4) => fourWide(p, g.batch, of((columns[u] ?? columns[0]).v), add(mul(4, k4), places[u].k)),
    cell: (u) => [places[u].k, places[u].n4, con(0)],
    vectors: (k4) => {
      const read = range(4).map((j) => named(`b_${j}`, load4(buf, [add(mul(4, k4), j), of(lx)])))
      return { stmts: read.map((x) => x.stmt), of: read.map((x) => x.e) }
    },
  }
}
