/**
 * `matvec`: for few rows, where reading b is all the work. A workgroup makes a few columns of 1 or 4 rows; k is split over its threads, each element
 * of b is read once, in vectors, by neighbouring threads side by side, four loads at a time under way in each.
 *
 * b[k, n] with n innermost: a thread walks rows of b, in one vector of columns; partial sums meet in workgroup memory. The fewer columns there are,
 * the fewer a workgroup has, so that there are workgroups enough: at least 96 where there are 768 columns.
 * b[n, k] with k innermost: the threads of a workgroup walk k side by side, each in the same four rows of b.
 */
import { conjunction } from '../../../src/kernel/bounds.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { bin, constant, index, load, local, newLocal } from '../../../src/kernel/expr.ts'
import type { For, Stmt } from '../../../src/kernel/nest.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, ceilDiv, con, floorDiv, min, mod, mul, of, sub } from '../../../src/types/ix.ts'
import type { Grid, Made, Product, Side, Syms, Tail } from './contraction.ts'
import {
  accumulator,
  callTail,
  clamp,
  fourDeep,
  gridOf,
  join,
  operand,
  range,
  sidesOf,
  vectorsOf,
} from './contraction.ts'
import { foursAtOnce, inFours, newSums, startAt, walkOf, walksDepth } from './depth.ts'
import type { Scratch } from './kit.ts'
import { allocations, below, bound, foldThreads, forLoop, newScratch, serial } from './kit.ts'

const THREADS = 128

/** `rows` at a time, at most 4. */
export const matvec = (p: Product, tail: Tail, rows: number): Made =>
  walksDepth(p) ? alongDepth(p, tail, rows) : alongColumns(p, tail, rows)

/** The rows of a workgroup, clamped. */
function rowsOf(p: Product, g: Grid, rows: number): readonly { stmt: Stmt; at: Syms }[] {
  const number = (i: number): string => (rows === 1 ? '' : String(i))
  return range(rows).map((i) => {
    const { v, stmt } = bound(`row${number(i)}`, clamp(add(mul(rows, g.y), i), p.rows.count), p.rows.count)
    return { stmt, at: join(g.batch, p.rows.at(v)) }
  })
}

/** The columns of the side with a number. */
function sideOf(p: Product, i: Ix): Side {
  const sides = sidesOf(p)
  if (sides.length === 1) return sides[0]
  const [n] = p.c.n
  return (column) => {
    const [first, ...rest] = sides.map((at) => at(column).get(n)!)
    // A distance for each side that is reached.
    const steps = rest.map((x, s) => mul(min(1, floorDiv(i, s + 1)), sub(x, s === 0 ? first : rest[s - 1])))
    return new Map([[n, add(first, ...steps)]])
  }
}

/** What the workgroup does first, and the left operand of its rows: read, or made by the workgroup itself. */
interface LeftRows {
  readonly allocs: readonly Stmt[]
  readonly stmts: readonly Stmt[]
  /** Of the ith row, four elements or one. */
  readonly at: (i: number, k: Ix) => Expr
}
function leftRows(p: Product, g: Grid, each: readonly { readonly at: Syms }[], lane: Sym, threads: number): LeftRows {
  const rows = each.length
  const first = mul(rows, g.y)
  const made = p.left?.make({ rows, first, tile: g.x, lane, threads })
  const a = made?.a ?? p.c.a
  return {
    allocs: made?.allocs ?? [],
    stmts: made?.stmts ?? [],
    at: (i, k) => (inFours(p) ? fourDeep(p, a, each[i].at, k, false) : operand(p, a, join(each[i].at, p.depth.at(k)))),
  }
}

/** Vectors of columns that a workgroup has side by side, and slices of k. */
function shapeOf(p: Product): { readonly vectors: number; readonly slices: number } {
  const columns = p.known.columns ?? Infinity
  const wide = columns >= 8192 ? 8 : columns >= 2048 ? 4 : 2
  // Two of each side: whole sectors of memory.
  const vectors = p.sides ? p.sides.length * Math.max(2, Math.floor(wide / p.sides.length)) : wide
  const each = walksDepth(p) ? 4 : 4 * foursAtOnce(p)
  const most = 2 ** Math.floor(Math.log2(THREADS / vectors))
  // At least one slice for each row.
  return { vectors, slices: Math.max(4, atMost(most, Math.ceil((p.known.depth ?? Infinity) / each))) }
}
const threadsAlongDepth = (p: Product): number => Math.max(8, atMost(64, Math.ceil((p.known.depth ?? Infinity) / 4)))

