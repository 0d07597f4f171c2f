/**
 * The naive nest of a carried reduction: per row, chunks of the axis in order. Each chunk's stages run over its elements (scratch in
 * private memory), then every merge is computed from the values before any is replaced.
 */
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, isConst, min, of, sub, sym } from '../types/ix.ts'
import { conjuncts, tightenBounds } from './bounds.ts'
import type { Buffer } from './buffer.ts'
import { newBuffer } from './buffer.ts'
import type { Context } from './build.ts'
import { bindLoop, emitBody, loop, placedMapper, reduction, storeResult } from './build.ts'
import type { Expr, Local } from './expr.ts'
import { cast, constant, load, local, newLocal } from './expr.ts'
import type { Stmt } from './nest.ts'
import type { Carried, Carry, Stage } from './stage.ts'
import { extentOf, isUnit, loadsOf } from './walk.ts'

type Syms = ReadonlyMap<Sym, Ix>
interface Chunk {
  readonly start: Sym
  readonly size: number
  readonly hi: Ix
  readonly axis: Sym
  /** Conditions on elements that the loop bounds do not express, in terms of `axis`. */
  readonly where: readonly Expr[]
}

export function emitCarried(c: Context, s: Stage, body: Carried, outer: Syms): readonly Stmt[] {
  const before: Stmt[] = []
  const scalars = new Map<Carry, Local>()
  const arrays = new Map<Carry, Buffer>()
  for (const carry of body.carries) {
    if (carry.axes.length === 0) {
      const v = newLocal(carry.running.name, carry.running.of)
      before.push({ k: 'var', v, e: constant(carry.init, v.of) })
      c.placed.set(carry.running, { k: 'local', e: local(v) })
      scalars.set(carry, v)
      continue
    }
    const shape = carry.axes.map(extentOf)
    if (shape.some((x) => isConst(x) === undefined))
      throw new Error(`internal: ${s.name} carries ${carry.running.name}, whose extent is not constant`)
    const buf = newBuffer(carry.running.name, carry.running.of, 'private', shape)
    c.placed.set(carry.running, { k: 'private', buf, dims: shape.map((_, axis) => ({ axis })) })
    arrays.set(carry, buf)
    const at = carry.axes.map((v) => (isUnit(v) ? undefined : bindLoop(c, v)))
    const fill: Stmt = { k: 'store', buf, at: at.map((v) => (v ? of(v) : con(0))), e: constant(carry.init, buf.of) }
    before.push({ k: 'alloc', buf }, ...over(at, [fill]))
  }

  const conditions = conjuncts(body.where && placedMapper(c, outer).expr(body.where))
  const bounds = tightenBounds(body.axis, con(0), extentOf(body.axis), conditions)
  const size = Math.min(c.chunk, isConst(extentOf(body.axis)) ?? c.chunk)
  const start = sym(`${body.axis.name}0`, {
    lo: 0,
    hi: body.axis.hi,
    role: 'loop',
    multipleOf: bounds.lo === con(0) ? size : 1,
  })
  const chunk: Chunk = { start, size, hi: bounds.hi, axis: body.axis, where: bounds.rest }

  const inChunk: Stmt[] = []
  const late = body.carries.map((carry) => lateStage(body, carry))
  for (const t of body.chunk) {
    if (late.includes(t)) continue
    const made = emitChunkStage(c, t, outer, chunk)
    before.push(...made.before)
    inChunk.push(...made.stmts)
  }
  const assigns: Stmt[] = []
  for (const [carry, v] of scalars) {
    const next = newLocal(`${v.name}_next`, v.of)
    inChunk.push({ k: 'let', v: next, e: cast(v.of, placedMapper(c, outer).expr(carry.merge)) })
    assigns.push({ k: 'assign', v, e: local(next) })
  }
  const copies: Stmt[] = []
  body.carries.forEach((carry, i) => {
    const buf = arrays.get(carry)
    if (buf === undefined) return
    const syms = new Map(outer)
    const at = carry.axes.map((v) => {
      const made = isUnit(v) ? undefined : bindLoop(c, v)
      syms.set(v, made ? of(made) : con(0))
      return made
    })
    const stmts: Stmt[] = []
    const t = late[i]
    if (t !== undefined) {
      const inner = new Map(syms)
      t.domain.forEach((v, d) => inner.set(v, syms.get(carry.axes[d])!))
      const made = emitPoint(c, t, inner, chunk)
      stmts.push(...made.stmts)
      c.placed.set(t.out, { k: 'local', e: made.result })
    }
    const coords = at.map((v) => (v ? of(v) : con(0)))
    const value = cast(buf.of, placedMapper(c, syms).expr(carry.merge))
    if (!needsCopy(body, carry)) {
      inChunk.push(...over(at, [...stmts, { k: 'store', buf, at: coords, e: value }]))
      return
    }
    const next = newBuffer(`${buf.name}_next`, buf.of, 'private', buf.shape)
    before.push({ k: 'alloc', buf: next })
    inChunk.push(...over(at, [...stmts, { k: 'store', buf: next, at: coords, e: value }]))
    const again = at.map((v) => v && bindLoop(c, v))
    const there = again.map((v) => (v ? of(v) : con(0)))
    copies.push(...over(again, [{ k: 'store', buf, at: there, e: load(next, there) }]))
  })
  inChunk.push(...copies, ...assigns)

  const chunks: Stmt = {
    k: 'for',
    v: start,
    lo: bounds.lo,
    hi: bounds.hi,
    step: size,
    kind: 'serial',
    reduces: true,
    body: inChunk,
  }
  const syms = new Map(outer)
  const columns = body.columns.filter(v => !isUnit(v)).map(v => {
    const made = bindLoop(c, v)
    syms.set(v, of(made))
    return made
  }) // prettier-ignore
  const inner = s.domain.filter((v) => body.columns.includes(v) && !isUnit(v))
  const result = cast(s.out.of, placedMapper(c, syms).expr(body.finish))
  const target = storeResult(c, s, result, syms, inner)
  return [...before, chunks, ...target.before, ...over(columns, target.stmts)]
}

