/**
 * Carried reductions (attention) for many rows: a workgroup takes a block of rows along an axis that the other operands do not have, so that
 * what it walks (keys and values) is read once for the block, through workgroup memory (FlashAttention: Dao et al. 2022). Threads form a grid:
 * `ly` has every LY-th row, `lx` every LX-th element of a tile, four in all, as lanes of a vector, and every LX-th vector of columns.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { conjuncts } from '../../../src/kernel/bounds.ts'
import type { Context } from '../../../src/kernel/build.ts'
import { foldOf, guardBy, placedMapper } from '../../../src/kernel/build.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { across, bin, cast, constant, index, lane, load, local, newLocal, select, splat, vec } from '../../../src/kernel/expr.ts' // prettier-ignore
import { inlineStages } from '../../../src/kernel/inline.ts'
import type { NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import type { Carried, Stage, StageKernel } from '../../../src/kernel/stage.ts'
import type { LoadExpr } from '../../../src/kernel/structure.ts'
import type { Mapper } from '../../../src/kernel/walk.ts'
import {
  exprsOf,
  extentOf,
  isUnit,
  loadsOf,
  loopSymbol,
  mapper,
  ownIndices,
  symbolsOfExpr,
  symbolsOfIx,
  visitStmts,
} from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, ceilDiv, con, isConst, min, mod, mul, of, sub, substitute, sym, symbolsOf } from '../../../src/types/ix.ts' // prettier-ignore
import type { Block, ElementFold, Piece } from './block.ts'
import { blockOf, elementFold, given, grows, laneMappers, piecesOf, seesAll, storeColumns } from './block.ts'
import { gridOf } from './carried.ts'
import { Hazards } from './hazards.ts'
import { LANES, fourOf, lanesOf, range } from './lanes.ts'
import { below, bound, forLoop } from './kit.ts'

type Syms = ReadonlyMap<Sym, Ix>

/** Rows of a workgroup. */
const BLOCK = 32
const THREADS = 128

/** Undefined where the structure is another one, or its sizes are not those that this is for: then one row a workgroup is right. */
export function flash(kernel: StageKernel): { readonly nest: NestKernel; readonly rows: Ix } | undefined {
  const stages = inlineStages(kernel.stages)
  const [stage] = stages
  if (stages.length !== 1 || stage.body.k !== 'carried') return undefined
  const block = blockOf(stage, stage.body)
  if (block?.rows === undefined) return undefined
  const nest = new Flash(kernel, stage, stage.body, { ...block, rows: block.rows }).nest()
  return nest && { nest, rows: extentOf(block.rows) }
}

/** What a fold over the elements takes of each: lies in workgroup memory, one vector of lanes for each thread along `lx`. */
interface Kept {
  readonly e: Expr
  readonly neutral: number
  readonly buf: Buffer
}
interface Folded extends ElementFold {
  readonly kept: Kept
}

class Flash {
  private readonly kernel: StageKernel
  private readonly stage: Stage
  private readonly body: Carried
  private readonly b: Block & { readonly rows: Sym }
  private readonly lx: Sym
  private readonly ly: Sym
  private readonly LX: number
  private readonly tileSize: number
  private readonly per: number
  private readonly wide: number
  private readonly start: Sym
  private readonly tile: Buffer
  private readonly outer = new Map<Sym, Ix>()
  private readonly rowAt: readonly { readonly stmt: Stmt; readonly syms: Syms; readonly raw: Ix }[]
  private readonly contexts: readonly Context[]
  private readonly elements: readonly Map<Buffer, Expr>[]
  private readonly columns: readonly Map<Buffer, Expr>[][]
  private readonly column: readonly Piece[]
  private readonly keys: readonly { readonly stmt: Stmt; readonly at: Ix }[]
  private readonly place: Local
  private present: (Expr | undefined)[] = []
  private pending: Folded[] = []
  private readonly shared: Buffer[] = []
  private readonly before: Stmt[] = []
  private readonly h = new Hazards()
  private readonly block: Sym

