/**
 * Carried reductions (attention) of few rows over many elements, in two passes (Flash-Decoding: Dao et al. 2023): each workgroup takes a part of a
 * row's elements, as `split` takes all of them, and leaves what it carries in scratch; then one workgroup for each row merges the parts.
 */
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { constant, lane, load, local, newLocal, vec } from '../../../src/kernel/expr.ts'
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { effectsOf, extentOf, loopSymbol } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, ceilDiv, con, isConst, min, mul, of, proveLe, sub, substitute, symbolsOf, valuesOf } from '../../../src/types/ix.ts' // prettier-ignore
import { elements } from '../../../src/types/shape.ts'
import type { Pass, Passes } from '../passes.ts'
import { grows } from './block.ts'
import { gridOf } from './carried.ts'
import type { Row } from './carries.ts'
import { LY, finished, joined, merge, onlyAt, rowOf } from './carries.ts'
import { below, forLoop } from './kit.ts'
import { LANES, range } from './lanes.ts'
import { CHUNK, walk } from './split.ts'

/** Elements of a part. */
const PART = 4 * CHUNK
/** Elements that a row must see. */
const MANY = 512
/** Rows, of all axes: with more of them there are workgroups enough. */
const ROWS = 256

/** `most`: of the rows that `flash` would take as a block. Undefined where rows never see so many elements, or are never so few. */
export function spread(
  kernel: StageKernel,
  most: number,
  finish: (nest: NestKernel) => NestKernel,
): Passes | undefined {
  const [first, second] = [rowOf(kernel, CHUNK), rowOf(kernel, CHUNK)]
  if (first === undefined || second === undefined) return undefined
  const { b, rows, running, outer } = first
  if (running.some(({ carry }) => carry.running.of !== 'f32')) return undefined
  const count = elements(rows.map(extentOf))
  const queries = b.rows ? extentOf(b.rows) : con(1)
  const { lo: from, hi: to } = seenBy(first)
  const seen = sub(to, from)
  // Rows are few: what they see of a window does not grow with their number.
  const [symbol] = symbolsOf(queries)
  const few = new Map(symbol && of(symbol) === queries ? [[symbol, con(most)] as const] : [])
  const never = atLeast(from).some((lo) => proveLe(substitute(sub(to, lo), few), MANY))
  if (never || (isConst(count) ?? 0) > ROWS || (isConst(queries) ?? 0) > most) return undefined

  // In scratch: vectors of columns, then the scalars, in vectors too.
  const wide = running.filter((r) => r.isWide)
  const scalars = running.filter((r) => !r.isWide)
  const fours = Math.ceil(scalars.length / LANES)
  const parts = ceilDiv(seen, PART)
  const slots = wide.length * b.width + fours * LANES
  const scratch = newBuffer('parts', 'f32', 'global', [...rows.map(extentOf), parts, con(slots)])
  const axis = rows.length + 1
  const cell = (r: Row, part: Ix, slot: Ix): readonly Ix[] => [
    ...r.rows.map((v) => substitute(of(v), r.outer)),
    part,
    slot,
  ]
  const scalarSlot = (n: number): Ix => con(wide.length * b.width + LANES * n)

  // ---- a part ----
  const part = loopSymbol('stretch', parts)
  const grid = gridOf([...rows, part], outer)
  const lo = add(b.lo, mul(PART, part))
  const walked = walk(first, lo, min(b.hi, add(lo, PART)), false)
  if (walked === undefined) return undefined
  const puts = wide.flatMap(({ vs }, n) =>
    vs.flatMap((v, w) => {
      const { raw } = first.columns[w]
      const at = cell(first, of(part), add(n * b.width, mul(LANES, raw)))
      return below(raw, con(b.width / LANES), [{ k: 'store', buf: scratch, at, e: local(v), axis }])
    }),
  )
  const four = (n: number) => range(LANES).map((i) => scalars[LANES * n + i]?.vs[0])
  const rest = range(fours).map((n): Stmt => {
    const e = vec(four(n).map((v) => (v ? local(v) : constant(0))))
    return { k: 'store', buf: scratch, at: cell(first, of(part), scalarSlot(n)), e, axis }
  })
  const stored = [...puts, onlyAt(first.lx, rest)]
  const partNest = grid(joined(first, [walked.stmt], walked.allocs, stored))

  // ---- the parts of a row ----
  const p = loopSymbol('p', parts)
  const steps: Stmt[] = []
  range(fours).forEach((n) => {
    const v = newLocal('scalars', 'f32', LANES)
    steps.push({ k: 'let', v, e: load(scratch, cell(second, of(p), scalarSlot(n)), { lanes: LANES, axis }) })
    second.running
      .filter((r) => !r.isWide)
      .slice(LANES * n, LANES * (n + 1))
      .forEach(({ carry }, i) => second.context.placed.set(carry.chunk, { k: 'local', e: lane(local(v), i) }))
  })
  second.running
    .filter((r) => r.isWide)
    .forEach(({ carry }, n) =>
      second.columns.forEach(({ at }, w) => {
        const v = newLocal(`${carry.chunk.name}_part`, 'f32', LANES)
        steps.push({ k: 'let', v, e: load(scratch, cell(second, of(p), add(n * b.width, at)), { lanes: LANES, axis }) })
        second.wide[w].set(carry.chunk, local(v))
      }),
    )
  steps.push(...merge(second))
  const all: Stmt = { ...forLoop('serial', p, steps, of(second.ly), parts, LY), reduces: true }
  const mergeNest = gridOf(second.rows, second.outer)(joined(second, [all], [], finished(second)))

  const pass = (suffix: string, schedule: 'spread' | 'merge', body: readonly Stmt[], writes: boolean): Pass => {
    const { reads, writes: stores } = effectsOf(body)
    const args = kernel.args.filter((a) => reads.has(a.buffer) || stores.has(a.buffer))
    const own: StageKernel = {
      ...kernel,
      name: `${kernel.name}_${suffix}`,
      stages: [],
      args: [...args, { buffer: scratch, access: writes ? 'write' : 'read', role: 'activation' }],
    }
    const nest = finish({ name: own.name, doc: own.doc, args: own.args, params: own.params, body })
    return { kernel: own, scheduled: { variants: [{ suffix: '', schedule, nest }] } }
  }
  const rowsAtMost = b.rows ? mul(elements(rows.filter((v) => v !== b.rows).map(extentOf)), min(queries, most)) : count
  return {
    list: [pass('parts', 'spread', partNest, true), pass('merge', 'merge', mergeNest, false)],
    scratch: [scratch],
    sizes: [mul(min(rowsAtMost, ROWS), parts, slots)],
    where: [
      ...(isConst(queries) === undefined ? [[queries, con(most)] as const] : []),
      ...(isConst(count) === undefined ? [[count, con(ROWS)] as const] : []),
      [con(MANY + 1), seen],
    ],
  }
}

/** The elements that rows see lie in lo … hi - 1, in dims. */
function seenBy({ kernel, body, b, rows }: Row): { readonly lo: Ix; readonly hi: Ix } {
  const known = (x: Ix): boolean => valuesOf(x).size === 0 && [...symbolsOf(x)].every((s) => kernel.params.includes(s))
  /** The bound of the first row, or of the last. */
  const at = (x: Ix, row: (v: Sym) => Ix, otherwise: Ix): Ix => {
    const bound = substitute(x, new Map(rows.map((v) => [v, row(v)])))
    return rows.every((v) => grows(x, v)) && known(bound) ? bound : otherwise
  }
  return { lo: at(b.lo, () => con(0), con(0)), hi: at(b.hi, (v) => sub(extentOf(v), 1), extentOf(body.axis)) }
}
/** What a largest of several is no less than. */
function atLeast(x: Ix): readonly Ix[] {
  const [term] = x.terms
  const atom = x.terms.length === 1 && term.coef === 1 && term.atoms.length === 1 ? term.atoms[0] : undefined
  return atom?.k === 'max' ? [...atLeast(atom.a), ...atLeast(atom.b)] : [x]
}
