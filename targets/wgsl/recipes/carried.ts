/**
 * Carried reductions (attention): a workgroup per row. The axis is walked in chunks of one element per thread; what a chunk holds per
 * element (scores, weights) lies in workgroup memory. Values of the whole row (maximum, sum) are folded over the chunk by every thread
 * alike; columns (the weighted values) belong to one thread each.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { conjuncts, tightenBounds } from '../../../src/kernel/bounds.ts'
import type { Context } from '../../../src/kernel/build.ts'
import { bindLoop, emitBody, guardBy, placedMapper, reduction } from '../../../src/kernel/build.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { bin, cast, constant, index, load, local, newLocal, rewrite } from '../../../src/kernel/expr.ts'
import { inlineStages } from '../../../src/kernel/inline.ts'
import type { LoopKind, NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import { exprsOfStage } from '../../../src/kernel/rows.ts'
import type { Carried, Carry, Stage, StageKernel } from '../../../src/kernel/stage.ts'
import { extentOf, isUnit, loadsOf, loopSymbol, mapper } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, con, isConst, min, mul, of, sub, sym } from '../../../src/types/ix.ts'
import { below, bound, flatten, forLoop } from './kit.ts'

type Syms = ReadonlyMap<Sym, Ix>

interface State {
  readonly context: Context
  readonly stage: Stage
  readonly body: Carried
  readonly outer: Syms
  readonly lane: Sym
  readonly threads: number
  readonly start: Sym
  /** Conditions on elements; `hi` is the exclusive end of the axis for this row, `where` those that it does not express. */
  readonly conditions: readonly Expr[]
  readonly hi: Ix
  readonly where: readonly Expr[]
  /** Workgroup storage of per-element stages, with the barrier-free stretch of the loop that writes it. */
  readonly stored: Map<Buffer, { readonly buf: Buffer; readonly segment: number }>
}

/** Undefined where the kernel is more than one carried stage, or its columns do not fit (then `each` is right). */
export function carried(kernel: StageKernel): NestKernel | undefined {
  const stages = inlineStages(kernel.stages)
  const [stage] = stages
  if (stages.length !== 1 || stage.body.k !== 'carried') return undefined
  const body = stage.body
  const columns = body.columns.filter((v) => !isUnit(v))
  const width = isConst(flatten(columns).count)
  const fits = (c: Carry): boolean =>
    c.axes.length === 0 || c.axes.filter((v) => !isUnit(v)).every((v, i) => v === columns[i])
  const aligned = body.carries.every((c) => loadsOf(c.merge).every((l) => ownColumn(body, l.buf, l.at)))
  if (width === undefined || columns.length > 1 || !body.carries.every(fits) || !aligned) return undefined

  const threads = width > 64 ? 128 : 64
  const rows = stage.domain.filter((v) => !isUnit(v) && !columns.includes(v))
  const outer = new Map<Sym, Ix>([...stage.domain, ...body.columns].filter(isUnit).map((v) => [v, con(0)]))
  const grid = gridOf(rows, outer)
  const context: Context = { bound: new Set([...kernel.params, ...rows]), placed: new Map(), chunk: threads }
  const conditions = conjuncts(body.where && placedMapper(context, outer).expr(body.where))
  const bounds = tightenBounds(body.axis, con(0), extentOf(body.axis), conditions)
  const st: State = {
    context, stage, body, outer, threads,
    lane: loopSymbol('lane', threads),
    start: sym(`${body.axis.name}0`, { lo: 0, hi: body.axis.hi, role: 'loop' }),
    hi: bounds.hi,
    conditions: conditions.filter((e) => !bounds.rest.includes(e)),
    where: bounds.rest,
    stored: new Map(),
  } // prettier-ignore
  if (bounds.lo !== con(0)) return undefined
  const inner = emit(st, columns[0], width)
  if (inner === undefined) return undefined
  const allocs = [...st.stored.values()].map(({ buf }): Stmt => ({ k: 'alloc', buf }))
  return { ...kernel, body: grid([...allocs, forLoop('local.x', st.lane, inner)]) }
}

