/** The scalars that a kernel needs from the host: free dims of its stages and buffers. */
import type { Expr } from '../kernel/expr.ts'
import { operands } from '../kernel/expr.ts'
import type { KernelArg, Stage } from '../kernel/stage.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { symbolsOf, valuesOf } from '../types/ix.ts'

/** Free symbols (not loop variables) of stages and argument shapes, by name. */
export function paramsOf(stages: readonly Stage[], args: readonly KernelArg[]): Sym[] {
  const found = new Set<Sym>()
  const seen = new Set<Expr | Ix>()
  const inIx = (x: Ix): void => {
    if (seen.has(x)) return
    seen.add(x)
    for (const s of symbolsOf(x)) if (s.role !== 'loop') found.add(s)
    for (const v of valuesOf(x)) inExpr(v.value as Expr)
  }
  const inExpr = (e: Expr): void => {
    if (seen.has(e)) return
    seen.add(e)
    if (e.k === 'index') inIx(e.ix)
    if (e.k === 'load') e.at.forEach(inIx)
    operands(e).forEach(inExpr)
  }
  const inStage = (s: Stage): void => {
    s.out.shape.forEach(inIx)
    s.at?.forEach(inIx)
    for (const d of s.domain) inIx(d.hi)
    if (s.guard) inExpr(s.guard)
    switch (s.body.k) {
      case 'map':
        return inExpr(s.body.e)
      case 'reduce':
        for (const a of s.body.axes) inIx(a.hi)
        if (s.body.where) inExpr(s.body.where)
        return inExpr(s.body.e)
      case 'carried':
        inIx(s.body.axis.hi)
        if (s.body.where) inExpr(s.body.where)
        s.body.chunk.forEach(inStage)
        for (const c of s.body.carries) inExpr(c.merge)
        return inExpr(s.body.finish)
    }
  }
  stages.forEach(inStage)
  for (const a of args) {
    a.buffer.shape.forEach(inIx)
    if (a.buffer.layout) inIx(a.buffer.layout.offset)
  }
  return [...found]
    .filter((s) => s.role !== 'loop')
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id))
}
