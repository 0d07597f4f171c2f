/**
 * Views pushed forward. A view reads `in[f(out)]`; to *store* through it, f is inverted: given coordinates of the input, which
 * output element is that, and under which condition is there one? Invertible are permutations, slices and reshapes, recognised by
 * their index maps.
 */
import type { Expr } from '../kernel/expr.ts'
import { bin, index } from '../kernel/expr.ts'
import { isUnit, substituteExpr } from '../kernel/walk.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, isConst, of, proveLe, sub, substitute, sym, symbolsOf } from '../types/ix.ts'
import { delinearise, linearise } from '../types/shape.ts'
import { lowerNode, virtual } from '../ir/kinds.ts'
import { memoByStructure } from '../ir/structural.ts'
import type { Node } from '../ir/types.ts'

/** Where an element at given input coordinates lands, and the condition under which it does. */
export interface Landing {
  readonly at: readonly Ix[]
  readonly guard?: Expr
  /** The largest coordinate of each axis that only `guard` keeps in range. */
  readonly hi?: readonly (Ix | undefined)[]
}
export type Push = (coords: readonly Ix[]) => Landing

/** A loop symbol for one axis of a domain. */
export function axisSymbol(name: string, extent: Ix): Sym {
  return sym(name, { lo: 0, hi: sub(extent, 1), role: 'loop' })
}

/** The pull map of a view: input coordinates in terms of fresh output symbols. */
export function pull(view: Node): { readonly symbols: readonly Sym[]; readonly coords: readonly Ix[] } {
  const stages = lowerNode(view, view.inputs.map(virtual), virtual(view))
  const last = stages[stages.length - 1]
  if (last.body.k !== 'map' || last.body.e.k !== 'load') throw new Error(`internal: ${view.op} is no view`)
  const units = new Map<Sym, Ix>(last.domain.filter(isUnit).map((s) => [s, con(0)]))
  return { symbols: last.domain, coords: last.body.e.at.map((x) => substitute(x, units)) }
}

const both = (a: Expr | undefined, b: Expr | undefined): Expr | undefined =>
  a === undefined ? b : b === undefined ? a : bin('and', a, b)

/** Inverts one view, or says that it cannot be (a broadcast has many outputs per input). */
export const invert: (view: Node) => Push | undefined = memoByStructure((view) => {
  const { symbols, coords } = pull(view)
  return byAxes(symbols, coords, view) ?? byOrder(symbols, coords, view)
})

/** Each input coordinate is one output symbol plus a constant, or a constant: permutations and slices. */
function byAxes(symbols: readonly Sym[], coords: readonly Ix[], view: Node): Push | undefined {
  const source = view.inputs[0].type.shape
  const owner = new Map<Sym, { axis: number; offset: Ix }>()
  const fixed: { axis: number; value: Ix }[] = []
  for (const [axis, c] of coords.entries()) {
    const loops = symbols.filter((s) => symbolsOf(c).has(s))
    if (loops.length === 0) {
      if (isConst(source[axis]) !== 1) fixed.push({ axis, value: c })
      continue
    }
    const offset = sub(c, of(loops[0]))
    if (loops.length !== 1 || symbolsOf(offset).has(loops[0]) || owner.has(loops[0])) return undefined
    owner.set(loops[0], { axis, offset })
  }
  for (const s of symbols) if (!owner.has(s) && !isUnit(s)) return undefined
  return (at) => {
    let guard: Expr | undefined
    for (const { axis, value } of fixed) guard = both(guard, bin('eq', index(at[axis]), index(value)))
    const hi: (Ix | undefined)[] = symbols.map(() => undefined)
    const out = symbols.map((s, i): Ix => {
      const from = owner.get(s)
      if (from === undefined) return con(0)
      const landed = sub(at[from.axis], from.offset)
      if (!proveLe(0, landed) || !proveLe(landed, s.hi)) hi[i] = s.hi
      if (!proveLe(0, landed)) guard = both(guard, bin('le', index(con(0)), index(landed)))
      if (!proveLe(landed, s.hi)) guard = both(guard, bin('lt', index(at[from.axis]), index(add(from.offset, s.hi, 1))))
      return landed
    })
    return guard === undefined ? { at: out } : { at: out, guard, hi }
  }
}

/** Row-major order is kept: reshapes. */
function byOrder(symbols: readonly Sym[], coords: readonly Ix[], view: Node): Push | undefined {
  const source = view.inputs[0].type.shape
  const target = view.type.shape
  const read = linearise(coords, source)
  if (
    read !==
    linearise(
      symbols.map((s) => (isUnit(s) ? con(0) : of(s))),
      target,
    )
  )
    return undefined
  return (at) => ({ at: delinearise(linearise(at, source), target) })
}

/**
 * Pushes coordinates through a chain of views, nearest to the value first. Under its guard a landed coordinate lies within its axis; a symbol
 * with that range stands for it while the rest of the chain simplifies, and is replaced at the end.
 */
export function pushThrough(chain: readonly Push[], coords: readonly Ix[]): Landing {
  const meaning = new Map<Sym, Ix>()
  let at = coords
  let guard: Expr | undefined
  for (const push of chain) {
    const landing = push(at)
    at = landing.at.map((x, i): Ix => {
      const hi = landing.hi?.[i]
      if (hi === undefined) return x
      const standIn = sym('c', { lo: 0, hi, role: 'loop' })
      meaning.set(standIn, x)
      return of(standIn)
    })
    guard = both(guard, landing.guard)
  }
  for (const [standIn, x] of [...meaning].reverse()) {
    const back = new Map([[standIn, x]])
    at = at.map((y) => substitute(y, back))
    guard = guard && substituteExpr(guard, back)
  }
  return guard === undefined ? { at } : { at, guard }
}