/** Rows at a time, at most `wanted`, whose partial sums and, where the kernel makes them itself, elements fit into workgroup memory. */
export function rowsKept(p: Product, wanted: number): number {
  const { vectors, slices } = shapeOf(p)
  const threads = walksDepth(p) ? threadsAlongDepth(p) : vectors * slices
  const rest = 16384 - (p.left?.scratch(threads) ?? 0) - (walksDepth(p) ? 32 * threads : 0)
  const each = 4 * (p.left?.length ?? 0) + (walksDepth(p) ? 0 : 16 * threads)
  return each === 0 ? wanted : Math.max(1, Math.min(wanted, Math.floor(rest / each)))
}

function alongColumns(p: Product, tail: Tail, rows: number): Made {
  const { vectors, slices } = shapeOf(p)
  const sides = sidesOf(p)
  // The threads of a slice, side after side.
  const per = vectors / sides.length
  const g = gridOf(p, rows, per)
  const type = accumulator(p)
  const [lx, ly] = [loopSymbol('lx', vectors), loopSymbol('ly', slices)]
  const own = add(mul(per, g.x), mod(lx, per))
  const column4 = bound('column4', clamp(own, vectorsOf(p)), vectorsOf(p))
  const each = rowsOf(p, g, rows)
  const thread = bound('lane', add(lx, mul(vectors, ly)), vectors * slices)
  const left = leftRows(p, g, each, thread.v, vectors * slices)
  const sums = newSums(p, rows, 1)
  const columns = [{ column4: of(column4.v), side: sideOf(p, floorDiv(lx, per)) }]
  const walk = walkOf(p, { batch: g.batch, columns, sums, left: left.at }, of(ly), slices)

  // Partial sums in two levels: some threads of each column add every so-manieth, the last those.
  const partial = newBuffer('partial', type, 'workgroup', [con(rows), con(slices), con(vectors), con(4)])
  const cell = (r: Ix, s: Ix, x: Ix): Expr => load(partial, [r, s, x, con(0)], { lanes: 4, axis: 3 })
  const put = (r: Ix, s: Ix, e: Expr): Stmt => ({ k: 'store', buf: partial, at: [r, s, of(lx), con(0)], e, axis: 3 })
  const parts = 2 ** Math.floor(Math.log2(slices) / 2)
  const level = (name: string, r: Ix, start: Ix, count: number, apart: number, x = of(lx)): { v: Local; stmts: Stmt[] } => {
    const v = newLocal(name, type, 4)
    const s = loopSymbol('s', count)
    const next: Stmt = { k: 'assign', v, e: bin('add', local(v), cell(r, add(start, mul(apart, s)), x)) }
    const rest: For = { ...forLoop('serial', s, [next], 1), reduces: true }
    return { v, stmts: [{ k: 'var', v, e: cell(r, start, x) }, ...(count > 1 ? [rest] : [])] }
  } // prettier-ignore
  const r = loopSymbol('r', rows)
  const row = rows === 1 ? con(0) : of(r)
  const piece = level('piece', row, of(ly), slices / parts, parts)
  const first: Stmt[] = [...piece.stmts, put(row, of(ly), local(piece.v))]
  const inPieces: Stmt[] =
    slices === parts ? [] : [...below(of(ly), con(parts), rows === 1 ? first : [serial(r, first)]), { k: 'barrier' }]
  // The threads of the first slices finish a row each, those of the first side for all.
  const total = sides.map((_, i) =>
    level(sides.length === 1 ? 'sums' : `sums${i}`, rows === 1 ? con(0) : of(ly), con(0), parts, 1, add(lx, i * per)),
  )
  const last = rows === 1 ? g.y : add(mul(rows, g.y), ly)
  const out = bound('out4', add(mul(per, g.x), lx), mul(per, ceilDiv(vectorsOf(p), per)))
  const call = callTail(tail, [...g.place, last, of(out.v)], ...total.map((t) => local(t.v)))
  const store = [...total.flatMap((t) => t.stmts), ...call.stmts]
  const finish = [out.stmt, ...below(of(out.v), vectorsOf(p), below(last, p.rows.count, store))]
  const finishing = [
    rows === 1 ? bin('eq', index(of(ly)), index(con(0))) : bin('lt', index(of(ly)), index(con(rows))),
    ...(sides.length === 1 ? [] : [bin('lt', index(of(lx)), index(con(per)))]),
  ]
  const body: Stmt[] = [
    ...(p.left ? [thread.stmt] : []),
    ...left.stmts,
    column4.stmt,
    ...each.map((x) => x.stmt),
    ...startAt(sums),
    walk,
    ...sums.map(([sum], i) => put(con(i), of(ly), local(sum))),
    { k: 'barrier' },
    ...inPieces,
    { k: 'if', c: conjunction(finishing)!, body: finish },
  ]
  const threads = forLoop('local.y', ly, [forLoop('local.x', lx, body)])
  return { nest: { ...p.kernel, body: g.wrap([{ k: 'alloc', buf: partial }, ...left.allocs, threads]) }, calls: [call] }
}