  constructor(kernel: StageKernel, stage: Stage, body: Carried, b: Flash['b']) {
    this.kernel = kernel
    this.stage = stage
    this.body = body
    this.b = b
    this.LX = Math.max(b.depth, b.width) <= 64 ? 8 : 4
    this.tileSize = LANES * this.LX
    this.per = BLOCK / (THREADS / this.LX)
    this.lx = loopSymbol('lx', this.LX)
    this.ly = loopSymbol('ly', THREADS / this.LX)
    this.column = piecesOf('piece', this.lx, this.LX, b.width / LANES)
    this.wide = this.column.length
    this.start = sym(`${body.axis.name}0`, { lo: 0, hi: body.axis.hi, role: 'loop' })
    // Four more columns than needed, so that neighbouring rows begin in different memory banks.
    this.tile = newBuffer('tile', b.dot.b.of, 'workgroup', [con(this.tileSize), con(Math.max(b.depth, b.width) + LANES)])
    for (const v of [...stage.domain, ...body.columns]) if (isUnit(v)) this.outer.set(v, con(0))
    const count = extentOf(b.rows)
    this.block = loopSymbol('block', ceilDiv(count, BLOCK))
    const named = (name: string, i: number, n: number): string => (n === 1 ? name : `${name}${i}`)
    this.rowAt = range(this.per).map((u) => {
      const raw = add(mul(BLOCK, of(this.block)), this.rowIn(u))
      const row = bound(named(b.rows.name, u, this.per), min(raw, sub(count, 1)), count)
      return { stmt: row.stmt, raw, syms: new Map([[b.rows, of(row.v)]]) }
    })
    this.contexts = range(this.per).map(() => ({ bound: new Set<Sym>(), placed: new Map(), chunk: this.tileSize }))
    this.elements = range(this.per).map(() => new Map<Buffer, Expr>())
    this.columns = range(this.per).map(() => range(this.wide).map(() => new Map<Buffer, Expr>()))
    this.keys = range(LANES).map((k) => {
      const at = bound(`${body.axis.name}${k}`, this.clamped(add(this.start, this.lx, this.LX * k)), extentOf(body.axis))
      return { stmt: at.stmt, at: of(at.v) }
    })
    this.place = newLocal(`${body.axis.name}_at`, 'i32', LANES)
  } // prettier-ignore

  private readonly clamped = (x: Ix): Ix => min(x, sub(extentOf(this.body.axis), 1))
  private readonly symsOf = (u: number): Syms => new Map([...this.outer, ...this.rowAt[u].syms])
  /** Which row of the block is a thread's u-th. */
  private readonly rowIn = (u: number): Ix => add(this.ly, (THREADS / this.LX) * u)

  nest(): NestKernel | undefined {
    const { body, b, before } = this
    const loops = this.stage.domain.filter((v) => !isUnit(v) && v !== b.column).map((v) => (v === b.rows ? this.block : v))
    const grid = gridOf(loops, this.outer)
    for (const c of this.contexts) for (const v of [...this.kernel.params, ...loops]) c.bound.add(v)
    before.push(...this.rowAt.map((r) => r.stmt), ...this.column.flatMap((c) => c.stmts))
    if (!this.declare() || !this.chunk()) return undefined
    const all = { lo: con(0), hi: extentOf(body.axis) }
    const at = (x: Ix, row: Ix): Ix => substitute(x, new Map([...this.outer, [b.rows, row]]))
    const last = min(add(mul(BLOCK, of(this.block)), BLOCK - 1), sub(extentOf(b.rows), 1))
    const hi = grows(b.hi, b.rows) ? at(b.hi, last) : all.hi
    const lo = grows(b.lo, b.rows) ? at(b.lo, mul(BLOCK, of(this.block))) : all.lo
    const steps = this.h.loop()
    const used = symbolsIn(steps)
    const keys = this.keys.filter((k) => [...symbolsOf(k.at)].some((v) => used.has(v))).map((k) => k.stmt)
    const tiles: Stmt = { ...forLoop('serial', this.start, [...keys, ...steps], lo, hi, this.tileSize), reduces: true }
    const finish = range(this.per).flatMap((u) => this.finish(u))
    const thread = [...before, tiles, ...finish]
    const allocs = [this.tile, ...this.shared].map((buf): Stmt => ({ k: 'alloc', buf }))
    const threads = forLoop('local.y', this.ly, [forLoop('local.x', this.lx, thread)])
    return { ...this.kernel, body: grid([...allocs, threads]) }
  } // prettier-ignore

