/**
 * Products of few rows with quantised weights. Rows are rounded to 16 bits, block by block of 32, by each thread for itself; sums within a block are
 * exact, of pairs of integers; a block's sum is scaled once. Threads share panels of 16 columns; four rows go by each panel.
 *
 * With s = max |x| / 32767 over a block, each x is off by at most s / 2, so a result by at most Σ over blocks of s / 2 · Σ |w|: 2^-16 of max |x|.
 */
import { offsetOf } from '../../../src/kernel/address.ts'
import { arrange, naiveNest } from '../../../src/kernel/build.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Expr, Lanes, Local } from '../../../src/kernel/expr.ts'
import { across, bin, cast, constant, index, load, local, newLocal, pairs, select, splat, un, vec } from '../../../src/kernel/expr.ts' // prettier-ignore
import type { For, LoopKind, NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import { foldLanes, IllegalSchedule } from '../../../src/kernel/schedule/index.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { LoadExpr } from '../../../src/kernel/structure.ts'
import { contractionOf } from '../../../src/kernel/structure.ts'
import { copier, extentOf, findLoop, loopSymbol, mapExprs, mapper } from '../../../src/kernel/walk.ts'
import type { Ix, IxLike, Sym } from '../../../src/types/ix.ts'
import { add, ceilDiv, con, isConst, min, mul, of, proveLe, sub, substitute, sym } from '../../../src/types/ix.ts'
import type { Looks, Quantised } from '../kept.ts'
import { BLOCK, doubleAt, isQuantised, looksAt, pairsOf, scaleAt, zeroLevel } from '../kept.ts'
import { chainsOf } from './chains.ts'

const PANEL = 16
/** Rows whose rounded values are held at a time. */
const ROWS = 4
/** The largest integer of 16 bits. */
const MOST = 32767
/** Below, a block counts as zeros: its reciprocal would not be finite. */
const LEAST = 1e-30

const fourAlong = (axis: number): { readonly lanes: 4; readonly axis: number } => ({ lanes: 4, axis })
const loop = (v: Sym, hi: IxLike, body: readonly Stmt[], kind: LoopKind = 'serial', step = 1): For => ({ k: 'for', v, lo: con(0), hi: of(hi), step, kind, body }) // prettier-ignore

/** Undefined where it is no plain product with quantised weights. */
export function dotContraction(kernel: StageKernel): NestKernel | undefined {
  const rows = arrange(kernel)
  const main = rows.stages.find((s) => s.stage.body.k === 'reduce')
  const c = main && contractionOf(main.stage)
  if (main === undefined || c === undefined || rows.stages.some((s) => s.inner.length > 0)) return undefined
  const kept = c.b.buf.layout?.kept
  if (!isQuantised(kept?.as) || c.batch.length > 0 || c.n.length !== 1 || c.sum.length !== 1 || c.scale.length > 0) return undefined // prettier-ignore
  const [n, k] = [c.n[0], c.sum[0]]
  if (c.a.buf.of !== 'f32' || c.a.buf.layout?.kept || !inPanels(c.b, k, n)) return undefined
  const naive = naiveNest(kernel)
  const [start, sums, ...rest] = findLoop(naive.body, rows.outer[rows.outer.length - 1]).body
  if (start?.k !== 'var' || start.v.of !== 'f32' || sums?.k !== 'for' || !sums.reduces || sums.body.length !== 1 || sums.body[0].k !== 'assign') return undefined // prettier-ignore
  const loopOf = (v: Sym): Sym => rows.outer[main.rows.indexOf(v)]
  const look = looksAt(c.b.buf)
  const plan: Plan = {
    kept: kept!.as as Quantised,
    blocks: kept!.rows / BLOCK,
    look,
    x: c.a,
    k,
    m: c.m.map((v) => ({ own: v, loop: loopOf(v) })),
    n: loopOf(n),
    sum: start.v,
    rest,
  }
  const { body, rewrites } = build(plan)
  const nest: NestKernel = { ...naive, body, views: [...(naive.views ?? []), ...look.views] }
  return rewrites.reduce((made, rewrite) => rewrite(made), nest)
}

/** Whether the weights are read as [k, n] in the order of their panels. */
function inPanels({ buf, at }: LoadExpr, k: Sym, n: Sym): boolean {
  const { rows } = buf.layout!.kept!
  const [p, c] = [sym('p', { lo: 0, hi: sub(ceilDiv(extentOf(n), PANEL), 1), role: 'loop' }), loopSymbol('c', PANEL)]
  const seen = offsetOf(buf, at.map((x) => substitute(x, new Map([[n, add(mul(PANEL, of(p)), of(c))]])))) // prettier-ignore
  return seen === add(mul(rows * PANEL, of(p)), mul(PANEL, of(k)), of(c))
}

interface Plan {
  readonly kept: Quantised
  readonly blocks: number
  readonly look: Looks
  /** The rows that are multiplied, and the symbol that is summed over. */
  readonly x: LoadExpr
  readonly k: Sym
  /** Symbols of the rows: of the stage, and of the loops of the naive nest. */
  readonly m: readonly { readonly own: Sym; readonly loop: Sym }[]
  readonly n: Sym
  /** What the naive nest calls the sum, and what it does with it. */
  readonly sum: Local
  readonly rest: readonly Stmt[]
}
type Rewrite = (nest: NestKernel) => NestKernel

/** Rounded rows: pairs of levels, scales, and what a block of sums starts with: minus its levels times the level that stands for 0 in the weights. */
interface Rounded {
  readonly levels: Buffer
  readonly scale: Buffer
  readonly offset: Buffer
}

function build(p: Plan): { body: readonly Stmt[]; rewrites: readonly Rewrite[] } {
  const last = p.m[p.m.length - 1]
  const M = last === undefined ? con(1) : extentOf(last.loop)
  const height = Math.min(ROWS, isConst(M) ?? ROWS)
  const private_ = (name: string, of: Buffer['of'], columns: number): Buffer => newBuffer(name, of, 'private', [con(height), con(columns)]) // prettier-ignore
  const rounded: Rounded = {
    levels: private_('levels', 'pair', (p.blocks * BLOCK) / 2),
    scale: private_('scale', 'f32', p.blocks),
    offset: private_('offset', 'i32', p.blocks),
  }
  const tile = newBuffer('tile', 'f32', 'private', [con(height), con(PANEL)])
  const chunk = sym('rows', { lo: 0, hi: sub(M, 1), role: 'loop', multipleOf: height })
  const one = isConst(M) === height
  const lo = one ? con(0) : of(chunk)
  const count = one ? con(height) : min(height, sub(M, lo))
  const around = p.m.slice(0, -1).map(({ loop }) => ({ v: loop, made: loopSymbol(loop.name, extentOf(loop)) }))
  const point = (r: Ix): Map<Sym, Ix> => {
    const at = new Map<Sym, Ix>(around.map(({ v, made }) => [v, of(made)]))
    return last === undefined ? at : at.set(last.loop, add(lo, r))
  }
  const ownPoint = (r: Ix): Map<Sym, Ix> => {
    const at = point(r)
    return new Map(p.m.map(({ own, loop }) => [own, at.get(loop)!]))
  }
  const rewrites: Rewrite[] = []
  const each = (body: (r: Ix) => readonly Stmt[]): readonly Stmt[] => {
    if (isConst(count) === 1) return body(con(0))
    const r = sym('r', { lo: 0, hi: sub(count, 1), role: 'loop' })
    return [loop(r, count, body(of(r)))]
  }
  const panel = loopSymbol('panel', ceilDiv(extentOf(p.n), PANEL))
  const inPanel = each((r) => [...products(p, rounded, tile, of(panel), r), ...epilogue(p, tile, point(r), of(panel), r, rewrites)]) // prettier-ignore
  const body: readonly Stmt[] = [
    ...each((r) => roundedRow(p, rounded, ownPoint(r), r)),
    loop(panel, extentOf(panel), inPanel, 'thread'),
  ]
  const chunks = one ? body : [loop(chunk, M, body, 'serial', height)]
  const all = around.reduceRight<readonly Stmt[]>((body, { made }) => [loop(made, extentOf(made), body)], chunks)
  return {
    body: [...[rounded.levels, rounded.scale, rounded.offset, tile].map((buf): Stmt => ({ k: 'alloc', buf })), ...all],
    rewrites,
  }
}

/** Rounds one row to integers of 16 bits. */
function roundedRow(p: Plan, { levels, scale, offset }: Rounded, point: ReadonlyMap<Sym, Ix>, r: Ix): readonly Stmt[] {
  const b = loopSymbol('block', p.blocks)
  const K = isConst(extentOf(p.k))!
  const at = (k: Ix): readonly Ix[] => p.x.at.map((x) => substitute(x, new Map(point).set(p.k, k)))
  const value = (k: Ix): Expr => {
    if (K % BLOCK === 0) return load(p.x.buf, at(k))
    return select(bin('lt', index(k), index(con(K))), load(p.x.buf, at(min(k, K - 1))), constant(0))
  }
  const beside = (k: Ix): boolean => [1, 2, 3].every((i) => isConst(sub(offsetOf(p.x.buf, at(add(k, i))), offsetOf(p.x.buf, at(k)))) === i) // prettier-ignore
  const vector = (k: Ix): Expr => {
    const axis = p.x.at.findIndex((x) => x === of(p.k))
    if (K % BLOCK === 0 && axis >= 0 && beside(k)) return load(p.x.buf, at(k), fourAlong(axis))
    return vec([0, 1, 2, 3].map((i) => value(add(k, i))))
  }
  const eight = [0, 1, 2, 3, 4, 5, 6, 7]
  const xs = eight.map((i) => newLocal(`x${i}`, 'f32', 4))
  const most = newLocal('most', 'f32')
  const times = newLocal('times', 'f32')
  const qs = eight.map((i) => newLocal(`q${i}`, 'i32', 4))
  const total = (list: readonly Expr[], f: 'max' | 'add'): Expr => list.reduce((a, e) => bin(f, a, e))
  const sizes = xs.map((x) => un('abs', local(x)))
  const sum = across('add', total(qs.map((q) => local(q)), 'add')) // prettier-ignore
  const rounding: Stmt[] = [
    ...eight.map((i): Stmt => ({ k: 'let', v: xs[i], e: vector(add(mul(BLOCK, of(b)), 4 * i)) })),
    { k: 'let', v: most, e: across('max', total(sizes, 'max')) },
    { k: 'store', buf: scale, at: [r, of(b)], e: bin('mul', local(most), constant(1 / MOST)) },
    { k: 'let', v: times, e: select(bin('gt', local(most), constant(LEAST)), bin('div', constant(MOST), local(most)), constant(0)) }, // prettier-ignore
    ...eight.map((i): Stmt => ({ k: 'let', v: qs[i], e: cast('i32', un('round', bin('mul', local(xs[i]), splat(local(times), 4)))) })), // prettier-ignore
    ...[0, 1, 2, 3].map((i): Stmt => ({ k: 'store', buf: levels, at: [r, add(mul(BLOCK / 2, of(b)), 4 * i)], e: pairs('narrow', local(qs[2 * i]), local(qs[2 * i + 1])), axis: 1 })), // prettier-ignore
    { k: 'store', buf: offset, at: [r, of(b)], e: bin('mul', sum, constant(-zeroLevel[p.kept], 'i32')) },
  ]
  return [loop(b, p.blocks, rounding)]
}

/** The sums of one row and one panel, into the tile. */
function products(p: Plan, { levels, scale, offset }: Rounded, tile: Buffer, panel: Ix, r: Ix): readonly Stmt[] {
  const b = loopSymbol('block', p.blocks)
  const block = add(mul(p.blocks, panel), of(b))
  const columns = [0, 1, 2, 3]
  const vars = (name: string, of: Local['of']): readonly Local[] => columns.map((i) => newLocal(`${name}${i}`, of, 4 as Lanes)) // prettier-ignore
  const [outer, inner] = [vars('y', 'f32'), vars('dot', 'i32')]
  const start = splat(load(offset, [r, of(b)]), 4)
  const g = loopSymbol('g', BLOCK / 4)
  const first = add(mul(BLOCK / 2, of(b)), mul(2, of(g)))
  const rows = [newLocal('x', 'pair', 4), newLocal('x', 'pair', 4)]
  const four: Stmt[] = [
    ...rows.map((v, i): Stmt => ({ k: 'let', v, e: splat(load(levels, [r, add(first, i)]), 4) })),
    ...columns.flatMap((c): Stmt[] => {
      const stored = newLocal('w', 'pair', 4)
      const e = load(p.look.double, [add(doubleAt(p.kept, block), mul(PANEL, of(g)), 4 * c)], fourAlong(0))
      const dots = pairsOf(p.kept, local(stored)).map((w, i) => pairs('dot', w, local(rows[i])))
      return [
        { k: 'let', v: stored, e },
        ...dots.map((dot): Stmt => ({ k: 'assign', v: inner[c], e: bin('add', local(inner[c]), dot) })),
      ]
    }),
  ]
  const f = newLocal('f', 'f32', 4)
  const scaled: Stmt[] = [
    { k: 'let', v: f, e: splat(load(scale, [r, of(b)]), 4) },
    ...columns.map((c): Stmt => {
      const weight = load(p.look.scale, [add(scaleAt(p.kept, block), 4 * c)], fourAlong(0))
      const sum = bin('mul', cast('f32', local(inner[c])), bin('mul', local(f), weight))
      return { k: 'assign', v: outer[c], e: bin('add', local(outer[c]), sum) }
    }),
  ]
  const body: Stmt[] = [
    ...inner.map((v): Stmt => ({ k: 'var', v, e: start })),
    { ...loop(g, extentOf(g), four), reduces: true },
    ...scaled,
  ]
  return [
    ...outer.map((v): Stmt => ({ k: 'var', v, e: splat(constant(0), 4) })),
    { ...loop(b, p.blocks, body), reduces: true },
    ...columns.map((c): Stmt => ({ k: 'store', buf: tile, at: [r, con(4 * c)], e: local(outer[c]), axis: 1 })),
  ]
}

/** What follows the sums of one row, in vectors where that is possible. */
function epilogue(
  p: Plan,
  tile: Buffer,
  point: ReadonlyMap<Sym, Ix>,
  panel: Ix,
  r: Ix,
  rewrites: Rewrite[],
): readonly Stmt[] {
  // prettier-ignore
  const N = extentOf(p.n)
  const first = mul(PANEL, panel)
  const width = isConst(N) !== undefined && isConst(N)! % PANEL === 0 ? con(PANEL) : min(PANEL, sub(N, first))
  const c = sym('c', { lo: 0, hi: sub(width, 1), role: 'loop' })
  const named = mapExprs(p.rest, mapper({ locals: new Map([[p.sum, load(tile, [r, of(c)])]]) }))
  const copy = copier(new Map(point).set(p.n, add(first, of(c))))
  if (!proveLe(width, 3))
    rewrites.push((nest) => {
      try {
        return foldLanes(nest, c, { lanes: 4, chains: chainsOf(named) })
      } catch (e) {
        if (e instanceof IllegalSchedule) return nest
        throw e
      }
    })
  return [loop(c, width, named.map(copy.stmt))]
}