/** One grid axis each for the last two axes of rows, one for those before. */
export function gridOf(rows: readonly Sym[], outer: Map<Sym, Ix>): (body: readonly Stmt[]) => readonly Stmt[] {
  const kinds: readonly LoopKind[] = ['grid.x', 'grid.y', 'grid.z']
  const near = rows.slice(-2)
  const far = rows.slice(0, -2)
  const flat = flatten(far)
  const rest = far.length === 1 ? far[0] : loopSymbol('batch', flat.count)
  if (far.length > 1) for (const [v, x] of flat.at(rest)) outer.set(v, x)
  const loops = [...near.reverse(), ...(far.length > 0 ? [rest] : [])]
  if (loops.length === 0) loops.push(loopSymbol('row', 1))
  return (body) => loops.reduce<readonly Stmt[]>((b, v, i) => [forLoop(kinds[i], v, b)], body)
}

/** Running and chunk values of columns are read at the column itself. */
function ownColumn(body: Carried, buf: Buffer, at: readonly Ix[]): boolean {
  const carry = body.carries.find((c) => c.running === buf || c.chunk === buf)
  return carry === undefined || at.every((x, i) => isUnit(carry.axes[i]) || x === of(carry.axes[i]))
}

function emit(st: State, column: Sym | undefined, width: number): Stmt[] | undefined {
  const { context: c, body } = st
  const per = Math.ceil(width / st.threads)
  const before: Stmt[] = []
  const scalars: { readonly carry: Carry; readonly v: Local }[] = []
  const wide: { readonly carry: Carry; readonly v: Local | undefined; readonly buf: Buffer | undefined }[] = []
  for (const carry of body.carries) {
    const name = carry.running.name
    if (carry.axes.every(isUnit)) {
      const v = newLocal(name, carry.running.of)
      before.push({ k: 'var', v, e: constant(carry.init, v.of) })
      c.placed.set(carry.running, { k: 'local', e: local(v) })
      scalars.push({ carry, v })
    } else if (per === 1) {
      const v = newLocal(name, carry.running.of)
      before.push({ k: 'var', v, e: constant(carry.init, v.of) })
      c.placed.set(carry.running, { k: 'local', e: local(v) })
      wide.push({ carry, v, buf: undefined })
    } else {
      const buf = newBuffer(name, carry.running.of, 'private', [con(per)])
      const u = loopSymbol('u', per)
      before.push(
        { k: 'alloc', buf },
        forLoop('serial', u, [{ k: 'store', buf, at: [of(u)], e: constant(carry.init, buf.of) }]),
      )
      wide.push({ carry, v: undefined, buf })
    }
  }

  const late = new Set(wide.map((w) => body.chunk.find((t) => t.out === w.carry.chunk)))
  const loopBody: Stmt[] = []
  let segment = 0
  let lastReads = new Set<Buffer>()
  const sync = (reads: ReadonlySet<Buffer>): void => {
    const fresh = [...st.stored].some(([out, w]) => reads.has(out) && w.segment === segment)
    if (fresh) {
      loopBody.push({ k: 'barrier' })
      segment++
      lastReads = new Set()
    }
    for (const b of reads) lastReads.add(b)
  }
  for (const t of body.chunk) {
    if (late.has(t)) continue
    const perElement = t.domain.includes(body.axis)
    if (!perElement && t.domain.some((v) => !isUnit(v))) return undefined
    const reads = foreignReads(st, t, perElement)
    sync(reads)
    loopBody.push(...(perElement ? emitElement(st, t, segment) : emitRow(st, t)))
  }
  for (const t of late) if (t !== undefined) sync(foreignReads(st, t, false))

  const assigns: Stmt[] = []
  for (const { carry, v } of scalars) {
    const next = newLocal(`${v.name}_next`, v.of)
    loopBody.push({ k: 'let', v: next, e: cast(v.of, placedMapper(c, st.outer).expr(carry.merge)) })
    assigns.push({ k: 'assign', v, e: local(next) })
  }
  const columnLoop = (body: (at: Ix, u: Ix) => readonly Stmt[]): readonly Stmt[] => {
    if (column === undefined) return []
    const u = loopSymbol('u', per)
    const at = bound(column.name, per === 1 ? of(st.lane) : add(st.lane, mul(st.threads, of(u))), per * st.threads)
    const stmts = [at.stmt, ...below(of(at.v), con(width), body(of(at.v), of(u)))]
    return per === 1 ? stmts : [forLoop('serial', u, stmts)]
  }
  loopBody.push(
    ...columnLoop((at, u) => {
      const syms = new Map([...st.outer, [column!, at] as const])
      const stmts: Stmt[] = []
      for (const w of wide)
        if (w.buf) c.placed.set(w.carry.running, { k: 'local', e: load(w.buf, [per === 1 ? con(0) : u]) })
      for (const t of body.chunk) {
        if (!late.has(t)) continue
        const inner = new Map(syms)
        t.domain.forEach((v) => inner.set(v, isUnit(v) ? con(0) : at))
        const made = emitFold(st, t, inner)
        stmts.push(...made.stmts)
        c.placed.set(t.out, { k: 'local', e: made.result })
      }
      const next = wide.map(
        ({ carry }) =>
          ({
            k: 'let',
            v: newLocal(`${carry.running.name}_next`, carry.running.of),
            e: cast(carry.running.of, placedMapper(c, syms).expr(carry.merge)),
          }) as const,
      )
      const single = wide.length === 1
      if (!single) stmts.push(...next)
      wide.forEach((w, i) => {
        const e = single ? next[i].e : local(next[i].v)
        stmts.push(w.v ? { k: 'assign', v: w.v, e } : { k: 'store', buf: w.buf!, at: [u], e })
      })
      return stmts
    }),
    ...assigns,
  )
  const first = [...st.stored].some(([out, w]) => w.segment === 0 && lastReads.has(out))
  if (first || segment === 0) loopBody.push({ k: 'barrier' })
  const chunks: Stmt = { ...forLoop('serial', st.start, loopBody, 0, st.hi, st.threads), reduces: true }

  const finish = (syms: Syms): readonly Stmt[] => {
    const m = placedMapper(c, syms)
    const { stage } = st
    const store: Stmt = {
      k: 'store',
      buf: stage.out,
      at: (stage.at ?? stage.domain.map(of)).map(m.ix),
      e: cast(stage.out.of, m.expr(body.finish)),
    }
    return guardBy(stage.guard && m.expr(stage.guard), [store])
  }
  const result =
    column === undefined
      ? [{ k: 'if', c: bin('eq', index(of(st.lane)), constant(0, 'i32')), body: finish(st.outer) } as const]
      : columnLoop((at, u) => {
          for (const w of wide) if (w.buf) c.placed.set(w.carry.running, { k: 'local', e: load(w.buf, [u]) })
          return finish(new Map([...st.outer, [column, at] as const]))
        })
  return [...before, chunks, ...result]
}