  /** Running values: scalars for each row of a thread, vectors for each row and vector of columns. */
  private declare(): boolean {
    for (const carry of this.body.carries) {
      const { running, init } = carry
      const axes = carry.axes.filter((v) => !isUnit(v))
      if (axes.length > 1 || (axes.length === 1 && axes[0] !== this.b.column)) return false
      for (const u of range(this.per)) {
        const name = this.per === 1 ? running.name : `${running.name}${u}`
        if (axes.length === 0) {
          const v = newLocal(name, running.of)
          this.before.push({ k: 'var', v, e: constant(init, v.of) })
          this.contexts[u].placed.set(running, { k: 'local', e: local(v) })
        } else
          for (const w of range(this.wide)) {
            const v = newLocal(this.wide === 1 ? name : `${name}_${w}`, running.of, LANES)
            this.before.push({ k: 'var', v, e: splat(constant(init, v.of), LANES) })
            this.columns[u][w].set(running, local(v))
          }
      }
    }
    return true
  }

  private chunk(): boolean {
    const { body, h } = this
    this.presence()
    for (const t of body.chunk) {
      if (t.body.k === 'carried') return false
      const reads = new Set((t.body.k === 'map' ? [t.body.e] : [t.body.e, ...(t.body.where ? [t.body.where] : [])]).flatMap(loadsOf).map((l) => l.buf)) // prettier-ignore
      if (this.pending.some((f) => reads.has(f.stage.out))) this.flush()
      if (t === this.b.dot.stage) this.products(t)
      else if (t.domain.includes(body.axis)) {
        if (t.body.k !== 'map') return false
        const { e } = t.body
        for (const u of range(this.per)) h.push([], [], ...this.element(u, t.name, t.out, this.perElement(u, e)))
      } else if (t.body.k === 'map') {
        if (t.domain.some((v) => !isUnit(v))) return false
        const { e } = t.body
        for (const u of range(this.per)) {
          const v = newLocal(t.name, t.out.of)
          h.push([], [], { k: 'let', v, e: cast(v.of, placedMapper(this.contexts[u], this.symsOf(u)).expr(e)) })
          this.contexts[u].placed.set(t.out, { k: 'local', e: local(v) })
        }
      } else if (!this.fold(t)) return false
    }
    this.flush()
    this.merge()
    return true
  }

  /** The positions of a thread's elements, and which of them a row sees. */
  private presence(): void {
    const { b, h, body } = this
    const raw = vec(range(LANES).map((k) => index(add(this.start, this.lx, this.LX * k))))
    const always = seesAll(b, body.axis, this.tileSize)
    if (!always) h.push([], [], { k: 'let', v: this.place, e: raw })
    this.present = range(this.per).map((u) => {
      const at = (x: Ix): Expr => splat(index(substitute(x, this.symsOf(u))), LANES)
      const conditions = [
        ...(always ? [] : [bin('lt', local(this.place), at(b.hi))]),
        ...(b.lo === con(0) ? [] : [bin('ge', local(this.place), at(b.lo))]),
        ...b.where.map((c) => splat(this.perElement(u, c), LANES)),
      ]
      if (conditions.length === 0) return undefined
      const v = newLocal(this.per === 1 ? 'seen' : `seen${u}`, 'bool', LANES)
      h.push([], [], { k: 'let', v, e: conditions.reduce((x, y) => bin('and', x, y)) })
      return local(v)
    })
  }

