/**
 * Proofs that parallel iterations do not disturb each other. A store's coordinates must tell the iteration: each coordinate is read as a
 * sum of digits of different weight, so that it determines the symbols in it. Between threads of a workgroup a barrier must separate
 * writes of a cell from accesses of others.
 */
import type { Ix, Sym } from '../types/ix.ts'
import {
  add,
  coefficientOf,
  con,
  floorDiv,
  isConst,
  mul,
  of,
  proveLe,
  proveLt,
  range,
  sub,
  substitute,
  sym,
} from '../types/ix.ts'
import { termIx } from './address.ts'
import type { Buffer } from './buffer.ts'
import type { Facts } from './facts.ts'
import type { For, NestKernel, Stmt } from './nest.ts'
import { makePrinter } from './print.ts'
import type { Issue } from './verify.ts'
import { exprsOf, loadsOf, loopsOf, symbolsOfIx, visitStmts } from './walk.ts'

const isParallel = (l: For): boolean => l.kind !== 'serial' && l.kind !== 'unroll'
/** Iterations shared out among a pool of threads. */
const isShared = (l: For): boolean => l.kind === 'thread' || l.kind === 'thread.each'

export function races(nest: NestKernel, start: Facts): Issue[] {
  return [...overlappingWrites(nest, start), ...missingBarriers(nest, start)]
}

/** A loop symbol as lo + step * digit. */
interface Digit {
  readonly v: Sym
  readonly digit: Sym
  /** One less than the number of digits. */
  readonly width: Ix
}

function overlappingWrites(nest: NestKernel, start: Facts): Issue[] {
  const issues: Issue[] = []
  const p = makePrinter()
  const stores: Access[] = []
  const loads = new Map<Buffer, Access[]>()
  const go = (
    body: readonly Stmt[],
    loops: readonly For[],
    facts: Facts,
    digits: readonly Digit[],
    map: ReadonlyMap<Sym, Ix>,
  ): void => {
    let known = facts
    let values = map
    for (const s of body) {
      for (const e of exprsOf(s)) {
        for (const l of loadsOf(e)) {
          const list = loads.get(l.buf)
          const access: Access = { buf: l.buf, at: l.at, loops, facts: known }
          if (list === undefined) loads.set(l.buf, [access])
          else list.push(access)
        }
      }
      if (s.k === 'for') {
        const inner = known.enter(s)
        const width = floorDiv(sub(sub(inner.refine(s.hi), 1), inner.refine(s.lo)), s.step)
        const digit = sym(s.v.name, { lo: 0, hi: width, role: 'loop' })
        const value = add(substitute(s.lo, values), mul(s.step, digit))
        go(s.body, [...loops, s], inner, [...digits, { v: s.v, digit, width }], new Map(values).set(s.v, value))
      } else if (s.k === 'if') go(s.body, loops, known.assume(s.c), digits, values)
      else if (s.k === 'bind') {
        known = known.bind(s.v, s.ix)
        values = new Map(values).set(s.v, substitute(s.ix, values))
      } else if (s.k === 'store' && s.buf.space !== 'private') {
        const parallel = loops.filter(
          (l) => isParallel(l) && !known.fixed.has(l.v) && (s.buf.space === 'global' || l.kind.startsWith('local.')),
        )
        if (parallel.length === 0) continue
        stores.push({ buf: s.buf, at: s.at, loops, facts: known })
        const known2 = narrowed(digits, known, values)
        const told = determined(joined(s.at.map((x) => substitute(x, values))), known2)
        for (const l of parallel) {
          const d = digits.find((x) => x.v === l.v)!
          // One iteration does not meet another.
          if (!told.has(d.digit) && d.width !== con(0))
            issues.push({
              rule: 'disjoint',
              message: `${p.buffer(s.buf)}[${s.at.map(p.ix).join(', ')}] may be written by different iterations of ${p.sym(l.v)} (${l.kind})`,
            })
        }
      }
    }
  }
  go(nest.body, [], start, [], new Map())
  // What one workgroup or thread writes, others must not read: a load has to name the same iteration.
  for (const s of stores) {
    if (s.buf.space !== 'global') continue
    for (const g of s.loops.filter((l) => l.kind.startsWith('grid.') || isShared(l))) {
      for (const l of loads.get(s.buf) ?? []) {
        if (isShared(g) ? sameIteration(s, l, g) || apart(s, l) : sameGroup(s, l, g)) continue
        issues.push({
          rule: 'disjoint',
          message: `${p.buffer(s.buf)}[${l.at.map(p.ix).join(', ')}] may read what another iteration of ${p.sym(g.v)} writes`,
        })
      }
    }
  }
  return [...issues, ...sharing(nest)]
}

