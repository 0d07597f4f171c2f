/**
 * Carried reductions (attention) for few rows: a workgroup takes one row and splits its elements over groups of threads, each of which carries
 * its own maximum, sum and columns; at the end the carries are merged (Flash-Decoding: Dao et al. 2023). Threads: `ly` is the group, and has every
 * LY-th element, four at a time as lanes of a vector; `lx` has every LX-th vector of a row's operand and of the columns. All loads are vectors, and
 * neighbouring threads load neighbours.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { conjuncts } from '../../../src/kernel/bounds.ts'
import type { Context } from '../../../src/kernel/build.ts'
import { placedMapper } from '../../../src/kernel/build.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { across, bin, cast, constant, index, lane, load, local, newLocal, select, splat, vec } from '../../../src/kernel/expr.ts' // prettier-ignore
import { inlineStages } from '../../../src/kernel/inline.ts'
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import type { Carry, StageKernel } from '../../../src/kernel/stage.ts'
import type { LoadExpr } from '../../../src/kernel/structure.ts'
import type { Mapper } from '../../../src/kernel/walk.ts'
import { extentOf, isUnit, loopSymbol, mapper } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, con, isConst, min, mod, mul, of, sub, substitute, sym } from '../../../src/types/ix.ts'
import { blockOf, elementFold, given } from './block.ts'
import { gridOf } from './carried.ts'
import { Hazards } from './hazards.ts'
import { below, bound, forLoop } from './kit.ts'
import { LANES, fourOf, lanesOf, neighbours, range } from './lanes.ts'

/** Groups of threads, each with elements of its own. */
const LY = 16

