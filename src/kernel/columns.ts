/**
 * Results that need several columns of a contraction at once: a gated unit wants column j and column j + f, a rotation the two columns of a pair.
 * Found by structure: domains of the results are cut into boxes until each load of the contraction has one place in a box; boxes that read the same
 * columns then belong together. What comes of it is a set of columns for each value of one symbol, and what is stored of each set.
 */
import type { Ix, Sym } from '../types/ix.ts'
import {
  add,
  coefficientOf,
  con,
  evaluate,
  isConst,
  mul,
  of,
  proveLe,
  sub,
  substitute,
  symbolsOf,
  valuesOf,
} from '../types/ix.ts'
import { delinearise, elements } from '../types/shape.ts'
import { asNonNegative, conjuncts } from './bounds.ts'
import type { Expr, Local } from './expr.ts'
import { asIx, local, newLocal, operands } from './expr.ts'
import { exprsOfStage } from './rows.ts'
import { simplifyExpr } from './schedule/simplify.ts'
import type { Stage } from './stage.ts'
import type { Contraction } from './structure.ts'
import { extentOf, isUnit, loadsOf, loopSymbol, mapper } from './walk.ts'

/** What is stored of sets `from` … `to` - 1. Coordinates and value are in terms of the contraction's rows, `set` and `sums`. */
export interface ColumnResult {
  readonly stage: Stage
  readonly from: number
  readonly to: number
  readonly at: readonly Ix[]
  readonly guard?: Expr
  readonly e: Expr
}
export interface ColumnSets {
  /** Numbers the sets. */
  readonly set: Sym
  readonly count: number
  /** The columns of a set: functions of `set`, at constant distances. Together they are all columns, each once. */
  readonly columns: readonly Ix[]
  /** What stands for the sums of a set's columns. */
  readonly sums: readonly Local[]
  readonly results: readonly ColumnResult[]
}

/** A part of a result in which each load of the contraction has one place. */
interface Box {
  readonly stage: Stage
  /** Axes without rows. */
  readonly axes: readonly Sym[]
  readonly at: readonly Ix[]
  readonly guard?: Expr
  readonly e: Expr
  readonly columns: readonly Ix[]
}

const mostBoxes = 16
/** Columns of a set: a thread holds a sum of each. */
const mostColumns = 4

/**
 * Undefined where a later stage is no function of a few columns of its own row, where columns belong together in several ways, or where one
 * would be computed twice.
 */
export function columnSets(c: Contraction, later: readonly Stage[]): ColumnSets | undefined {
  const [n] = c.n
  const total = c.n.length === 1 ? isConst(extentOf(n)) : undefined
  const { stage: main } = c
  if (total === undefined || c.batch.length > 0 || main.out.space !== 'virtual' || main.at) return undefined
  const made = new Set(later.map((s) => s.out))
  if (later.some((s) => exprsOfStage(s).some((e) => loadsOf(e).some((l) => made.has(l.buf))))) return undefined
  const boxes: Box[] = []
  for (const s of later) {
    const own = boxesOf(c, n, s)
    if (own === undefined) return undefined
    boxes.push(...own)
  }
  const several = boxes.filter((b) => b.columns.length > 1)
  const size = Math.max(...several.map((b) => b.columns.length))
  if (several.length === 0 || size > mostColumns || total % size !== 0) return undefined
  const count = total / size
  const set = loopSymbol('set', count)
  const largest = several.filter((b) => b.columns.length === size).reduce((a, b) => (pointsOf(b) > pointsOf(a) ? b : a))
  const start = startOf(largest, size)
  if (start === undefined) return undefined
  const columns = columnsAt(largest, sub(of(set), start))
  if (columns.some((x) => isConst(sub(x, columns[0])) === undefined)) return undefined
  const sums = columns.map(() => newLocal('sum', main.out.of))
  const placed: Placed = { main, n, total, set, columns, sums }
  const results: ColumnResult[] = []
  const seen = new Map<number, number>()
  for (const b of boxes) {
    const found = together(b, placed) ?? (b.columns.length === 1 ? apart(b, placed) : undefined)
    if (found === undefined) return undefined
    // Parts of several results may read the same sets.
    const [{ from, to }] = found
    if ((seen.get(from) ?? to) !== to) return undefined
    seen.set(from, to)
    results.push(...found)
  }
  const ranges = [...seen].sort(([a], [b]) => a - b)
  const whole = ranges.every(([from], i) => from === (i === 0 ? 0 : ranges[i - 1][1]))
  if (!whole || ranges[ranges.length - 1][1] !== count) return undefined
  return { set, count, columns, sums, results: results.sort((a, b) => a.from - b.from) }
}

