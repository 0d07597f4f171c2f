/**
 * The naive nest of a kernel, for every structure: loops over the shared rows, and inside them each stage in order. Right before
 * fast: schedules (`schedule/`) make it fast, and are checked against it.
 */
import type { Ix, Sym } from '../types/ix.ts'
import { con, isConst, of, proveLe, sub } from '../types/ix.ts'
import { both, conjunction, conjuncts, tightenBounds, truth } from './bounds.ts'
import type { Buffer } from './buffer.ts'
import { newBuffer } from './buffer.ts'
import { emitCarried } from './build-carried.ts'
import type { Expr, Fold, Local, Scalar } from './expr.ts'
import { bin, cast, constant, index, load, local, newLocal, select } from './expr.ts'
import type { InlineOptions } from './inline.ts'
import { inlineStages } from './inline.ts'
import type { For, NestKernel, Stmt } from './nest.ts'
import type { Rows } from './rows.ts'
import { rowsOf } from './rows.ts'
import type { Body, Stage, StageKernel } from './stage.ts'
import type { Mapper } from './walk.ts'
import { extentOf, isUnit, loopSymbol, mapper } from './walk.ts'

export interface BuildOptions extends InlineOptions {
  /** Elements of a carried reduction's axis per chunk. Default 32. */
  readonly chunk?: number
}

/** Where the value of a placed stage is: a local, or private storage indexed by some of the logical coordinates. */
export type Place =
  | { readonly k: 'local'; readonly e: Expr }
  | {
      readonly k: 'private'
      readonly buf: Buffer
      /** Each a logical coordinate, or the same place for all. */
      readonly dims: readonly ({ readonly axis: number; readonly minus?: Ix } | { readonly fixed: Ix })[]
    }

export interface Context {
  readonly bound: Set<Sym>
  readonly placed: Map<Buffer, Place>
  readonly chunk: number
}

export function naiveNest(kernel: StageKernel, options: BuildOptions = {}): NestKernel {
  const rows = arrange(kernel, options)
  const context: Context = { bound: new Set(kernel.params), placed: new Map(), chunk: options.chunk ?? 32 }
  rows.outer.forEach((v) => context.bound.add(v))
  const inner = rows.stages.flatMap((s) => emitStage(context, s.stage, rows.outer, s.rows, s.inner))
  const body = rows.outer.reduceRight<readonly Stmt[]>((body, v) => [loop(v, con(0), extentOf(v), body)], inner)
  return { name: kernel.name, doc: kernel.doc, args: kernel.args, params: kernel.params, body }
}

const arranged = new WeakMap<StageKernel, Rows>()

/** Inlines maps, except that a map over exactly the rows stays: it becomes a named `let`. Kernels never change, so the plain answer is kept. */
export function arrange(kernel: StageKernel, options: InlineOptions = {}): Rows {
  if (options.keep !== undefined || options.stored !== undefined) return arrangeWith(kernel, options)
  let rows = arranged.get(kernel)
  if (rows === undefined) arranged.set(kernel, (rows = arrangeWith(kernel, options)))
  return rows
}

function arrangeWith(kernel: StageKernel, options: InlineOptions): Rows {
  const kept = new Set<Buffer>()
  const attempt = (): Rows =>
    rowsOf(inlineStages(kernel.stages, { ...options, keep: (s) => kept.has(s.out) || (options.keep?.(s) ?? false) }))
  let rows = attempt()
  if (rows.stages.length < 2 && rows.stages.every((s) => s.stage.body.k === 'map')) return rows
  const fits = (tried: Rows): boolean =>
    tried.outer.length === rows.outer.length &&
    tried.stages.every((t) => !kept.has(t.stage.out) || t.inner.length === 0)
  const candidates = kernel.stages.filter(
    (s) =>
      s.out.space === 'virtual' &&
      s.body.k === 'map' &&
      !['load', 'index', 'const'].includes(s.body.e.k) &&
      s.domain.filter((v) => !isUnit(v)).length === rows.outer.length,
  )
  if (candidates.length === 0) return rows
  // Mostly all of them fit; else one after another.
  for (const s of candidates) kept.add(s.out)
  const all = attempt()
  if (fits(all)) return all
  kept.clear()
  for (const s of candidates) {
    kept.add(s.out)
    const tried = attempt()
    if (fits(tried)) rows = tried
    else kept.delete(s.out)
  }
  return rows
}

export const loop = (v: Sym, lo: Ix, hi: Ix, body: readonly Stmt[], reduces = false): For => ({
  k: 'for', v, lo, hi, step: 1, kind: 'serial', ...(reduces ? { reduces } : {}), body,
}) // prettier-ignore

/** A symbol for a loop of its own: the given one, or a fresh one of the same name if that is taken. */
export function bindLoop(c: Context, v: Sym): Sym {
  const made = c.bound.has(v) ? loopSymbol(v.name, extentOf(v)) : v
  c.bound.add(made)
  return made
}

