/** Splitting a loop in two: `v` becomes `outer + inner`, where outer steps by the factor. Order is kept, so this is always legal. */
import type { Ix, Sym } from '../../types/ix.ts'
import { add, con, floorDiv, isConst, min, mod, mul, of, sub, sym } from '../../types/ix.ts'
import { bin, index } from '../expr.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import type { Mapper } from '../walk.ts'
import { copier, loadsOf, localsOf, mapExprs, mapper } from '../walk.ts'
import { IllegalSchedule, replaceLoop } from './edit.ts'

/**
 * What becomes of the last, partial block.
 * `exact`: there is none, provably. `peel`: a second loop (a copy of the body) runs it. `guard`: all of the body is under a condition.
 * `clamp`: loads and locals use the last valid index instead, only stores to global memory are under the condition (no fold may run
 * over the loop: it would count the last element twice).
 */
export type Tail = 'peel' | 'guard' | 'clamp' | 'exact'

export interface Split {
  readonly nest: NestKernel
  readonly outer: Sym
  readonly inner: Sym
  /** The loop of a peeled tail, and the symbols of loops inside it by their originals. */
  readonly tail?: Sym
  readonly tailSymbols: ReadonlyMap<Sym, Sym>
}

export function split(nest: NestKernel, v: Sym, factor: number, tail: Tail): Split {
  let result: Omit<Split, 'nest'> | undefined
  const made = replaceLoop(nest, v, (loop) => {
    if (loop.step !== 1) throw new IllegalSchedule('split', `${v.name} has step ${loop.step}`)
    const trip = sub(loop.hi, loop.lo)
    const exact = mod(trip, factor) === con(0)
    if (tail === 'exact' && !exact)
      throw new IllegalSchedule('split', `${factor} is not known to divide the extent of ${v.name}`)
    if (tail === 'clamp' && loop.reduces && !exact)
      throw new IllegalSchedule('split', `a clamped fold over ${v.name} would count its last element again`)
    const whole = exact || tail === 'peel'
    const end = exact ? loop.hi : add(loop.lo, mul(floorDiv(trip, factor), factor))
    const multipleOf = mod(loop.lo, factor) === con(0) ? factor : 1
    const outer = sym(v.name, { lo: loop.lo, hi: sub(loop.hi, whole ? factor : 1), role: 'loop', multipleOf })
    const inner = sym(`${v.name}i`, { lo: 0, hi: factor - 1, role: 'loop' })
    const block = (body: readonly Stmt[], hi: Ix): For => ({
      ...loop, v: outer, hi, step: factor,
      body: [{ k: 'for', v: inner, lo: con(0), hi: con(factor), step: 1, kind: 'serial', ...(loop.reduces ? { reduces: true } : {}), body }],
    }) // prettier-ignore
    const at = add(outer, inner)
    const plain = mapper({ syms: new Map([[v, at]]) })
    const inside = bin('lt', index(at), index(loop.hi))
    if (whole) {
      const main = block(mapExprs(loop.body, plain), end)
      if (exact) {
        result = { outer, inner, tailSymbols: new Map() }
        return [main]
      }
      if ((isConst(trip) ?? factor) < factor)
        throw new IllegalSchedule('split', `${v.name} has fewer than ${factor} iterations`)
      const last = sym(v.name, { lo: end, hi: sub(loop.hi, 1), role: 'loop' })
      const c = copier(new Map([[v, of(last)]]))
      const rest: For = { ...loop, v: last, lo: end, body: loop.body.map(c.stmt) }
      result = { outer, inner, tail: last, tailSymbols: c.symbols }
      return [main, rest]
    }
    result = { outer, inner, tailSymbols: new Map() }
    if (tail === 'guard') return [block([{ k: 'if', c: inside, body: mapExprs(loop.body, plain) }], loop.hi)]
    const clamped = mapper({ syms: new Map([[v, min(at, sub(loop.hi, 1))]]) })
    return [
      block(
        clampBody(loop.body, clamped, plain, (s) => [{ k: 'if', c: inside, body: [s] }]),
        loop.hi,
      ),
    ]
  })
  return { nest: made, ...result! }
}

/** Everything at clamped indices, but what leaves the kernel at its own place and under a condition. */
function clampBody(
  body: readonly Stmt[],
  clamped: Mapper,
  plain: Mapper,
  guard: (s: Stmt) => readonly Stmt[],
): readonly Stmt[] {
  const go = (s: Stmt): readonly Stmt[] => {
    if (leaves(s)) return guard(output(s))
    if (s.k === 'for') return [{ ...s, lo: clamped.ix(s.lo), hi: clamped.ix(s.hi), body: s.body.flatMap(go) }]
    if (s.k === 'if') return [{ ...s, c: clamped.expr(s.c), body: s.body.flatMap(go) }]
    return mapExprs([s], clamped)
  }
  /** Under the condition, indices need no clamp; values stay as they are. */
  const output = (s: Stmt): Stmt => {
    if (s.k === 'if') return { ...s, c: plain.expr(s.c), body: s.body.map(output) }
    return s.k === 'store' ? { ...s, at: s.at.map(plain.ix), e: clamped.expr(s.e) } : s
  }
  return body.flatMap(go)
}

/** A store to memory that others see, or such stores under conditions on indices. */
function leaves(s: Stmt): boolean {
  if (s.k === 'store') return s.buf.space !== 'private'
  return (
    s.k === 'if' && s.body.length > 0 && s.body.every(leaves) && loadsOf(s.c).length === 0 && localsOf(s.c).size === 0
  )
}
