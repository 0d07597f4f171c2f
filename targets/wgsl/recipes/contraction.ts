/**
 * Contractions out[m, n] = sum over k of a[m, k] * b[k, n], with any number of axes in each place, and pointwise stages after them.
 *
 * `tiled`: a workgroup makes a 64 × 64 tile; 16 × 16 threads hold 4 × 4 sums each; slices of a and b pass through workgroup memory.
 * `few`: for few rows. A workgroup makes `rows` × 32 results; k is split over its threads, whose partial sums are added at the end,
 * so that every element of b is read once per `rows` rows.
 * Loads are clamped to the last row, column and k; stores are guarded.
 */
import { offsetOf } from '../../../src/kernel/address.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { bin, cast, constant, index, load, local, newLocal } from '../../../src/kernel/expr.ts'
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { Contraction, LoadExpr } from '../../../src/kernel/structure.ts'
import { isUnit, loopSymbol, substituteExpr } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, ceilDiv, coefficientOf, con, isConst, min, mod, mul, of, sub, sym } from '../../../src/types/ix.ts'
import type { Epilogue } from './epilogue.ts'
import type { Left } from './prologue.ts'
import { below, bound, flatten, forLoop, serial } from './kit.ts'
import type { Flat } from './kit.ts'

/**
 * What happens to one result: statements of a nest that are the same in all variants but for the row, column and value. A printer may
 * make them one function; `stmts` are the very objects in the nest.
 */
export interface Tail {
  readonly stmts: readonly Stmt[]
  readonly places: readonly Sym[]
  readonly value: Local
}
export interface Made {
  readonly nest: NestKernel
  readonly tail: Tail
}

/** A contraction with its axes flattened. */
export interface Product {
  readonly kernel: StageKernel
  readonly c: Contraction
  readonly epilogue: Epilogue
  readonly batch: Flat
  readonly rows: Flat
  readonly columns: Flat
  readonly depth: Flat
  /** What makes the left operand, where the kernel does so itself. `c.a` then reads no argument. */
  readonly left?: Left
}
export function productOf(kernel: StageKernel, c: Contraction, epilogue: Epilogue): Product {
  return {
    kernel,
    c,
    epilogue,
    batch: flatten(c.batch),
    rows: flatten(c.m),
    columns: flatten(c.n),
    depth: flatten(c.sum),
  }
}

const TILE = 64
export const SIDE = 16
const PER = TILE / SIDE

type Syms = ReadonlyMap<Sym, Ix>
const join = (...maps: readonly Syms[]): Syms => new Map(maps.flatMap((m) => [...m]))
const accumulator = (p: Product): Expr['of'] => (p.c.stage.body.k === 'reduce' ? p.c.stage.body.e.of : p.c.stage.out.of)
const operand = (p: Product, e: LoadExpr, syms: Syms): Expr => cast(accumulator(p), substituteExpr(e, syms))
const scaled = (p: Product, sum: Expr, syms: Syms): Expr =>
  cast(
    p.c.stage.out.of,
    p.c.scale.reduce((x, s) => bin('mul', x, substituteExpr(s, syms)), sum),
  )
/** The end of a result's way: `value` is the whole sum. */
function tailOf(p: Product, batch: Sym | undefined, row: Sym, column: Sym, syms: Syms, value: Local): Tail {
  return {
    stmts: p.epilogue(syms, scaled(p, local(value), syms)),
    places: [...(batch ? [batch] : []), row, column],
    value,
  }
}
const zero = (p: Product): Expr => constant(0, accumulator(p))

/** The workgroups: one per tile of columns, rows, and batch element. */
interface Grid {
  readonly x: Ix
  readonly y: Ix
  readonly batch: Syms
  readonly batchSym: Sym | undefined
  readonly wrap: (body: readonly Stmt[]) => readonly Stmt[]
}
function gridOf(p: Product, rowsPer: number, columnsPer: number): Grid {
  const x = loopSymbol('tile_n', ceilDiv(p.columns.count, columnsPer))
  const y = loopSymbol('tile_m', ceilDiv(p.rows.count, rowsPer))
  const z = loopSymbol('batch', p.batch.count)
  const batched = p.c.batch.length > 0
  // A grid axis of one workgroup is none, but for the last.
  const planes = (
    [
      ['grid.x', x],
      ['grid.y', y],
    ] as const
  ).filter(([, v], i) => !isUnit(v) || (i === 0 && isUnit(y) && !batched))
  const loops = [...planes, ...(batched ? ([['grid.z', z]] as const) : [])]
  const at = (v: Sym): Ix => (isUnit(v) ? con(0) : of(v))
  return {
    x: at(x), y: at(y),
    batch: batched ? p.batch.at(z) : new Map(),
    batchSym: batched ? z : undefined,
    wrap: (body) => loops.reduce<readonly Stmt[]>((b, [kind, v]) => [forLoop(kind, v, b)], body),
  } // prettier-ignore
}