  /** A value of each of the thread's elements, as lanes. Where a row does not see an element its value is of no use: conditions hold. */
  private perElement(u: number, e: Expr): Expr {
    const { body } = this
    const known = new Set<Expr>([...conjuncts(body.where), ...(body.where ? [body.where] : [])])
    const wide = this.elements[u]
    const at = laneMappers(this.contexts[u], this.symsOf(u), body.axis, (k) => this.keys[k].at, wide)
    return lanesOf(this.b.where.includes(e) ? e : given(e, known), body.axis, wide, at)
  }

  private element(u: number, name: string, out: Buffer, e: Expr): readonly Stmt[] {
    const v = newLocal(this.per === 1 ? name : `${name}${u}`, out.of, LANES)
    this.elements[u].set(out, local(v))
    return [{ k: 'let', v, e: cast(v.of, splat(e, LANES)) }]
  }

  /** A tile of what the elements bring, copied by all threads, a vector each. */
  private copy(from: LoadExpr, along: Sym, count: number): void {
    const { body } = this
    const [high, across] = [THREADS / this.LX, count / LANES]
    const [n, w] = [loopSymbol('n', Math.ceil(this.tileSize / high)), loopSymbol('w', Math.ceil(across / this.LX))]
    const [line, piece] = [add(this.ly, mul(high, of(n))), add(this.lx, mul(this.LX, of(w)))]
    const first = mul(LANES, piece)
    const key = bound('key', this.clamped(add(this.start, line)), extentOf(body.axis))
    const m = (x: Ix): Mapper => mapper({ syms: new Map([...this.outer, [body.axis, of(key.v)] as const, [along, x] as const]) }) // prettier-ignore
    const store: Stmt = { k: 'store', buf: this.tile, at: [line, first], e: fourOf(from, along, first, m), axis: 1 }
    const row = below(line, con(this.tileSize), [key.stmt, forLoop('serial', w, below(piece, con(across), [store]))])
    this.h.push([], [this.tile], forLoop('serial', n, row))
  }

  /** Sums of products of the rows of a thread with its elements. */
  private products(t: Stage): void {
    const { a, b, scale, over } = this.b.dot
    const { h } = this
    this.copy(b, over, this.b.depth)
    const sums = range(this.per).map((u) => range(LANES).map((k) => newLocal(`${t.name}${u}_${k}`, t.out.of, LANES)))
    const zero = splat(constant(0, t.out.of), LANES)
    h.push([], [], ...sums.flat().map((v): Stmt => ({ k: 'var', v, e: zero })))
    const piece = loopSymbol(over.name, this.b.depth / LANES)
    const e = mul(LANES, piece)
    const mine = range(this.per).map((u) => newLocal(`${a.buf.name}${u}`, a.of, LANES))
    const theirs = newLocal(b.buf.name, b.of, LANES)
    const steps: Stmt[] = mine.map((v, u): Stmt => {
      const at = (x: Ix): Mapper => mapper({ syms: new Map([...this.symsOf(u), [over, x] as const]) })
      return { k: 'let', v, e: fourOf(a, over, e, at) }
    })
    for (const k of range(LANES)) {
      const v = { ...theirs, id: newLocal('', b.of, LANES).id }
      steps.push({ k: 'let', v, e: load(this.tile, [add(this.lx, this.LX * k), e], { lanes: LANES, axis: 1 }) })
      for (const u of range(this.per)) {
        const s = sums[u][k]
        steps.push({ k: 'assign', v: s, e: bin('add', local(s), bin('mul', local(mine[u]), local(v))) })
      }
    }
    h.push([this.tile], [], { ...forLoop('serial', piece, steps), reduces: true })
    for (const u of range(this.per)) {
      const sum = vec(sums[u].map((v) => across('add', local(v))))
      const m = placedMapper(this.contexts[u], this.symsOf(u))
      h.push([], [], ...this.element(u, t.name, t.out, scale.reduce((x, s) => bin('mul', x, splat(m.expr(s), LANES)), sum))) // prettier-ignore
    }
  }

