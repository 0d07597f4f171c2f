/**
 * Contractions out[m, n] = sum over k of a[m, k] * b[k, n], with any number of axes in each place, and pointwise stages after them: what the
 * recipes `tiled` and `matvec` share. Threads hold sums of four neighbouring columns as vectors; loads are clamped to the last row, column
 * and k, stores are guarded.
 */
import { offsetOf, termIx } from '../../../src/kernel/address.ts'
import { asNonNegative, conjunction, conjuncts } from '../../../src/kernel/bounds.ts'
import type { Layout } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { ColumnSets } from '../../../src/kernel/columns.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { bin, cast, constant, index, load, local, newLocal, select, splat, vec } from '../../../src/kernel/expr.ts'
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import { IllegalSchedule, lanes } from '../../../src/kernel/schedule/index.ts'
import { exprsOfStage } from '../../../src/kernel/rows.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { Contraction, LoadExpr } from '../../../src/kernel/structure.ts'
import { copier, isUnit, loadsOf, loopSymbol, substituteExpr } from '../../../src/kernel/walk.ts'
import type { Ix, IxLike, Sym } from '../../../src/types/ix.ts'
import {
  add,
  ceilDiv,
  coefficientOf,
  con,
  floorDiv,
  isConst,
  min,
  mod,
  mul,
  of,
  proveLe,
  sub,
  substitute,
  sym,
} from '../../../src/types/ix.ts'
import type { Epilogue } from './epilogue.ts'
import { epilogueOfSets } from './epilogue.ts'
import { below, flatten, forLoop } from './kit.ts'
import type { Flat } from './kit.ts'
import type { Left } from './prologue.ts'

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
  /** The numbers of columns and of summands, where they are known. */
  readonly known: { readonly columns: number | undefined; readonly depth: number | undefined }
  /** Whether there is storage behind the last column, up to whole vectors. */
  readonly padded?: boolean
  /** Where results need several columns at once: `columns` are sets of them then, and these the columns of a set. */
  readonly sides?: readonly Side[]
}
/** A column to sum for one of `columns`. */
export type Side = (column: Ix) => Syms
export const sidesOf = (p: Product): readonly Side[] => p.sides ?? [p.columns.at]

/** A contraction whose results need sets of columns. */
export function productOfSets(kernel: StageKernel, c: Contraction, sets: ColumnSets): Product {
  const [batch, rows, depth] = [c.batch, c.m, c.sum].map(flatten)
  const known = { columns: sets.count * sets.columns.length, depth: isConst(depth.count) }
  const columns: Flat = { count: con(sets.count), at: (i) => new Map([[sets.set, of(i)]]) }
  const sides = sets.columns.map(
    (x) =>
      (set: Ix): Syms =>
        new Map([[c.n[0], substitute(x, new Map([[sets.set, set]]))]]),
  )
  return { kernel, c, epilogue: epilogueOfSets(sets), batch, rows, columns, depth, known, sides }
}

export function productOf(kernel: StageKernel, c: Contraction, epilogue: Epilogue): Product {
  const [batch, rows, columns, depth] = [c.batch, c.m, c.n, c.sum].map(flatten)
  const known = { columns: isConst(columns.count), depth: isConst(depth.count) }
  return withPadding({ kernel, c, epilogue, batch, rows, columns, depth, known })
}

/** The right operand as wide as its storage, where weights are kept with padding: vectors of columns are then never taken apart. */
function withPadding(p: Product): Product {
  const { b, n } = p.c
  const { layout } = b.buf
  const axis = b.at.findIndex((x) => n.length === 1 && x === of(n[0]))
  const reads = p.kernel.stages.flatMap(exprsOfStage).flatMap(loadsOf)
  if (layout?.kept?.stride === undefined || axis < 0 || reads.filter((l) => l.buf === b.buf).length !== 1) return p
  const stride = isConst(layout.kept.stride)!
  if (stride === p.known.columns) return p
  const column = sym(layout.axes[axis].name, { lo: 0, hi: stride - 1, role: 'loop' })
  const wide: Layout = {
    ...layout,
    axes: layout.axes.with(axis, column),
    offset: substitute(layout.offset, new Map([[layout.axes[axis], of(column)]])),
  }
  const { name, of: type, shape } = b.buf
  const buf = newBuffer(name, type, 'global', shape.with(axis, con(stride)), wide)
  const args = p.kernel.args.map((a) => (a.buffer === b.buf ? { ...a, buffer: buf } : a))
  return { ...p, kernel: { ...p.kernel, args }, c: { ...p.c, b: load(buf, b.at) as LoadExpr }, padded: true }
}

export type Syms = ReadonlyMap<Sym, Ix>
export const join = (...maps: readonly Syms[]): Syms => new Map(maps.flatMap((m) => [...m]))
export const accumulator = (p: Product): Expr['of'] =>
  p.c.stage.body.k === 'reduce' ? p.c.stage.body.e.of : p.c.stage.out.of
export const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

