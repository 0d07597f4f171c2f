/**
 * Flat addresses. `flatten` puts every access at one offset through its layout; `address` also computes the parts of offsets that do not
 * change in a loop once, outside of it, as index bases (`bind`), so that innermost loops add constants and their own symbol only.
 */
import type { Ix, Sym, Term } from '../types/ix.ts'
import { add, con, floorDiv, isConst, max, min, mod, mul, of, substitute, sym, valueIx, valuesOf } from '../types/ix.ts'
import type { Buffer } from './buffer.ts'
import { newBuffer } from './buffer.ts'
import type { Expr } from './expr.ts'
import { load, vectorOf } from './expr.ts'
import type { For, NestKernel, Stmt } from './nest.ts'
import { inRange } from './ranges.ts'
import { effectsOf, loadsOf, localsOf, mapper, mapStmts, rebuild, symbolsOfIx, throughValues } from './walk.ts'

/** Flat offset of logical coordinates: through the layout, else row-major. */
export function offsetOf(b: Buffer, at: readonly Ix[]): Ix {
  if (b.layout !== undefined) return substitute(b.layout.offset, new Map(b.layout.axes.map((a, i) => [a, at[i]])))
  return at.reduce<Ix>((offset, x, i) => add(mul(offset, b.shape[i]), x), con(0))
}
/** The number of elements of storage. */
export const storageOf = (b: Buffer): Ix => b.layout?.size ?? b.shape.reduce<Ix>((n, x) => mul(n, x), con(1))

/** A nest whose buffers all have one axis and no layout. */
export interface FlatKernel {
  readonly nest: NestKernel
  /** The flat buffer of each original one. */
  readonly flat: ReadonlyMap<Buffer, Buffer>
}

export function flatten(nest: NestKernel): FlatKernel {
  const flat = new Map<Buffer, Buffer>()
  const flatOf = (b: Buffer): Buffer => {
    let made = flat.get(b)
    if (made === undefined) {
      made =
        b.shape.length === 1 && b.layout === undefined
          ? b
          : newBuffer(b.name, b.of, b.space, [storageOf(b)], undefined, b.as)
      flat.set(b, made)
    }
    return made
  }
  const m = mapper({
    load: (b, at, vector) => load(flatOf(b), [offsetOf(b, at)], vector && { ...vector, axis: 0 }),
  })
  const body = mapStmts(nest.body, (s): readonly Stmt[] => {
    switch (s.k) {
      case 'for':
        return [{ ...s, lo: m.ix(s.lo), hi: m.ix(s.hi) }]
      case 'let':
      case 'var':
      case 'assign':
        return [{ ...s, e: m.expr(s.e) }]
      case 'store':
        return [
          {
            ...s,
            buf: flatOf(s.buf),
            at: [offsetOf(s.buf, s.at.map(m.ix))],
            e: m.expr(s.e),
            ...(s.axis === undefined ? {} : { axis: 0 }),
          },
        ]
      case 'if':
        return [{ ...s, c: m.expr(s.c) }]
      case 'bind':
        return [{ ...s, ix: m.ix(s.ix) }]
      case 'alloc':
        return [{ k: 'alloc', buf: flatOf(s.buf) }]
      default:
        return [s]
    }
  })
  const views = nest.views?.map((v) => ({ buffer: flatOf(v.buffer), of: flatOf(v.of) }))
  const args = nest.args.map((a) => ({ ...a, buffer: flatOf(a.buffer) }))
  return { nest: { ...nest, args, body, ...(views ? { views } : {}) }, flat }
}

/** A place for bases: the start of a loop's body, or of the kernel. */
interface Level {
  readonly syms: Set<Sym>
  readonly binds: Stmt[]
  readonly bases: Map<Ix, Sym>
}

/** The flat nest with bases. Bases never lie between loops over workgroups and threads: those stay a band. */
export function address(nest: NestKernel): FlatKernel {
  const flattened = flatten(nest)
  const written = effectsOf(flattened.nest.body).writes
  const body = block(flattened.nest.body, [], new Set(nest.params), written)
  return { ...flattened, nest: { ...flattened.nest, body } }
}

const isParallel = (s: Stmt): s is For => s.k === 'for' && s.kind !== 'serial' && s.kind !== 'unroll'