  /** Notes a fold over the elements; false where it is none that this can do. */
  private fold(t: Stage): boolean {
    const f = elementFold(t, this.body, this.b)
    if (f === undefined) return false
    this.pending.push({ ...f, kept: this.keep(f.element, f.neutral) })
    return true
  }

  /** Storage of what the folds take of each element; those that are done at different times share it. */
  private keep(e: Expr, neutral: number): Kept {
    const found = this.pending.find((f) => f.kept.e === e && f.kept.neutral === neutral)
    if (found) return found.kept
    const n = new Set(this.pending.map((f) => f.kept)).size
    this.shared[n] ??= newBuffer(n === 0 ? 'kept' : `kept${n}`, 'f32', 'workgroup', [con(BLOCK), con(this.LX + 1), con(LANES)])
    return { e, neutral, buf: this.shared[n] }
  } // prettier-ignore

  /** Does the folds that were noted, all in one walk over the elements. */
  private flush(): void {
    const { h } = this
    const folds = this.pending
    if (folds.length === 0) return
    for (const kept of new Set(folds.map((f) => f.kept))) {
      const stores = range(this.per).map((u): Stmt => {
        const value = splat(this.perElement(u, kept.e), LANES)
        const seen = this.present[u]
        const e = seen === undefined ? value : select(seen, value, splat(constant(kept.neutral), LANES))
        return { k: 'store', buf: kept.buf, at: [this.rowIn(u), of(this.lx), con(0)], e, axis: 2 }
      })
      h.push([], [kept.buf], ...stores)
    }
    const slot = loopSymbol('slot', this.LX)
    const steps: Stmt[] = []
    const values = new Map<Kept, readonly Local[]>()
    for (const { kept } of folds) {
      if (values.has(kept)) continue
      const vs = range(this.per).map((u) => newLocal(`x${u}`, 'f32', LANES))
      vs.forEach((v, u) => steps.push({ k: 'let', v, e: load(kept.buf, [this.rowIn(u), of(slot), con(0)], { lanes: LANES, axis: 2 }) })) // prettier-ignore
      values.set(kept, vs)
    }
    const after: Stmt[] = []
    const before: Stmt[] = []
    let tiled: LoadExpr | undefined
    for (const { stage, fold, kept, operand } of folds) {
      const vs = values.get(kept)!
      const name = (u: number): string => (this.per === 1 ? stage.name : `${stage.name}${u}`)
      if (operand === undefined) {
        for (const u of range(this.per)) {
          const acc = newLocal(name(u), 'f32', LANES)
          before.push({ k: 'var', v: acc, e: splat(constant(kept.neutral), LANES) })
          steps.push({ k: 'assign', v: acc, e: foldOf(fold, local(acc), local(vs[u])) })
          const whole = newLocal(name(u), stage.out.of)
          after.push({ k: 'let', v: whole, e: cast(whole.of, across(fold, local(acc))) }) // prettier-ignore
          this.contexts[u].placed.set(stage.out, { k: 'local', e: local(whole) })
        }
        continue
      }
      if (tiled !== undefined && tiled !== operand) throw new Error('internal: two operands of columns in one walk')
      if (tiled === undefined) this.copy(operand, this.b.column, this.b.width)
      tiled = operand
      const acc = range(this.per).map((u) => range(this.wide).map((w) => {
        const v = newLocal(this.wide === 1 ? name(u) : `${name(u)}_${w}`, stage.out.of, LANES)
        this.columns[u][w].set(stage.out, local(v))
        return v
      })) // prettier-ignore
      before.push(...acc.flat().map((v): Stmt => ({ k: 'var', v, e: splat(constant(0), LANES) })))
      for (const k of range(LANES))
        for (const w of range(this.wide)) {
          const v = newLocal(operand.buf.name, operand.of, LANES)
          const at = [add(slot, this.LX * k), this.column[w].at]
          steps.push({ k: 'let', v, e: load(this.tile, at, { lanes: LANES, axis: 1 }) })
          for (const u of range(this.per)) {
            const product = bin('mul', splat(lane(local(vs[u]), k), LANES), local(v))
            steps.push({ k: 'assign', v: acc[u][w], e: bin('add', local(acc[u][w]), product) })
          }
        }
    }
    const reads = [...new Set(folds.map((f) => f.kept.buf)), ...(tiled ? [this.tile] : [])]
    h.push([], [], ...before)
    h.push(reads, [], { ...forLoop('serial', slot, steps), reduces: true }, ...after)
    this.pending = []
  }

