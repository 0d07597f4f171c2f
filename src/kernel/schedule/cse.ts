/**
 * Common subexpressions of straight-line code become `let`s. A load is common to two statements if nothing in between stores to its
 * buffer; an expression of a local, if nothing assigns it. Loads in the branches of a select stay there: they may be out of range.
 */
import { valuesOf } from '../../types/ix.ts'
import type { Buffer } from '../buffer.ts'
import type { BinaryFn, Expr, Local } from '../expr.ts'
import { asIx, local, newLocal, operands } from '../expr.ts'
import type { NestKernel, Stmt } from '../nest.ts'
import { effectsOf, exprsOf, indicesOf, loadsOf, localsOf, ownIndices, rebuild, throughValues } from '../walk.ts'

/** Worth a name when used twice. */
export function isWorthNaming(e: Expr): boolean {
  if (e.k === 'const' || e.k === 'local' || (e.k === 'splat' && e.x.k === 'const')) return false
  if (e.k === 'index') return valuesOf(e.ix).size > 0
  // Comparisons of indices stay where they guard something, for the verifier and for the reader.
  if (e.of === 'bool' && isOfIndices(e)) return false
  if (e.k === 'cast' || (e.k === 'un' && e.f === 'neg')) return isWorthNaming(e.x)
  return true
}

function isOfIndices(e: Expr): boolean {
  const x = asIx(e)
  if (x !== undefined) return valuesOf(x).size === 0
  return (e.k === 'un' || e.k === 'bin') && operands(e).every(isOfIndices)
}

export const cse = (nest: NestKernel): NestKernel => ({ ...nest, body: block(nest.body, new Map()) })

const nothing: ReadonlySet<never> = new Set()

/** Expressions whose value is at hand in a local. */
type Available = Map<Expr, Local>

function block(body: readonly Stmt[], outer: Available): readonly Stmt[] {
  const counts = count(body)
  const names: Available = new Map(outer)
  const epochs = new Epochs()
  const out: Stmt[] = []
  for (const s of body) {
    const wanted = (e: Expr): boolean => isWorthNaming(e) && (counts.get(epochs.key(e)) ?? 0) > 1
    const go = (e: Expr, lazy: boolean): Expr => {
      const known = names.get(e)
      if (known !== undefined) return local(known)
      const inner = (x: Expr): Expr => go(x, lazy)
      const made =
        e.k === 'select'
          ? rebuildSelect(e, inner, (x) => go(x, true))
          : rebuild(e, inner, (x) => throughValues(x, inner))
      if (!wanted(e) || (lazy && loadsOf(e).length > 0)) return made
      const v = newLocal(nameFor(e), e.of, e.lanes)
      names.set(e, v)
      out.push({ k: 'let', v, e: made })
      return local(v)
    }
    const ix = (x: Parameters<typeof throughValues>[0]): typeof x => throughValues(x, (e) => go(e, false))
    if (s.k === 'for' || s.k === 'if') {
      const effects = effectsOf([s])
      const head: Stmt = s.k === 'for' ? { ...s, lo: ix(s.lo), hi: ix(s.hi) } : { ...s, c: go(s.c, false) }
      // Also what the body changes later is not at hand when it starts again.
      forget(names, effects.assigns, effects.writes, effects.barrier)
      epochs.advance(effects.assigns, effects.writes, effects.barrier)
      out.push({ ...head, body: block(s.body, names) } as Stmt)
      continue
    }
    const made = rewriteStmt(s, (e) => go(e, false), ix)
    out.push(made)
    const assigns: ReadonlySet<Local> = s.k === 'assign' ? new Set([s.v]) : nothing
    const writes: ReadonlySet<Buffer> = s.k === 'store' ? new Set([s.buf]) : nothing
    forget(names, assigns, writes, s.k === 'barrier')
    epochs.advance(assigns, writes, s.k === 'barrier')
    if (made.k === 'let' && s.k === 'let' && isWorthNaming(s.e) && !names.has(s.e)) names.set(s.e, made.v)
  }
  return out
}

/** A name that says what is held: the buffer it was loaded from, or the function. */
export const nameFor = (e: Expr): string =>
  e.k === 'load'
    ? e.buf.name
    : e.k === 'cast' || e.k === 'splat' || e.k === 'lane'
      ? nameFor(e.x)
      : e.k === 'un'
        ? e.f
        : e.k === 'bin'
          ? (productNames[e.f] ?? e.f)
          : 't'
const productNames: Partial<Record<BinaryFn, string>> = {
  add: 'sum',
  sub: 'difference',
  mul: 'product',
  div: 'quotient',
}

