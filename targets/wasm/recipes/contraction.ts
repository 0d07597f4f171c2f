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
import type { Expr } from '../../../src/kernel/expr.ts'
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
import { chainsOf } from './chains.ts'

export interface TileOptions {
  /** Whether pairs of neighbouring vectors become one: tiles of four rows instead of two. */
  readonly wide: boolean
  /** So many rows instead. */
  readonly rows?: number | undefined
}

/** Rows that pass by all panels before the next ones do: their left operand stays in the cache. */
const BLOCK = 128
/** Panels that are enough to share among threads; of fewer, rows are shared too, so many at a time. */
const ENOUGH = 16
const SHARE = 16

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
  const deep = c.sum[c.sum.length - 1]
  const along = !isBeside(c.b, column) && isBeside(c.a, deep) && isBeside(c.b, deep) ? 'depth' : 'columns'
  // Columns that are apart (of a strided convolution) are gathered; rows of a tile share what is gathered.
  if (along === 'columns' && !isBeside(c.b, column) && c.m.length === 0) return undefined
  const row = c.m[c.m.length - 1]
  const plan: Plan = {
    naive,
    inside: { start, sums, rest },
    n: loopOf(column),
    m: row && loopOf(row),
    around: c.m.slice(0, -1).map(loopOf),
    shared: [...c.batch, ...c.n.filter((v) => v !== column)].map(loopOf),
    along,
    height: options.rows ?? (options.wide ? 4 : 2),
    wide: options.wide,
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
  readonly wide: boolean
}

const serial = (v: Sym, lo: IxLike, hi: IxLike, step: number, body: readonly Stmt[], kind: LoopKind = 'serial'): For => ({ k: 'for', v, lo: of(lo), hi: of(hi), step, kind, body }) // prettier-ignore
/** A body where `a <= b`; nothing where that is never so, no condition where it always is. */
function where(a: Ix, b: Ix, body: () => readonly Stmt[]): readonly Stmt[] {
  if (proveLe(a, b)) return body()
  return proveLe(add(b, 1), a) ? [] : [{ k: 'if', c: bin('le', index(a), index(b)), body: body() }]
}

function build(p: Plan): NestKernel {
  const M = p.m === undefined ? con(1) : extentOf(p.m)
  const panels = ceilDiv(extentOf(p.n), PANEL)
  const panel = loopSymbol('panel', panels)
  const shape = p.shared.map(extentOf)
  const g = p.shared.length === 1 ? p.shared[0] : loopSymbol('shared', elements(shape))
  const at = p.shared.length === 1 ? [of(g)] : delinearise(of(g), shape)
  const syms = new Map(p.shared.map((v, i): [Sym, Ix] => [v, at[i]]))
  const around = p.around.map((v) => ({ v, made: loopSymbol(v.name, extentOf(v)) }))
  for (const { v, made } of around) syms.set(v, of(made))
  const rewrites: Rewrite[] = []
  const N = extentOf(p.n)
  const full = floorDiv(N, PANEL)
  const panelsOf = (lo: Ix, size: number, kind: LoopKind): readonly Stmt[] => {
    const within = (columns: Columns): readonly Stmt[] =>
      around.reduceRight<readonly Stmt[]>(
        (b, { made }) => [serial(made, 0, extentOf(made), 1, b)],
        rowsOf(p, syms, columns, lo, size, rewrites),
      )
    const whole = { first: mul(PANEL, panel), end: add(mul(PANEL, panel), PANEL) }
    const part = { first: mul(PANEL, full), end: N }
    if (isConst(mod(N, PANEL)) === 0) return [serial(panel, 0, panels, 1, within(whole), kind)]
    if (isConst(full) === 0) return kind === 'serial' ? within(part) : [serial(panel, 0, 1, 1, within(part), kind)]
    if (kind === 'serial') return [serial(panel, 0, full, 1, within(whole)), ...within(part)]
    const is = (f: 'lt' | 'eq'): Expr => bin(f, index(of(panel)), index(full))
    const both: readonly Stmt[] = [
      { k: 'if', c: is('lt'), body: within(whole) },
      { k: 'if', c: is('eq'), body: within(part) },
    ]
    return [serial(panel, 0, panels, 1, both, kind)]
  }
  const blocks = (size: number, kind: LoopKind, inner: LoopKind): Stmt[] => {
    if (proveLe(M, size)) return [...panelsOf(con(0), isConst(M) ?? size, inner)]
    const block = loopSymbol('block', ceilDiv(M, size))
    return [serial(block, 0, ceilDiv(M, size), 1, panelsOf(mul(size, block), size, inner), kind)]
  }
  // Of few or unknown numbers of panels, threads share the rows.
  const most = isConst(M) ?? BLOCK
  const few = (isConst(panels) ?? 0) < ENOUGH && !proveLe(M, SHARE) && (isConst(M) ?? 0) % SHARE === 0
  const body =
    p.shared.length > 0
      ? [serial(g, 0, extentOf(g), 1, blocks(most, 'serial', 'serial'), 'thread')]
      : few
        ? blocks(SHARE, 'thread', 'serial')
        : blocks(most, 'serial', 'thread')
  return rewrites.reduce<NestKernel>((nest, rewrite) => rewrite(nest), { ...p.naive, body })
}