/** Stored per-element values that a stage reads at elements of other threads. */
function foreignReads(st: State, t: Stage, perElement: boolean): ReadonlySet<Buffer> {
  const out = new Set<Buffer>()
  for (const l of exprsOfStage(t).flatMap(loadsOf)) {
    const maker = st.body.chunk.find((u) => u.out === l.buf)
    if (!st.stored.has(l.buf) || maker === undefined) continue
    const d = maker.domain.indexOf(st.body.axis)
    if (!perElement || l.at[d] !== of(st.body.axis)) out.add(l.buf)
  }
  return out
}

/** A stage with a value per element: thread `lane` makes element start + lane. */
function emitElement(st: State, t: Stage, segment: number): readonly Stmt[] {
  const { context: c } = st
  const j = bound(st.body.axis.name, add(st.start, st.lane), add(extentOf(st.body.axis), st.threads))
  const syms = new Map(st.outer)
  const loops: Sym[] = []
  for (const v of t.domain) {
    if (v === st.body.axis) syms.set(v, of(j.v))
    else if (isUnit(v)) syms.set(v, con(0))
    else {
      const made = bindLoop(c, v)
      syms.set(v, of(made))
      loops.push(made)
    }
  }
  const dims = t.domain.map((v, axis) => ({ v, axis })).filter(({ v }) => v === st.body.axis || !isUnit(v))
  const buf = newBuffer(
    t.name,
    t.out.of,
    'workgroup',
    dims.map(({ v }) => (v === st.body.axis ? con(st.threads) : extentOf(v))),
  )
  const body = t.body as Stage['body'] & { k: 'map' | 'reduce' }
  const given = body.k === 'map' ? { ...body, e: underGuard(st, body.e) } : body
  const made = emitBody(c, t.name, t.out.of, given, syms)
  const at = dims.map(({ v }) => (v === st.body.axis ? of(st.lane) : syms.get(v)!))
  const stmts: readonly Stmt[] = [...made.stmts, { k: 'store', buf, at, e: cast(buf.of, made.result) }]
  const points = loops.reduceRight<readonly Stmt[]>((b, v) => [forLoop('serial', v, b)], stmts)
  st.stored.set(t.out, { buf, segment })
  c.placed.set(t.out, {
    k: 'private',
    buf,
    dims: dims.map(({ v, axis }) => (v === st.body.axis ? { axis, minus: of(st.start) } : { axis })),
  })
  return [j.stmt, ...below(of(j.v), st.hi, points)]
}

