/**
 * A row's work spread over the threads of a workgroup: loops along the row are walked in strides, folds end in a tree through workgroup
 * memory, so that every thread has the result.
 */
import type { Ix, Sym } from '../../types/ix.ts'
import { add, con, of, substitute } from '../../types/ix.ts'
import type { Buffer } from '../buffer.ts'
import { newBuffer } from '../buffer.ts'
import { foldOf, identityOf } from '../build.ts'
import type { BinaryFn, Expr, Fold, Local } from '../expr.ts'
import { bin, index, load, local } from '../expr.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import { effectsOf, exprsOf, loadsOf, loopSymbol, visitStmts } from '../walk.ts'
import { IllegalSchedule, outerAssigns, replaceLoop } from './edit.ts'

export interface Threaded {
  readonly nest: NestKernel
  readonly thread: Sym
}

/**
 * Runs the body of the loop over `row` by `threads` threads (a power of two). Map the row loops to the grid first; else a further barrier
 * ends each fold. Loops whose folds have no tree (argmax) are run by every thread.
 */
export function threadRows(nest: NestKernel, row: Sym, threads: number): Threaded {
  if (threads < 1 || (threads & (threads - 1)) !== 0)
    throw new IllegalSchedule('threadRows', `${threads} threads are not a power of two`)
  const t = loopSymbol('t', threads)
  const made = replaceLoop(nest, row, (r) => {
    const shared: Stmt[] = []
    const strided = new Set<Sym>()
    const body = r.body.flatMap((s): readonly Stmt[] => {
      switch (s.k) {
        case 'for': {
          const accumulators = [...outerAssigns(s.body)]
          if (accumulators.length === 0 && !s.reduces) {
            strided.add(s.v)
            return [stride(s, t, threads)]
          }
          const folds = accumulators.map((v) => foldInto(r.body, s, v))
          if (folds.some((f) => f === undefined) || s.step !== 1 || effectsOf(s.body).writes.size > 0) {
            if ([...effectsOf(s.body).writes].some((b) => b.space !== 'private'))
              throw new IllegalSchedule('threadRows', `the fold over ${s.v.name} stores`)
            return [s]
          }
          strided.add(s.v)
          return [
            stride(s, t, threads),
            ...accumulators.flatMap((v, i) => tree(v, folds[i]!, t, threads, shared, !r.kind.startsWith('grid.'))),
          ]
        }
        case 'store':
          return s.buf.space === 'private' ? [s] : [first(t, s)]
        case 'if': {
          const effects = effectsOf(s.body)
          if (effects.assigns.size > 0 || s.body.some((x) => x.k === 'for'))
            throw new IllegalSchedule('threadRows', 'a condition around loops or folds')
          return [first(t, s)]
        }
        case 'barrier':
          throw new IllegalSchedule('threadRows', 'the row is spread over threads already')
        default:
          return [s]
      }
    })
    requireOwnElements(body, strided)
    const threaded: For = { k: 'for', v: t, lo: con(0), hi: con(threads), step: 1, kind: 'local.x', body }
    return [{ ...r, body: [...shared, threaded] }]
  })
  return { nest: made, thread: t }
}

const first = (t: Sym, s: Stmt): Stmt => ({ k: 'if', c: bin('eq', index(of(t)), index(con(0))), body: [s] })

function stride(s: For, t: Sym, threads: number): For {
  if (s.step !== 1) throw new IllegalSchedule('threadRows', `${s.v.name} has step ${s.step}`)
  return { ...s, lo: add(s.lo, t), step: threads }
}

/** How a loop folds into a local, if each thread may start its part from the local's initial value. */
function foldInto(block: readonly Stmt[], s: For, v: Local): Fold | undefined {
  const folds = new Set<BinaryFn | undefined>()
  visitStmts([s], (x) => {
    if (x.k === 'assign' && x.v === v)
      folds.add(x.e.k === 'bin' && x.e.a.k === 'local' && x.e.a.v === v ? x.e.f : undefined)
  })
  const [f] = folds
  const start = block.find((x) => x.k === 'var' && x.v === v)
  if (folds.size !== 1 || f === undefined || !['add', 'mul', 'max', 'min'].includes(f)) return undefined
  const fold = f as Fold
  if (start?.k !== 'var' || start.e.k !== 'const') return undefined
  // Any initial value may be folded in more than once by max and min.
  return fold === 'max' || fold === 'min' || start.e.value === identityOf(fold, v.of) ? fold : undefined
}

function tree(v: Local, fold: Fold, t: Sym, threads: number, shared: Stmt[], repeats: boolean): readonly Stmt[] {
  const part = newBuffer(`${v.name}_parts`, v.of, 'workgroup', [con(threads)])
  shared.push({ k: 'alloc', buf: part })
  const cell = (at: Ix): Expr => load(part, [at])
  const out: Stmt[] = [{ k: 'store', buf: part, at: [of(t)], e: local(v) }, { k: 'barrier' }]
  for (let half = threads / 2; half >= 1; half /= 2) {
    const sum: Stmt = { k: 'store', buf: part, at: [of(t)], e: foldOf(fold, cell(of(t)), cell(add(t, half))) }
    out.push({ k: 'if', c: bin('lt', index(of(t)), index(con(half))), body: [sum] }, { k: 'barrier' })
  }
  out.push({ k: 'assign', v, e: cell(con(0)) })
  if (repeats) out.push({ k: 'barrier' })
  return out
}

/** What a strided loop writes may only be read at the same element of another one, by the same thread. */
function requireOwnElements(body: readonly Stmt[], strided: ReadonlySet<Sym>): void {
  const stores = new Map<Buffer, { readonly at: readonly Ix[]; readonly by: For | undefined }[]>()
  const owner = (around: readonly Stmt[]): For | undefined =>
    around.find((a): a is For => a.k === 'for' && strided.has(a.v))
  visitStmts(body, (s, around) => {
    if (s.k !== 'store' || s.buf.space === 'workgroup') return
    const by = owner(around)
    // A single element of a private buffer is each thread's own.
    if (by === undefined && s.buf.space === 'private') return
    stores.set(s.buf, [...(stores.get(s.buf) ?? []), { at: s.at, by }])
  })
  visitStmts(body, (s, around) => {
    const by = s.k === 'for' ? undefined : owner(around)
    for (const e of exprsOf(s)) {
      for (const l of loadsOf(e)) {
        for (const w of stores.get(l.buf) ?? []) {
          const map = by && w.by && by.lo === w.by.lo ? new Map([[by.v, of(w.by.v)]]) : undefined
          const own = map !== undefined && l.at.every((x, i) => substitute(x, map) === w.at[i])
          if (!own)
            throw new IllegalSchedule(
              'threadRows',
              `${l.buf.name} is read by another thread than the one that writes it`,
            )
        }
      }
    }
  })
}