interface Columns {
  readonly first: Ix
  readonly end: Ix
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
  const exact = isConst(mod(M, height)) === 0
  const last = sub(count, exact ? height : 1)
  const i = sym(p.m?.name ?? 'm', { lo: 0, hi: last, role: 'loop', multipleOf: height })
  const one = isConst(count) === height
  const at = one ? lo : add(lo, i)
  const left = exact ? con(height) : one ? count : min(height, sub(count, i))
  const tiles: Tiles = { p, syms, columns, at, tile, rewrites }
  const single = (): readonly Stmt[] => {
    if (isConst(left) === 1) return sumsOf(tiles, con(0), 1)
    const r = sym('r', { lo: 0, hi: sub(left, 1), role: 'loop' })
    return [serial(r, 0, left, 1, sumsOf(tiles, of(r), 1))]
  }
  const sums =
    isConst(left) === height
      ? sumsOf(tiles, con(0), height)
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
function pointOf({ p, syms, at }: Tiles, r: Ix, n: Ix): Map<Sym, Ix> {
  const point = new Map(syms).set(p.n, n)
  return p.m === undefined ? point : point.set(p.m, add(at, r))
}

/** Stores the sums of `height` rows from row `from` of the tile on. */
function sumsOf(t: Tiles, from: Ix, height: number): readonly Stmt[] {
  const { p, columns, tile, rewrites } = t
  const { start, sums } = p.inside
  // Four columns at a time, and the rest one by one.
  const middle = mul(4, floorDiv(columns.end, 4))
  /** Sums at column `n`, for all rows; the symbols of the loops over rows and k. */
  const point = (n: Ix, inner: (b: readonly Stmt[]) => readonly Stmt[]): { body: readonly Stmt[]; r: Sym; k: Sym } => {
    const r = loopSymbol('r', height)
    const row = add(from, r)
    const copy = copier(pointOf(t, row, n))
    const [made, loop] = [start, sums].map(copy.stmt)
    const s = made as Stmt & { k: 'var' }
    const body = inner([made, loop, { k: 'store', buf: tile, at: [row, mod(n, PANEL)], e: local(s.v) }])
    return { body: [serial(r, 0, height, 1, body)], r, k: innermost(loop as For).v }
  }
  const fours = (): readonly Stmt[] => {
    const count = isConst(sub(middle, columns.first))
    if (count === 0) return []
    const q = sym('q', { lo: columns.first, hi: sub(middle, 4), role: 'loop', multipleOf: 4 })
    const v = loopSymbol('v', 4)
    if (p.along === 'depth') {
      const { body, r, k } = point(add(q, v), (b) => b)
      rewrites.push((nest) => jam(jam(nest, r), v), folded(k, 1))
      return [serial(q, columns.first, middle, 4, [serial(v, 0, 4, 1, body)])]
    }
    const { body, r } = point(add(q, v), (b) => [serial(v, 0, 4, 1, b)])
    rewrites.push((nest) => lanes(nest, v))
    const unrolled = (nest: NestKernel): NestKernel => (count === undefined ? nest : jam(nest, q))
    // Vector by vector: as many registers as there are rows hold scalars, one a vector. Row by row where pairs of vectors are to be found: V8
    // looks for stores that follow each other.
    rewrites.push((nest) => (p.wide ? unrolled(jam(nest, r)) : jam(unrolled(nest), r)))
    return [serial(q, columns.first, middle, 4, body)]
  }
  const rest = (): readonly Stmt[] => {
    if (isConst(sub(columns.end, middle)) === 0) return []
    const n = sym('n', { lo: middle, hi: sub(columns.end, 1), role: 'loop' })
    const { body, r, k } = point(of(n), (b) => b)
    rewrites.push((nest) => jam(nest, r))
    if (p.along === 'depth') rewrites.push(folded(k, height === 1 ? 4 : 2))
    return [serial(n, middle, columns.end, 1, body)]
  }
  return [...fours(), ...rest()]
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
  const { end } = columns
  const n = sym(p.n.name, { lo: columns.first, hi: sub(end, 1), role: 'loop' })
  const row = isConst(height) === 1 ? con(0) : of(r)
  const value = load(tile, [row, mod(n, PANEL)])
  const named = mapExprs(p.inside.rest, mapper({ locals: new Map([[p.inside.start.v, value]]) }))
  const copy = copier(pointOf(t, row, of(n)))
  const body = serial(n, columns.first, end, 1, named.map(copy.stmt))
  if (!proveLe(sub(end, columns.first), 3))
    rewrites.push((nest) => {
      try {
        return foldLanes(nest, n, { lanes: 4, chains: chainsOf(named) })
      } catch (e) {
        if (e instanceof IllegalSchedule) return nest
        throw e
      }
    })
  return isConst(height) === 1 ? [body] : [serial(r, 0, height, 1, [body])]
}