const shapeOf = (b: Box): readonly Ix[] => b.axes.map(extentOf)
const pointsOf = (b: Box): number => isConst(elements(shapeOf(b)))!
/** The axes at the `i`th point of a box. */
const pointAt = (b: Box, i: Ix): ReadonlyMap<Sym, Ix> => {
  const at = delinearise(i, shapeOf(b))
  return new Map(b.axes.map((v, d) => [v, at[d]]))
}
const columnsAt = (b: Box, i: Ix): readonly Ix[] => b.columns.map((x) => substitute(x, pointAt(b, i)))
/** The set that a box begins with, where sets lie as their first columns do. */
function startOf(b: Box, size: number): number | undefined {
  const first = isConst(columnsAt(b, con(0))[0])
  return first === undefined || first % size !== 0 ? undefined : first / size
}

interface Placed {
  readonly main: Stage
  readonly n: Sym
  readonly total: number
  readonly set: Sym
  readonly columns: readonly Ix[]
  readonly sums: readonly Local[]
}

/** A box whose points are sets: all columns that it reads are of one set. */
function together(b: Box, p: Placed): readonly ColumnResult[] | undefined {
  const size = p.columns.length
  const points = pointsOf(b)
  const first = isConst(columnsAt(b, con(0))[0])
  if (first === undefined) return undefined
  const i = loopSymbol('i', points)
  const own = columnsAt(b, of(i))
  for (const x of p.columns) {
    const shift = isConst(sub(x, p.columns[0]))!
    if (first < shift || (first - shift) % size !== 0) continue
    const from = (first - shift) / size
    if (from + points > p.total / size) continue
    const sets = p.columns.map((x) => substitute(x, new Map([[p.set, add(i, from)]])))
    if (!own.every((x) => sets.includes(x))) continue
    const places = pointAt(b, sub(of(p.set), from))
    return [resultOf(b, p, from, from + points, places, (x) => sets.indexOf(own[b.columns.indexOf(x)]))]
  }
  return undefined
}

/** A box that reads one column at each point, neighbours at neighbours: its points are taken in the order of the sets. */
function apart(b: Box, p: Placed): readonly ColumnResult[] | undefined {
  const size = p.columns.length
  const [points, first] = [pointsOf(b), isConst(columnsAt(b, con(0))[0])]
  if (first === undefined || first % size !== 0 || points % size !== 0) return undefined
  const c = loopSymbol('c', points)
  if (columnsAt(b, of(c))[0] !== add(c, first)) return undefined
  const [from, to] = [first / size, (first + points) / size]
  const i = loopSymbol('i', to - from)
  const own = p.columns.map((x) => sub(substitute(x, new Map([[p.set, add(i, from)]])), first))
  if (!own.every((x) => proveLe(0, x) && proveLe(x, points - 1))) return undefined
  const reached = new Set<number>()
  for (const x of own) for (let k = 0; k < to - from; k++) reached.add(evaluate(x, () => k))
  if (reached.size !== points) return undefined
  return p.columns.map((_, s) => {
    const places = pointAt(b, substitute(own[s], new Map([[i, sub(of(p.set), from)]])))
    return resultOf(b, p, from, to, places, () => s)
  })
}

function resultOf(b: Box, p: Placed, from: number, to: number, places: ReadonlyMap<Sym, Ix>, which: (column: Ix) => number): ColumnResult {
  const axis = p.main.domain.indexOf(p.n)
  const m = mapper({ syms: places, load: () => undefined })
  // Sums first, while columns are those of the box.
  const sums = mapper({ load: (buf, at) => (buf === p.main.out ? local(p.sums[which(at[axis])]) : undefined) })
  const value = (e: Expr): Expr => m.expr(sums.expr(e))
  return { stage: b.stage, from, to, at: b.at.map(m.ix), e: value(b.e), ...(b.guard ? { guard: value(b.guard) } : {}) }
} // prettier-ignore

// ---- boxes ----

/** The boxes of a stage; undefined where there are too many, or it reads other rows than its own. */
function boxesOf(c: Contraction, n: Sym, stage: Stage): readonly Box[] | undefined {
  const { stage: main } = c
  if (stage.body.k !== 'map' || stage.out.space !== 'global') return undefined
  const axis = main.domain.indexOf(n)
  // The contraction's rows in the place of the stage's.
  const rows = new Map<Sym, Ix>()
  for (const l of exprsOfStage(stage).flatMap(loadsOf)) {
    if (l.buf !== main.out) continue
    for (const [d, v] of main.domain.entries()) {
      if (d === axis || isUnit(v)) continue
      const mine = stage.domain.find((s) => of(s) === l.at[d])
      if (mine === undefined || extentOf(mine) !== extentOf(v) || (rows.get(mine) ?? of(v)) !== of(v)) return undefined
      rows.set(mine, of(v))
    }
  }
  if (rows.size !== main.domain.filter((v, d) => d !== axis && !isUnit(v)).length) return undefined
  const units = stage.domain.filter(isUnit).map((v): [Sym, Ix] => [v, con(0)])
  const begin = mapper({ syms: new Map([...rows, ...units]) })
  const axes = stage.domain.filter((v) => !rows.has(v) && !isUnit(v))
  if (axes.some((v) => isConst(extentOf(v)) === undefined)) return undefined
  const done: Box[] = []
  const waiting: Box[] = [
    {
      stage, axes, at: (stage.at ?? stage.domain.map(of)).map(begin.ix), columns: [], e: simplifyExpr(begin.expr(stage.body.e)),
      ...(stage.guard ? { guard: simplifyExpr(begin.expr(stage.guard)) } : {}),
    },
  ] // prettier-ignore
  for (let b = waiting.pop(); b !== undefined; b = waiting.pop()) {
    if (b.guard?.k === 'const' && b.guard.value === 0) continue
    const cuts = cutOf(b)
    if (cuts !== undefined) {
      if (waiting.length + done.length + cuts.length > mostBoxes) return undefined
      waiting.push(...cuts.map((cut) => within(b, cut)).reverse())
      continue
    }
    const loads = [...(b.guard ? [b.guard] : []), b.e].flatMap(loadsOf).filter((l) => l.buf === main.out)
    const columns = [...new Set(loads.map((l) => l.at[axis]))]
    const own = new Set(b.axes)
    if (columns.length === 0 || columns.some((x) => valuesOf(x).size > 0 || [...symbolsOf(x)].some((s) => !own.has(s))))
      return undefined
    const first = (x: Ix): number => evaluate(x, () => 0)
    done.push({ ...b, columns: columns.sort((x, y) => first(x) - first(y)) })
  }
  return done
}

