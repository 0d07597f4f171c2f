/** A loop in strips of whole vectors, the rest of it one by one; a fold goes on in several vectors of partial results. */
import type { Ix, Sym } from '../../types/ix.ts'
import { add, con, floorDiv, isConst, mod, mul, of, range, sub, sym, valuesOf } from '../../types/ix.ts'
import { identityOf } from '../build.ts'
import type { BinaryFn, Expr, LaneFold, Local } from '../expr.ts'
import { across, bin, constant, local, newLocal, splat } from '../expr.ts'
import type { Facts } from '../facts.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import { copier, exprsOf, localsOf, ownIndices, visitStmts } from '../walk.ts'
import { IllegalSchedule, outerAssigns, replaceLoop } from './edit.ts'
import type { Partial } from './lanes.ts'
import { asLanes, factsAt } from './lanes.ts'
import { jamLoop } from './unroll.ts'

export interface Strips {
  readonly lanes: 2 | 4
  /** Vectors per step: of a fold, as many sums that do not wait for each other. */
  readonly chains: number
}

/**
 * The loop over `v` in steps of `chains` vectors, then of one vector, then one by one, as far as iterations are left. Folds (sums, products,
 * largest and least) go on in `chains` vectors of partial results; `across` joins them. Legal for loops of step 1 whose iterations are
 * independent but for such folds.
 */
export function foldLanes(nest: NestKernel, v: Sym, strips: Strips): NestKernel {
  const facts = factsAt(nest, v)
  return replaceLoop(nest, v, (loop) => inStrips(loop, facts, strips))
}

/** `foldLanes` of a loop, in place; `facts` are those around it. */
export function inStrips(loop: For, facts: Facts, strips: Strips): readonly Stmt[] {
  if (loop.step !== 1) throw new IllegalSchedule('foldLanes', `${loop.v.name} has step ${loop.step}`)
  const { lanes: n } = strips
  const trip = sub(loop.hi, loop.lo)
  const most = Math.min(range(trip).hi, range(facts.refine(trip)).hi)
  if (most < n) throw new IllegalSchedule('foldLanes', `${loop.v.name} has fewer than ${n} iterations`)
  const folds = foldsOf(loop)
  let chains = strips.chains
  while (chains * n > most) chains = Math.floor(chains / 2)
  const partials = Array.from(
    { length: chains },
    (_, c) =>
      new Map<Local, Partial>(
        [...folds].map(([v, fold]) => [v, { fold, v: newLocal(chains === 1 ? v.name : `${v.name}_${c}`, v.of, n) }]),
      ),
  )
  const out: Stmt[] = []
  for (const part of partials)
    for (const [v, p] of part) out.push({ k: 'var', v: p.v, e: splat(constant(identityOf(p.fold, v.of), v.of), n) })

  let from = loop.lo
  const steps = (width: number, count: number): void => {
    const left = sub(loop.hi, from)
    const end = mod(left, width) === con(0) ? loop.hi : add(from, mul(floorDiv(left, width), width))
    const times = isConst(floorDiv(left, width))
    if (times === 0) return
    const body = (start: Ix, known: Facts): readonly Stmt[] => {
      const vector = (first: Ix, facts: Facts, c: number): readonly Stmt[] => {
        const copy = copier(new Map(), (name) => name)
        const own: For = { ...loop, body: loop.body.map(copy.stmt) }
        return asLanes(own, first, n, facts, partials[c])
      }
      if (count === 1 || folds.size > 0 || !loop.body.some((s) => s.k === 'for'))
        return Array.from({ length: count }, (_, c) => vector(add(start, c * n), known, c)).flat()
      // Loops inside are run once for all vectors.
      const c = sym('c', { lo: 0, hi: count - 1, role: 'loop' })
      const each: For = { k: 'for', v: c, lo: con(0), hi: con(count), step: 1, kind: 'serial', body: [] }
      return jamLoop({ ...each, body: vector(add(start, mul(c, n)), known.enter(each), 0) })
    }
    if (times === 1) {
      out.push(...body(from, facts.enter({ ...loop, lo: from, hi: end })))
    } else {
      const multipleOf = mod(from, width) === con(0) ? width : 1
      const v = sym(loop.v.name, { lo: from, hi: sub(end, width), role: 'loop', multipleOf })
      const strip: For = { ...loop, v, lo: from, hi: end, step: width, body: [] }
      // Inside, the loop's own symbol is one of the elements of this step.
      const known = facts.enter(strip).enter({ ...loop, lo: of(v), hi: add(v, width) })
      out.push({ ...strip, body: body(of(v), known) })
    }
    from = end
  }
  steps(n * chains, chains)
  if (chains > 1 && from !== loop.hi) steps(n, 1)
  if (from !== loop.hi) {
    const v = sym(loop.v.name, { lo: from, hi: sub(loop.hi, 1), role: 'loop' })
    const copy = copier(new Map([[loop.v, of(v)]]))
    out.push({ ...loop, v, lo: from, body: loop.body.map(copy.stmt) })
  }
  for (const [v, fold] of folds) {
    const all = partials.map((p) => local(p.get(v)!.v))
    out.push({ k: 'assign', v, e: bin(fold, local(v), across(fold, joined(fold, all))) })
  }
  return out
}

/** In pairs, so that no chain waits for all others. */
function joined(fold: LaneFold, xs: readonly Expr[]): Expr {
  if (xs.length === 1) return xs[0]
  const half = xs.length >> 1
  return bin(fold, joined(fold, xs.slice(0, half)), joined(fold, xs.slice(half)))
}

const associative: ReadonlySet<BinaryFn> = new Set<BinaryFn>(['add', 'mul', 'max', 'min'])

/** The locals that a loop folds into, each by one function and used for nothing else. */
export function foldsOf(loop: For): ReadonlyMap<Local, LaneFold> {
  const out = new Map<Local, LaneFold>()
  const accumulators = outerAssigns(loop.body)
  const refuse = (v: Local): never => {
    throw new IllegalSchedule('foldLanes', `${v.name} is not folded by one associative function`)
  }
  const use = (e: Expr): void => {
    for (const v of localsOf(e)) if (accumulators.has(v)) refuse(v)
  }
  visitStmts(loop.body, (s) => {
    for (const x of ownIndices(s)) for (const v of valuesOf(x)) use(v.value as Expr)
    if (s.k !== 'assign' || !accumulators.has(s.v)) return exprsOf(s).forEach(use)
    const { e } = s
    if (e.k !== 'bin' || !associative.has(e.f) || e.a.k !== 'local' || e.a.v !== s.v) return refuse(s.v)
    use(e.b)
    const known = out.get(s.v)
    if (known !== undefined && known !== e.f) refuse(s.v)
    out.set(s.v, e.f as LaneFold)
  })
  return out
}