export function tiled(p: Product): Made {
  const g = gridOf(p, TILE, TILE)
  const type = accumulator(p)
  const [lx, ly] = [loopSymbol('lx', SIDE), loopSymbol('ly', SIDE)]
  const depth = p.depth.count
  const whole = isConst(mod(depth, SIDE)) === 0
  const k0 = sym('k0', { lo: 0, hi: sub(depth, whole ? SIDE : 1), role: 'loop', multipleOf: SIDE })
  // One column more than needed, so that threads of different rows do not meet in one memory bank.
  const a = newBuffer('tile_a', type, 'workgroup', [con(TILE), con(SIDE + 1)])
  const b = newBuffer('tile_b', type, 'workgroup', [con(SIDE), con(TILE + 1)])

  const copy = (
    e: LoadExpr,
    axis: Flat,
    first: Ix,
    own: readonly Sym[],
    put: (line: Ix, k: Ix, e: Expr) => Stmt,
  ): Stmt => {
    const u = loopSymbol('u', PER)
    const alongK = isUnitStride(e, p.c.sum) || !isUnitStride(e, own)
    // Neighbouring threads read neighbouring elements.
    const line = add(alongK ? ly : lx, mul(SIDE, of(u)))
    const k = of(alongK ? lx : ly)
    const at = bound(own === p.c.m ? 'row' : 'column', clamp(add(first, line), axis.count, TILE), axis.count)
    const deep = bound('ki', whole ? add(k0, k) : min(add(k0, k), sub(depth, 1)), depth)
    const value = operand(p, e, join(g.batch, axis.at(at.v), p.depth.at(deep.v)))
    return serial(u, [at.stmt, deep.stmt, put(line, k, value)])
  }
  const copies = [
    copy(p.c.a, p.rows, mul(TILE, g.y), p.c.m, (m, k, e) => ({ k: 'store', buf: a, at: [m, k], e })),
    copy(p.c.b, p.columns, mul(TILE, g.x), p.c.n, (n, k, e) => ({ k: 'store', buf: b, at: [k, n], e })),
  ]

  // Loops of constant length over a private array: every driver unrolls them into registers.
  const acc = newBuffer('acc', type, 'private', [con(PER), con(PER)])
  const square = (each: (r: Sym, c: Sym) => readonly Stmt[], before: (r: Sym) => readonly Stmt[] = () => []): Stmt => {
    const [r, c] = [loopSymbol('r', PER), loopSymbol('c', PER)]
    return serial(r, [...before(r), serial(c, each(r, c))])
  }
  const k = loopSymbol('ki', SIDE)
  const left = newLocal('a', type)
  const step = square(
    (r, c) => {
      const product = bin('mul', local(left), load(b, [of(k), add(lx, mul(SIDE, of(c)))]))
      return [{ k: 'store', buf: acc, at: [of(r), of(c)], e: bin('add', load(acc, [of(r), of(c)]), product) }]
    },
    (r) => [{ k: 'let', v: left, e: load(a, [add(ly, mul(SIDE, of(r))), of(k)]) }],
  )
  const inner = { ...forLoop('serial', k, [step], 0, whole ? SIDE : min(SIDE, sub(depth, k0))), reduces: true }
  const slices: Stmt = {
    ...forLoop('serial', k0, [...copies, { k: 'barrier' }, inner, { k: 'barrier' }], 0, depth, SIDE),
    reduces: true,
  }

  const [r, c] = [loopSymbol('r', PER), loopSymbol('c', PER)]
  const row = bound('row', add(mul(TILE, g.y), ly, mul(SIDE, of(r))), mul(TILE, ceilDiv(p.rows.count, TILE)))
  const column = bound('column', add(mul(TILE, g.x), lx, mul(SIDE, of(c))), mul(TILE, ceilDiv(p.columns.count, TILE)))
  const syms = join(g.batch, p.rows.at(row.v), p.columns.at(column.v))
  const sum = newLocal('sum', type)
  const tail = tailOf(p, g.batchSym, row.v, column.v, syms, sum)
  const store: Stmt[] = [{ k: 'let', v: sum, e: load(acc, [of(r), of(c)]) }, ...tail.stmts]
  const results = serial(r, [
    row.stmt,
    ...below(of(row.v), p.rows.count, [serial(c, [column.stmt, ...below(of(column.v), p.columns.count, store)])]),
  ])
  const zeros = square((r, c) => [{ k: 'store', buf: acc, at: [of(r), of(c)], e: zero(p) }])
  const thread: Stmt[] = [{ k: 'alloc', buf: acc }, zeros, slices, results]
  const threads = forLoop('local.y', ly, [forLoop('local.x', lx, thread)])
  return { nest: { ...p.kernel, body: g.wrap([{ k: 'alloc', buf: a }, { k: 'alloc', buf: b }, threads]) }, tail }
}

