/**
 * The rows of a kernel: the axes that all its stages share, so that one iteration over them computes a point of every stage. Axes of
 * different stages are matched through the loads between them (and by position where no load links two stages).
 */
import type { Ix, Sym } from '../types/ix.ts'
import { of } from '../types/ix.ts'
import type { Expr } from './expr.ts'
import type { Body, Stage } from './stage.ts'
import { extentOf, isUnit, loadsOf } from './walk.ts'
import type { LoadExpr } from './structure.ts'

export interface Rows {
  /** Row symbols, taken from the stage with the fewest axes. */
  readonly outer: readonly Sym[]
  readonly stages: readonly { readonly stage: Stage; readonly rows: readonly Sym[]; readonly inner: readonly Sym[] }[]
}

/** Every expression of a stage, those of a carried body's chunk included. */
export function exprsOfStage(s: Stage): readonly Expr[] {
  return [...(s.guard ? [s.guard] : []), ...exprsOfBody(s.body)]
}
function exprsOfBody(b: Body): readonly Expr[] {
  switch (b.k) {
    case 'map':
      return [b.e]
    case 'reduce':
      return b.where ? [b.e, b.where] : [b.e]
    case 'carried':
      return [
        ...(b.where ? [b.where] : []),
        ...b.chunk.flatMap(exprsOfStage),
        ...b.carries.map((c) => c.merge),
        b.finish,
      ]
  }
}

/** The loads in `user` of what `maker` defines. */
const links = (user: Stage, maker: Stage): readonly LoadExpr[] => {
  let out: LoadExpr[] | undefined
  for (const e of exprsOfStage(user)) for (const l of loadsOf(e)) if (l.buf === maker.out) (out ??= []).push(l)
  return out ?? unlinked
}
const unlinked: readonly LoadExpr[] = []

/** Domain symbols that may be rows: axes of one element are no loops, and the columns of a carried reduction share its state. */
function rowCandidates(s: Stage): readonly Sym[] {
  const columns = s.body.k === 'carried' ? s.body.columns : []
  return s.domain.filter((v) => !isUnit(v) && !columns.includes(v))
}

/** Coordinates at which a stage's out is defined, one per axis. */
const placeOf = (s: Stage): readonly Ix[] => s.at ?? s.domain.map(of)

/** Matches rows over stages that are all to be computed in place (maps to be inlined are gone). */
export function rowsOf(stages: readonly Stage[]): Rows {
  if (stages.length === 0) return { outer: [], stages: [] }
  const anchor = stages.reduce((a, b) => (rowCandidates(b).length < rowCandidates(a).length ? b : a))
  const axes = rowCandidates(anchor)
  // The symbol of each stage that walks along with each axis of the anchor.
  const match = new Map<Stage, (Sym | undefined)[]>([[anchor, [...axes]]])
  const matchStage = (s: Stage, positional: boolean): (Sym | undefined)[] | undefined => {
    const mine = rowCandidates(s)
    const found: (Sym | undefined)[] = axes.map((v) => (mine.includes(v) ? v : undefined))
    let linked = found.some((v) => v !== undefined)
    for (const [other, theirs] of match) {
      for (const l of links(s, other)) {
        linked = true
        placeOf(other).forEach((place, d) => {
          const i = theirs.findIndex((v) => v !== undefined && of(v) === place)
          const v = mine.find((v) => of(v) === l.at[d])
          if (i >= 0 && v !== undefined) found[i] ??= v
        })
      }
      for (const l of links(other, s)) {
        linked = true
        placeOf(s).forEach((place, d) => {
          const i = theirs.findIndex((v) => v !== undefined && of(v) === l.at[d])
          const v = mine.find((v) => of(v) === place)
          if (i >= 0 && v !== undefined) found[i] ??= v
        })
      }
    }
    if (!linked && !positional) return undefined
    return linked ? found : axes.map((_, i) => mine[i])
  }
  for (let waiting = stages.filter((s) => s !== anchor), positional = false; waiting.length > 0;) {
    const left = waiting.filter((s) => {
      const m = matchStage(s, positional && s === waiting[0])
      if (m !== undefined) match.set(s, m)
      return m === undefined
    })
    positional = left.length === waiting.length
    waiting = left
  }
  const aligned = axes.map((_, i) => i).filter((i) => isAligned(i, axes, match))
  return {
    outer: aligned.map((i) => axes[i]),
    stages: stages.map((stage) => {
      const rows = aligned.map((i) => match.get(stage)![i]!)
      return { stage, rows, inner: stage.domain.filter((v) => !isUnit(v) && !rows.includes(v)) }
    }),
  }
}

/** An axis is a row if all stages walk it equally far and every load between stages stays on its own row. */
function isAligned(i: number, axes: readonly Sym[], match: ReadonlyMap<Stage, readonly (Sym | undefined)[]>): boolean {
  const extent = extentOf(axes[i])
  for (const [s, syms] of match) {
    const v = syms[i]
    if (v === undefined || extentOf(v) !== extent || syms.indexOf(v) !== i) return false
    for (const [maker, theirs] of match) {
      if (maker === s) continue
      const linked = links(s, maker)
      if (linked.length === 0) continue
      const place = placeOf(maker)
      const along = theirs[i]
      if (along === undefined) return false
      for (const l of linked) {
        const d = place.findIndex((p) => p === of(along))
        if (d < 0 || l.at[d] !== of(v)) return false
      }
    }
  }
  return true
}
