/**
 * Carried reductions (attention) where a workgroup takes one row: groups of threads `ly` carry a maximum, a sum and columns each, for elements of their
 * own, and join them at the end. Within a group `lx` has every LX-th vector of columns.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Context } from '../../../src/kernel/build.ts'
import { placedMapper } from '../../../src/kernel/build.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { bin, cast, constant, index, load, local, newLocal, splat } from '../../../src/kernel/expr.ts'
import { inlineStages } from '../../../src/kernel/inline.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import type { Carried, Carry, Stage, StageKernel } from '../../../src/kernel/stage.ts'
import { isUnit, loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, con, mul, of } from '../../../src/types/ix.ts'
import type { Block, Piece } from './block.ts'
import { blockOf, laneMappers, piecesOf, storeColumns } from './block.ts'
import { below, forLoop } from './kit.ts'
import { LANES, lanesOf } from './lanes.ts'

/** Groups of threads. */
export const LY = 16

/** A running value: one scalar, or a vector for each of a thread's. */
export interface Running {
  readonly carry: Carry
  readonly vs: readonly Local[]
  readonly isWide: boolean
}
export interface Row {
  readonly kernel: StageKernel
  readonly stage: Stage
  readonly body: Carried
  readonly b: Block
  readonly LX: number
  readonly lx: Sym
  readonly ly: Sym
  /** Axes of rows, and where those of one element are. */
  readonly rows: readonly Sym[]
  readonly outer: Map<Sym, Ix>
  readonly context: Context
  /** What a thread does first. */
  readonly before: Stmt[]
  readonly columns: readonly Piece[]
  /** Vectors in the place of loads, for each of a thread's. */
  readonly wide: readonly Map<Buffer, Expr>[]
  readonly running: readonly Running[]
}

/** Undefined where the structure is another one, or its sizes are not those that this is for. `chunk`: elements at a time. */
export function rowOf(kernel: StageKernel, chunk: number): Row | undefined {
  const stages = inlineStages(kernel.stages)
  const [stage] = stages
  if (stages.length !== 1 || stage.body.k !== 'carried') return undefined
  const { body } = stage
  const b = blockOf(stage, body)
  if (b === undefined || body.carries.some((c) => c.axes.some((v) => !isUnit(v) && v !== b.column))) return undefined
  const LX = Math.min(8, 2 ** Math.ceil(Math.log2(Math.max(b.depth, b.width) / LANES)))
  const lx = loopSymbol('lx', LX)
  const rows = stage.domain.filter((v) => !isUnit(v) && v !== b.column)
  const columns = piecesOf(b.depth === b.width ? 'piece' : 'column', lx, LX, b.width / LANES)
  const context: Context = { bound: new Set([...kernel.params, ...rows]), placed: new Map(), chunk }
  const wide = columns.map(() => new Map<Buffer, Expr>())
  const before = columns.flatMap((c) => c.stmts)
  const running = body.carries.map((carry): Running => {
    const { running, init } = carry
    const isWide = carry.axes.some((v) => !isUnit(v))
    const named = (w: number): string => (columns.length === 1 ? running.name : `${running.name}_${w}`)
    const vs = isWide
      ? columns.map((_, w) => newLocal(named(w), running.of, LANES))
      : [newLocal(running.name, running.of)]
    for (const v of vs) before.push({ k: 'var', v, e: splat(constant(init, v.of), v.lanes) })
    if (isWide) vs.forEach((v, w) => wide[w].set(running, local(v)))
    else context.placed.set(running, { k: 'local', e: local(vs[0]) })
    return { carry, vs, isWide }
  })
  const outer = new Map<Sym, Ix>([...stage.domain, ...body.columns].filter(isUnit).map((v) => [v, con(0)]))
  return { kernel, stage, body, b, LX, lx, ly: loopSymbol('ly', LY), rows, outer, context, before, columns, wide, running } // prettier-ignore
}

/** A value of the row. */
export const perRow = (r: Row, e: Expr): Expr => placedMapper(r.context, r.outer).expr(e)
/** A value at the wth vector of columns of a thread. */
export function perColumn(r: Row, w: number, e: Expr): Expr {
  const at = (k: number): Ix => add(r.columns[w].at, k)
  return splat(lanesOf(e, r.b.column, r.wide[w], laneMappers(r.context, r.outer, r.b.column, at, r.wide[w])), LANES)
}

/** The running values joined to others, of which `context` and `wide` know. All are computed before any is replaced. */
export function merge(r: Row): readonly Stmt[] {
  const assigns: Stmt[] = []
  const lets = r.running.flatMap(({ carry, vs, isWide }) =>
    vs.map((v, w): Stmt => {
      const next = newLocal(`${v.name}_next`, v.of, v.lanes)
      assigns.push({ k: 'assign', v, e: local(next) })
      return { k: 'let', v: next, e: cast(v.of, isWide ? perColumn(r, w, carry.merge) : perRow(r, carry.merge)) }
    }),
  )
  return [...lets, ...assigns]
}

/** The workgroup: a thread walks, then the first group joins what all carry and does `last`. */
export function joined(
  r: Row,
  walk: readonly Stmt[],
  allocs: readonly Buffer[],
  last: readonly Stmt[],
): readonly Stmt[] {
  const { lx, ly, LX, context, wide } = r
  const stored = r.running.map(({ vs, isWide }) =>
    vs.map((v) => newBuffer(`of_${v.name}`, v.of, 'workgroup', isWide ? [con(LY), con(LX), con(LANES)] : [con(LY)])),
  )
  const puts = r.running.flatMap(({ vs, isWide }, c) =>
    vs.map((v, w): Stmt => {
      const buf = stored[c][w]
      if (isWide) return { k: 'store', buf, at: [of(ly), of(lx), con(0)], e: local(v), axis: 2 }
      return onlyAt(lx, [{ k: 'store', buf, at: [of(ly)], e: local(v) }])
    }),
  )
  const g = loopSymbol('g', LY)
  r.running.forEach(({ carry, isWide }, c) => {
    if (isWide)
      stored[c].forEach((buf, w) => wide[w].set(carry.chunk, load(buf, [of(g), of(lx), con(0)], { lanes: LANES, axis: 2 })))
    else context.placed.set(carry.chunk, { k: 'local', e: load(stored[c][0], [of(g)]) })
  }) // prettier-ignore
  const others: Stmt = { ...forLoop('serial', g, merge(r), 1), reduces: true }
  const thread = [...r.before, ...walk, ...puts, { k: 'barrier' } as const, onlyAt(ly, [others, ...last])]
  const all = [...allocs, ...stored.flat()].map((buf): Stmt => ({ k: 'alloc', buf }))
  return [...all, forLoop('local.y', ly, [forLoop('local.x', lx, thread)])]
}
/** What the first of a number of threads does. */
export const onlyAt = (v: Sym, body: readonly Stmt[]): Stmt => ({
  k: 'if',
  c: bin('eq', index(of(v)), constant(0, 'i32')),
  body,
})

/** Stores the results of the row. */
export function finished(r: Row): readonly Stmt[] {
  return r.columns.flatMap(({ raw }, w) => {
    const e = cast(r.stage.out.of, perColumn(r, w, r.body.finish))
    return below(raw, con(r.b.width / LANES), storeColumns(r.stage, r.b.column, e, mul(LANES, raw), r.outer))
  })
}
