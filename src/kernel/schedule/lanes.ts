/**
 * Iterations as lanes: the body of a loop over 2 or 4 iterations becomes straight vector code, statement by statement, all iterations at
 * once. What is the same in all iterations stays scalar; what lies side by side is one vector access; the rest is `vec` and `lane`.
 */
import type { Ix, Sym } from '../../types/ix.ts'
import { add, con, floorDiv, isConst, proveEq, sub, valuesOf } from '../../types/ix.ts'
import { asNonNegative, conjunction, conjuncts } from '../bounds.ts'
import type { Buffer } from '../buffer.ts'
import { newBuffer } from '../buffer.ts'
import { identityOf } from '../build.ts'
import type { Expr, Lanes, LaneFold, Local } from '../expr.ts'
import { bin, constant, index, lane, load, local, newLocal, select, splat, un, vec } from '../expr.ts'
import { Facts, visitFacts } from '../facts.ts'
import { hasVectors, laneDistance } from '../lanes.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import type { Mapper } from '../walk.ts'
import {
  exprsOf,
  loadsOf,
  localsOf,
  mapper,
  ownIndices,
  rebuild,
  symbolsOfExpr,
  symbolsOfIx,
  tripCount,
  visitStmts,
} from '../walk.ts'
import { IllegalSchedule, replaceLoop, requireIndependent } from './edit.ts'
import { requireOwnCells } from './own-cells.ts'
import { simplifyExpr } from './simplify.ts'

/**
 * The iterations of the loop over `v`, 2 or 4 of them, as the lanes of vectors. Legal if they are independent, also in memory, and run the
 * same iterations of inner loops. A condition that differs between lanes becomes a mask; what it guards must be in range without it.
 */
export function lanes(nest: NestKernel, v: Sym): NestKernel {
  const facts = factsAt(nest, v)
  return replaceLoop(nest, v, (loop) => {
    const n = tripCount(loop)
    if (loop.step !== 1 || (n !== 2 && n !== 4))
      throw new IllegalSchedule('lanes', `${v.name} does not have 2 or 4 iterations of step 1`)
    requireIndependent('lanes', loop)
    return asLanes(loop, loop.lo, n, facts.enter(loop))
  })
}

/** What is known around the loop over `v`. */
export function factsAt(nest: NestKernel, v: Sym): Facts {
  let found = Facts.given(nest.params, [])
  visitFacts(nest.body, found, (s, facts) => {
    if (s.k === 'for' && s.v === v) found = facts
  })
  return found
}

/** A local outside of the loop that all iterations fold into, as a vector of partial results. */
export interface Partial {
  readonly fold: LaneFold
  readonly v: Local
}

/** The statements of `n` iterations of a loop from `first` on, as vectors. `facts` hold inside the loop. */
export function asLanes(
  loop: For,
  first: Ix,
  n: Lanes,
  facts: Facts,
  partials: ReadonlyMap<Local, Partial> = new Map(),
): readonly Stmt[] {
  visitStmts(loop.body, (s) => {
    if (exprsOf(s).some(hasVectors)) throw new IllegalSchedule('lanes', `${loop.v.name} is around vectors already`)
    if (s.k === 'barrier' || s.k === 'bind' || (s.k === 'for' && s.kind !== 'serial' && s.kind !== 'unroll'))
      throw new IllegalSchedule('lanes', `${loop.v.name} is around threads or addresses`)
  })
  requireOwnCells('lanes', loop, facts)
  return new Vectors(loop, first, n, partials).block(loop.body, facts, undefined)
}

interface Parts {
  readonly uniform: readonly Expr[]
  readonly held: readonly Expr[]
  readonly varying: readonly Expr[]
}
/** Whether a condition has one value in all lanes. `d >= 0` is `d div n >= 0`, which aligned blocks of n share. */
function agree(es: readonly Expr[], n: number): boolean {
  if (es.every((x) => x === es[0])) return true
  const gaps = es.map(asNonNegative)
  const block = gaps[0] && floorDiv(gaps[0], n)
  return block !== undefined && gaps.every((x) => x !== undefined && proveEq(floorDiv(x, n), block))
}