/** An access of a cell, under which loops, and what is known there. */
interface Access {
  readonly buf: Buffer
  readonly at: readonly Ix[]
  readonly loops: readonly For[]
  readonly facts: Facts
}

function sameGroup(s: Access, l: Access, g: For): boolean {
  const d = s.at.findIndex((x) => symbolsOfIx(x).has(g.v))
  return (
    l.loops.includes(g) &&
    d >= 0 &&
    (l.at[d] === s.at[d] || coefficientOf(l.at[d], g.v)?.coef === coefficientOf(s.at[d], g.v)?.coef)
  )
}

/**
 * Whether a load reads no cell that another iteration stores: the coordinates that tell the iteration agree, or the iteration is the
 * highest digit of one, of the same weight in both.
 */
function sameIteration(s: Access, l: Access, g: For): boolean {
  if (!l.loops.includes(g)) return false
  const own = s.at.map((x, d) => ({ x, y: l.at[d] })).filter(({ x }) => symbolsOfIx(x).has(g.v))
  if (own.length > 0 && own.every(({ x, y }) => x === y)) return true
  return own.some(({ x, y }) => {
    const [a, b] = [coefficientOf(x, g.v), coefficientOf(y, g.v)]
    const weight = a && isConst(a.coef)
    if (a === undefined || b === undefined || weight === undefined || isConst(b.coef) !== weight) return false
    const below = (rest: Ix, facts: Facts): boolean => {
      const { lo, hi } = range(facts.refine(rest))
      return lo >= 0 && hi < weight * g.step
    }
    return below(a.rest, s.facts) && below(b.rest, l.facts)
  })
}
/** Whether two accesses never meet, by the ranges of a coordinate. */
const apart = (s: Access, l: Access): boolean =>
  s.at.some((x, d) => {
    const [a, b] = [s.facts.refine(x), l.facts.refine(l.at[d])]
    const ownSymbols = [...symbolsOfIx(a)].every((v) => v.role !== 'loop' || !symbolsOfIx(b).has(v))
    return ownSymbols && (proveLt(a, b) || proveLt(b, a))
  })

/** Around a statement stands at most one loop that is shared out; what such a kernel stores, it stores inside of one. */
function sharing(nest: NestKernel): Issue[] {
  const issues: Issue[] = []
  const p = makePrinter()
  const any = loopsOf(nest.body).some(isShared)
  visitStmts(nest.body, (s, around) => {
    const outer = around.find((a): a is For => a.k === 'for' && isShared(a))
    if (s.k === 'for' && isShared(s) && outer !== undefined)
      issues.push({
        rule: 'disjoint',
        message: `${p.sym(s.v)} is shared out inside of ${p.sym(outer.v)}, which is too`,
      })
    if (s.k === 'store' && s.buf.space === 'global' && any && outer === undefined)
      issues.push({ rule: 'disjoint', message: `every thread stores ${p.buffer(s.buf)}[${s.at.map(p.ix).join(', ')}]` })
  })
  return issues
}

/** Digits with widths under the conditions at hand: `if c < 2` leaves c two values. */
function narrowed(digits: readonly Digit[], facts: Facts, values: ReadonlyMap<Sym, Ix>): readonly Digit[] {
  return digits.map((d) => {
    const value = values.get(d.v)!
    if (value !== of(d.digit)) return d
    const now = facts.refine(of(d.v))
    const { lo, hi } = range(now)
    return lo === 0 && Number.isFinite(hi) && !proveLe(d.width, hi) ? { ...d, width: con(hi) } : d
  })
}

/**
 * Coordinates w + x div n and c * (x mod n) + r, where r takes fewer than c values in a row, together tell x + n * w; r is told beside it.
 */