/** Replaces symbols, and loads of placed stages by what holds their values. */
export function placedMapper(c: Context, syms: ReadonlyMap<Sym, Ix>): Mapper {
  return mapper({
    syms,
    load: (buf, at) => {
      const p = c.placed.get(buf)
      if (p === undefined) return undefined
      if (p.k === 'local') return p.e
      return load(p.buf, p.dims.map(d => ('fixed' in d ? d.fixed : d.minus === undefined ? at[d.axis] : sub(at[d.axis], d.minus)))) // prettier-ignore
    },
  })
}

function emitStage(
  c: Context,
  s: Stage,
  outer: readonly Sym[],
  rows: readonly Sym[],
  inner: readonly Sym[],
): readonly Stmt[] {
  const syms = new Map<Sym, Ix>(s.domain.filter(isUnit).map((v) => [v, con(0)]))
  rows.forEach((v, i) => syms.set(v, of(outer[i])))
  const columns = s.body.k === 'carried' ? s.body.columns : []
  // A carried stage loops over its columns itself.
  const around = inner.filter((v) => !columns.includes(v)).map((v) => ({ v, made: bindLoop(c, v) }))
  around.forEach(({ v, made }) => syms.set(v, of(made)))
  const wrap = (body: readonly Stmt[]): readonly Stmt[] =>
    around.reduceRight<readonly Stmt[]>((b, { made }) => [loop(made, con(0), extentOf(made), b)], body)
  if (s.body.k === 'carried') {
    if (s.out.space === 'virtual' && around.length > 0) throw unplaced(s)
    return wrap(emitCarried(c, s, s.body, syms))
  }
  const made = emitBody(c, s.name, s.out.of, s.body, syms)
  const target = storeResult(c, s, made.result, syms, inner)
  return [...target.before, ...wrap([...made.stmts, ...target.stmts])]
}

const unplaced = (s: Stage): Error => new Error(`internal: ${s.name} has no place: its inner extents are not constant`)

/** A stage's value at one point: statements, and the expression that then is the value. */
export function emitBody(
  c: Context,
  name: string,
  type: Scalar,
  body: Body & { k: 'map' | 'reduce' },
  syms: Map<Sym, Ix>,
  where?: readonly Expr[],
): { readonly stmts: readonly Stmt[]; readonly result: Expr } {
  if (body.k === 'map') return { stmts: [], result: cast(type, placedMapper(c, syms).expr(body.e)) }
  const axes: Sym[] = []
  for (const v of body.axes) {
    if (isUnit(v)) syms.set(v, con(0))
    else if (!syms.has(v)) {
      const made = bindLoop(c, v)
      syms.set(v, of(made))
      axes.push(made)
    }
  }
  const m = placedMapper(c, syms)
  const conditions = [...conjuncts(body.where && m.expr(body.where)), ...(where ?? [])]
  return reduction(name, body.fold, m.expr(body.e), conditions, body.empty, axes.map(v => ({ v, lo: con(0), hi: extentOf(v) }))) // prettier-ignore
}

export interface Range {
  readonly v: Sym
  readonly lo: Ix
  readonly hi: Ix
}

/** A fold over ranges, elements where a condition fails left out. */
export function reduction(
  name: string,
  fold: Fold,
  e: Expr,
  conditions: readonly Expr[],
  empty: number,
  ranges: readonly Range[],
): { readonly stmts: readonly Stmt[]; readonly result: Expr } {
  const bounds: Range[] = []
  let rest = conditions
  ranges.forEach((r, i) => {
    const t = tightenBounds(r.v, r.lo, r.hi, rest, new Set(ranges.slice(i + 1).map((x) => x.v)))
    bounds.push({ v: r.v, lo: t.lo, hi: t.hi })
    rest = t.rest
  })
  const nest = (body: readonly Stmt[]): readonly Stmt[] => {
    const guarded = guardBy(conjunction(rest), body)
    return bounds.reduceRight<readonly Stmt[]>((b, r) => [loop(r.v, r.lo, r.hi, b, true)], guarded)
  }
  const nonEmpty = rest.length === 0 && bounds.every((r) => proveLe(1, sub(r.hi, r.lo)))
  if (fold === 'argmax') return argmax(name, e, empty, bounds, nest)
  const start = identityOf(fold, e.of)
  const absorbed = empty === start || (fold === 'max' && empty <= -3e38) || (fold === 'min' && empty >= 3e38)
  const acc = newLocal(name, e.of)
  const assign: Stmt = { k: 'assign', v: acc, e: foldOf(fold, local(acc), e) }
  const init: Stmt = {
    k: 'var',
    v: acc,
    e: constant(absorbed && !nonEmpty && Number.isFinite(empty) ? empty : start, e.of),
  }
  if (nonEmpty || absorbed) return { stmts: [init, ...nest([assign])], result: local(acc) }
  const any = newLocal(`${name}_any`, 'bool')
  return {
    stmts: [init, { k: 'var', v: any, e: truth(false) }, ...nest([assign, { k: 'assign', v: any, e: truth(true) }])],
    result: select(local(any), local(acc), constant(empty, e.of)),
  }
}