/** New axes, and what the old ones are in terms of them. */
interface Cut {
  readonly axes: readonly Sym[]
  readonly map: ReadonlyMap<Sym, Ix>
}
function within(b: Box, { axes, map }: Cut): Box {
  const m = mapper({ syms: map })
  const { guard, ...rest } = b
  const left = guard && simplifyExpr(m.expr(guard))
  const open = left !== undefined && !(left.k === 'const' && left.value !== 0)
  return { ...rest, axes, at: b.at.map(m.ix), e: simplifyExpr(m.expr(b.e)), ...(open ? { guard: left } : {}) }
}

/** How to cut a box so that a condition on its axes becomes decided; undefined where there is none. */
function cutOf(b: Box): readonly Cut[] | undefined {
  const own = new Set(b.axes)
  for (const c of [...(b.guard ? comparisonsIn(b.guard) : []), ...conditionsIn(b.e)]) {
    const d = asNonNegative(c)
    if (d === undefined || [...symbolsOf(d)].some((s) => !own.has(s)) || valuesOf(d).size > 0) continue
    for (const v of b.axes) {
      const found = symbolsOf(d).has(v) ? cutAlong(b, v, d) : undefined
      if (found !== undefined) return found
    }
  }
  return undefined
}
function cutAlong(b: Box, v: Sym, d: Ix): readonly Cut[] | undefined {
  const extent = isConst(extentOf(v))!
  const at = b.axes.indexOf(v)
  const cut = (parts: readonly Sym[], value: Ix): Cut => {
    const kept = parts.filter((s) => !isUnit(s))
    const units = new Map(parts.filter(isUnit).map((s): [Sym, Ix] => [s, con(0)]))
    return { axes: [...b.axes.slice(0, at), ...kept, ...b.axes.slice(at + 1)], map: new Map([[v, substitute(value, units)]]) }
  } // prettier-ignore
  const linear = coefficientOf(d, v)
  if (linear !== undefined) {
    const [a, rest] = [isConst(linear.coef), isConst(linear.rest)]
    if (a === undefined || rest === undefined) return undefined
    const edge = a > 0 ? Math.ceil(-rest / a) : Math.floor(rest / -a) + 1
    if (edge <= 0 || edge >= extent) return undefined
    const [low, high] = [loopSymbol(v.name, edge), loopSymbol(v.name, extent - edge)]
    return [cut([low], of(low)), cut([high], add(high, edge))]
  }
  // v div m and v mod m: two axes.
  for (const t of d.terms) {
    for (const a of t.atoms) {
      const by = a.k === 'mod' || a.k === 'div' ? isConst(a.b) : undefined
      if (by === undefined || by <= 1 || by >= extent || extent % by !== 0) continue
      const [over, rest] = [loopSymbol(v.name, extent / by), loopSymbol(v.name, by)]
      return [cut([over, rest], add(mul(by, over), rest))]
    }
  }
  return undefined
}

/** The comparisons that an expression selects by. */
function conditionsIn(e: Expr): readonly Expr[] {
  const found: Expr[] = []
  const seen = new Set<Expr>()
  const go = (e: Expr): void => {
    if (seen.has(e)) return
    seen.add(e)
    if (e.k === 'select') found.push(...comparisonsIn(e.c))
    operands(e).forEach(go)
  }
  go(e)
  return found
}
const comparisonsIn = (c: Expr): readonly Expr[] =>
  conjuncts(c).flatMap((e) => (e.k === 'bin' && (asIx(e.a) === undefined || asIx(e.b) === undefined) ? operands(e).flatMap(comparisonsIn) : [e])) // prettier-ignore