function rebuildSelect(e: Expr & { k: 'select' }, go: (e: Expr) => Expr, lazy: (e: Expr) => Expr): Expr {
  const parts = new Map([[e.c, go(e.c)]])
  for (const x of [e.x, e.y]) if (!parts.has(x)) parts.set(x, lazy(x))
  return rebuild(e, (x) => parts.get(x)!)
}

function rewriteStmt(
  s: Stmt,
  go: (e: Expr) => Expr,
  ix: (x: Parameters<typeof throughValues>[0]) => Parameters<typeof throughValues>[0],
): Stmt {
  switch (s.k) {
    case 'let':
    case 'var':
      return { ...s, e: go(s.e) }
    case 'assign':
      // `acc = acc + x` keeps its form, so that it is still seen to be a fold.
      return { ...s, e: s.e.k === 'bin' && s.e.a.k === 'local' && s.e.a.v === s.v ? rebuild(s.e, go) : go(s.e) }
    case 'store':
      return { ...s, at: s.at.map(ix), e: go(s.e) }
    case 'bind':
      return { ...s, ix: ix(s.ix) }
    default:
      return s
  }
}

function forget(names: Available, assigns: ReadonlySet<Local>, writes: ReadonlySet<Buffer>, barrier: boolean): void {
  if (assigns.size === 0 && writes.size === 0 && !barrier) return
  for (const e of names.keys()) if (changes(e, assigns, writes, barrier)) names.delete(e)
}
function changes(e: Expr, assigns: ReadonlySet<Local>, writes: ReadonlySet<Buffer>, barrier: boolean): boolean {
  for (const l of loadsOf(e)) if (writes.has(l.buf) || (barrier && l.buf.space !== 'private')) return true
  if (assigns.size > 0) for (const v of localsOf(e)) if (assigns.has(v)) return true
  return false
}

/** More epochs than a block has statements. */
const most = 2 ** 20
/** The same expression before and after a change has two keys. */
class Epochs {
  private readonly changed: {
    readonly assigns: ReadonlySet<Local>
    readonly writes: ReadonlySet<Buffer>
    readonly barrier: boolean
  }[] = []
  private readonly seen = new Map<Expr, { at: number; epoch: number }>()
  advance(assigns: ReadonlySet<Local>, writes: ReadonlySet<Buffer>, barrier: boolean): void {
    if (assigns.size > 0 || writes.size > 0 || barrier) this.changed.push({ assigns, writes, barrier })
  }
  key(e: Expr): number {
    if (this.changed.length === 0) return e.id * most
    let known = this.seen.get(e)
    if (known === undefined) {
      if (loadsOf(e).length === 0 && localsOf(e).size === 0) return e.id * most
      this.seen.set(e, (known = { at: 0, epoch: 0 }))
    }
    for (; known.at < this.changed.length; known.at++) {
      const c = this.changed[known.at]
      if (changes(e, c.assigns, c.writes, c.barrier)) known.epoch++
    }
    return e.id * most + known.epoch
  }
}

/** How often each expression is referred to by different parents, while its value stays the same. */
function count(body: readonly Stmt[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>()
  const epochs = new Epochs()
  const visit = (e: Expr, nested: boolean): void => {
    const key = epochs.key(e)
    const n = counts.get(key)
    if (n !== undefined) {
      counts.set(key, n + 1)
      return
    }
    if (!nested) counts.set(key, 1)
    for (const x of indicesOf(e)) for (const v of valuesOf(x)) visit(v.value as Expr, nested)
    if (e.k === 'select') {
      visit(e.c, nested)
      for (const x of [e.x, e.y]) visit(x, nested || loadsOf(x).length > 0)
    } else for (const x of operands(e)) visit(x, nested)
  }
  const stmt = (s: Stmt, nested: boolean): void => {
    for (const x of ownIndices(s)) for (const v of valuesOf(x)) visit(v.value as Expr, nested)
    for (const e of exprsOf(s)) {
      if (s.k === 'assign' && e.k === 'bin' && e.a.k === 'local' && e.a.v === s.v) visit(e.b, nested)
      else visit(e, nested)
    }
    if (s.k === 'for' || s.k === 'if') {
      const effects = effectsOf([s])
      epochs.advance(effects.assigns, effects.writes, effects.barrier)
      for (const t of s.body) stmt(t, true)
      return
    }
    if (s.k === 'assign') epochs.advance(new Set([s.v]), nothing, false)
    else if (s.k === 'store') epochs.advance(nothing, new Set([s.buf]), false)
    else if (s.k === 'barrier') epochs.advance(nothing, nothing, true)
  }
  // Changes inside nested bodies are all counted when the body is entered.
  for (const s of body) stmt(s, false)
  return counts
}
