/** A kernel with dims fixed to numbers: conditions that then always hold are gone. */
import { conjuncts } from '../../src/kernel/bounds.ts'
import type { Expr } from '../../src/kernel/expr.ts'
import { simplifyExpr } from '../../src/kernel/schedule/index.ts'
import type { Body, Stage, StageKernel } from '../../src/kernel/stage.ts'
import { mapper } from '../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { INF, of, substitute, sym } from '../../src/types/ix.ts'

/** `dims` are numbers or other sizes, by symbol. Buffers keep their shapes: only what is computed is specialised. */
export function specialise(kernel: StageKernel, dims: ReadonlyMap<Sym, Ix>): StageKernel {
  const syms = new Map<Sym, Ix>(dims)
  const made = new Map<Sym, Sym>()
  /** An axis whose extent depends on the dims becomes one of the new extent. */
  const axis = (v: Sym): Sym => {
    const known = made.get(v)
    if (known !== undefined) return known
    const hi = v.hi === INF ? INF : substitute(v.hi, dims)
    const fresh = hi === v.hi ? v : sym(v.name, { lo: v.lo, hi, multipleOf: v.multipleOf, role: v.role })
    made.set(v, fresh)
    if (fresh !== v) syms.set(v, of(fresh))
    return fresh
  }
  const inStage = (s: Stage): Stage => {
    const domain = s.domain.map(axis)
    const body = inBody(s.body)
    const m = mapper({ syms: new Map(syms) })
    return {
      ...s,
      domain,
      body,
      ...(s.at ? { at: s.at.map(m.ix) } : {}),
      ...(s.guard ? { guard: m.expr(s.guard) } : {}),
    }
  }
  const expr = (e: Expr): Expr => simplifyExpr(mapper({ syms: new Map(syms) }).expr(e))
  const condition = (where: Expr | undefined): { where?: Expr } => {
    if (where === undefined) return {}
    const left = expr(where)
    return conjuncts(left).length === 0 ? {} : { where: left }
  }
  const inBody = (b: Body): Body => {
    switch (b.k) {
      case 'map':
        return { k: 'map', e: expr(b.e) }
      case 'reduce': {
        const { where, ...rest } = b
        const axes = b.axes.map(axis)
        return { ...rest, axes, e: expr(b.e), ...condition(where) }
      }
      case 'carried': {
        const { where, ...rest } = b
        const own = axis(b.axis)
        const columns = b.columns.map(axis)
        const chunk = b.chunk.map(inStage)
        const carries = b.carries.map((c) => ({ ...c, axes: c.axes.map(axis), merge: expr(c.merge) }))
        return { ...rest, axis: own, columns, chunk, carries, finish: expr(b.finish), ...condition(where) }
      }
    }
  }
  return { ...kernel, stages: kernel.stages.map(inStage) }
}
