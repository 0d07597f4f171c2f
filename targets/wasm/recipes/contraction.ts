/**
 * The register tile of a contraction. Threads share panels of 16 columns. For each panel, rows go by in pairs: 2 × 16 sums in eight vectors, one
 * loop over k, then the epilogue over the tile in plain loops, four columns at a time; a row that is left over is a tile of one row, and so is
 * the matrix-vector product. Where the columns do not lie side by side but k does, vectors run along k, over 2 × 4 sums.
 * Measured in docs/decisions/0011-wasm-tiles.md.
 */
import { offsetOf } from '../../../src/kernel/address.ts'
import { arrange, naiveNest } from '../../../src/kernel/build.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { bin, index, load, local } from '../../../src/kernel/expr.ts'
import type { For, LoopKind, NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import { foldLanes, IllegalSchedule, jam, lanes } from '../../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { LoadExpr } from '../../../src/kernel/structure.ts'
import { contractionOf } from '../../../src/kernel/structure.ts'
import { copier, extentOf, findLoop, loopSymbol, mapExprs, mapper } from '../../../src/kernel/walk.ts'
import type { Ix, IxLike, Sym } from '../../../src/types/ix.ts'
import {
  add,
  ceilDiv,
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
import { delinearise, elements } from '../../../src/types/shape.ts'
import { PANEL } from '../panels.ts'

export interface TileOptions {
  /** Rows of a tile. */
  readonly rows: number
}

/** Rows that pass by all panels before the next ones do: their left operand stays in the cache. */
const BLOCK = 128
/** Panels that are enough to share among threads; of fewer, rows are shared too, so many at a time. */
const ENOUGH = 16
const SHARE = 32

type Rewrite = (nest: NestKernel) => NestKernel

/** Undefined where the nest has another form: several results per point, conditions on the sum, nothing that lies side by side. */
export function tiledContraction(kernel: StageKernel, options: TileOptions): NestKernel | undefined {
  const rows = arrange(kernel)
  const main = rows.stages.find((s) => s.stage.body.k === 'reduce')
  const c = main && contractionOf(main.stage)
  if (main === undefined || c === undefined || rows.stages.some((s) => s.inner.length > 0)) return undefined
  const loopOf = (v: Sym): Sym => rows.outer[main.rows.indexOf(v)]
  const naive = naiveNest(kernel)
  const [start, sums, ...rest] = findLoop(naive.body, rows.outer[rows.outer.length - 1]).body
  if (start?.k !== 'var' || start.v.of !== 'f32' || sums?.k !== 'for' || sums.reduces !== true) return undefined

  const column = c.n.find((v) => isBeside(c.b, v)) ?? c.n[c.n.length - 1]
  const along = isBeside(c.b, column) ? 'columns' : 'depth'
  if (along === 'depth' && !(isBeside(c.a, c.sum[c.sum.length - 1]) && isBeside(c.b, c.sum[c.sum.length - 1])))
    return undefined
  const row = c.m[c.m.length - 1]
  const plan: Plan = {
    naive,
    inside: { start, sums, rest },
    n: loopOf(column),
    m: row && loopOf(row),
    around: c.m.slice(0, -1).map(loopOf),
    shared: [...c.batch, ...c.n.filter((v) => v !== column)].map(loopOf),
    along,
    height: options.rows,
  }
  try {
    return build(plan)
  } catch (e) {
    if (e instanceof IllegalSchedule) return undefined
    throw e
  }
}

/** Whether neighbours along an axis, in blocks of four, are neighbours in storage. */
function isBeside(e: LoadExpr, v: Sym): boolean {
  const extent = isConst(extentOf(v))
  if (extent !== undefined && extent < 4) return false
  const q = sym(v.name, { lo: 0, hi: sub(v.hi, 3), role: 'loop', multipleOf: 4 })
  const at = (i: number): Ix => offsetOf(e.buf, e.at.map((x) => substitute(x, new Map([[v, add(q, i)]])))) // prettier-ignore
  return [1, 2, 3].every((i) => isConst(sub(at(i), at(0))) === i)
}

interface Plan {
  readonly naive: NestKernel
  readonly inside: { readonly start: Stmt & { k: 'var' }; readonly sums: For; readonly rest: readonly Stmt[] }
  /** Outer loops of the naive nest: of the columns, of the rows, of other rows, and of what threads share besides columns. */
  readonly n: Sym
  readonly m: Sym | undefined
  readonly around: readonly Sym[]
  readonly shared: readonly Sym[]
  /** What vectors run along. */
  readonly along: 'columns' | 'depth'
  readonly height: number
}

const serial = (v: Sym, lo: IxLike, hi: IxLike, step: number, body: readonly Stmt[], kind: LoopKind = 'serial'): For => ({ k: 'for', v, lo: of(lo), hi: of(hi), step, kind, body }) // prettier-ignore
/** A body where `a <= b`; nothing where that is never so, no condition where it always is. */
function where(a: Ix, b: Ix, body: () => readonly Stmt[]): readonly Stmt[] {
  if (proveLe(a, b)) return body()
  return proveLe(add(b, 1), a) ? [] : [{ k: 'if', c: bin('le', index(a), index(b)), body: body() }]
}

function build(p: Plan): NestKernel {
  const [N, M] = [extentOf(p.n), p.m === undefined ? con(1) : extentOf(p.m)]
  const panels = ceilDiv(N, PANEL)
  const outer = p.shared.map(extentOf)
  // A number that is not known cannot be taken apart again: then panels are a loop of their own.
  const apart = outer.length > 0 && isConst(panels) === undefined
  const shape = apart ? outer : [...outer, panels]
  const few = (isConst(elements(shape)) ?? ENOUGH) < ENOUGH && !proveLe(M, SHARE)
  const all = few ? [ceilDiv(M, SHARE), ...shape] : shape
  const g = loopSymbol(all.length === 1 && !apart ? 'panel' : 'part', elements(all))
  const at = delinearise(of(g), all)
  const parts = few ? at.slice(1) : at
  const syms = new Map(p.shared.map((v, i): [Sym, Ix] => [v, parts[i]]))
  const around = p.around.map((v) => ({ v, made: loopSymbol(v.name, extentOf(v)) }))
  for (const { v, made } of around) syms.set(v, of(made))

  const rewrites: Rewrite[] = []
  const rowsFrom = (lo: Ix, size: number): For => {
    const inner = loopSymbol('panel', panels)
    const panel = apart ? of(inner) : parts[p.shared.length]
    const body = around.reduceRight<readonly Stmt[]>(
      (body, { made }) => [serial(made, 0, extentOf(made), 1, body)],
      columnsOf(p, syms, panel, lo, size, rewrites),
    )
    return serial(g, 0, elements(all), 1, apart ? [serial(inner, 0, panels, 1, body)] : body, 'thread')
  }
  if (few) return rewritten(p, [rowsFrom(mul(SHARE, at[0]), SHARE)], rewrites)
  if (proveLe(M, BLOCK)) return rewritten(p, [rowsFrom(con(0), BLOCK)], rewrites)
  const block = sym('block', { lo: 0, hi: sub(M, 1), role: 'loop', multipleOf: BLOCK })
  return rewritten(p, [serial(block, 0, M, BLOCK, [rowsFrom(of(block), BLOCK)])], rewrites)
}

const rewritten = (p: Plan, body: readonly Stmt[], rewrites: readonly Rewrite[]): NestKernel =>
  rewrites.reduce((nest, rewrite) => rewrite(nest), { ...p.naive, body })

/** One panel: a whole one, or what is left at the end. */
function columnsOf(
  p: Plan,
  syms: ReadonlyMap<Sym, Ix>,
  panel: Ix,
  lo: Ix,
  size: number,
  rewrites: Rewrite[],
): readonly Stmt[] {
  const N = extentOf(p.n)
  const first = mul(PANEL, panel)
  const whole = (): readonly Stmt[] => rowsOf(p, syms, { first, width: con(PANEL) }, lo, size, rewrites)
  if (isConst(mod(N, PANEL)) === 0) return whole()
  const count = isConst(N)
  const full = floorDiv(N, PANEL)
  const left =
    count === undefined
      ? { first, width: min(PANEL, sub(N, first)) }
      : { first: con(PANEL * Math.floor(count / PANEL)), width: con(count % PANEL) }
  const part = (): readonly Stmt[] => rowsOf(p, syms, left, lo, size, rewrites)
  if (count !== undefined && count < PANEL) return part()
  return [...where(add(panel, 1), full, whole), ...where(full, panel, part)]
}

interface Columns {
  readonly first: Ix
  readonly width: Ix
}

/** The rows of a block in tiles: sums, then what follows them. */
function rowsOf(
  p: Plan,
  syms: ReadonlyMap<Sym, Ix>,
  columns: Columns,
  lo: Ix,
  size: number,
  rewrites: Rewrite[],
): readonly Stmt[] {
  const M = p.m === undefined ? con(1) : extentOf(p.m)
  const height = Math.min(p.height, isConst(M) ?? p.height)
  const tile = newBuffer('tile', p.inside.start.v.of, 'private', [con(height), con(PANEL)])
  const count = min(size, sub(M, lo))
  const i = sym(p.m?.name ?? 'm', { lo: 0, hi: sub(count, 1), role: 'loop', multipleOf: height })
  const one = isConst(count) === height
  const at = one ? lo : add(lo, i)
  const left = isConst(mod(M, height)) === 0 ? con(height) : min(height, sub(M, at))
  const tiles: Tiles = { p, syms, columns, at, tile, rewrites }
  const single = (): readonly Stmt[] => {
    if (isConst(left) === 1) return sumsOf(tiles, con(0), 1)
    const r = sym('r', { lo: 0, hi: sub(left, 1), role: 'loop' })
    return [serial(r, 0, left, 1, sumsOf(tiles, of(r), 1))]
  }
  const sums =
    height === 1
      ? single()
      : [
          ...where(add(at, height), M, () => sumsOf(tiles, con(0), height)),
          ...where(add(M, 1), add(at, height), single),
        ]
  const body: readonly Stmt[] = [{ k: 'alloc', buf: tile }, ...sums, ...epilogueOf(tiles, left)]
  return one ? body : [serial(i, 0, count, height, body)]
}

interface Tiles {
  readonly p: Plan
  readonly syms: ReadonlyMap<Sym, Ix>
  readonly columns: Columns
  /** The first row. */
  readonly at: Ix
  readonly tile: Buffer
  readonly rewrites: Rewrite[]
}

/** The point of a tile in the naive nest. */
function pointOf({ p, syms, columns, at }: Tiles, r: Ix, c: Ix): Map<Sym, Ix> {
  const point = new Map(syms).set(p.n, add(columns.first, c))
  return p.m === undefined ? point : point.set(p.m, add(at, r))
}

/** Stores the sums of `height` rows from row `from` of the tile on. */
function sumsOf(t: Tiles, from: Ix, height: number): readonly Stmt[] {
  const { p, columns, tile, rewrites } = t
  const { start, sums } = p.inside
  const whole = floorDiv(columns.width, 4)
  const first = mul(4, whole)
  /** Sums at column `c`, for all rows; the symbols of the loops over rows and k. */
  const point = (
    c: Ix,
    inner: (body: readonly Stmt[]) => readonly Stmt[],
  ): { body: readonly Stmt[]; r: Sym; k: Sym } => {
    const r = loopSymbol('r', height)
    const row = add(from, r)
    const copy = copier(pointOf(t, row, c))
    const [made, loop] = [start, sums].map(copy.stmt)
    const s = made as Stmt & { k: 'var' }
    const body = inner([made, loop, { k: 'store', buf: tile, at: [row, c], e: local(s.v) }])
    return { body: [serial(r, 0, height, 1, body)], r, k: innermost(loop as For).v }
  }
  const rest = (): readonly Stmt[] => {
    const count = sub(columns.width, first)
    if (isConst(count) === 0) return []
    const c = sym('c', { lo: first, hi: sub(columns.width, 1), role: 'loop' })
    const { body, r, k } = point(of(c), (b) => b)
    rewrites.push((nest) => jam(nest, r))
    if (p.along === 'depth') rewrites.push(folded(k, height === 1 ? 4 : 2))
    return [serial(c, first, columns.width, 1, body)]
  }
  if (p.along === 'depth') {
    const [u, v] = [sym('u', { lo: 0, hi: sub(whole, 1), role: 'loop' }), loopSymbol('v', 4)]
    if (isConst(whole) === 0) return rest()
    const { body, r, k } = point(add(mul(4, of(u)), v), (b) => b)
    rewrites.push((nest) => jam(jam(nest, r), v), folded(k, 1))
    return [serial(u, 0, whole, 1, [serial(v, 0, 4, 1, body)]), ...rest()]
  }
  const count = isConst(whole)
  if (count === 0) return rest()
  const v = sym('v', { lo: 0, hi: sub(whole, 1), role: 'loop' })
  const lane = loopSymbol('lane', 4)
  const { body, r } = point(add(mul(4, of(v)), lane), (b) => [serial(lane, 0, 4, 1, b)])
  rewrites.push((nest) => jam(lanes(nest, lane), r))
  if (count !== undefined) rewrites.push((nest) => jam(nest, v))
  return [serial(v, 0, whole, 1, body), ...rest()]
}

const innermost = (loop: For): For => {
  const [inner] = loop.body.filter((s) => s.k === 'for')
  return inner === undefined ? loop : innermost(inner)
}

/** A sum along k in vectors, if k is long enough. */
const folded =
  (k: Sym, chains: number): Rewrite =>
  (nest) =>
    proveLe(4, extentOf(k)) ? foldLanes(nest, k, { lanes: 4, chains }) : nest

/** What follows the sums, row by row, in vectors where that is possible. */
function epilogueOf(t: Tiles, height: Ix): readonly Stmt[] {
  const { p, columns, tile, rewrites } = t
  const r = sym('r', { lo: 0, hi: sub(height, 1), role: 'loop' })
  const c = sym('c', { lo: 0, hi: sub(columns.width, 1), role: 'loop' })
  const row = isConst(height) === 1 ? con(0) : of(r)
  const named = mapExprs(p.inside.rest, mapper({ locals: new Map([[p.inside.start.v, load(tile, [row, of(c)])]]) }))
  const copy = copier(pointOf(t, row, of(c)))
  const body = serial(c, 0, columns.width, 1, named.map(copy.stmt))
  if (!proveLe(columns.width, 3))
    rewrites.push((nest) => {
      try {
        return foldLanes(nest, c, { lanes: 4, chains: 1 })
      } catch (e) {
        if (e instanceof IllegalSchedule) return nest
        throw e
      }
    })
  return isConst(height) === 1 ? [body] : [serial(r, 0, height, 1, [body])]
}