/** Undefined where the structure is another one, or its sizes are not those that this is for. */
export function split(kernel: StageKernel): NestKernel | undefined {
  const stages = inlineStages(kernel.stages)
  const [stage] = stages
  if (stages.length !== 1 || stage.body.k !== 'carried') return undefined
  const { body } = stage
  const b = blockOf(stage, body)
  if (b === undefined) return undefined
  const LX = Math.min(8, 2 ** Math.ceil(Math.log2(Math.max(b.depth, b.width) / LANES)))
  const [lx, ly] = [loopSymbol('lx', LX), loopSymbol('ly', LY)]
  const size = LANES * LY

  const outer = new Map<Sym, Ix>([...stage.domain, ...body.columns].filter(isUnit).map((v) => [v, con(0)]))
  const rows = stage.domain.filter((v) => !isUnit(v) && v !== b.column)
  const grid = gridOf(rows, outer)
  const context: Context = { bound: new Set([...kernel.params, ...rows]), placed: new Map(), chunk: size }
  const start = sym(`${body.axis.name}0`, { lo: 0, hi: body.axis.hi, role: 'loop' })
  const before: Stmt[] = []
  const h = new Hazards()

  // ---- what a thread has: pieces of the operand and of the columns, and four elements at a time ----
  /** Vector w of a thread among `all`: clamped to the last, with the place that it would have. */
  const pieces = (name: string, all: number): readonly { readonly at: Ix; readonly raw: Ix }[] =>
    range(Math.ceil(all / LX)).map((w) => {
      const raw = add(of(lx), LX * w)
      if (all >= LX * (w + 1)) return { at: mul(LANES, raw), raw }
      const piece = bound(all <= LX ? name : `${name}${w}`, min(raw, all - 1), all)
      before.push(piece.stmt)
      return { at: mul(LANES, of(piece.v)), raw }
    })
  const depth = pieces('piece', b.depth / LANES)
  const columns = b.depth === b.width ? depth : pieces('column', b.width / LANES)
  const keys = range(LANES).map((k) =>
    bound(`${body.axis.name}${k}`, min(add(start, ly, LY * k), sub(extentOf(body.axis), 1)), extentOf(body.axis)),
  )
  h.push([], [], ...keys.map((k) => k.stmt))
  const elements = new Map<Buffer, Expr>()
  const wide = columns.map(() => new Map<Buffer, Expr>())
  const mapped = (v: Sym, at: (k: number) => Ix, values: ReadonlyMap<Buffer, Expr>): readonly Mapper[] =>
    range(LANES).map((k) => {
      const placed = new Map(context.placed)
      for (const [buf, x] of values) placed.set(buf, { k: 'local', e: lane(x, k) })
      return placedMapper({ ...context, placed }, new Map([...outer, [v, at(k)] as const]))
    })
  const known = new Set<Expr>([...conjuncts(body.where), ...(body.where ? [body.where] : [])])
  /** A value of each of the four elements. Where the row does not see one its value is of no use: conditions hold. */
  const perElement = (e: Expr, sure = given(e, known)): Expr =>
    splat(
      lanesOf(
        sure,
        body.axis,
        elements,
        mapped(body.axis, (k) => of(keys[k].v), elements),
      ),
      LANES,
    )
  const perColumn = (w: number, e: Expr): Expr =>
    splat(
      lanesOf(
        e,
        b.column,
        wide[w],
        mapped(b.column, (k) => add(columns[w].at, k), wide[w]),
      ),
      LANES,
    )
  const named = (name: string, n: number, w: number): string => (n === 1 ? name : `${name}_${w}`)
  const scalar = (e: Expr): Expr => placedMapper(context, outer).expr(e)

  // ---- running values ----
  const carries = body.carries.map((carry): { carry: Carry; vs: readonly Local[]; isWide: boolean } => {
    const axes = carry.axes.filter((v) => !isUnit(v))
    const { running, init } = carry
    const isWide = axes.length > 0
    const vs = isWide
      ? columns.map((_, w) => newLocal(named(running.name, columns.length, w), running.of, LANES))
      : [newLocal(running.name, running.of)]
    for (const v of vs) before.push({ k: 'var', v, e: splat(constant(init, v.of), v.lanes) })
    if (isWide) vs.forEach((v, w) => wide[w].set(running, local(v)))
    else context.placed.set(running, { k: 'local', e: local(vs[0]) })
    return { carry, vs, isWide }
  })
  if (body.carries.some((c) => c.axes.some((v) => !isUnit(v) && v !== b.column))) return undefined
  /** The running values joined to others, of which `context` and `wide` know. All are computed before any is replaced. */
  const merge = (): readonly Stmt[] => {
    const assigns: Stmt[] = []
    const lets = carries.flatMap(({ carry, vs, isWide }) =>
      vs.map((v, w): Stmt => {
        const next = newLocal(`${v.name}_next`, v.of, v.lanes)
        assigns.push({ k: 'assign', v, e: local(next) })
        return { k: 'let', v: next, e: cast(v.of, isWide ? perColumn(w, carry.merge) : scalar(carry.merge)) }
      }),
    )
    return [...lets, ...assigns]
  }

  // ---- the chunk ----
  const always = b.hi === extentOf(body.axis) && isConst(mod(b.hi, size)) === 0 && b.lo === con(0)
  const place = newLocal(`${body.axis.name}_at`, 'i32', LANES)
  if (!always) h.push([], [], { k: 'let', v: place, e: vec(range(LANES).map((k) => index(add(start, ly, LY * k)))) })
  const bounds = (x: Ix): Expr => splat(index(substitute(x, outer)), LANES)
  const conditions = [
    ...(always ? [] : [bin('lt', local(place), bounds(b.hi))]),
    ...(b.lo === con(0) ? [] : [bin('ge', local(place), bounds(b.lo))]),
    ...b.where.map((c) => perElement(c, c)),
  ]
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
      const whole = dot.scale.reduce<Expr>((x, s) => bin('mul', x, splat(scalar(s), LANES)), local(sum))
      const v = newLocal(t.name, t.out.of, LANES)
      if (whole.k !== 'local') h.push([], [], { k: 'let', v, e: whole })
      elements.set(t.out, whole.k === 'local' ? whole : local(v))
      continue
    }
    const v = newLocal(t.name, t.out.of, t.domain.includes(body.axis) ? LANES : 1)
    if (t.body.k === 'map') {
      if (t.domain.some((s) => !isUnit(s) && s !== body.axis)) return undefined
      h.push([], [], { k: 'let', v, e: cast(v.of, v.lanes === 1 ? scalar(t.body.e) : perElement(t.body.e)) })
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
  h.push([], [], ...merge())
  const bound0 = (x: Ix): Ix => substitute(x, outer)
  const walk: Stmt = { ...forLoop('serial', start, h.loop(), bound0(b.lo), bound0(b.hi), size), reduces: true }

  // ---- the groups' carries merged ----
  const stored = carries.map(({ vs, isWide }) =>
    vs.map((v) => newBuffer(`of_${v.name}`, v.of, 'workgroup', isWide ? [con(LY), con(LX), con(LANES)] : [con(LY)])),
  )
  const puts = carries.flatMap(({ vs, isWide }, c) =>
    vs.map((v, w): Stmt => {
      const buf = stored[c][w]
      if (isWide) return { k: 'store', buf, at: [of(ly), of(lx), con(0)], e: local(v), axis: 2 }
      const once: Stmt = { k: 'store', buf, at: [of(ly)], e: local(v) }
      return { k: 'if', c: bin('eq', index(of(lx)), constant(0, 'i32')), body: [once] }
    }),
  )
  const g = loopSymbol('g', LY)
  carries.forEach(({ carry, isWide }, c) => {
    if (isWide)
      stored[c].forEach((buf, w) => wide[w].set(carry.chunk, load(buf, [of(g), of(lx), con(0)], { lanes: LANES, axis: 2 })))
    else context.placed.set(carry.chunk, { k: 'local', e: load(stored[c][0], [of(g)]) })
  }) // prettier-ignore
  const joined: Stmt = { ...forLoop('serial', g, merge(), 1), reduces: true }
  const axis = neighbours(stage.out, stage.at ?? stage.domain.map(of), b.column)
  const results = columns.flatMap(({ raw }, w) => {
    const at = (k: number): readonly Ix[] =>
      (stage.at ?? stage.domain.map(of)).map((x) => substitute(x, new Map([...outer, [b.column, add(mul(LANES, raw), k)] as const]))) // prettier-ignore
    const e = cast(stage.out.of, perColumn(w, body.finish))
    const y = newLocal('y', e.of, LANES)
    const apart = range(LANES).map((k): Stmt => ({ k: 'store', buf: stage.out, at: at(k), e: lane(local(y), k) }))
    const stores: readonly Stmt[] =
      axis === undefined ? [{ k: 'let', v: y, e }, ...apart] : [{ k: 'store', buf: stage.out, at: at(0), e, axis }]
    return below(raw, con(b.width / LANES), stores)
  })
  const first: Stmt = { k: 'if', c: bin('eq', index(of(ly)), constant(0, 'i32')), body: [joined, ...results] }
  const thread: Stmt[] = [...before, walk, ...puts, { k: 'barrier' }, first]
  const allocs = [partial, ...stored.flat()].map((buf): Stmt => ({ k: 'alloc', buf }))
  return { ...kernel, body: grid([...allocs, forLoop('local.y', ly, [forLoop('local.x', lx, thread)])]) }
}