/** The number of vectors of four columns in a row of results. */
export const vectorsOf = (p: Product): Ix => ceilDiv(p.columns.count, 4)

// ---- results ----

/**
 * What becomes of four sums, or of four of each side: the same in all variants of a kernel but for the place and values, so that it is printed as one
 * function. `stmts` are in terms of `places` (batch element if there are any, row, vector of columns) and `values`.
 */
export interface Tail {
  readonly places: readonly Sym[]
  readonly values: readonly Local[]
  readonly stmts: readonly Stmt[]
}
/** Where a nest does that: `stmts` are the very objects in the nest. */
export interface TailCall {
  readonly stmts: readonly Stmt[]
  readonly places: readonly Ix[]
  readonly values: readonly Expr[]
}

export function tailOf(p: Product): Tail {
  const type = accumulator(p)
  const places = [
    ...(p.c.batch.length > 0 ? [loopSymbol('batch', p.batch.count)] : []),
    loopSymbol('row', p.rows.count),
    loopSymbol('column4', vectorsOf(p)),
  ]
  const [row, column4] = places.slice(-2)
  const at = (c: Ix): Syms =>
    join(
      p.c.batch.length > 0 ? p.batch.at(places[0]) : new Map(),
      p.rows.at(row),
      p.columns.at(add(mul(4, column4), c)),
    )
  const sides = sidesOf(p)
  const number = (i: number): string => (sides.length === 1 ? '' : String(i))
  const values = sides.map((_, i) => newLocal(`sums${number(i)}`, type, 4))
  const sums = sides.map((_, i) => newBuffer(`each${number(i)}`, type, 'private', [con(4)]))
  const c = loopSymbol('c', 4)
  const each = sides.map((_, i) => newLocal(`sum${number(i)}`, type))
  const own = add(mul(4, column4), c)
  const here = at(of(c))
  const given = sides.map((side, i) => scaled(p, local(each[i]), join(here, side(own))))
  const one: Stmt[] = [
    ...each.map((v, i): Stmt => ({ k: 'let', v, e: load(sums[i], [of(c)]) })),
    ...p.epilogue(here, given),
  ]
  if (isConst(mod(p.columns.count, 4)) === 0) {
    try {
      const loops = [...places].reverse().reduce<Stmt>((s, v) => forLoop('serial', v, [s]), forLoop('serial', c, one))
      const stmts = innermost(lanes({ ...p.kernel, body: [loops] }, c).body, places.length)
      const [first, rest] = [stmts.slice(0, each.length), stmts.slice(each.length)]
      // Stores of some lanes only are not known to be in range.
      if (!rest.some(isMask))
        return { places, values: first.map((s) => (s as Stmt & { k: 'let' }).v), stmts: rest.map(plainly) }
    } catch (e) {
      if (!(e instanceof IllegalSchedule)) throw e
    }
  }
  const parts = values.flatMap((v, i): Stmt[] => [
    { k: 'alloc', buf: sums[i] },
    { k: 'store', buf: sums[i], at: [con(0)], e: local(v), axis: 0 },
  ])
  return { places, values, stmts: [...parts, forLoop('serial', c, below(own, p.columns.count, one))] }
}
/** `4 * column4 < 768` as `column4 < 192`. */
function plainly(s: Stmt): Stmt {
  if (s.k !== 'if') return s
  const c = conjuncts(s.c).map((e) => {
    const d = asNonNegative(e)
    if (d === undefined || d.terms.some((t) => t.atoms.length > 0 && t.coef % 4 !== 0)) return e
    const y = floorDiv(d, 4)
    const side = (sign: number): Ix =>
      y.terms.filter((t) => Math.sign(t.coef) === sign).reduce<Ix>((x, t) => add(x, mul(sign, termIx(t))), con(0))
    const [less, more] = [side(-1), side(1)]
    return isConst(more) === undefined
      ? bin('le', index(less), index(more))
      : bin('lt', index(less), index(add(more, 1)))
  })
  return { ...s, c: conjunction(c)!, body: s.body.map(plainly) }
}
const isMask = (s: Stmt): boolean => (s.k === 'let' && s.v.of === 'bool') || (s.k === 'if' && s.body.some(isMask))
const innermost = (body: readonly Stmt[], depth: number): readonly Stmt[] =>
  depth === 0 || body[0].k !== 'for' ? body : innermost(body[0].body, depth - 1)

/** The sum with the factors that no reduction axis occurs in. */
const scaled = (p: Product, sum: Expr, syms: Syms): Expr =>
  cast(
    p.c.stage.out.of,
    p.c.scale.reduce((x, s) => bin('mul', x, substituteExpr(s, syms)), sum),
  )

/** The tail at a place, for a nest. */
export function callTail(tail: Tail, places: readonly Ix[], ...values: readonly Expr[]): TailCall {
  const copy = copier(new Map(tail.places.map((v, i) => [v, places[i]])))
  const given = values.map((e, i): Stmt => ({ k: 'let', v: tail.values[i], e }))
  return { stmts: [...given, ...tail.stmts].map(copy.stmt), places, values }
}

