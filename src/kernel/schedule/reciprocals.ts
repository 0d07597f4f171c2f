/** Quotients by one number in all lanes become products with its reciprocal, which is computed once. */
import type { Expr, Local } from '../expr.ts'
import { bin, constant, rewrite, select, splat, un } from '../expr.ts'
import type { NestKernel, Stmt } from '../nest.ts'
import { effectsOf, mapStmts, visitStmts } from '../walk.ts'

const huge = 2 ** 100

/**
 * `x / splat(d)` as `x * splat(1 / d)`: one rounding more. Where d may be so small or so large that 1 / d overflows or loses digits, a power of
 * two brings it near 1 first and the product back. Roots are never so small. Always legal, for f32.
 */
export function reciprocals(nest: NestKernel): NestKernel {
  const lets = new Map<Local, Expr>()
  const { assigns } = effectsOf(nest.body)
  visitStmts(nest.body, (s) => {
    if (s.k === 'let' && !assigns.has(s.v)) lets.set(s.v, s.e)
  })
  const valueOf = (e: Expr): Expr => {
    let x = e
    while (x.k === 'local' && lets.has(x.v)) x = lets.get(x.v)!
    return x
  }
  const moderate = (d: Expr): boolean => {
    const x = valueOf(d)
    if (x.k === 'const') return Math.abs(x.value) >= 1 / huge && Math.abs(x.value) <= huge
    if (x.k === 'cast') return x.x.of === 'i32'
    return x.k === 'un' && x.f === 'sqrt'
  }
  const one = (e: Expr): Expr => {
    if (e.k !== 'bin' || e.f !== 'div' || e.of !== 'f32' || e.lanes === 1) return e
    const by = valueOf(e.b)
    if (by.k !== 'splat') return e
    const d = by.x
    const inverse = (x: Expr): Expr => splat(bin('div', constant(1), x), e.lanes)
    if (moderate(d)) return bin('mul', e.a, inverse(d))
    const size = un('abs', d)
    const large = select(bin('gt', size, constant(huge)), constant(1 / huge), constant(1))
    const scale = select(bin('lt', size, constant(1 / huge)), constant(huge), large)
    return bin('mul', bin('mul', e.a, inverse(bin('mul', d, scale))), splat(scale, e.lanes))
  }
  const memo = new Map<Expr, Expr>()
  const go = (e: Expr): Expr => rewrite(e, one, undefined, memo)
  const body = mapStmts(nest.body, (s): readonly Stmt[] => {
    if (!('e' in s)) return [s]
    const e = go(s.e)
    return [e === s.e ? s : { ...s, e }]
  })
  return { ...nest, body }
}
