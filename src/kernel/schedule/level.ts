/**
 * Iterations that run inner loops equally far: bounds that depend on the iteration become their largest, and what lies beyond an iteration's own
 * bound is left out of its folds. Then the iterations can be jammed, and share what they load.
 */
import type { Ix, Sym } from '../../types/ix.ts'
import { isConst, of, sub, substitute } from '../../types/ix.ts'
import type { Buffer } from '../buffer.ts'
import { identityOf } from '../build.ts'
import type { BinaryFn, Expr, Fold, Local } from '../expr.ts'
import { bin, constant, index, select } from '../expr.ts'
import type { Facts } from '../facts.ts'
import type { For, NestKernel, Stmt } from '../nest.ts'
import { symbolsOfIx, visitStmts } from '../walk.ts'
import { IllegalSchedule, replaceLoop } from './edit.ts'
import { factsAt } from './lanes.ts'

const identities: ReadonlySet<BinaryFn> = new Set<BinaryFn>(['add', 'mul', 'max', 'min'])

/**
 * Levels the loops inside the loop over `v`, which has few iterations. Legal if their bounds grow with v, what they store beyond its own bound is
 * private and read only within such bounds, and their folds have identities.
 */
export function level(nest: NestKernel, v: Sym): NestKernel {
  const facts = factsAt(nest, v)
  return replaceLoop(nest, v, (loop) => [{ ...loop, body: new Leveller(loop, facts).all() }])
}

class Leveller {
  private readonly loop: For
  private readonly last: Ix
  private readonly outer: Facts
  /** Private buffers that hold 0 where an element is beyond the bound. */
  private readonly zeroed = new Set<Buffer>()
  /** Locals of one element of a levelled loop. */
  private readonly inside = new Set<Local>()

  constructor(loop: For, outer: Facts) {
    const trip = isConst(sub(loop.hi, loop.lo))
    if (trip === undefined || loop.step !== 1)
      throw new IllegalSchedule('level', `the extent of ${loop.v.name} is not constant`)
    this.loop = loop
    this.last = sub(loop.hi, 1)
    this.outer = outer
  }

  all(): readonly Stmt[] {
    this.findZeroed()
    return this.block(this.loop.body, this.outer.enter(this.loop), undefined)
  }

  /** Buffers of which sums read products: what is beyond the bound is better 0 there than left out of each sum. */
  private findZeroed(): void {
    visitStmts(this.loop.body, (s, around) => {
      if (s.k !== 'assign' || s.e.k !== 'bin' || s.e.f !== 'add' || s.e.b.k !== 'bin') return
      const own = around.filter((a): a is For => a.k === 'for' && symbolsOfIx(a.hi).has(this.loop.v))
      const inner = own[own.length - 1]
      if (inner === undefined) return
      for (const b of factors(s.e.b))
        if (b.k === 'load' && b.buf.space === 'private' && b.at.some((x) => symbolsOfIx(x).has(inner.v)))
          this.zeroed.add(b.buf)
    })
    // Only what is stored once, element by element in such a loop.
    const stores = new Map<Buffer, number>()
    visitStmts(this.loop.body, (s, around) => {
      if (s.k !== 'store' || !this.zeroed.has(s.buf)) return
      stores.set(s.buf, (stores.get(s.buf) ?? 0) + 1)
      const direct = around[around.length - 1]
      const inside = direct?.k === 'for' && symbolsOfIx(direct.hi).has(this.loop.v) && s.at.length === 1
      if (!inside || stores.get(s.buf)! > 1) this.zeroed.delete(s.buf)
    })
  }

  private block(body: readonly Stmt[], facts: Facts, within: Expr | undefined): readonly Stmt[] {
    return body.map((s) => this.stmt(s, facts, within))
  }

  /** `within`: the iteration's own bounds of the levelled loops around, whose elements the statement is about. */
  private stmt(s: Stmt, facts: Facts, within: Expr | undefined): Stmt {
    switch (s.k) {
      case 'for': {
        if (symbolsOfIx(s.lo).has(this.loop.v))
          throw new IllegalSchedule('level', `the start of ${s.v.name} depends on ${this.loop.v.name}`)
        if (!symbolsOfIx(s.hi).has(this.loop.v)) return { ...s, body: this.block(s.body, facts.enter(s), within) }
        const hi = substitute(s.hi, new Map([[this.loop.v, this.last]]))
        if (!facts.proveLe(facts.refine(s.hi), facts.refine(hi)))
          throw new IllegalSchedule('level', `the bound of ${s.v.name} does not grow with ${this.loop.v.name}`)
        const made = { ...s, hi }
        // Chunks hold loops of their own, whose elements are left out; what is done once a chunk is done for empty ones too.
        const chunks = s.step > 1
        if (chunks) return { ...made, body: this.block(s.body, facts.enter(made), within) }
        const own = bin('lt', index(of(s.v)), index(s.hi))
        const all = within === undefined ? own : bin('and', within, own)
        return { ...made, body: this.block(s.body, facts.enter(made), all) }
      }
      case 'store':
        if (within === undefined) return s
        if (s.buf.space !== 'private') throw new IllegalSchedule('level', `${s.buf.name} is stored beyond a bound`)
        return this.zeroed.has(s.buf) ? { ...s, e: select(within, s.e, constant(0, s.e.of)) } : s
      case 'assign': {
        if (within === undefined || this.inside.has(s.v)) return s
        const { e } = s
        if (e.k !== 'bin' || !identities.has(e.f) || e.a.k !== 'local' || e.a.v !== s.v)
          throw new IllegalSchedule('level', `${s.v.name} has no identity`)
        const absent =
          e.f === 'add' && factors(e.b).some((x) => x.k === 'load' && this.zeroed.has(x.buf))
            ? e.b
            : select(within, e.b, constant(identityOf(e.f as Fold, e.of), e.of))
        return { ...s, e: bin(e.f, e.a, absent) }
      }
      case 'if':
        return { ...s, body: this.block(s.body, facts.assume(s.c), within) }
      case 'let':
      case 'var':
        if (within !== undefined) this.inside.add(s.v)
        return s
      default:
        return s
    }
  }
}

const factors = (e: Expr): readonly Expr[] =>
  e.k === 'bin' && e.f === 'mul' ? [...factors(e.a), ...factors(e.b)] : [e]
