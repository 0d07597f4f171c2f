/**
 * Carried reductions (attention) for few rows: a workgroup takes one row and splits its elements over groups of threads, each of which carries
 * its own maximum, sum and columns; at the end the carries are merged (Flash-Decoding: Dao et al. 2023). Threads: `ly` is the group, and has every
 * LY-th element, four at a time as lanes of a vector; `lx` has every LX-th vector of a row's operand and of the columns. All loads are vectors, and
 * neighbouring threads load neighbours.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { conjuncts } from '../../../src/kernel/bounds.ts'
import type { Expr } from '../../../src/kernel/expr.ts'
import { across, bin, cast, constant, index, lane, load, local, newLocal, select, splat, vec } from '../../../src/kernel/expr.ts' // prettier-ignore
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { LoadExpr } from '../../../src/kernel/structure.ts'
import { extentOf, isUnit, loopSymbol, mapper } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, con, isConst, min, mul, of, sub, substitute, sym } from '../../../src/types/ix.ts'
import { elementFold, given, laneMappers, piecesOf, seesAll } from './block.ts'
import { gridOf } from './carried.ts'
import type { Row } from './carries.ts'
import { LY, finished, joined, merge, perRow, rowOf } from './carries.ts'
import { Hazards } from './hazards.ts'
import { bound, forLoop } from './kit.ts'
import { LANES, fourOf, lanesOf, range } from './lanes.ts'

/** Elements at a time. */
export const CHUNK = LANES * LY

/** Undefined where the structure is another one, or its sizes are not those that this is for. */
export function split(kernel: StageKernel): NestKernel | undefined {
  const r = rowOf(kernel, CHUNK)
  if (r === undefined) return undefined
  const grid = gridOf(r.rows, r.outer)
  const walked = walk(r, r.b.lo, r.b.hi, seesAll(r.b, r.body.axis, CHUNK))
  return walked && { ...kernel, body: grid(joined(r, [walked.stmt], walked.allocs, finished(r))) }
}

