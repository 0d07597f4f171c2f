/**
 * `direct`: every thread makes its own results, some rows of a few vectors of columns, and walks all of k. No workgroup memory, no barriers: what
 * neighbouring threads read alike comes from caches. For devices where a processor runs workgroups, and each barrier is a change of threads.
 */
import { local } from '../../../src/kernel/expr.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix } from '../../../src/types/ix.ts'
import { add, ceilDiv, mul, of } from '../../../src/types/ix.ts'
import type { Made, Product, Tail } from './contraction.ts'
import { callTail, clamp, fourDeep, gridOf, join, operand, range, sidesOf, vectorsOf } from './contraction.ts'
import { inFours, newSums, startAt, walkOf } from './depth.ts'
import { below, bound, forLoop } from './kit.ts'

/** A thread makes `rows` rows of `vectors` vectors of four columns. */
export function direct(p: Product, tail: Tail, rows: number, vectors = 1, most = 64): Made {
  const sides = sidesOf(p)
  const wide = Math.ceil((p.known.columns ?? Infinity) / (4 * vectors * sides.length))
  const threads = Math.min(most, 2 ** Math.ceil(Math.log2(wide)))
  const g = gridOf(p, rows, threads * vectors)
  const thread = loopSymbol('lane', threads)
  const count = vectorsOf(p)
  const own = bound('column4', mul(vectors, add(mul(threads, g.x), thread)), mul(threads * vectors, ceilDiv(count, threads * vectors))) // prettier-ignore
  const each = range(rows).map((i) => {
    const row = add(mul(rows, g.y), i)
    const { v, stmt } = bound(rows === 1 ? 'row' : `row${i}`, clamp(row, p.rows.count), p.rows.count)
    return { row, stmt, at: join(g.batch, p.rows.at(v)) }
  })
  const columns = range(vectors).map((j) => add(own.v, j))
  const sums = newSums(p, rows, vectors * sides.length)
  const { a } = p.c
  const left = (i: number, k: Ix) =>
    inFours(p) ? fourDeep(p, a, each[i].at, k, false) : operand(p, a, join(each[i].at, p.depth.at(k)))
  const within = columns.flatMap((c) => sides.map((side) => ({ column4: vectors === 1 ? c : clamp(c, count), side })))
  const walk = walkOf(p, { batch: g.batch, columns: within, sums, left }, 0, 1)
  const calls = each.flatMap(({ row }, i) =>
    columns.map((c, j) => {
      const own = sums[i].slice(j * sides.length, (j + 1) * sides.length)
      return { row, c, call: callTail(tail, [...g.place, row, c], ...own.map(local)) }
    }),
  )
  const results = calls.flatMap(({ row, c, call }) => {
    const inRow = below(row, p.rows.count, call.stmts)
    return vectors === 1 ? inRow : below(c, count, inRow)
  })
  const work: Stmt[] = [...each.map((r) => r.stmt), ...startAt(sums), walk, ...results]
  const body = forLoop('local.x', thread, [own.stmt, ...below(of(own.v), count, work)])
  return { nest: { ...p.kernel, body: g.wrap([body]) }, calls: calls.map((c) => c.call) }
}
