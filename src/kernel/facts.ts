/** What is known of loop symbols at a point of a nest: each stands for a refined symbol whose bounds follow from loops and conditions. */
import type { Ix, Sym } from '../types/ix.ts'
import {
  coefficientOf,
  con,
  floorDiv,
  INF,
  isConst,
  max,
  min,
  mul,
  neg,
  of,
  proveLe,
  sub,
  substitute,
  sym,
  valuesOf,
} from '../types/ix.ts'
import { asNonNegative, conjuncts } from './bounds.ts'
import type { Expr } from './expr.ts'
import { asIx, bin } from './expr.ts'
import type { For, Stmt } from './nest.ts'

export class Facts {
  private readonly map: ReadonlyMap<Sym, Ix>
  /** Symbols in the order in which they were bound: conditions refine the youngest. */
  private readonly order: readonly Sym[]
  /** Symbols that a condition fixes to one value. */
  readonly fixed: ReadonlySet<Sym>
  /** What conditions say beyond bounds of single symbols (`k mod 128 < 64`): over refined symbols, none below 0. */
  private readonly beyond: readonly Ix[]

  constructor(
    map: ReadonlyMap<Sym, Ix> = new Map(),
    order: readonly Sym[] = [],
    fixed: ReadonlySet<Sym> = new Set(),
    beyond: readonly Ix[] = [],
  ) {
    this.map = map
    this.order = order
    this.fixed = fixed
    this.beyond = beyond
  }

  /** At the start of a kernel: conditions on its parameters (`T <= 1024`). */
  static given(params: readonly Sym[], conditions: readonly Expr[]): Facts {
    const start = new Facts(new Map(params.map((s) => [s, of(s)])), params)
    return conditions.reduce<Facts>((f, c) => f.assume(c), start)
  }

  /** An index in terms of refined symbols. */
  refine(x: Ix): Ix {
    return substitute(x, this.map)
  }

  /** Whether `a <= b`, both in terms of refined symbols. */
  proveLe(a: Ix | number, b: Ix): boolean {
    if (proveLe(a, b)) return true
    const gap = sub(b, a)
    // Of whole numbers, m * gap > -m says as much as gap >= 0, and tells what a remainder says of its half.
    return this.beyond.some((x) => [1, 2, 4].some((m) => proveLe(sub(x, m - 1), mul(m, gap))))
  }

  enter(loop: For): Facts {
    const lo = this.refine(loop.lo)
    const hi = sub(this.refine(loop.hi), 1)
    const v = loop.v
    // What the symbol itself was declared with also holds (of a multiple of 4 below 4 * n, for example).
    const own = v.hi === INF ? hi : this.refine(v.hi)
    const made = sym(v.name, {
      lo: max(lo, this.refine(v.lo)),
      hi: own === hi ? hi : min(own, hi),
      multipleOf: v.multipleOf,
      role: 'loop',
    })
    return new Facts(new Map(this.map).set(v, of(made)), [...this.order, v], this.fixed, this.beyond)
  }

  bind(v: Sym, x: Ix): Facts {
    return new Facts(new Map(this.map).set(v, this.refine(x)), this.order, this.fixed, this.beyond)
  }

  /** Under a condition; parts that do not compare indices say nothing. */
  assume(c: Expr): Facts {
    return conjuncts(c).reduce<Facts>((f, e) => f.one(e), this)
  }

  private one(e: Expr): Facts {
    if (e.k === 'bin' && e.f === 'eq')
      return this.one(bin('le', e.a, e.b))
        .one(bin('ge', e.a, e.b))
        .fix(e)
    const d = asNonNegative(e)
    if (d === undefined || valuesOf(d).size > 0) return this
    // Of whole numbers g * y + r >= 0, with 0 <= r < g, says y >= 0.
    const refined = this.refine(d)
    const g = refined.terms.reduce((n, t) => (t.atoms.length === 0 ? n : gcd(n, t.coef)), 0)
    const x = g > 1 ? floorDiv(refined, g) : refined
    for (const v of [...this.order].reverse()) {
      const now = this.map.get(v)!
      const s =
        now.terms.length === 1 && now.terms[0].atoms.length === 1 && now.terms[0].coef === 1
          ? now.terms[0].atoms[0]
          : undefined
      if (s?.k !== 'sym') continue
      const linear = coefficientOf(x, s)
      if (linear === undefined || (linear.coef !== con(1) && linear.coef !== con(-1))) continue
      const lower = linear.coef === con(1)
      // A multiple of m that is at most x is at most the last multiple of m before it.
      const last = mul(s.multipleOf, floorDiv(linear.rest, s.multipleOf))
      const made = sym(s.name, {
        lo: lower ? max(s.lo, neg(last)) : s.lo,
        hi: lower ? s.hi : s.hi === INF ? last : min(s.hi, last),
        multipleOf: s.multipleOf,
        role: 'loop',
      })
      const swap = new Map([[s, of(made)]])
      const map = new Map([...this.map].map(([k, y]) => [k, substitute(y, swap)]))
      const beyond = this.beyond.map((y) => substitute(y, swap))
      return new Facts(map, this.order, this.fixed, beyond)
    }
    return new Facts(this.map, this.order, this.fixed, [...this.beyond, g > 1 ? mul(g, x) : x])
  }

  private fix(e: Expr & { k: 'bin' }): Facts {
    const [a, b] = [asIx(e.a), asIx(e.b)]
    // A symbol of one value is that number, and not what the condition is about.
    const v = this.order.find((s) => isConst(of(s)) === undefined && (of(s) === a || of(s) === b))
    return v === undefined ? this : new Facts(this.map, this.order, new Set([...this.fixed, v]), this.beyond)
  }
}

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b))

/** Calls `f` on every statement, outermost first, with what is known where it stands. */
export function visitFacts(body: readonly Stmt[], outer: Facts, f: (s: Stmt, facts: Facts) => void): void {
  let facts = outer
  for (const s of body) {
    f(s, facts)
    if (s.k === 'for') visitFacts(s.body, facts.enter(s), f)
    else if (s.k === 'if') visitFacts(s.body, facts.assume(s.c), f)
    else if (s.k === 'bind') facts = facts.bind(s.v, s.ix)
  }
}
