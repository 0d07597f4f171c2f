/** Algebraic clean-up: constants are folded, comparisons of indices decided where the bounds of their symbols decide them. */
import type { Ix } from '../../types/ix.ts'
import { isConst, proveEq, proveLe, proveLt } from '../../types/ix.ts'
import { asNonNegative, conjunction, conjuncts, truth } from '../bounds.ts'
import type { Expr } from '../expr.ts'
import { asIx, bin, constant, expressionMemo, rewrite } from '../expr.ts'
import type { NestKernel, Stmt } from '../nest.ts'
import { loadsOf, localsOf, mapStmts, throughValues, tripCount } from '../walk.ts'
import { mapBlocks } from './edit.ts'

const isNumber = (e: Expr, n: number): boolean => e.k === 'const' && e.value === n

/** One node whose operands are simple already. Only laws that hold exactly in floating point (for finite values). */
function simple(e: Expr): Expr {
  if (e.k === 'select') {
    if (e.c.k === 'const') return e.c.value !== 0 ? e.x : e.y
    return e.x === e.y ? e.x : e
  }
  if (e.k === 'un') {
    if (e.f === 'not' && e.x.k === 'const') return truth(e.x.value === 0)
    if (e.f === 'neg' && e.x.k === 'const') return constant(-e.x.value, e.of)
    if (e.f === 'neg' && e.x.k === 'un' && e.x.f === 'neg') return e.x.x
    return e
  }
  if (e.k === 'cast') {
    if (e.x.k === 'const' && (e.of === 'f64' || e.of === 'f32') && e.x.of !== 'f64')
      return constant(e.of === 'f32' ? Math.fround(e.x.value) : e.x.value, e.of)
    if (e.x.k === 'index' && isConst(e.x.ix) !== undefined && e.of !== 'bool') return constant(isConst(e.x.ix)!, e.of)
    return e
  }
  if (e.k !== 'bin') return e
  const { a, b } = e
  switch (e.f) {
    case 'and':
      return isNumber(a, 1) ? b : isNumber(b, 1) ? a : isNumber(a, 0) || isNumber(b, 0) ? truth(false) : a === b ? a : e
    case 'or':
      return isNumber(a, 0) ? b : isNumber(b, 0) ? a : isNumber(a, 1) || isNumber(b, 1) ? truth(true) : a === b ? a : e
    case 'add':
      return isNumber(b, 0) ? a : isNumber(a, 0) ? b : e
    case 'sub':
      return isNumber(b, 0) ? a : e
    case 'mul':
      return isNumber(b, 1) ? a : isNumber(a, 1) ? b : e
    case 'div':
      return isNumber(b, 1) ? a : e
    default:
      return compared(e)
  }
}

/** A comparison of indices that the bounds of their symbols decide. */
function compared(e: Expr & { k: 'bin' }): Expr {
  const [a, b] = [asIx(e.a), asIx(e.b)]
  if (a === undefined || b === undefined) return e
  if (e.f === 'eq' || e.f === 'ne') {
    const equal = e.f === 'eq'
    if (proveEq(a, b)) return truth(equal)
    return proveLt(a, b) || proveLt(b, a) ? truth(!equal) : e
  }
  const d = asNonNegative(e)
  if (d === undefined) return e
  return proveLe(0, d) ? truth(true) : proveLt(d, 0) ? truth(false) : e
}

const simplified = expressionMemo<Expr>()
const inIndex = (x: Ix): Ix => throughValues(x, simplifyExpr)
export function simplifyExpr(e: Expr): Expr {
  return simplified.get(e) ?? rewrite(e, simple, inIndex, simplified)
}

/** Also drops conditions that always hold, code that never runs, and loops without iterations. */
export function simplify(nest: NestKernel): NestKernel {
  const body = mapStmts(nest.body, (s): readonly Stmt[] => {
    switch (s.k) {
      case 'let':
      case 'var':
      case 'assign':
      case 'store': {
        const e = simplifyExpr(s.e)
        return [e === s.e ? s : { ...s, e }]
      }
      case 'if': {
        const c = simplifyExpr(s.c)
        if (c.k === 'const') return c.value !== 0 ? s.body : []
        if (s.body.length === 0) return []
        const [only] = s.body
        const needed = conjunction(conjuncts(c).filter((e) => !s.body.every((t) => t.k === 'if' && impliedBy(e, t.c))))
        if (needed === undefined) return s.body
        if (needed !== c) return [{ ...s, c: needed }]
        const joined = s.body.length === 1 && only.k === 'if' && loadsOf(only.c).length === 0
        return joined ? [{ ...only, c: withoutImplied(bin('and', c, only.c)) }] : [{ ...s, c: withoutImplied(c) }]
      }
      case 'for':
        return tripCount(s) === 0 || s.body.length === 0 ? [] : [s]
      default:
        return [s]
    }
  })
  return { ...nest, body: mapBlocks(body, mergeConditions) }
}

/** Conjuncts that another one implies are dropped: `i < 13 and i < 12` is `i < 12`. */
function withoutImplied(c: Expr): Expr {
  const all = [...new Set(conjuncts(c))]
  const kept = all.filter((e, i) => {
    const d = asNonNegative(e)
    return d === undefined || !all.some((other, j) => j !== i && implies(other, d, j < i))
  })
  return kept.length === all.length ? (conjunction(all) ?? c) : (conjunction(kept) ?? c)
}
function impliedBy(e: Expr, c: Expr): boolean {
  const d = asNonNegative(e)
  return d !== undefined && conjuncts(c).some((other) => implies(other, d, true))
}
/** Of two conditions that imply each other, the earlier stays. */
function implies(other: Expr, d: Ix, earlier: boolean): boolean {
  const o = asNonNegative(other)
  return o !== undefined && proveLe(o, d) && (earlier || !proveLe(d, o))
}

/** Neighbouring statements under one condition on indices share it. */
function mergeConditions(block: readonly Stmt[]): readonly Stmt[] {
  const out: Stmt[] = []
  for (const s of block) {
    const last = out[out.length - 1]
    if (s.k === 'if' && last?.k === 'if' && last.c === s.c && localsOf(s.c).size === 0 && loadsOf(s.c).length === 0) {
      out[out.length - 1] = { ...last, body: mergeConditions([...last.body, ...s.body]) }
    } else out.push(s)
  }
  return out.length === block.length ? block : out
}