/** `pending` are symbols bound since the last level. */
function block(
  body: readonly Stmt[],
  outer: readonly Level[],
  pending: ReadonlySet<Sym>,
  written: ReadonlySet<Buffer>,
): readonly Stmt[] {
  if (body.some(isParallel)) {
    return body.map((s) =>
      s.k === 'for' ? { ...s, body: block(s.body, outer, new Set([...pending, s.v]), written) } : s,
    )
  }
  const level: Level = { syms: new Set(pending), binds: [], bases: new Map() }
  const out = statements(body, [...outer, level], written)
  return [...level.binds, ...out]
}

function statements(body: readonly Stmt[], levels: readonly Level[], written: ReadonlySet<Buffer>): readonly Stmt[] {
  const go = (e: Expr): Expr => {
    const made = rebuild(e, go, (x) => throughValues(x, go))
    return made.k === 'load' ? load(made.buf, [based(made.buf, made.at[0], levels, written)], vectorOf(made)) : made
  }
  const ix = (x: Ix): Ix => throughValues(x, go)
  return body.map((s): Stmt => {
    switch (s.k) {
      case 'for':
        return { ...s, lo: ix(s.lo), hi: ix(s.hi), body: block(s.body, levels, new Set([s.v]), written) }
      case 'if':
        return { ...s, c: go(s.c), body: statements(s.body, levels, written) }
      case 'let':
      case 'var':
      case 'assign':
        return { ...s, e: go(s.e) }
      case 'store':
        return { ...s, at: [based(s.buf, ix(s.at[0]), levels, written)], e: go(s.e) }
      case 'bind':
        levels[levels.length - 1].syms.add(s.v)
        return { ...s, ix: ix(s.ix) }
      default:
        return s
    }
  })
}

/** An offset as base + what changes in the innermost loop + constant; makes the bases it needs. */
function based(b: Buffer, offset: Ix, levels: readonly Level[], written: ReadonlySet<Buffer>): Ix {
  const inner = levels.length - 1
  if (inner < 1) return offset
  const byLevel = new Map<number, Ix>()
  for (const t of offset.terms) {
    const at = t.atoms.length === 0 ? inner : levelOf(t, levels, written)
    byLevel.set(at, add(byLevel.get(at) ?? con(0), termIx(t)))
  }
  let so: Ix = con(0)
  for (let d = 0; d < inner; d++) {
    const here = byLevel.get(d)
    if (here === undefined) continue
    so = add(so, here)
    if (costOf(so) === 0) continue
    const { bases, binds } = levels[d]
    let base = bases.get(so)
    if (base === undefined) {
      base = sym(`${b.name}_at`, { lo: 0, role: 'loop' })
      bases.set(so, base)
      binds.push({ k: 'bind', v: base, ix: so })
    }
    so = of(base)
  }
  return add(so, byLevel.get(inner) ?? con(0))
}

/** The innermost level that binds a symbol of a term. */
function levelOf(t: Term, levels: readonly Level[], written: ReadonlySet<Buffer>): number {
  const x = termIx(t)
  for (const v of valuesOf(x)) {
    const e = v.value as Expr
    if (localsOf(e).size > 0 || loadsOf(e).some((l) => written.has(l.buf) || !inRange(l))) return levels.length - 1
  }
  const syms = symbolsOfIx(x)
  for (let d = levels.length - 1; d > 0; d--) for (const s of levels[d].syms) if (syms.has(s)) return d
  return 0
}

/** One term of a polynomial, and one atom, as polynomials of their own. */
export const termIx = (t: Term): Ix => mul(t.coef, ...t.atoms.map(atomIx))
export function atomIx(a: Term['atoms'][number]): Ix {
  switch (a.k) {
    case 'sym':
      return of(a)
    case 'value':
      return valueIx(a.key, a.value, a.lo, a.hi)
    case 'div':
      return floorDiv(a.a, a.b)
    case 'mod':
      return mod(a.a, a.b)
    case 'min':
      return min(a.a, a.b)
    case 'max':
      return max(a.a, a.b)
  }
}

/** Operations to compute an index: 0 for a symbol or a number. */
function costOf(x: Ix): number {
  if (isConst(x) !== undefined) return 0
  return x.terms.reduce(
    (n, t) => n + t.atoms.length - 1 + (Math.abs(t.coef) === 1 ? 0 : 1) + t.atoms.filter((a) => a.k !== 'sym').length,
    x.terms.length - 1,
  )
}
