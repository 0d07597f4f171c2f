/**
 * Byte addresses in locals. A pointer covers part of the offset of an access: what does not change in a loop is added before it, what
 * grows by a stride is added with each iteration of an innermost loop; constants go into the instruction.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { Expr, Local } from '../../../src/kernel/expr.ts'
import type { For, Stmt } from '../../../src/kernel/nest.ts'
import { inRange } from '../../../src/kernel/ranges.ts'
import { termIx } from '../../../src/kernel/address.ts'
import { effectsOf, exprsOf, loadsOf, localsOf, ownIndices, symbolsOfIx, visitStmts } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, coefficientOf, con, isConst, mul, range, sub, valuesOf } from '../../../src/types/ix.ts'

/** A pointer and the part of the offset, in elements, that it covers. */
export interface Pointer {
  readonly local: string
  readonly covers: Ix
}
/** The pointers known at one place of a kernel. */
export interface Pointers {
  readonly of: (b: Buffer) => readonly Pointer[]
  readonly add: (b: Buffer, p: Pointer) => void
  /** Those of a block inside. */
  readonly inside: () => Pointers
}
export function pointers(outer?: Pointers): Pointers {
  const own = new Map<Buffer, Pointer[]>()
  const made: Pointers = {
    of: (b) => [...(own.get(b) ?? []), ...(outer?.of(b) ?? [])],
    add: (b, p) => void own.set(b, [p, ...(own.get(b) ?? [])]),
    inside: () => pointers(made),
  }
  return made
}

/** An access: the offset without what the instruction can add. */
export interface Access {
  readonly buf: Buffer
  readonly rest: Ix
  readonly constant: number
}
/** Instructions add constants without wrapping: only where the rest is not negative. */
export function accessOf(buf: Buffer, offset: Ix): Access {
  const constant = offset.terms.reduce((n, t) => (t.atoms.length === 0 ? n + t.coef : n), 0)
  const rest = sub(offset, constant)
  return constant > 0 && range(rest).lo >= 0 ? { buf, rest, constant } : { buf, rest: offset, constant: 0 }
}

/** The known pointer from which an offset is reached with the least arithmetic. */
export function nearest(known: readonly Pointer[], rest: Ix): Pointer {
  let best = known[0]
  let least = Infinity
  for (const p of known) {
    const cost = p.covers === rest ? -1 : costOf(sub(rest, p.covers))
    if (cost < least) [best, least] = [p, cost]
  }
  return best
}

/** Operations to add an offset to a pointer. */
export function costOf(x: Ix): number {
  return x.terms.reduce((n, t) => n + 1 + t.atoms.length + t.atoms.filter((a) => a.k !== 'sym').length * 2, 0)
}

/** The accesses that statements make themselves, and those in conditions inside; not those of loops inside. */
export function accessesOf(body: readonly Stmt[], deep: boolean): readonly Access[] {
  const found: Access[] = []
  const go = (body: readonly Stmt[]): void => {
    for (const s of body) {
      const values = ownIndices(s).flatMap((x) => [...valuesOf(x)].map((v) => v.value as Expr))
      for (const e of [...exprsOf(s), ...values]) for (const l of loadsOf(e)) found.push(accessOf(l.buf, l.at[0]))
      if (s.k === 'store') found.push(accessOf(s.buf, s.at[0]))
      if (s.k === 'if' || (s.k === 'for' && deep)) go(s.body)
    }
  }
  go(body)
  return found
}

export interface Stepping {
  /** Parts of offsets to add to pointers before the loop. */
  readonly fixed: readonly { readonly buf: Buffer; readonly covers: Ix }[]
  /** Pointers that the loop increases. */
  readonly moving: readonly { readonly buf: Buffer; readonly covers: Ix; readonly start: Ix; readonly step: Ix }[]
}

/** What a loop does with the offsets of the accesses inside. */
export function stepping(loop: For, known: (b: Buffer) => readonly Pointer[]): Stepping {
  const effects = effectsOf(loop.body)
  const bound = new Set<Sym>([loop.v])
  const changing = new Set<Local>(effects.assigns)
  let innermost = loop.kind !== 'thread.each'
  visitStmts(loop.body, (s) => {
    if (s.k === 'for' || s.k === 'bind') bound.add(s.v)
    if (s.k === 'for') innermost = false
    if (s.k === 'let' || s.k === 'var') changing.add(s.v)
  })
  const stable = (x: Ix): boolean =>
    [...symbolsOfIx(x)].every((s) => !bound.has(s)) &&
    [...valuesOf(x)].every((v) => {
      const e = v.value as Expr
      return (
        [...localsOf(e)].every((l) => !changing.has(l)) &&
        loadsOf(e).every((l) => !effects.writes.has(l.buf) && inRange(l))
      )
    })
  const split = (x: Ix): { readonly fixed: Ix; readonly varying: Ix } => {
    let fixed: Ix = con(0)
    for (const t of x.terms) {
      const part = termIx(t)
      if (stable(part)) fixed = add(fixed, part)
    }
    return { fixed, varying: sub(x, fixed) }
  }
  const fixed = new Map<string, Stepping['fixed'][number]>()
  const moving = new Map<string, Stepping['moving'][number]>()
  for (const { buf, rest } of accessesOf(loop.body, true)) {
    const key = `${buf.id}:${rest.id}`
    if (moving.has(key)) continue
    const cover = nearest(known(buf), rest).covers
    const parts = split(sub(rest, cover))
    const linear = innermost ? coefficientOf(parts.varying, loop.v) : undefined
    if (linear !== undefined && isConst(linear.coef) !== 0 && isConst(linear.rest) === 0 && stable(linear.coef)) {
      const start = add(sub(rest, parts.varying), mul(linear.coef, loop.lo))
      moving.set(key, { buf, covers: rest, start, step: mul(linear.coef, loop.step) })
    } else if (isConst(parts.fixed) === undefined) {
      const covers = add(cover, parts.fixed)
      fixed.set(`${buf.id}:${covers.id}`, { buf, covers })
    }
  }
  return { fixed: [...fixed.values()], moving: [...moving.values()] }
}