  /** The chunk joined to what came before: columns first, since they take the scalars of before. */
  private merge(): void {
    const { h } = this
    const carries = this.body.carries.map((carry) => ({ carry, wide: carry.axes.some((v) => !isUnit(v)) }))
    for (const u of range(this.per)) {
      const assigns: Stmt[] = []
      for (const { carry } of carries.filter((c) => !c.wide)) {
        const m = placedMapper(this.contexts[u], this.symsOf(u))
        const next = newLocal(`${carry.running.name}_next`, carry.running.of)
        h.push([], [], { k: 'let', v: next, e: cast(next.of, m.expr(carry.merge)) })
        const place = this.contexts[u].placed.get(carry.running)
        if (place?.k === 'local' && place.e.k === 'local') assigns.push({ k: 'assign', v: place.e.v, e: local(next) })
      }
      for (const w of range(this.wide)) {
        const next = carries.filter((c) => c.wide).map(({ carry }) => {
          const v = this.columns[u][w].get(carry.running)
          return { v, e: cast(carry.running.of, this.perColumn(u, w, carry.merge)) }
        }) // prettier-ignore
        const named = next.map(({ e }) => newLocal('next', e.of, LANES))
        if (next.length > 1) next.forEach(({ e }, i) => h.push([], [], { k: 'let', v: named[i], e }))
        next.forEach(({ v, e }, i) => {
          if (v?.k === 'local') assigns.push({ k: 'assign', v: v.v, e: next.length > 1 ? local(named[i]) : e })
        })
      }
      // Vectors of columns are assigned before the scalars that they are computed from.
      const order = (s: Stmt): number => (s.k === 'assign' && s.v.lanes > 1 ? 0 : 1)
      h.push([], [], ...assigns.sort((a, b) => order(a) - order(b)))
    }
  }

  /** A value of a row at a vector of columns. */
  private perColumn(u: number, w: number, e: Expr): Expr {
    const [wide, { column }] = [this.columns[u][w], this.b]
    const at = laneMappers(this.contexts[u], this.symsOf(u), column, (k) => add(this.column[w].at, k), wide)
    return splat(lanesOf(e, column, wide, at), LANES)
  }

  private finish(u: number): readonly Stmt[] {
    const { stage, b } = this
    // Stores are guarded, not clamped: no two threads have the same place.
    const syms = new Map([...this.outer, [b.rows, this.rowAt[u].raw] as const])
    const inner = this.column.flatMap(({ raw }, w) => {
      const e = cast(stage.out.of, this.perColumn(u, w, this.body.finish))
      return below(raw, con(b.width / LANES), storeColumns(stage, b.column, e, mul(LANES, raw), syms))
    })
    const whole = isConst(mod(extentOf(b.rows), BLOCK)) === 0
    return whole ? inner : guardBy(bin('lt', index(this.rowAt[u].raw), index(extentOf(b.rows))), inner)
  }
}

/** The symbols that statements speak of. */
function symbolsIn(body: readonly Stmt[]): ReadonlySet<Sym> {
  const out = new Set<Sym>()
  visitStmts(body, (s) => {
    for (const e of exprsOf(s)) for (const v of symbolsOfExpr(e)) out.add(v)
    for (const x of ownIndices(s)) for (const v of symbolsOfIx(x)) out.add(v)
  })
  return out
}