/** A walk over the elements lo … hi - 1 of the row that merges them into what a thread carries; `all`: none of a chunk is beyond. */
export function walk(
  r: Row,
  lo: Ix,
  hi: Ix,
  all: boolean,
): { readonly stmt: Stmt; readonly allocs: readonly Buffer[] } | undefined {
  const { body, b, lx, ly, LX, outer, context, before, columns, wide } = r
  const start = sym(`${body.axis.name}0`, { lo: 0, hi: body.axis.hi, role: 'loop' })
  const h = new Hazards()

  // ---- what a thread has: pieces of the operand and of the columns, and four elements at a time ----
  const depth = b.depth === b.width ? columns : piecesOf('piece', lx, LX, b.depth / LANES)
  if (depth !== columns) before.push(...depth.flatMap((p) => p.stmts))
  const keys = range(LANES).map((k) =>
    bound(`${body.axis.name}${k}`, min(add(start, ly, LY * k), sub(extentOf(body.axis), 1)), extentOf(body.axis)),
  )
  h.push([], [], ...keys.map((k) => k.stmt))
  const elements = new Map<Buffer, Expr>()
  const known = new Set<Expr>([...conjuncts(body.where), ...(body.where ? [body.where] : [])])
  /** A value of each of the four elements. Where the row does not see one its value is of no use: conditions hold. */
  const perElement = (e: Expr, sure = given(e, known)): Expr => {
    const at = laneMappers(context, outer, body.axis, (k) => of(keys[k].v), elements)
    return splat(lanesOf(sure, body.axis, elements, at), LANES)
  }
  const named = (name: string, n: number, w: number): string => (n === 1 ? name : `${name}_${w}`)

  // ---- the chunk ----
  const place = newLocal(`${body.axis.name}_at`, 'i32', LANES)
  if (!all) h.push([], [], { k: 'let', v: place, e: vec(range(LANES).map((k) => index(add(start, ly, LY * k)))) })
  const end = splat(index(substitute(hi, outer)), LANES)
  const conditions = [...(all ? [] : [bin('lt', local(place), end)]), ...b.where.map((c) => perElement(c, c))]
  const seen = conditions.length === 0 ? undefined : newLocal('seen', 'bool', LANES)
  if (seen) h.push([], [], { k: 'let', v: seen, e: conditions.reduce((x, y) => bin('and', x, y)) })

  /** Vectors of what the four elements bring, at a thread's pieces of `along`. */
  const four = (e: LoadExpr, along: Sym, at: Ix, element?: number): Expr => {
    const key = element === undefined ? [] : [[body.axis, of(keys[element].v)] as const]
    return fourOf(e, along, at, (x) => mapper({ syms: new Map([...outer, ...key, [along, x] as const]) }))
  }
  const { dot } = b
  const loaded = new Map<LoadExpr, readonly (readonly Expr[])[]>()
  const mine = depth.map(({ at, raw }, w) => {
    const v = newLocal(named(dot.a.buf.name, depth.length, w), dot.a.of, LANES)
    const e = four(dot.a, dot.over, at)
    const inside = isConst(sub(raw, at)) !== undefined || at === mul(LANES, raw)
    const absent = splat(constant(0, v.of), LANES)
    before.push({ k: 'let', v, e: inside ? e : select(bin('lt', index(raw), index(con(b.depth / LANES))), e, absent) })
    return v
  })
  const partial = newBuffer('partial', dot.a.of, 'workgroup', [con(LY), con(LX), con(LANES)])
  for (const t of body.chunk) {
    if (t.body.k === 'carried') return undefined
    if (t === dot.stage) {
      // Each thread its part of four products, then each the sums of its group's. What columns need is loaded on the way.
      const sums = range(LANES).map((k) => {
        const v = newLocal(`${t.name}_${k}`, t.out.of)
        const terms = mine.map((v, w) => bin('mul', local(v), four(dot.b, dot.over, depth[w].at, k)))
        h.push([], [], {
          k: 'let',
          v,
          e: across(
            'add',
            terms.reduce((x, y) => bin('add', x, y)),
          ),
        })
        return v
      })
      const ahead = body.chunk.flatMap((c) => elementFold(c, body, b)?.operand ?? [])
      for (const operand of new Set(ahead)) loaded.set(operand, columns.map(({ at }) => range(LANES).map((k) => {
        const v = newLocal(operand.buf.name, operand.of, LANES)
        h.push([], [], { k: 'let', v, e: four(operand, b.column, at, k) })
        return local(v)
      }))) // prettier-ignore
      const parts = vec(sums.map(local))
      h.push([], [partial], { k: 'store', buf: partial, at: [of(ly), of(lx), con(0)], e: parts, axis: 2 })
      const sum = newLocal(`${t.name}_sum`, t.out.of, LANES)
      const i = loopSymbol('i', LX)
      const next = bin('add', local(sum), load(partial, [of(ly), of(i), con(0)], { lanes: LANES, axis: 2 }))
      h.push([], [], { k: 'var', v: sum, e: splat(constant(0, sum.of), LANES) })
      h.push([partial], [], { ...forLoop('serial', i, [{ k: 'assign', v: sum, e: next }]), reduces: true })
      const whole = dot.scale.reduce<Expr>((x, s) => bin('mul', x, splat(perRow(r, s), LANES)), local(sum))
      const v = newLocal(t.name, t.out.of, LANES)
      if (whole.k !== 'local') h.push([], [], { k: 'let', v, e: whole })
      elements.set(t.out, whole.k === 'local' ? whole : local(v))
      continue
    }
    const v = newLocal(t.name, t.out.of, t.domain.includes(body.axis) ? LANES : 1)
    if (t.body.k === 'map') {
      if (t.domain.some((s) => !isUnit(s) && s !== body.axis)) return undefined
      h.push([], [], { k: 'let', v, e: cast(v.of, v.lanes === 1 ? perRow(r, t.body.e) : perElement(t.body.e)) })
      if (v.lanes === 1) context.placed.set(t.out, { k: 'local', e: local(v) })
      else elements.set(t.out, local(v))
      continue
    }
    const f = elementFold(t, body, b)
    if (f === undefined) return undefined
    const value = perElement(f.element)
    const kept = newLocal(`${t.name}_of`, 'f32', LANES)
    const absent = splat(constant(f.neutral), LANES)
    h.push([], [], { k: 'let', v: kept, e: seen ? select(local(seen), value, absent) : value })
    if (f.operand === undefined) {
      h.push([], [], { k: 'let', v, e: cast(v.of, across(f.fold, local(kept))) })
      context.placed.set(t.out, { k: 'local', e: local(v) })
      continue
    }
    columns.forEach((_, w) => {
      const made = newLocal(named(t.name, columns.length, w), t.out.of, LANES)
      const values = loaded.get(f.operand!)![w]
      const terms = values.map((x, k) => bin('mul', splat(lane(local(kept), k), LANES), x))
      h.push([], [], { k: 'let', v: made, e: terms.reduce((x, y) => bin('add', x, y)) })
      wide[w].set(t.out, local(made))
    })
  }
  h.push([], [], ...merge(r))
  const at = (x: Ix): Ix => substitute(x, outer)
  const stmt: Stmt = { ...forLoop('serial', start, h.loop(), at(lo), at(hi), CHUNK), reduces: true }
  return { stmt, allocs: [partial] }
}
