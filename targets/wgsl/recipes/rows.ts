/**
 * Rows: a workgroup makes one row of every stage. Reductions run over the threads, several results are stored in passing, and what a
 * thread stored it reads back itself where the next stage walks the row in the same way; otherwise a barrier lies between.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Context } from '../../../src/kernel/build.ts'
import { arrange, bindLoop, emitBody, guardBy, placedMapper, reduction } from '../../../src/kernel/build.ts'
import { conjuncts } from '../../../src/kernel/bounds.ts'
import type { Expr } from '../../../src/kernel/expr.ts'
import { bin, cast, constant, index, local, newLocal, select } from '../../../src/kernel/expr.ts'
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import type { Rows } from '../../../src/kernel/rows.ts'
import { exprsOfStage } from '../../../src/kernel/rows.ts'
import type { Stage, StageKernel } from '../../../src/kernel/stage.ts'
import { extentOf, isUnit, loadsOf, loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, con, isConst, of, range, substitute } from '../../../src/types/ix.ts'
import { heldRows, holdingOf, threadsThatHold } from './held.ts'
import { allocations, asNumber, flatten, foldThreads, forLoop, newScratch } from './kit.ts'
import type { Scratch } from './kit.ts'

/** A value of the row that the threads made together: which element is whose, and where it lies. */
interface Shared {
  readonly out: Buffer
  readonly at: readonly Ix[]
  /** The loop that was split over the threads; undefined where one thread stores the row's only value. */
  readonly split: Sym | undefined
  readonly barrierSince: boolean
}

interface State {
  readonly context: Context
  readonly scratch: Scratch
  readonly lane: Sym
  readonly allocs: Stmt[]
  readonly operand: RowPlace['operand']
  readonly where: Expr | undefined
  shared: readonly Shared[]
}

/** Which row of the stages is made, by whom, and where to. */
export interface RowPlace {
  /** The values of the rows' outer symbols. */
  readonly at: ReadonlyMap<Sym, Ix>
  readonly lane: Sym
  readonly scratch: Scratch
  /** A virtual value that is handed on, in workgroup memory: `line` comes before its own coordinates in `put`. */
  readonly operand?: { readonly of: Buffer; readonly put: Buffer; readonly line: Ix }
  /** Where other workgroups make the same row: which of them stores its results. */
  readonly where?: Expr
}

/** Elements of a row that a thread takes side by side where it keeps its share of the row. */
const LANES = 4

/** Undefined where a value that is kept within the row is too large for workgroup memory. */
export function rows(kernel: StageKernel): NestKernel | undefined {
  const arranged = arrange(kernel)
  const holding = holdingOf(arranged, LANES)
  const threads = (holding && threadsThatHold(holding)) ?? threadsFor(arranged)
  const row = loopSymbol('row', flatten(arranged.outer).count)
  const lane = loopSymbol('lane', threads)
  const scratch = newScratch(threads)
  const made = rowStatements(arranged, kernel.params, { at: flatten(arranged.outer).at(row), lane, scratch })
  if (made === undefined) return undefined
  const body = forLoop('local.x', lane, made.stmts)
  return { ...kernel, body: [forLoop('grid.x', row, [...allocations(scratch), ...made.allocs, body])] }
}

/** What a thread does for one row, and the workgroup memory for it, but for the scratch. */
export function rowStatements(
  arranged: Rows,
  params: readonly Sym[],
  place: RowPlace,
): { readonly stmts: readonly Stmt[]; readonly allocs: readonly Stmt[] } | undefined {
  const context: Context = { bound: new Set(params), placed: new Map(), chunk: 32 }
  const { lane, scratch, operand, where } = place
  const holding = holdingOf(arranged, LANES)
  const held = holding && heldRows(arranged, place, holding)
  if (held !== undefined) return { stmts: held, allocs: [] }
  const state: State = { context, scratch, lane, allocs: [], operand, where, shared: [] }
  const stmts: Stmt[] = []
  for (const s of arranged.stages) {
    const syms = new Map<Sym, Ix>(s.stage.domain.filter(isUnit).map((v) => [v, con(0)]))
    s.rows.forEach((v, i) => syms.set(v, place.at.get(arranged.outer[i])!))
    const made = emitStage(state, s.stage, syms, s.inner)
    if (made === undefined) return undefined
    stmts.push(...made)
  }
  return { stmts, allocs: state.allocs }
}

