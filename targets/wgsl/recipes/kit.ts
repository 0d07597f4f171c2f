/** Small builders that the recipes share: loops of each kind, flattened axes, folds over a workgroup. */
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { Expr, Fold, Local } from '../../../src/kernel/expr.ts'
import { bin, constant, index, load, local, newLocal, select } from '../../../src/kernel/expr.ts'
import type { For, LoopKind, Stmt } from '../../../src/kernel/nest.ts'
import { extentOf, loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix, IxLike, Sym } from '../../../src/types/ix.ts'
import { add, con, mul, of, proveLe } from '../../../src/types/ix.ts'
import { delinearise, elements } from '../../../src/types/shape.ts'

export function forLoop(
  kind: LoopKind,
  v: Sym,
  body: readonly Stmt[],
  lo: IxLike = 0,
  hi: IxLike = extentOf(v),
  step = 1,
): For {
  return { k: 'for', v, lo: of(lo), hi: of(hi), step, kind, body }
}
export const serial = (v: Sym, body: readonly Stmt[]): For => forLoop('serial', v, body)

/** `body` where `a < b`; without a condition where that is provable. */
export function below(a: Ix, b: Ix, body: readonly Stmt[]): readonly Stmt[] {
  return proveLe(add(a, 1), b) ? body : [{ k: 'if', c: bin('lt', index(a), index(b)), body }]
}

/** A name for an index within 0 … extent - 1. */
export function bound(name: string, ix: Ix, extent: IxLike): { readonly v: Sym; readonly stmt: Stmt } {
  const v = loopSymbol(name, of(extent))
  return { v, stmt: { k: 'bind', v, ix } }
}

/** A name for a value. */
export function named(name: string, e: Expr): { readonly stmt: Stmt; readonly e: Expr } {
  const v = newLocal(name, e.of, e.lanes)
  return { stmt: { k: 'let', v, e }, e: local(v) }
}

/** Several axes as one: their number of points, and the coordinates of one. */
export interface Flat {
  readonly count: Ix
  readonly at: (i: IxLike) => ReadonlyMap<Sym, Ix>
}
export function flatten(axes: readonly Sym[]): Flat {
  const shape = axes.map(extentOf)
  return {
    count: elements(shape),
    at: (i) => {
      const coordinates = delinearise(i, shape)
      return new Map(axes.map((v, d) => [v, coordinates[d]]))
    },
  }
}

/** Workgroup storage for folds over the threads, shared by all folds of a kernel. */
export interface Scratch {
  readonly threads: number
  readonly buffers: Map<string, Buffer>
}
export const newScratch = (threads: number): Scratch => ({ threads, buffers: new Map() })
export const allocations = (s: Scratch): Stmt[] => [...s.buffers.values()].map((buf) => ({ k: 'alloc', buf }))

function scratchOf(s: Scratch, name: string, { of, lanes }: Expr, size: number): Buffer {
  const own = `${name}${of === 'f32' ? '' : `_${of}`}${lanes === 1 ? '' : `_vec${lanes}`}`
  let buf = s.buffers.get(own)
  if (buf === undefined)
    s.buffers.set(own, (buf = newBuffer(name, of, 'workgroup', [con(size), ...(lanes === 1 ? [] : [con(lanes)])])))
  return buf
}

/** The number of threads that fold the first level, each over as many values as there are groups: √threads. */
const groupsOf = (threads: number): number => 2 ** Math.floor(Math.log2(threads) / 2)

/**
 * Folds one value per thread `lane` over the workgroup, in two levels (two barriers). Every thread gets the result. The scratch may be
 * used again by the next fold: what one fold reads last, the next one writes only after a barrier. A vector is folded lane by lane.
 * For `argmax`, `value` is what is compared and `at` the index: the first largest wins.
 */
export function foldThreads(
  s: Scratch,
  lane: Sym,
  fold: Fold,
  value: Expr,
  name: string,
  at?: Expr,
): { readonly stmts: readonly Stmt[]; readonly result: Expr } {
  const groups = groupsOf(s.threads)
  const each = s.threads / groups
  const pairs: readonly { readonly first: Expr; readonly all: Buffer; readonly some: Buffer }[] = [
    value,
    ...(at ? [at] : []),
  ].map((e, i) => {
    // Indices of numbers of the same type need memory of their own.
    const own = i === 1 && e.of === value.of ? '_at' : ''
    return {
      first: e,
      all: scratchOf(s, `folded${own}`, e, s.threads),
      some: scratchOf(s, `parts${own}`, e, groups),
    }
  })
  // A vector lies along an axis of its own.
  const { lanes } = value
  const cell = (buf: Buffer, i: Ix): Expr => (lanes === 1 ? load(buf, [i]) : load(buf, [i, con(0)], { lanes, axis: 1 }))
  const put = (buf: Buffer, e: Expr): Stmt =>
    lanes === 1 ? { k: 'store', buf, at: [of(lane)], e } : { k: 'store', buf, at: [of(lane), con(0)], e, axis: 1 }
  const level = (
    from: 'all' | 'some',
    start: IxLike,
    count: number,
    label: string,
  ): { stmts: Stmt[]; results: Local[] } => {
    const results = pairs.map((p, i) => newLocal(i === 0 ? label : `${label}_at`, p.first.of, lanes))
    const i = loopSymbol('i', count)
    const stmts: Stmt[] = pairs.map((p, n) => ({ k: 'var', v: results[n], e: cell(p[from], of(start)) }))
    const next = pairs.map((p) => cell(p[from], add(start, i)))
    const body: Stmt[] =
      fold !== 'argmax'
        ? [{ k: 'assign', v: results[0], e: bin(fold, local(results[0]), next[0]) }]
        : [
            {
              k: 'if',
              c: better(next, results.map(local)),
              body: results.map((v, n): Stmt => ({ k: 'assign', v, e: next[n] })),
            },
          ]
    stmts.push({ ...forLoop('serial', i, body, 1, count), reduces: true })
    return { stmts, results }
  }
  const first = level('all', mul(each, of(lane)), each, 'piece')
  const second = level('some', 0, groups, name)
  const stmts: Stmt[] = [
    ...pairs.map((p) => put(p.all, p.first)),
    { k: 'barrier' },
    ...below(of(lane), con(groups), [...first.stmts, ...pairs.map((p, n) => put(p.some, local(first.results[n])))]),
    { k: 'barrier' },
    ...second.stmts,
  ]
  return { stmts, result: local(second.results[at === undefined ? 0 : 1]) }
}

/** Larger, or as large and earlier. */
const better = (next: readonly Expr[], best: readonly Expr[]): Expr =>
  bin('or', bin('gt', next[0], best[0]), bin('and', bin('eq', next[0], best[0]), bin('lt', next[1], best[1])))

/** A truth value as a number, for folds. */
export const asNumber = (e: Expr): Expr => select(e, constant(1, 'i32'), constant(0, 'i32'))
