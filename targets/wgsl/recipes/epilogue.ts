/** The pointwise stages after a contraction, at one point of its domain: what is computed from the sum, and where it is stored. */
import { conjunction } from '../../../src/kernel/bounds.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { ColumnSets } from '../../../src/kernel/columns.ts'
import type { Expr } from '../../../src/kernel/expr.ts'
import { bin, cast, index, local, newLocal } from '../../../src/kernel/expr.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import { exprsOfStage } from '../../../src/kernel/rows.ts'
import type { Stage } from '../../../src/kernel/stage.ts'
import { isUnit, loadsOf, mapper } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { con, floorDiv, of } from '../../../src/types/ix.ts'

/**
 * Statements that store every result at a point of the contraction's domain (its symbols' values), given the contraction's value there; or the
 * results of a set of columns, given its values.
 */
export type Epilogue = (syms: ReadonlyMap<Sym, Ix>, values: readonly Expr[]) => readonly Stmt[]

/** Undefined if a later stage is no pointwise function of the contraction at its own point. */
export function epilogueOf(main: Stage, later: readonly Stage[]): Epilogue | undefined {
  const own = new Set(main.domain)
  const maps: { readonly stage: Stage; readonly from: ReadonlyMap<Sym, Sym> }[] = []
  for (const stage of later) {
    if (stage.body.k !== 'map' || stage.out.space !== 'global') return undefined
    const from = new Map<Sym, Sym>()
    for (const l of exprsOfStage(stage).flatMap(loadsOf)) {
      if (l.buf !== main.out) continue
      const place = placeOf(main)
      for (const [d, x] of l.at.entries()) {
        const v = main.domain.find((v) => of(v) === place[d])
        const mine = stage.domain.find((s) => of(s) === x)
        if (v === undefined || isUnit(v)) continue
        if (mine === undefined || (from.has(mine) && from.get(mine) !== v)) return undefined
        from.set(mine, v)
      }
    }
    for (const s of stage.domain) if (!from.has(s) && own.has(s)) from.set(s, s)
    if (stage.domain.some((s) => !isUnit(s) && !from.has(s))) return undefined
    if (main.domain.some((v) => !isUnit(v) && ![...from.values()].includes(v))) return undefined
    maps.push({ stage, from })
  }
  return (syms, [value]) => {
    const out: Stmt[] = []
    const known: { readonly buf: Buffer; readonly at: readonly Ix[]; readonly e: Expr }[] = []
    const named = (name: string, e: Expr): Expr => {
      if (e.k === 'local' || e.k === 'const') return e
      const v = newLocal(name, e.of)
      out.push({ k: 'let', v, e })
      return local(v)
    }
    const at = (
      stage: Stage,
      from: ReadonlyMap<Sym, Sym>,
    ): { values: ReadonlyMap<Sym, Ix>; expr: (e: Expr) => Expr; ix: (x: Ix) => Ix } => {
      const values = new Map(
        stage.domain.map((s): [Sym, Ix] => [s, isUnit(s) ? con(0) : (syms.get(from.get(s)!) ?? con(0))]),
      )
      const m = mapper({
        syms: values,
        load: (buf, at) => {
          if (buf === main.out && main.out.space !== 'global') return sum
          const found = known.find((k) => k.buf === buf && k.at.every((x, i) => x === at[i]))
          return found?.e
        },
      })
      return { values, expr: m.expr, ix: m.ix }
    }
    const emit = (stage: Stage, from: ReadonlyMap<Sym, Sym>, e: Expr): void => {
      const m = at(stage, from)
      const place = placeOf(stage).map(m.ix)
      const store: Stmt = { k: 'store', buf: stage.out, at: place, e: cast(stage.out.of, e) }
      if (stage.guard !== undefined) out.push({ k: 'if', c: m.expr(stage.guard), body: [store] })
      else {
        out.push(store)
        known.push({ buf: stage.out, at: place, e })
      }
    }
    const repeated = later.length > 1 || main.out.space === 'global' || count(later, main.out) > 1
    const sum: Expr = repeated ? named(main.name, value) : value
    const identity = new Map(main.domain.map((v) => [v, v]))
    if (main.out.space === 'global') emit(main, identity, sum)
    for (const { stage, from } of maps) {
      if (stage.body.k !== 'map') continue
      const e = at(stage, from).expr(stage.body.e)
      const readLater = later.some(
        (t) => t !== stage && exprsOfStage(t).some((x) => loadsOf(x).some((l) => l.buf === stage.out)),
      )
      emit(stage, from, readLater ? named(stage.name, e) : e)
    }
    return out
  }
}

/** What becomes of a set of columns. Sets of one range have their results under one condition. */
export function epilogueOfSets({ set, count, sums, results }: ColumnSets): Epilogue {
  return (syms, values) => {
    const out: Stmt[] = []
    const named = values.map((e, s): Stmt => ({ k: 'let', v: sums[s], e }))
    const own = values.every((e) => e.k === 'local')
    const m = mapper({ syms, ...(own ? { locals: new Map(values.map((e, s) => [sums[s], e])) } : {}) })
    const at = syms.get(set)!
    const starts = results.filter((r, i) => i === 0 || r.from !== results[i - 1].from)
    for (const { from, to } of starts) {
      const stores = results
        .filter((r) => r.from === from)
        .map(({ stage: { out }, ...r }): Stmt => {
          const store: Stmt = { k: 'store', buf: out, at: r.at.map(m.ix), e: cast(out.of, m.expr(r.e)) }
          return r.guard ? { k: 'if', c: m.expr(r.guard), body: [store] } : store
        })
      // The same for four neighbours, where ranges are made of fours.
      const per = [from, to].every((n) => n % 4 === 0) ? 4 : 1
      const place = index(floorDiv(at, per))
      const conditions = [
        ...(from === 0 ? [] : [bin('le', index(con(from / per)), place)]),
        ...(to === count ? [] : [bin('lt', place, index(con(to / per)))]),
      ]
      out.push(
        ...(conditions.length === 0 ? stores : [{ k: 'if' as const, c: conjunction(conditions)!, body: stores }]),
      )
    }
    return own ? out : [...named, ...out]
  }
}

const placeOf = (s: Stage): readonly Ix[] => s.at ?? s.domain.map(of)
const count = (stages: readonly Stage[], b: Buffer): number =>
  stages
    .flatMap(exprsOfStage)
    .flatMap(loadsOf)
    .filter((l) => l.buf === b).length