const over = (loops: readonly (Sym | undefined)[], body: readonly Stmt[]): readonly Stmt[] =>
  loops.reduceRight<readonly Stmt[]>((b, v) => (v === undefined ? b : [loop(v, con(0), extentOf(v), b)]), body)

/** One stage of a chunk, over all its domain. */
function emitChunkStage(
  c: Context,
  t: Stage,
  outer: Syms,
  chunk: Chunk,
): { readonly before: readonly Stmt[]; readonly stmts: readonly Stmt[] } {
  const syms = new Map(outer)
  const loops: { v: Sym; hi: Ix }[] = []
  for (const v of t.domain) {
    if (v === chunk.axis) {
      const j = elementSymbol(chunk)
      syms.set(v, add(chunk.start, j.v))
      loops.push(j)
    } else if (isUnit(v)) syms.set(v, con(0))
    else {
      const made = bindLoop(c, v)
      syms.set(v, of(made))
      loops.push({ v: made, hi: extentOf(made) })
    }
  }
  const made = emitPoint(c, t, syms, chunk)
  const inner = t.domain.filter((v) => !isUnit(v) || v === chunk.axis)
  const target = storeResult(c, t, made.result, syms, inner, {
    axis: chunk.axis,
    size: chunk.size,
    start: of(chunk.start),
  })
  const body = [...made.stmts, ...target.stmts]
  return {
    before: target.before,
    stmts: loops.reduceRight<readonly Stmt[]>((b, l) => [loop(l.v, con(0), l.hi, b)], body),
  }
}

/** Elements of a chunk are counted from its start. */
function elementSymbol(chunk: Chunk): { v: Sym; hi: Ix } {
  const hi = min(chunk.size, sub(chunk.hi, chunk.start))
  return { v: sym(chunk.axis.name, { lo: 0, hi: sub(hi, 1), role: 'loop' }), hi }
}

/** One point of a chunk stage; a reduction over the chunked axis leaves absent elements out. */
function emitPoint(
  c: Context,
  t: Stage,
  syms: Map<Sym, Ix>,
  chunk: Chunk,
): { readonly stmts: readonly Stmt[]; readonly result: Expr } {
  if (t.body.k === 'carried') throw new Error(`internal: ${t.name} is a carried reduction inside another one`)
  if (t.body.k !== 'reduce' || !t.body.axes.includes(chunk.axis)) return emitBody(c, t.name, t.out.of, t.body, syms)
  const ranges = t.body.axes.map((v) => {
    if (v === chunk.axis) {
      const j = elementSymbol(chunk)
      syms.set(v, add(chunk.start, j.v))
      return { v: j.v, lo: con(0), hi: j.hi }
    }
    const made = bindLoop(c, v)
    syms.set(v, of(made))
    return { v: made, lo: con(0), hi: extentOf(made) }
  })
  const m = placedMapper(c, syms)
  const conditions = [...conjuncts(t.body.where && m.expr(t.body.where)), ...chunk.where.map(m.expr)]
  return reduction(t.name, t.body.fold, m.expr(t.body.e), conditions, t.body.empty, ranges)
}

/** The chunk stage of an array carry that only its merge reads, point by point: computed inside the merge's loop. */
function lateStage(body: Carried, carry: Carry): Stage | undefined {
  const t = body.chunk.find((t) => t.out === carry.chunk)
  if (t === undefined || carry.axes.length === 0 || t.body.k !== 'reduce' || t.domain.includes(body.axis))
    return undefined
  const elsewhere = body.carries.some((d) => d !== carry && loadsOf(d.merge).some((l) => l.buf === t.out))
  const inChunk = body.chunk.some(
    (u) => u !== t && u.body.k !== 'carried' && [u.body.e].some((e) => loadsOf(e).some((l) => l.buf === t.out)),
  )
  const here = loadsOf(carry.merge).filter((l) => l.buf === t.out)
  const inPlace = here.every((l) => l.at.every((x, i) => x === of(carry.axes[i])))
  return elsewhere || inChunk || !inPlace ? undefined : t
}

/** Whether a merge must see values that storing this carry in place would have replaced. */
function needsCopy(body: Carried, carry: Carry): boolean {
  const own = loadsOf(carry.merge).filter((l) => l.buf === carry.running)
  if (own.some((l) => l.at.some((x, i) => x !== of(carry.axes[i])))) return true
  return body.carries.some((d) => d !== carry && loadsOf(d.merge).some((l) => l.buf === carry.running))
}
