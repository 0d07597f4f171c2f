/**
 * Loop-invariant code leaves loops: `let`s whose expression does not change, and the largest invariant parts of other expressions. Loads
 * move only where they are provably in range, since a loop may run no iteration; nothing moves across a barrier.
 */
import type { Sym } from '../../types/ix.ts'
import type { Buffer } from '../buffer.ts'
import type { Expr, Local } from '../expr.ts'
import { local, newLocal } from '../expr.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import { effectsOf, loadsOf, localsOf, mapStmts, rebuild, symbolsOfExpr, throughValues, visitStmts } from '../walk.ts'
import { inRange } from '../ranges.ts'
import { isWorthNaming, nameFor } from './cse.ts'

export function hoist(nest: NestKernel): NestKernel {
  return {
    ...nest,
    body: mapStmts(nest.body, (s) =>
      s.k === 'for' && !s.kind.startsWith('local.') && !s.kind.startsWith('grid.') ? fromLoop(s) : [s],
    ),
  }
}

function fromLoop(loop: For): readonly Stmt[] {
  const bound = new Set<Sym>([loop.v])
  const own = new Set<Local>()
  const effects = effectsOf(loop.body)
  const allocated = new Set<Buffer>()
  visitStmts(loop.body, (s) => {
    if (s.k === 'for' || s.k === 'bind') bound.add(s.v)
    if (s.k === 'let' || s.k === 'var') own.add(s.v)
    if (s.k === 'alloc') allocated.add(s.buf)
  })
  if (effects.barrier) return [loop]
  for (const v of effects.assigns) own.add(v)
  const before: Stmt[] = []
  const names = new Map<Expr, Local>()

  const invariant = (e: Expr): boolean => {
    for (const s of symbolsOfExpr(e)) if (bound.has(s)) return false
    for (const v of localsOf(e)) if (own.has(v)) return false
    return loadsOf(e).every((l) => !effects.writes.has(l.buf) && !allocated.has(l.buf) && inRange(l))
  }
  const go = (e: Expr): Expr => {
    const known = names.get(e)
    if (known !== undefined) return local(known)
    if (!isWorthNaming(e) || !invariant(e)) return rebuild(e, go, (x) => throughValues(x, go))
    const v = newLocal(nameFor(e), e.of, e.lanes)
    names.set(e, v)
    before.push({ k: 'let', v, e })
    return local(v)
  }
  const body = mapStmts(loop.body, (s) => {
    switch (s.k) {
      case 'let':
        if (invariant(s.e)) {
          own.delete(s.v)
          before.push(s)
          return []
        }
        return [{ ...s, e: go(s.e) }]
      case 'var':
        return [{ ...s, e: go(s.e) }]
      case 'assign':
        // The accumulator is not invariant, but keep `acc = acc + x` a fold in any case.
        return [{ ...s, e: s.e.k === 'bin' && s.e.a.k === 'local' && s.e.a.v === s.v ? rebuild(s.e, go) : go(s.e) }]
      case 'store':
        return [{ ...s, at: s.at.map((x) => throughValues(x, go)), e: go(s.e) }]
      case 'if':
        return [{ ...s, c: go(s.c) }]
      default:
        return [s]
    }
  })
  return before.length === 0 ? [loop] : [...before, { ...loop, body }]
}