class Vectors {
  private readonly v: Sym
  private readonly n: Lanes
  private readonly partials: ReadonlyMap<Local, Partial>
  private readonly locals = new Map<Local, Local>()
  private readonly buffers = new Map<Buffer, Buffer>()
  private readonly one: readonly Mapper[]
  private readonly known = new Map<Expr, boolean>()

  constructor(loop: For, first: Ix, n: Lanes, partials: ReadonlyMap<Local, Partial>) {
    this.v = loop.v
    this.n = n
    this.partials = partials
    this.findVarying(loop.body, first)
    for (const [v, p] of partials) this.locals.set(v, p.v)
    this.known.clear()
    this.one = this.each((i) => {
      const locals = new Map([...this.locals].map(([v, w]) => [v, lane(local(w), i)]))
      return mapper({
        syms: new Map([[this.v, add(first, i)]]),
        locals,
        load: (b, at) => {
          const own = this.buffers.get(b)
          return own && load(own, [...at, con(i)])
        },
      })
    })
  }

  private each<X>(f: (i: number) => X): readonly X[] {
    return Array.from({ length: this.n }, (_, i) => f(i))
  }

  /** Whether a value may differ between the lanes. */
  private varies(e: Expr): boolean {
    let out = this.known.get(e)
    if (out === undefined) {
      out =
        symbolsOfExpr(e).has(this.v) ||
        [...localsOf(e)].some((v) => this.locals.has(v)) ||
        loadsOf(e).some((l) => this.buffers.has(l.buf))
      this.known.set(e, out)
    }
    return out
  }
  private ixVaries(x: Ix): boolean {
    return symbolsOfIx(x).has(this.v) || [...valuesOf(x)].some((y) => this.varies(y.value as Expr))
  }

  /** Locals and private buffers whose values differ between the lanes get one per lane. */
  private findVarying(body: readonly Stmt[], first: Ix): void {
    const plain = this.each((i) => mapper({ syms: new Map([[this.v, add(first, i)]]) }))
    const own = new Set<Buffer>()
    visitStmts(body, (s) => {
      if (s.k === 'alloc') own.add(s.buf)
    })
    for (let size = -1; size !== this.locals.size + this.buffers.size;) {
      size = this.locals.size + this.buffers.size
      visitStmts(body, (s, around) => {
        const masked = around.some((a) => a.k === 'if' && this.parts(a.c, plain).varying.length > 0)
        const bounds = around.some((a) => a.k === 'for' && [a.lo, a.hi].some((x) => this.ixVaries(x)))
        if (s.k === 'let' || s.k === 'var' || s.k === 'assign') {
          if (this.locals.has(s.v) || this.partials.has(s.v)) return
          if (this.varies(s.e) || (s.k === 'assign' && (masked || bounds))) {
            this.locals.set(s.v, newLocal(s.v.name, s.v.of, this.n))
            this.known.clear()
          }
        }
        if (s.k === 'store' && own.has(s.buf) && !this.buffers.has(s.buf)) {
          if (masked || bounds || this.varies(s.e) || s.at.some((x) => this.ixVaries(x))) {
            if (s.buf.layout !== undefined) throw new IllegalSchedule('lanes', `${s.buf.name} is packed`)
            const { name, of: type, space, shape } = s.buf
            this.buffers.set(s.buf, newBuffer(name, type, space, [...shape, con(this.n)]))
            this.known.clear()
          }
        }
      })
    }
  }

  /** A condition as conjuncts that hold for all lanes or for none (as lane 0 has them, and as all have them), and those that differ. */
  private parts(c: Expr, one = this.one): Parts {
    const uniform: Expr[] = []
    const held: Expr[] = []
    const varying: Expr[] = []
    for (const e of conjuncts(c)) {
      if (!this.varies(e)) {
        uniform.push(e)
        held.push(e)
        continue
      }
      const own = [...localsOf(e)].some((v) => this.locals.has(v)) || loadsOf(e).some((l) => this.buffers.has(l.buf))
      const es = own ? [] : one.map((m) => simplifyExpr(m.expr(e)))
      if (!own && agree(es, this.n)) {
        uniform.push(es[0])
        held.push(...es)
      } else varying.push(e)
    }
    return { uniform, held, varying }
  }

