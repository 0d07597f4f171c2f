/** Names that say nothing new. */
import type { Expr, Local } from '../expr.ts'
import type { NestKernel } from '../nest.ts'
import { effectsOf, mapExprs, mapper, mapStmts, visitStmts } from '../walk.ts'

/** `let a = b`, where neither changes, is `b` itself; so is a constant, also one in all lanes. */
export function withoutCopies(nest: NestKernel): NestKernel {
  const assigned = effectsOf(nest.body).assigns
  const variables = new Set<Local>()
  const same = new Map<Local, Expr>()
  visitStmts(nest.body, (s) => {
    if (s.k === 'var') variables.add(s.v)
    if (s.k !== 'let' || assigned.has(s.v)) return
    let e = s.e
    while (e.k === 'local' && same.has(e.v)) e = same.get(e.v)!
    const constant = e.k === 'const' || (e.k === 'splat' && e.x.k === 'const')
    if (constant || (e.k === 'local' && !variables.has(e.v) && !assigned.has(e.v))) same.set(s.v, e)
  })
  if (same.size === 0) return nest
  const body = mapStmts(nest.body, (s) => (s.k === 'let' && same.has(s.v) ? [] : [s]))
  return { ...nest, body: mapExprs(body, mapper({ locals: same })) }
}