/** What an expression is for elements within the bounds: the conditions that made them hold. */
function underGuard(st: State, e: Expr): Expr {
  const rows = mapper({ syms: st.outer })
  return rewrite(rows.expr(e), (x) => {
    if (st.conditions.includes(x)) return constant(1, 'bool')
    if (x.k === 'bin' && x.f === 'and' && (x.a.k === 'const' || x.b.k === 'const'))
      return x.a.k !== 'const' ? (x.b.k === 'const' && x.b.value !== 0 ? x.a : x.b) : x.a.value !== 0 ? x.b : x.a
    return x.k === 'select' && x.c.k === 'const' ? (x.c.value !== 0 ? x.x : x.y) : x
  })
}

/** A stage with one value for the row: every thread computes it. */
function emitRow(st: State, t: Stage): readonly Stmt[] {
  const syms = new Map(st.outer)
  t.domain.forEach((v) => syms.set(v, con(0)))
  const made = emitFold(st, t, syms)
  const v = newLocal(t.name, t.out.of)
  const result = made.result.k === 'local' ? made.result : local(v)
  st.context.placed.set(t.out, { k: 'local', e: cast(t.out.of, result) })
  return made.result.k === 'local' ? made.stmts : [...made.stmts, { k: 'let', v, e: cast(v.of, made.result) }]
}

/** A fold over the elements of the chunk, absent ones left out; other bodies as they are. */
function emitFold(st: State, t: Stage, syms: Map<Sym, Ix>): { readonly stmts: readonly Stmt[]; readonly result: Expr } {
  const { context: c, body } = st
  if (t.body.k === 'carried') throw new Error(`internal: ${t.name} is a carried reduction inside another one`)
  if (t.body.k !== 'reduce' || !t.body.axes.includes(body.axis)) return emitBody(c, t.name, t.out.of, t.body, syms)
  const left = min(st.threads, sub(st.hi, st.start))
  const ranges = t.body.axes.map((v) => {
    if (v === body.axis) {
      const j = sym(v.name, { lo: 0, hi: sub(left, 1), role: 'loop' })
      syms.set(v, add(st.start, j))
      return { v: j, lo: con(0), hi: left }
    }
    const made = bindLoop(c, v)
    syms.set(v, of(made))
    return { v: made, lo: con(0), hi: extentOf(made) }
  })
  const m = placedMapper(c, syms)
  const conditions = [...conjuncts(t.body.where && m.expr(t.body.where)), ...st.where.map(m.expr)]
  return reduction(t.name, t.body.fold, m.expr(t.body.e), conditions, t.body.empty, ranges)
}
