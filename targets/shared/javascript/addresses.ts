/**
 * Addresses in innermost loops: what does not change is computed before the loop, and an index that moves by a stride becomes a
 * variable that is increased, as a person would write it.
 */
import { offsetOf, storageOf } from '../../../src/kernel/address.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import { load } from '../../../src/kernel/expr.ts'
import type { For, NestKernel, Stmt } from '../../../src/kernel/nest.ts'
import {
  effectsOf,
  loadsOf,
  localsOf,
  mapExprs,
  mapper,
  mapStmts,
  symbolsOfExpr,
  visitStmts,
} from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, coefficientOf, dependsOn, isConst, mul, sub, sym, valuesOf } from '../../../src/types/ix.ts'

/** An index that a loop increases: starts at `start`, grows by `step` with each iteration. */
export interface Induction {
  readonly v: Sym
  readonly start: Ix
  readonly step: Ix
}
export interface Addressed {
  readonly nest: NestKernel
  readonly inductions: ReadonlyMap<Sym, readonly Induction[]>
}

export function address(nest: NestKernel): Addressed {
  const flat = flatten(nest)
  const inductions = new Map<Sym, readonly Induction[]>()
  return { nest: { ...flat, body: addressed(flat.body, new Map(), inductions) }, inductions }
}
/** `known` are bases of enclosing blocks and earlier statements. */
function addressed(
  body: readonly Stmt[],
  outer: ReadonlyMap<Ix, Sym>,
  inductions: Map<Sym, readonly Induction[]>,
): readonly Stmt[] {
  const known = new Map(outer)
  return body.flatMap((s): readonly Stmt[] => {
    if (s.k === 'for' && !s.body.some(hasLoop)) return innermost(s, known, inductions)
    return s.k === 'for' || s.k === 'if' ? [{ ...s, body: addressed(s.body, known, inductions) }] : [s]
  })
}
const hasLoop = (s: Stmt): boolean => s.k === 'for' || (s.k === 'if' && s.body.some(hasLoop))

/** Every buffer with one axis and no layout. */
function flatten(nest: NestKernel): NestKernel {
  const flats = new Map<Buffer, Buffer>()
  const flatOf = (b: Buffer): Buffer => {
    let made = flats.get(b)
    if (made === undefined) flats.set(b, (made = newBuffer(b.name, b.of, b.space, [storageOf(b)])))
    return made
  }
  const m = mapper({ load: (b, at) => load(flatOf(b), [offsetOf(b, at)]) })
  const body = mapStmts(mapExprs(nest.body, m), (s) => {
    if (s.k === 'store') return [{ ...s, buf: flatOf(s.buf), at: [offsetOf(s.buf, s.at)] }]
    if (s.k === 'alloc') return [{ k: 'alloc', buf: flatOf(s.buf) }]
    return [s]
  })
  // Kernel arguments keep their logical shapes for the signature.
  return { ...nest, args: nest.args.map((a) => ({ ...a, buffer: flatOf(a.buffer) })), body }
}

function innermost(loop: For, known: Map<Ix, Sym>, inductions: Map<Sym, readonly Induction[]>): readonly Stmt[] {
  const effects = effectsOf(loop.body)
  const changing = new Set<Local>(effects.assigns)
  visitStmts(loop.body, (s) => {
    if (s.k === 'let' || s.k === 'var') changing.add(s.v)
  })
  const bases = new Map<Ix, Sym>()
  const moving = new Map<string, Induction>()
  // The address of a load within may have become a count that goes with the loop.
  const goes = (v: Sym): boolean => v === loop.v || [...moving.values()].some((induction) => induction.v === v)
  const stable = (x: Ix): boolean =>
    [...valuesOf(x)].every((value) => {
      const e = value.value as Expr
      return (
        ![...symbolsOfExpr(e)].some(goes) &&
        [...localsOf(e)].every((v) => !changing.has(v)) &&
        loadsOf(e).every((l) => !effects.writes.has(l.buf))
      )
    })
  const base = (name: string, fixed: Ix): Sym => {
    let found = known.get(fixed) ?? bases.get(fixed)
    if (found === undefined) bases.set(fixed, (found = sym(`${name}_at`, { lo: 0, role: 'loop' })))
    return found
  }
  const split = (name: string, x: Ix): Ix => {
    const parts = coefficientOf(x, loop.v)
    if (parts === undefined || !stable(x) || dependsOn(parts.coef, loop.v)) return x
    const constant = parts.rest.terms.reduce((n, t) => (t.atoms.length === 0 ? n + t.coef : n), 0)
    const fixed = sub(parts.rest, constant)
    const stride = isConst(parts.coef)
    if (stride === 0 || stride === 1) return simple(fixed) ? x : add(base(name, fixed), mul(stride, loop.v), constant)
    const key = `${fixed.id}:${parts.coef.id}`
    let found = moving.get(key)
    if (found === undefined) {
      const start = add(fixed, mul(parts.coef, loop.lo))
      moving.set(
        key,
        (found = { v: sym(`${name}_at`, { lo: 0, role: 'loop' }), start, step: mul(parts.coef, loop.step) }),
      )
    }
    return add(found.v, constant)
  }
  const m = mapper({ load: (b, at) => load(b, [split(b.name, at[0])]) })
  const body = mapStmts(mapExprs(loop.body, m), (s) =>
    s.k === 'store' ? [{ ...s, at: [split(s.buf.name, s.at[0])] }] : [s],
  )
  // An address that depends on data may change; others stay as long as their symbols are bound.
  for (const [ix, v] of bases) if (valuesOf(ix).size === 0) known.set(ix, v)
  if (moving.size > 0) inductions.set(loop.v, [...moving.values()])
  return [...[...bases].map(([ix, v]): Stmt => ({ k: 'bind', v, ix })), { ...loop, body }]
}

/** A number, a symbol, or their sum: not worth a name. */
const simple = (x: Ix): boolean =>
  x.terms.length === 0 ||
  (x.terms.length === 1 && x.terms[0].coef === 1 && x.terms[0].atoms.length === 1 && x.terms[0].atoms[0].k === 'sym')