function joined(at: readonly Ix[]): readonly Ix[] {
  const out = [...at]
  for (const y of at) {
    for (const t of y.terms) {
      const [a] = t.atoms
      if (t.atoms.length !== 1 || a.k !== 'mod') continue
      const rest = sub(y, termIx(t))
      const { lo, hi } = range(rest)
      const over = floorDiv(a.a, a.b)
      const i = out.findIndex((x) => x !== y && sub(x, over).terms.length <= x.terms.length - over.terms.length)
      const j = out.indexOf(y)
      if (i < 0 || j < 0 || !Number.isFinite(lo) || hi - lo >= t.coef) continue
      out[i] = add(a.a, mul(a.b, sub(out[i], over)))
      out[j] = rest
      break
    }
  }
  return out
}

/** The digits that coordinates determine: sorted by weight, the lower ones together stay below each next weight. */
function determined(at: readonly Ix[], digits: readonly Digit[]): ReadonlySet<Sym> {
  const told = new Set<Sym>()
  for (const whole of at) {
    let x = whole
    const parts: { readonly d: Digit; readonly weight: Ix }[] = []
    let linear = true
    for (const d of digits) {
      if (!symbolsOfIx(x).has(d.digit)) continue
      const c = coefficientOf(x, d.digit)
      if (c === undefined) {
        linear = false
        break
      }
      parts.push({ d, weight: c.coef })
      x = c.rest
    }
    if (!linear) continue
    parts.sort((a, b) => (proveLe(a.weight, b.weight) ? -1 : 1))
    let below: Ix = con(0)
    for (const { d, weight } of parts) {
      if (!proveLt(below, weight)) break
      told.add(d.digit)
      below = add(below, mul(weight, d.width))
    }
  }
  return told
}

/** A set of cells that threads touched since the last barrier. */
interface Touched {
  readonly at: readonly Ix[]
  readonly ranges: readonly { readonly lo: number; readonly hi: number }[]
}

function missingBarriers(nest: NestKernel, start: Facts): Issue[] {
  const issues = new Map<string, Issue>()
  const p = makePrinter()
  const reads = new Map<Buffer, Touched[]>()
  const writes = new Map<Buffer, Touched[]>()
  let threads = 0
  const clash = (b: Buffer, mine: Touched, others: readonly Touched[], what: string): void => {
    for (const o of others) {
      const ownCell = o.at.every((x, d) => x === mine.at[d]) && mine.at.some((x) => symbolsOfIx(x).size > 0)
      const apart = o.ranges.some((r, d) => r.hi < mine.ranges[d].lo || mine.ranges[d].hi < r.lo)
      if (ownCell || apart) continue
      const message = `${p.buffer(b)}[${mine.at.map(p.ix).join(', ')}] ${what} [${o.at.map(p.ix).join(', ')}] without a barrier in between`
      issues.set(message, { rule: 'barrier', message })
    }
  }
  const touch = (b: Buffer, at: readonly Ix[], facts: Facts): Touched => ({
    at,
    ranges: at.map((x) => range(facts.refine(x))),
  })
  const note = (m: Map<Buffer, Touched[]>, b: Buffer, t: Touched): void => void m.set(b, [...(m.get(b) ?? []), t])
  const go = (body: readonly Stmt[], outer: Facts): void => {
    let facts = outer
    for (const s of body) {
      for (const e of exprsOf(s)) {
        for (const l of loadsOf(e)) {
          if (l.buf.space !== 'workgroup') continue
          const t = touch(l.buf, l.at, facts)
          clash(l.buf, t, writes.get(l.buf) ?? [], 'reads what another thread wrote at')
          note(reads, l.buf, t)
        }
      }
      if (s.k === 'store' && s.buf.space === 'workgroup') {
        const t = touch(s.buf, s.at, facts)
        clash(s.buf, t, reads.get(s.buf) ?? [], 'overwrites what another thread may still read at')
        note(writes, s.buf, t)
      } else if (s.k === 'barrier') {
        reads.clear()
        writes.clear()
      } else if (s.k === 'bind') facts = facts.bind(s.v, s.ix)
      else if (s.k === 'if') go(s.body, facts.assume(s.c))
      else if (s.k === 'for') {
        const local = s.kind.startsWith('local.')
        const inner = facts.enter(s)
        if (local) threads++
        go(s.body, inner)
        // The next iteration follows without a barrier, unless there is one.
        if (threads > 0 && !local && !s.kind.startsWith('grid.')) go(s.body, inner)
        if (local) threads--
      }
    }
  }
  go(nest.body, start)
  return [...issues.values()]
}