/** Elements of the longest row, 512 where dims decide. */
export function longestRow(r: Rows): number {
  const lengths = r.stages
    .flatMap((s) => [...s.inner, ...(s.stage.body.k === 'reduce' ? s.stage.body.axes : [])])
    .map((v) => range(extentOf(v)))
  return Math.max(1, ...lengths.map((x) => (x.lo === x.hi ? x.hi : 512)))
}

/** About four elements a thread, where the length is known. */
function threadsFor(r: Rows): number {
  const longest = longestRow(r)
  return longest <= 256 ? 64 : longest <= 1024 ? 128 : 256
}

function emitStage(st: State, s: Stage, syms: Map<Sym, Ix>, inner: readonly Sym[]): readonly Stmt[] | undefined {
  if (s.body.k === 'carried') return undefined
  const c = st.context
  const around = inner.map((v) => ({ v, made: innerLoop(st, v) }))
  around.forEach(({ v, made }) => syms.set(v, of(made)))
  const before = barrierFor(st, s, syms, around[0]?.made)
  if (inner.length === 0) {
    const folded = s.body.k === 'reduce' ? emitFold(st, s, s.body, syms) : emitBody(c, s.name, s.out.of, s.body, syms)
    const value = cast(s.out.of, folded.result)
    const kept = keepLocal(c, s, value)
    if (s.out.space === 'virtual') return [...before, ...folded.stmts, ...kept]
    const m = placedMapper(c, syms)
    const at = (s.at ?? s.domain.map(of)).map(m.ix)
    const store: Stmt = { k: 'store', buf: s.out, at, e: value }
    if (s.body.k !== 'reduce' || s.at !== undefined || s.guard !== undefined)
      st.shared = [...st.shared, { out: s.out, at, split: undefined, barrierSince: false }]
    else c.placed.set(s.out, { k: 'local', e: value })
    const once: Stmt = {
      k: 'if',
      c: bin('eq', index(of(st.lane)), constant(0, 'i32')),
      body: guardBy(st.where, guardBy(s.guard && m.expr(s.guard), [store])),
    }
    return [...before, ...folded.stmts, once]
  }
  let out = s.out
  let line: readonly Ix[] = []
  if (out === st.operand?.of) {
    out = st.operand.put
    line = [st.operand.line]
    const dims = inner.map((v) => ({ axis: s.domain.indexOf(v) }))
    c.placed.set(s.out, { k: 'private', buf: out, dims: [{ fixed: st.operand.line }, ...dims] })
  } else if (out.space === 'virtual') {
    const shape = inner.map(extentOf)
    const size = shape
      .map((x) => isConst(x))
      .reduce<number | undefined>((n, x) => (n === undefined || x === undefined ? undefined : n * x), 1)
    if (size === undefined || size > 1536) return undefined
    out = newBuffer(s.name, s.out.of, 'workgroup', shape)
    st.allocs.push({ k: 'alloc', buf: out })
    c.placed.set(s.out, { k: 'private', buf: out, dims: inner.map((v) => ({ axis: s.domain.indexOf(v) })) })
  }
  const body = emitBody(c, s.name, s.out.of, s.body, syms)
  const m = placedMapper(c, syms)
  const at = out === s.out ? (s.at ?? s.domain.map(of)).map(m.ix) : [...line, ...inner.map((v) => syms.get(v)!)]
  const store: Stmt = { k: 'store', buf: out, at, e: cast(s.out.of, body.result) }
  const guarded = guardBy(s.guard && m.expr(s.guard), [store])
  const points = around
    .slice(1)
    .reduceRight<readonly Stmt[]>(
      (b, { made }) => [forLoop('serial', made, b)],
      [...body.stmts, ...(out === s.out ? guardBy(st.where, guarded) : guarded)],
    )
  const split = around[0].made
  st.shared = [
    ...st.shared,
    { out: s.out, at: (s.at ?? s.domain.map(of)).map((x) => substitute(x, syms)), split, barrierSince: false },
  ]
  return [...before, forLoop('serial', split, points, of(st.lane), extentOf(split), st.scratch.threads)]
}