  /** `mask` is a local of bools under conditions that differ between the lanes. */
  block(body: readonly Stmt[], outer: Facts, mask: Expr | undefined): readonly Stmt[] {
    return body.flatMap((s) => this.stmt(s, outer, mask))
  }

  private stmt(s: Stmt, facts: Facts, mask: Expr | undefined): readonly Stmt[] {
    if (mask !== undefined) this.requireInRange(s, facts)
    switch (s.k) {
      case 'let':
      case 'var':
      case 'assign': {
        const made = this.locals.get(s.v)
        const e = this.expr(s.e, facts)
        if (made === undefined) return [e === s.e ? s : { ...s, e }]
        const wide = splat(e, this.n)
        if (s.k !== 'assign' || mask === undefined) return [{ ...s, v: made, e: wide }]
        return [{ ...s, v: made, e: this.masked(s.v, wide, mask) }]
      }
      case 'store':
        return this.store(s, this.expr(s.e, facts), facts, mask)
      case 'if': {
        const { uniform, held, varying } = this.parts(s.c)
        const c = conjunction(uniform)
        const inside = held.reduce((f, e) => f.assume(e), facts)
        const out: Stmt[] = []
        let within = mask
        if (varying.length > 0) {
          const own = newLocal('mask', 'bool', this.n)
          const holds = splat(this.expr(conjunction(varying)!, inside), this.n)
          out.push({ k: 'let', v: own, e: mask === undefined ? holds : bin('and', mask, holds) })
          within = local(own)
        }
        out.push(...this.block(s.body, inside, within))
        return c === undefined ? out : [{ k: 'if', c, body: out }]
      }
      case 'for': {
        const [lo, hi] = [s.lo, s.hi].map((x) => {
          const xs = this.one.map((m) => m.ix(x))
          if ([...valuesOf(x)].some((y) => this.varies(y.value as Expr)) || xs.some((y) => !proveEq(y, xs[0])))
            throw new IllegalSchedule('lanes', `the bounds of ${s.v.name} differ between the lanes`)
          return xs[0]
        })
        return [{ ...s, lo, hi, body: this.block(s.body, facts.enter(s), mask) }]
      }
      case 'alloc': {
        const own = this.buffers.get(s.buf)
        return [own === undefined ? s : { k: 'alloc', buf: own }]
      }
      default:
        return [s]
    }
  }

  /** What a local is where the mask holds, and was elsewhere. A fold takes in its identity there. */
  private masked(v: Local, e: Expr, mask: Expr): Expr {
    const p = this.partials.get(v)
    if (p !== undefined && e.k === 'bin') {
      const nothing = splat(constant(identityOf(p.fold, v.of), v.of), this.n)
      return bin(e.f, e.a, select(mask, e.b, nothing))
    }
    return select(mask, e, local(this.locals.get(v)!))
  }

  private store(s: Stmt & { k: 'store' }, e: Expr, facts: Facts, mask: Expr | undefined): readonly Stmt[] {
    const own = this.buffers.get(s.buf)
    const buf = own ?? s.buf
    const at = this.one.map((m, i) => [...s.at.map(m.ix), ...(own === undefined ? [] : [con(i)])])
    if (mask === undefined) {
      const axis = this.axisOf(buf, at, facts)
      if (axis === 'same') return [{ k: 'store', buf, at: at[0], e: lane(e, this.n - 1) }]
      if (axis !== undefined) return [{ k: 'store', buf, at: at[0], e: splat(e, this.n), axis }]
    }
    const out: Stmt[] = []
    let value = e
    if (e.lanes > 1 && e.k !== 'vec' && e.k !== 'splat' && e.k !== 'local') {
      const v = newLocal(s.buf.name, e.of, e.lanes)
      out.push({ k: 'let', v, e })
      value = local(v)
    }
    this.each((i) => {
      const one: Stmt = { k: 'store', buf, at: at[i], e: lane(value, i) }
      out.push(mask === undefined ? one : { k: 'if', c: lane(mask, i), body: [one] })
    })
    return out
  }

