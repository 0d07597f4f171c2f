/**
 * Vectors taken apart: the same nest with every vector statement as scalar ones. Proofs and the error model are about scalars; what holds of
 * this form holds of the vectorised one, as long as vector accesses touch neighbours in storage (`verify` checks that on the vectors).
 */
import { add, sub, valuesOf } from '../types/ix.ts'
import type { Ix } from '../types/ix.ts'
import { offsetOf } from './address.ts'
import type { Buffer } from './buffer.ts'
import type { Expr, Local } from './expr.ts'
import { bin, cast, expressionMemo, load, local, mapSame, newLocal, operands, select, un } from './expr.ts'
import type { NestKernel, Stmt } from './nest.ts'
import {
  exprsOf,
  indicesOf,
  loadsOf,
  localsOf,
  mapStmts,
  ownIndices,
  rebuild,
  throughValues,
  visitStmts,
} from './walk.ts'

const vectorMemo = expressionMemo<boolean>()
/** Whether a vector occurs in an expression, also below a scalar. */
export function hasVectors(e: Expr): boolean {
  let out = vectorMemo.get(e)
  if (out === undefined) {
    out =
      e.lanes > 1 ||
      operands(e).some(hasVectors) ||
      indicesOf(e).some((x) => [...valuesOf(x)].some((v) => hasVectors(v.value as Expr)))
    vectorMemo.set(e, out)
  }
  return out
}

/** The nest without vectors; itself where it has none. A vector local becomes one scalar per lane. */
export function expandLanes(nest: NestKernel): NestKernel {
  let any = false
  visitStmts(nest.body, (s) => {
    any ||= exprsOf(s).some(hasVectors)
    any ||= ownIndices(s).some((x) => [...valuesOf(x)].some((v) => hasVectors(v.value as Expr)))
  })
  if (!any) return nest
  const expander = new Expander()
  return { ...nest, body: mapStmts(nest.body, (s) => expander.stmt(s)) }
}

/** The coordinates of one lane of a vector access. */
export const laneAt = (at: readonly Ix[], axis: number, i: number): readonly Ix[] =>
  i === 0 ? at : at.map((x, d) => (d === axis ? add(x, i) : x))

/** How far lane `i` of a vector access is from lane 0 in storage. */
export const laneDistance = (b: Buffer, at: readonly Ix[], axis: number, i: number): Ix =>
  sub(offsetOf(b, laneAt(at, axis, i)), offsetOf(b, at))

/** Scalars of vector locals, shared by all statements of a nest. */
const parts = new WeakMap<Local, readonly Local[]>()
function partsOf(v: Local): readonly Local[] {
  let out = parts.get(v)
  if (out === undefined) {
    out = Array.from({ length: v.lanes }, (_, i) => newLocal(`${v.name}_${i}`, v.of))
    parts.set(v, out)
  }
  return out
}

class Expander {
  private readonly scalars = new Map<Expr, Expr>()
  private readonly byLane = new Map<Expr, (Expr | undefined)[]>()

  stmt(s: Stmt): readonly Stmt[] {
    switch (s.k) {
      case 'let':
      case 'var':
        if (s.v.lanes === 1) return [same(s, this.scalar(s.e))]
        return partsOf(s.v).map((v, i) => ({ ...s, v, e: this.lane(s.e, i) }))
      case 'assign': {
        if (s.v.lanes === 1) return [same(s, this.scalar(s.e))]
        const vs = partsOf(s.v)
        const es = vs.map((_, i) => this.lane(s.e, i))
        // A lane may be computed from lanes that were assigned before it.
        const mixed = es.some((e, i) => vs.some((v, j) => j !== i && localsOf(e).has(v)))
        return mixed
          ? afterAll(s.v.name, es, (e, i) => ({ k: 'assign', v: vs[i], e }))
          : vs.map((v, i): Stmt => ({ k: 'assign', v, e: es[i] }))
      }
      case 'store': {
        const at = mapSame(s.at, (x) => this.ix(x))
        if (s.axis === undefined) {
          const e = this.scalar(s.e)
          return [at === s.at && e === s.e ? s : { ...s, at, e }]
        }
        const axis = s.axis
        const es = Array.from({ length: s.e.lanes }, (_, i) => this.lane(s.e, i))
        const put = (e: Expr, i: number): Stmt => ({ k: 'store', buf: s.buf, at: laneAt(at, axis, i), e })
        return es.some((e) => loadsOf(e).some((l) => l.buf === s.buf)) ? afterAll(s.buf.name, es, put) : es.map(put)
      }
      case 'if': {
        const c = this.scalar(s.c)
        return [c === s.c ? s : { ...s, c }]
      }
      case 'for': {
        const [lo, hi] = [this.ix(s.lo), this.ix(s.hi)]
        return [lo === s.lo && hi === s.hi ? s : { ...s, lo, hi }]
      }
      case 'bind': {
        const ix = this.ix(s.ix)
        return [ix === s.ix ? s : { ...s, ix }]
      }
      default:
        return [s]
    }
  }

  private readonly ix = (x: Ix): Ix => throughValues(x, (e) => this.scalar(e))

  /** A scalar expression without vectors below it. */
  private scalar(e: Expr): Expr {
    if (!hasVectors(e)) return e
    let out = this.scalars.get(e)
    if (out === undefined) this.scalars.set(e, (out = this.makeScalar(e)))
    return out
  }
  private makeScalar(e: Expr): Expr {
    if (e.k === 'lane') return this.lane(e.x, e.i)
    if (e.k !== 'across') return rebuild(e, (x) => this.scalar(x), this.ix)
    let level = Array.from({ length: e.x.lanes }, (_, i) => this.lane(e.x, i))
    while (level.length > 1) level = level.flatMap((x, i) => (i % 2 === 0 ? [bin(e.f, x, level[i + 1])] : []))
    return level[0]
  }

  /** One lane of a vector as a scalar expression; a scalar is the same in all lanes. */
  private lane(e: Expr, i: number): Expr {
    if (e.lanes === 1) return this.scalar(e)
    let row = this.byLane.get(e)
    if (row === undefined) this.byLane.set(e, (row = []))
    return (row[i] ??= this.makeLane(e, i))
  }
  private makeLane(e: Expr, i: number): Expr {
    const at = (x: Expr): Expr => this.lane(x, i)
    switch (e.k) {
      case 'local':
        return local(partsOf(e.v)[i])
      case 'load':
        return load(e.buf, laneAt(e.at.map(this.ix), e.axis!, i))
      case 'splat':
        return this.scalar(e.x)
      case 'vec':
        return this.scalar(e.xs[i])
      case 'un':
        return un(e.f, at(e.x))
      case 'bin':
        return bin(e.f, at(e.a), at(e.b))
      case 'select':
        return select(at(e.c), at(e.x), at(e.y))
      case 'cast':
        return cast(e.of, at(e.x))
      default:
        throw new Error(`internal: ${e.k} of ${e.lanes} lanes`)
    }
  }
}

const same = <S extends Stmt & { e: Expr }>(s: S, e: Expr): S => (e === s.e ? s : { ...s, e })

/** All values first, then what is done with them. */
function afterAll(name: string, es: readonly Expr[], put: (e: Expr, i: number) => Stmt): readonly Stmt[] {
  const lets = es.map((e, i) => newLocal(`${name}_${i}`, e.of))
  return [...es.map((e, i): Stmt => ({ k: 'let', v: lets[i], e })), ...lets.map((v, i) => put(local(v), i))]
}