/** The loop over an axis of the row. In a prologue all are called the same, so that kernels with other names share its text. */
const innerLoop = (st: State, v: Sym): Sym =>
  st.operand === undefined ? bindLoop(st.context, v) : loopSymbol('e', extentOf(v))

/** A row's own value is computed by every thread. */
function keepLocal(c: Context, s: Stage, value: Expr): readonly Stmt[] {
  if (s.out.space !== 'virtual') return []
  if (value.k === 'local' || value.k === 'const') {
    c.placed.set(s.out, { k: 'local', e: value })
    return []
  }
  const v = newLocal(s.name, s.out.of)
  c.placed.set(s.out, { k: 'local', e: local(v) })
  return [{ k: 'let', v, e: value }]
}

/** A fold over the row: each thread over its elements, then the threads together. */
function emitFold(
  st: State,
  s: Stage,
  body: Stage['body'] & { k: 'reduce' },
  syms: Map<Sym, Ix>,
): { readonly stmts: readonly Stmt[]; readonly result: Expr } {
  const c = st.context
  const axes: Sym[] = []
  for (const v of body.axes) {
    if (isUnit(v)) syms.set(v, con(0))
    else {
      const made = innerLoop(st, v)
      syms.set(v, of(made))
      axes.push(made)
    }
  }
  const m = placedMapper(c, syms)
  const conditions = conjuncts(body.where && m.expr(body.where))
  const made = reduction(
    `${s.name}_own`,
    body.fold,
    m.expr(body.e),
    conditions,
    body.empty,
    axes.map((v) => ({ v, lo: con(0), hi: extentOf(v) })),
  )
  // The outermost loop is the one that the threads share.
  let done = false
  const stmts = made.stmts.map((x): Stmt => {
    if (x.k !== 'for' || done) return x
    done = true
    return { ...x, lo: add(x.lo, st.lane), step: st.scratch.threads }
  })
  const accumulators = stmts.filter((x) => x.k === 'var').map((x) => x.v)
  if (!done) return made
  if (body.fold === 'argmax') {
    const folded = foldThreads(st.scratch, st.lane, 'argmax', local(accumulators[0]), s.name, local(accumulators[1]))
    return { stmts: [...stmts, ...folded.stmts], result: folded.result }
  }
  const folded = foldThreads(st.scratch, st.lane, body.fold, local(accumulators[0]), s.name)
  if (accumulators.length === 1) return { stmts: [...stmts, ...folded.stmts], result: folded.result }
  const any = foldThreads(st.scratch, st.lane, 'max', asNumber(local(accumulators[1])), `${s.name}_any`)
  const value = select(bin('gt', any.result, constant(0, 'i32')), folded.result, constant(body.empty, folded.result.of))
  return { stmts: [...stmts, ...folded.stmts, ...any.stmts], result: value }
}

/** A barrier before a stage that reads what other threads made since the last one. */
function barrierFor(st: State, s: Stage, syms: ReadonlyMap<Sym, Ix>, split: Sym | undefined): readonly Stmt[] {
  const own =
    split ?? (s.body.k === 'reduce' && s.body.where === undefined ? s.body.axes.find((v) => !isUnit(v)) : undefined)
  const here = (x: Ix, w: Shared): Ix => {
    const placed = substitute(x, syms)
    return own === undefined || w.split === undefined ? placed : substitute(placed, new Map([[own, of(w.split)]]))
  }
  const sameThread = (w: Shared, at: readonly Ix[]): boolean =>
    own !== undefined &&
    w.split !== undefined &&
    extentOf(own) === extentOf(w.split) &&
    at.every((x, i) => here(x, w) === w.at[i])
  const reads = exprsOfStage(s).flatMap(loadsOf)
  const foreign = st.shared.some((w) => !w.barrierSince && reads.some((l) => l.buf === w.out && !sameThread(w, l.at)))
  if (!foreign) return []
  st.shared = st.shared.map((w) => ({ ...w, barrierSince: true }))
  return [{ k: 'barrier' }]
}