export interface Made {
  readonly nest: NestKernel
  readonly calls: readonly TailCall[]
}

// ---- operands ----

/** One element of an operand. */
export const operand = (p: Product, e: LoadExpr, syms: Syms): Expr => cast(accumulator(p), substituteExpr(e, syms))

/** Four elements of an operand as a vector: one load where they lie side by side. */
export function four(p: Product, e: LoadExpr, at: (i: number) => Syms): Expr {
  const loads = range(4).map((i) => substituteExpr(e, at(i)) as LoadExpr)
  const [first] = loads
  const axis = first.at.findIndex((x, d) => isConst(sub(loads[1].at[d], x)) === 1)
  const neighbours = loads.every(
    (l, i) =>
      l.at.every((x, d) => isConst(sub(x, first.at[d])) === (d === axis ? i : 0)) &&
      isConst(sub(offsetOf(l.buf, l.at), offsetOf(first.buf, first.at))) === i,
  )
  const value = axis >= 0 && neighbours ? load(first.buf, first.at, { lanes: 4, axis }) : vec(loads)
  return cast(accumulator(p), value)
}

/** Whether the innermost of the axes moves through storage one element at a time. */
export function isUnitStride(e: LoadExpr, axes: readonly Sym[]): boolean {
  const last = axes[axes.length - 1]
  return last !== undefined && coefficientOf(offsetOf(e.buf, e.at), last)?.coef === con(1)
}

/** `x`, or the last valid index, where it may be beyond. */
export const clamp = (x: Ix, count: Ix): Ix => (proveLe(add(x, 1), count) ? x : min(x, sub(count, 1)))

/** Elements 4 * k4 … 4 * k4 + 3 along the summed axes; zeros beyond the last where `ends`. */
export function fourDeep(p: Product, e: LoadExpr, at: Syms, k4: Ix, ends: boolean): Expr {
  const { count } = p.depth
  const first = mul(4, k4)
  const zero = constant(0, accumulator(p))
  if (isConst(mod(count, 4)) !== 0) {
    const one = (k: Ix): Expr => operand(p, e, join(at, p.depth.at(clamp(k, count))))
    return vec(
      range(4).map((i) => {
        const k = add(first, i)
        return ends ? select(bin('lt', index(k), index(count)), one(k), zero) : one(k)
      }),
    )
  }
  const within = clamp(k4, ceilDiv(count, 4))
  const value = four(p, e, (i) => join(at, p.depth.at(add(mul(4, within), i))))
  return ends && within !== k4 ? select(bin('lt', index(first), index(count)), value, splat(zero, 4)) : value
}

/** Whether vectors of four along the summed axes lie in storage as such, at whole vectors. */
export function liesDeep(p: Product, e: LoadExpr, axes: readonly Sym[]): boolean {
  if (isConst(mod(p.depth.count, 4)) !== 0 || !isUnitStride(e, p.c.sum) || isUnitStride(e, axes)) return false
  const k4 = loopSymbol('k4', ceilDiv(p.depth.count, 4))
  const value = fourDeep(p, e, new Map(), of(k4), false)
  return value.k === 'load' && value.lanes === 4 && isConst(mod(offsetOf(value.buf, value.at), 4)) === 0
}

/** Element `k` of the summed axes at columns 4 * column4 … 4 * column4 + 3. */
export const fourWide = (p: Product, batch: Syms, column4: Ix, k: Ix, side: Side = p.columns.at): Expr =>
  four(p, p.c.b, (i) => join(batch, side(clampColumn(p, column4, i)), p.depth.at(clamp(k, p.depth.count))))
/** A column that is not beyond the last, where `column4` is not. */
export const clampColumn = (p: Product, column4: Ix, i: number): Ix => {
  const column = add(mul(4, column4), i)
  return p.padded || isConst(mod(p.columns.count, 4)) === 0 ? column : clamp(column, p.columns.count)
}

/** `sum + a * b`, where `a` may be a scalar beside vectors. */
export const plusProduct = (sum: Local, a: Expr, b: Expr): Stmt => ({
  k: 'assign',
  v: sum,
  e: bin('add', local(sum), bin('mul', splat(a, sum.lanes), b)),
})

// ---- workgroups ----

/** The workgroups: one per tile of columns, rows, and batch element. */
export interface Grid {
  readonly x: Ix
  readonly y: Ix
  readonly batch: Syms
  /** The batch element, if there are any. */
  readonly place: readonly Ix[]
  readonly wrap: (body: readonly Stmt[]) => readonly Stmt[]
}
export function gridOf(p: Product, rowsPer: number, vectorsPer: IxLike): Grid {
  const x = loopSymbol('tile_n', ceilDiv(vectorsOf(p), vectorsPer))
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
    place: batched ? [of(z)] : [],
    wrap: (body) => loops.reduce<readonly Stmt[]>((b, [kind, v]) => [forLoop(kind, v, b)], body),
  } // prettier-ignore
}