  /** The axis along which the lanes' elements are neighbours, in coordinates and in storage; `same` if they are one element. */
  private axisOf(b: Buffer, at: readonly (readonly Ix[])[], facts: Facts): number | 'same' | undefined {
    const apart = at.map((xs) => xs.map((x, d) => this.distance(x, at[0][d], facts)))
    if (apart.every((xs) => xs.every((x) => x === 0))) return 'same'
    const axis = apart[1].findIndex((x) => x === 1)
    if (axis < 0 || !apart.every((xs, i) => xs.every((x, d) => x === (d === axis ? i : 0)))) return undefined
    const first = at[0].map((x) => facts.refine(x))
    return this.each((i) => laneDistance(b, first, axis, i)).every((x, i) => isConst(x) === i) ? axis : undefined
  }
  private distance(x: Ix, y: Ix, facts: Facts): number | undefined {
    return isConst(sub(x, y)) ?? isConst(sub(facts.refine(x), facts.refine(y)))
  }

  /** The value of an expression: a scalar if it is the same in all lanes. */
  private expr(e: Expr, facts: Facts): Expr {
    if (!this.varies(e)) return e
    switch (e.k) {
      case 'index':
        return this.position(e.ix)
      case 'local':
        return local(this.locals.get(e.v)!)
      case 'load': {
        const buf = this.buffers.get(e.buf) ?? e.buf
        const at = this.one.map((m, i) => [...e.at.map(m.ix), ...(buf === e.buf ? [] : [con(i)])])
        const axis = this.axisOf(buf, at, facts)
        if (axis === 'same') return load(buf, at[0])
        return axis === undefined ? vec(at.map((x) => load(buf, x))) : load(buf, at[0], { lanes: this.n, axis })
      }
      case 'un':
        return un(e.f, this.expr(e.x, facts))
      case 'bin': {
        const [a, b] = [this.expr(e.a, facts), this.expr(e.b, facts)]
        return a.lanes === b.lanes ? bin(e.f, a, b) : bin(e.f, splat(a, this.n), splat(b, this.n))
      }
      case 'select':
        return this.select(e, facts)
      case 'cast':
        return rebuild(e, (x) => this.expr(x, facts))
      default:
        throw new IllegalSchedule('lanes', `a ${e.k} inside of lanes`)
    }
  }

  private select(e: Expr & { k: 'select' }, facts: Facts): Expr {
    const { uniform, varying } = this.parts(e.c)
    if (varying.length === 0) {
      const c = conjunction(uniform)
      if (c === undefined) return this.expr(e.x, facts)
      const [x, y] = [this.expr(e.x, facts), this.expr(e.y, facts)]
      return x.lanes === y.lanes ? select(c, x, y) : select(c, splat(x, this.n), splat(y, this.n))
    }
    // All lanes load what either value needs, unless that may be out of range.
    if (![e.x, e.y].every((x) => loadsOf(x).every((l) => this.inRange(l, facts))))
      return vec(this.one.map((m) => m.expr(e)))
    const [c, x, y] = [e.c, e.x, e.y].map((x) => splat(this.expr(x, facts), this.n))
    return select(c, x, y)
  }

  /** A position in each lane: an even spacing is added to the first. */
  private position(x: Ix): Expr {
    const xs = this.one.map((m) => m.ix(x))
    const apart = xs.map((y) => isConst(sub(y, xs[0])))
    if (apart.every((d) => d === 0)) return index(xs[0])
    if (apart.some((d) => d === undefined)) return vec(xs.map(index))
    return bin('add', splat(index(xs[0]), this.n), vec(apart.map((d) => constant(d!, 'i32'))))
  }

  private inRange(l: Expr & { k: 'load' }, facts: Facts): boolean {
    return this.one.every((m) =>
      l.at.every((x, d) => {
        const place = facts.refine(m.ix(x))
        return facts.proveLe(0, place) && facts.proveLe(add(place, 1), facts.refine(l.buf.shape[d]))
      }),
    )
  }
  private requireInRange(s: Stmt, facts: Facts): void {
    const es = [...exprsOf(s), ...ownIndices(s).flatMap((x) => [...valuesOf(x)].map((y) => y.value as Expr))]
    for (const e of es)
      for (const l of loadsOf(e))
        if (!this.inRange(l, facts))
          throw new IllegalSchedule('lanes', `a condition that differs between lanes keeps ${l.buf.name} in range`)
  }
}