/** Rows at a time that `few` can keep in workgroup memory, at most `wanted`, where it makes them itself. */
export function rowsKept(left: Left, wanted: number): number {
  const [columns, slices] = FEW_THREADS
  const rest = 16384 - left.scratch(columns * slices)
  return Math.max(1, Math.min(wanted, Math.floor(rest / (4 * (left.length + columns * slices)))))
}
/** Columns of a workgroup of `few`, and slices of k. */
const FEW_THREADS = [32, 8] as const

export function few(p: Product, rows: number): Made {
  const [columns, slices] = FEW_THREADS
  const g = gridOf(p, rows, columns)
  const type = accumulator(p)
  const [lx, ly] = [loopSymbol('lx', columns), loopSymbol('ly', slices)]
  const column = bound('column', clamp(add(mul(columns, g.x), lx), p.columns.count, columns), p.columns.count)
  const row = range(rows).map((i) =>
    bound(rows === 1 ? 'row' : `row${i}`, clamp(add(mul(rows, g.y), i), p.rows.count, rows), p.rows.count),
  )
  const sums = row.map((_, i) => newLocal(rows === 1 ? 'acc' : `acc${i}`, type))
  const k = loopSymbol('ki', p.depth.count)
  const weight = newLocal('b', type)
  const first = mul(rows, g.y)
  const threads = columns * slices
  const lane = bound('lane', add(lx, mul(columns, ly)), threads)
  const made = p.left?.make({ rows, first, tile: g.x, lane: lane.v, threads })
  const a = made?.a ?? p.c.a
  const step: Stmt[] = [
    { k: 'let', v: weight, e: operand(p, p.c.b, join(g.batch, p.columns.at(column.v), p.depth.at(k))) },
    ...sums.map((v, r): Stmt => {
      const x = operand(p, a, join(g.batch, p.rows.at(row[r].v), p.depth.at(k)))
      return { k: 'assign', v, e: bin('add', local(v), bin('mul', x, local(weight))) }
    }),
  ]
  const partial = newBuffer('partial', type, 'workgroup', [con(rows), con(slices), con(columns)])
  const total = newLocal('sum', type)
  const s = loopSymbol('s', slices)
  // The threads of the first slice finish the results.
  const r = loopSymbol('r', rows)
  const at = rows === 1 ? con(0) : of(r)
  const last = bound('row', add(mul(rows, g.y), at), mul(rows, ceilDiv(p.rows.count, rows)))
  const out = bound('column', add(mul(columns, g.x), lx), mul(columns, ceilDiv(p.columns.count, columns)))
  const syms = join(g.batch, p.rows.at(last.v), p.columns.at(out.v))
  const tail = tailOf(p, g.batchSym, last.v, out.v, syms, total)
  const finish: Stmt[] = [
    { k: 'var', v: total, e: zero(p) },
    {
      ...serial(s, [{ k: 'assign', v: total, e: bin('add', local(total), load(partial, [at, of(s), of(lx)])) }]),
      reduces: true,
    },
    ...tail.stmts,
  ]
  const each = [last.stmt, ...below(of(last.v), p.rows.count, finish)]
  const thread: Stmt[] = [
    ...(made ? [lane.stmt, ...made.stmts] : []),
    column.stmt,
    ...row.map((x) => x.stmt),
    ...sums.map((v): Stmt => ({ k: 'var', v, e: zero(p) })),
    { ...forLoop('serial', k, step, of(ly), p.depth.count, slices), reduces: true },
    ...sums.map((v, r): Stmt => ({ k: 'store', buf: partial, at: [con(r), of(ly), of(lx)], e: local(v) })),
    { k: 'barrier' },
    {
      k: 'if',
      c: bin('eq', index(of(ly)), constant(0, 'i32')),
      body: [out.stmt, ...below(of(out.v), p.columns.count, rows === 1 ? each : [serial(r, each)])],
    },
  ]
  const band = forLoop('local.y', ly, [forLoop('local.x', lx, thread)])
  return { nest: { ...p.kernel, body: g.wrap([{ k: 'alloc', buf: partial }, ...(made?.allocs ?? []), band]) }, tail }
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** `x`, or the last valid index; as it is where tiles of `tile` fit evenly. */
const clamp = (x: Ix, count: Ix, tile: number): Ix => (isConst(mod(count, tile)) === 0 ? x : min(x, sub(count, 1)))

/** Whether the innermost of the axes moves through storage one element at a time. */
function isUnitStride(e: LoadExpr, axes: readonly Sym[]): boolean {
  const last = axes[axes.length - 1]
  return last !== undefined && coefficientOf(offsetOf(e.buf, e.at), last)?.coef === con(1)
}
