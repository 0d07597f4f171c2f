/**
 * Rows that a contraction makes itself: every workgroup folds and normalises the rows that its tile reads and keeps them in workgroup memory,
 * where the contraction finds its left operand. One of the workgroups of a row also stores what the rows have for results.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { arrange } from '../../../src/kernel/build.ts'
import { bin, constant, index, load } from '../../../src/kernel/expr.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import type { Split } from '../../../src/kernel/prologue.ts'
import type { Contraction } from '../../../src/kernel/structure.ts'
import { extentOf, loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, con, isConst, min, of, sub, substitute } from '../../../src/types/ix.ts'
import { linearise } from '../../../src/types/shape.ts'
import type { Flat, Scratch } from './kit.ts'
import { allocations, bound, forLoop, newScratch } from './kit.ts'
import { rowStatements } from './rows.ts'

type Syms = ReadonlyMap<Sym, Ix>

/** A workgroup that wants rows `first` … `first + rows - 1`, those that there are. */
export interface Wanting {
  readonly rows: number
  readonly first: Ix
  /** The tile of columns: the first one stores the results of the rows. */
  readonly tile: Ix
  readonly lane: Sym
  readonly threads: number
}
export interface Made {
  readonly allocs: readonly Stmt[]
  /** Of each thread, a barrier at the end. */
  readonly stmts: readonly Stmt[]
  /** The left operand as the contraction finds it then: loads of workgroup memory, contiguous along the summands. */
  readonly a: Contraction['a']
}
/** The left operand of a contraction, made where it is read. */
export interface Left {
  /** Elements of a row. */
  readonly length: number
  /** Bytes of workgroup memory that folds over `threads` threads need. */
  readonly scratch: (threads: number) => number
  readonly make: (w: Wanting) => Made
}

/** Undefined where the rows need more than the operand from workgroup memory. */
export function leftOf({ rows: kernel, operand }: Split, c: Contraction, rowsOf: Flat): Left | undefined {
  const arranged = arrange(kernel, { keep: (s) => s.out === operand })
  const maker = arranged.stages.find((s) => s.stage.out === operand)
  const shape = maker?.inner.map((v) => isConst(extentOf(v)))
  if (maker === undefined || shape === undefined || shape.length === 0) return undefined
  const length = shape.reduce<number>((n, x) => n * (x ?? Infinity), 1)
  const { domain } = maker.stage
  // Variants of a kernel fold in the same memory, by the same functions.
  const scratches = new Map<number, Scratch>()
  const scratchOf = (threads: number): Scratch => {
    const known = scratches.get(threads) ?? newScratch(threads)
    scratches.set(threads, known)
    return known
  }
  const place = (put: Buffer, line: Ix, w: Wanting, row: Syms) => {
    const at = new Map(arranged.outer.map((v, i) => [v, substitute(c.a.at[domain.indexOf(maker.rows[i])], row)]))
    const scratch = scratchOf(w.threads)
    const first = bin('eq', index(w.tile), constant(0, 'i32'))
    const where = isConst(w.tile) === 0 ? {} : { where: first }
    const made = rowStatements(arranged, kernel.params, {
      at,
      lane: w.lane,
      scratch,
      operand: { of: operand, put, line },
      ...where,
    })
    return made && { stmts: made.stmts, allocs: [...allocations(scratch), ...made.allocs] }
  }
  const storage = (rows: number): Buffer =>
    newBuffer('rows', 'f32', 'workgroup', [con(rows), ...maker.inner.map(extentOf)])
  const probe: Wanting = { rows: 1, first: con(0), tile: con(0), lane: loopSymbol('lane', 64), threads: 64 }
  const tried = Number.isFinite(length) ? place(storage(1), con(0), probe, rowsOf.at(0)) : undefined
  if (tried === undefined) return undefined
  const count = rowsOf.count
  return {
    length,
    scratch: (threads) => 4 * 2 * threads,
    make: (w) => {
      const put = storage(w.rows)
      const r = loopSymbol('r', w.rows)
      const row = bound('row', add(w.first, w.rows === 1 ? 0 : r), count)
      const made = place(put, w.rows === 1 ? con(0) : of(r), w, rowsOf.at(row.v))!
      const each = [row.stmt, ...made.stmts]
      const line = w.rows === 1 ? con(0) : sub(linearise(c.m.map(of), c.m.map(extentOf)), w.first)
      const all = w.rows === 1 ? each : [forLoop('serial', r, each, 0, min(w.rows, sub(count, w.first)))]
      return {
        allocs: [{ k: 'alloc', buf: put }, ...made.allocs],
        stmts: [...all, { k: 'barrier' }],
        a: load(put, [line, ...maker.inner.map((v) => c.a.at[domain.indexOf(v)])]) as Contraction['a'],
      }
    },
  }
}