function argmax(
  name: string,
  e: Expr,
  empty: number,
  ranges: readonly Range[],
  nest: (b: readonly Stmt[]) => readonly Stmt[],
): { readonly stmts: readonly Stmt[]; readonly result: Expr } {
  const best = newLocal(`${name}_value`, e.of)
  const at = newLocal(name, 'i32')
  const x = newLocal(`${name}_x`, e.of)
  const position = ranges.length > 0 ? index(of(ranges[0].v)) : constant(0, 'i32')
  const better: Stmt = {
    k: 'if',
    c: bin('gt', local(x), local(best)),
    body: [
      { k: 'assign', v: best, e: local(x) },
      { k: 'assign', v: at, e: position },
    ],
  }
  const stmts: readonly Stmt[] = [
    { k: 'var', v: best, e: constant(identityOf('max', e.of), e.of) },
    { k: 'var', v: at, e: constant(empty, 'i32') },
    ...nest([{ k: 'let', v: x, e }, better]),
  ]
  return { stmts, result: local(at) }
}

/** The largest finite f32: kernels have no infinities. */
const HUGE = 3.4028234663852886e38
export function identityOf(fold: Fold, type: Scalar): number {
  const huge = type === 'i32' ? 2147483647 : HUGE
  switch (fold) {
    case 'add':
      return 0
    case 'mul':
      return 1
    case 'min':
      return huge
    default:
      return -huge
  }
}
export function foldOf(fold: Fold, a: Expr, b: Expr): Expr {
  if (fold === 'argmax') throw new Error('internal: argmax has no single accumulator')
  return bin(fold, a, b)
}

export const guardBy = (c: Expr | undefined, body: readonly Stmt[]): readonly Stmt[] =>
  c === undefined ? body : [{ k: 'if', c, body }]

/**
 * Stores a stage's value where it is global; otherwise notes where it is: the expression itself, or private storage over the inner
 * symbols (`before` allocates it outside of their loops).
 */
export function storeResult(
  c: Context,
  s: Stage,
  value: Expr,
  syms: ReadonlyMap<Sym, Ix>,
  inner: readonly Sym[],
  chunkOf?: { readonly axis: Sym; readonly size: number; readonly start: Ix },
): { readonly before: readonly Stmt[]; readonly stmts: readonly Stmt[] } {
  const m = placedMapper(c, syms)
  if (s.out.space !== 'virtual') {
    const at = (s.at ?? s.domain.map(of)).map(m.ix)
    const store: Stmt = { k: 'store', buf: s.out, at, e: cast(s.out.of, value) }
    // A reduction without inner axes is at hand; other results are read back.
    if (inner.length === 0 && s.body.k === 'reduce' && s.guard === undefined && s.at === undefined)
      c.placed.set(s.out, { k: 'local', e: value })
    return { before: [], stmts: guardBy(both(s.guard && m.expr(s.guard), undefined), [store]) }
  }
  if (inner.length === 0) {
    if (s.body.k !== 'map' || value.k === 'local' || value.k === 'const') {
      c.placed.set(s.out, { k: 'local', e: cast(s.out.of, value) })
      return { before: [], stmts: [] }
    }
    const v: Local = newLocal(s.name, s.out.of)
    c.placed.set(s.out, { k: 'local', e: local(v) })
    return { before: [], stmts: [{ k: 'let', v, e: value }] }
  }
  const axes = s.domain.map((v, axis) => ({ v, axis })).filter(({ v }) => inner.includes(v))
  const shape = axes.map(({ v }) => (chunkOf !== undefined && chunkOf.axis === v ? con(chunkOf.size) : extentOf(v)))
  if (shape.some((x) => isConst(x) === undefined)) throw unplaced(s)
  const buf = newBuffer(s.name, s.out.of, 'private', shape)
  const dims = axes.map(({ v, axis }) =>
    chunkOf !== undefined && chunkOf.axis === v ? { axis, minus: chunkOf.start } : { axis },
  )
  c.placed.set(s.out, { k: 'private', buf, dims })
  const at = dims.map((d) =>
    d.minus === undefined ? m.ix(of(s.domain[d.axis])) : sub(m.ix(of(s.domain[d.axis])), d.minus),
  )
  return { before: [{ k: 'alloc', buf }], stmts: [{ k: 'store', buf, at, e: cast(s.out.of, value) }] }
}