/** Variants of a kernel fold in the same memory, by the same function. */
const scratches = new WeakMap<Tail, Scratch>()
function scratchOf(tail: Tail, threads: number): Scratch {
  const made = scratches.get(tail) ?? newScratch(threads)
  scratches.set(tail, made)
  return made
}

function alongDepth(p: Product, tail: Tail, rows: number): Made {
  // A workgroup that makes its rows itself uses them for several vectors of columns, where there are workgroups enough.
  const per = p.left
    ? Math.max(1, Math.min(8, 2 ** Math.floor(Math.log2((p.known.columns ?? Infinity) / (256 * sidesOf(p).length)))))
    : 1
  const g = gridOf(p, rows, per)
  const threads = threadsAlongDepth(p)
  const thread = loopSymbol('lane', threads)
  const each = rowsOf(p, g, rows)
  const v = loopSymbol('v', per)
  const column4 = bound('column4', add(mul(per, g.x), v), mul(per, ceilDiv(vectorsOf(p), per)))
  const own = per === 1 ? g.x : of(column4.v)
  const left = leftRows(p, g, each, thread, threads)
  const sides = sidesOf(p)
  const sums = newSums(p, rows, sides.length)
  const columns = sides.map((side) => ({ column4: own, side }))
  const walk = walkOf(p, { batch: g.batch, columns, sums, left: left.at }, of(thread), threads)
  const scratch = scratchOf(tail, threads)
  const folds = sums.map((row) => row.map((sum) => foldThreads(scratch, thread, 'add', local(sum), 'sums')))
  const calls = folds.map((f, i) => {
    const row = add(mul(rows, g.y), i)
    return { row, call: callTail(tail, [...g.place, row, own], ...f.map((x) => x.result)) }
  })
  const finish = calls.flatMap(({ row, call }) => below(row, p.rows.count, call.stmts))
  const four: Stmt[] = [
    ...startAt(sums),
    walk,
    ...folds.flat().flatMap((f) => f.stmts),
    { k: 'if', c: bin('eq', index(of(thread)), constant(0, 'i32')), body: finish },
  ]
  const all = per === 1 ? four : [serial(v, [column4.stmt, ...below(own, vectorsOf(p), four)])]
  const body = forLoop('local.x', thread, [...left.stmts, ...each.map((x) => x.stmt), ...all])
  const nest = { ...p.kernel, body: g.wrap([...allocations(scratch), ...left.allocs, body]) }
  return { nest, calls: calls.map((c) => c.call) }
}

/** `most`, or the least power of two that is no less than `wanted`. */
const atMost = (most: number, wanted: number): number => Math.min(most, 2 ** Math.ceil(Math.log2(wanted)))
