/** Rewrites for the pipelines of a processor: additions that need not wait for one another, divisions that are made once. */
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { bin, constant, local, newLocal } from '../../../src/kernel/expr.ts'
import type { For, NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import {
  copier,
  effectsOf,
  loadsOf,
  localsOf,
  mapExprs,
  mapStmts,
  rebuild,
  symbolsOfExpr,
  visitStmts,
} from '../../../src/kernel/walk.ts'
import { add, isConst, of, sym } from '../../../src/types/ix.ts'

/** Sums that a loop keeps: an addition takes three or four cycles, and two can start in each. */
const chains = 4

/** A fold of a constant number of elements in four variables, joined behind the loop. */
export function inChains(nest: NestKernel): NestKernel {
  return { ...nest, body: mapStmts(nest.body, (s) => (s.k === 'for' ? chained(s) : [s])) }
}
function chained(s: For): readonly Stmt[] {
  const last = s.body.at(-1)
  const count = isConst(s.hi)
  const named = s.body.slice(0, -1)
  if (last?.k !== 'assign' || last.e.k !== 'bin' || (last.e.f !== 'add' && last.e.f !== 'max')) return [s]
  if (s.kind !== 'serial' || s.step !== 1 || isConst(s.lo) !== 0 || count === undefined) return [s]
  if (count < 4 * chains || count % chains !== 0 || named.some((t) => t.k !== 'let')) return [s]
  const { f, a, b } = last.e
  const acc = last.v
  if (
    a.k !== 'local' ||
    a.v !== acc ||
    localsOf(b).has(acc) ||
    named.some((t) => t.k === 'let' && localsOf(t.e).has(acc))
  )
    return [s]
  // A maximum may start where the first one does; a sum starts at nothing.
  const more = Array.from({ length: chains - 1 }, () => newLocal(acc.name, acc.of))
  const begin: readonly Stmt[] = more.map((v) => ({ k: 'var', v, e: f === 'max' ? local(acc) : constant(0, acc.of) }))
  const v = sym(s.v.name, { lo: 0, hi: count - chains, role: 'loop', multipleOf: chains })
  const body = [acc, ...more].flatMap((sum, i): readonly Stmt[] => {
    const copy = copier(new Map([[s.v, add(of(v), i)]]))
    return [...named.map(copy.stmt), { k: 'assign', v: sum, e: bin(f, local(sum), copy.expr(b)) }]
  })
  const joined = more.reduce<Expr>((e, v) => bin(f, e, local(v)), local(acc))
  return [...begin, { ...s, v, step: chains, body }, { k: 'assign', v: acc, e: joined }]
}

/** In a loop, x / y where y stays is x times a reciprocal that is made once. In float64: stores round to float32. */
export function reciprocals(nest: NestKernel): NestKernel {
  return { ...nest, body: mapStmts(nest.body, (s) => (s.k === 'for' ? [inLoop(s)] : [s])) }
}
function inLoop(s: For): For {
  const own = new Set<Local>(effectsOf(s.body).assigns)
  visitStmts(s.body, (t) => {
    if (t.k === 'let' || t.k === 'var') own.add(t.v)
  })
  const stays = (e: Expr): boolean => {
    const locals = [...localsOf(e)]
    return (
      locals.length > 0 && !locals.some((v) => own.has(v)) && loadsOf(e).length === 0 && symbolsOfExpr(e).size === 0
    )
  }
  const go = (e: Expr): Expr => {
    const made = rebuild(e, go)
    if (made.k !== 'bin' || made.f !== 'div' || made.of !== 'f64' || !stays(made.b) || made.a.k === 'const') return made
    return bin('mul', made.a, bin('div', constant(1, 'f64'), made.b))
  }
  return { ...s, body: mapExprs(s.body, { expr: go, ix: (x) => x }) }
}
