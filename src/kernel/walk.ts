/** Traversal and copying of expressions and statements. Every copy has fresh binders, so that each binder stays unique. */
import type { Ix, Sym } from '../types/ix.ts'
import { add, con, INF, isConst, mapValues, of, sub, substitute, sym, symbolsOf, valuesOf } from '../types/ix.ts'
import type { Buffer } from './buffer.ts'
import { newBuffer } from './buffer.ts'
import type { Expr, Local, Vector } from './expr.ts'
import { dataIndex, expressionMemo, load, local, mapSame, newLocal, operands, rewrite, vectorOf } from './expr.ts'
import type { For, Stmt } from './nest.ts'

export { rebuild } from './expr.ts'

/** What to replace. `load` sees coordinates that are already rewritten, and the vector that is loaded, if one is; undefined keeps the load. */
export interface Mapping {
  readonly syms?: ReadonlyMap<Sym, Ix>
  readonly locals?: ReadonlyMap<Local, Expr>
  readonly load?: (buf: Buffer, at: readonly Ix[], vector?: Vector) => Expr | undefined
}
export interface Mapper {
  readonly ix: (x: Ix) => Ix
  readonly expr: (e: Expr) => Expr
}

/** A mapper keeps a memo: entries added to the maps later must concern symbols and locals it has not met yet. */
export function mapper(m: Mapping): Mapper {
  const memo = new Map<Expr, Expr>()
  const ixMemo = new Map<Ix, Ix>()
  const ix = (x: Ix): Ix => {
    const seen = ixMemo.get(x)
    if (seen !== undefined) return seen
    const inner = valuesOf(x).size === 0 ? x : mapValues(x, (v) => dataIndex(expr(v.value as Expr), v.lo, v.hi))
    const out = m.syms === undefined || m.syms.size === 0 ? inner : substitute(inner, m.syms)
    ixMemo.set(x, out)
    return out
  }
  const leaf = (e: Expr): Expr => {
    if (e.k === 'local') return m.locals?.get(e.v) ?? e
    if (e.k === 'load') return m.load?.(e.buf, e.at, vectorOf(e)) ?? e
    return e
  }
  const expr = (e: Expr): Expr => memo.get(e) ?? rewrite(e, leaf, ix, memo)
  return { ix, expr }
}

export const substituteExpr = (e: Expr, syms: ReadonlyMap<Sym, Ix>): Expr =>
  syms.size === 0 ? e : mapper({ syms }).expr(e)

/** Every node of an expression, also inside data-dependent indices, each once. */
export function visitExpr(e: Expr, f: (e: Expr) => void, seen = new Set<Expr>()): void {
  if (seen.has(e)) return
  seen.add(e)
  f(e)
  for (const x of indicesOf(e)) for (const v of valuesOf(x)) visitExpr(v.value as Expr, f, seen)
  for (const x of operands(e)) visitExpr(x, f, seen)
}
/** The index polynomials that an expression node holds itself. */
export const indicesOf = (e: Expr): readonly Ix[] => (e.k === 'load' ? e.at : e.k === 'index' ? [e.ix] : [])

type LoadExpr = Expr & { k: 'load' }
const noLoads: readonly LoadExpr[] = []
function joined(a: readonly LoadExpr[], b: readonly LoadExpr[]): readonly LoadExpr[] {
  if (a.length === 0 || a === b) return b
  let out: LoadExpr[] | undefined
  const known = a.length > 16 ? new Set(a) : undefined
  for (const x of b) if (!(known ? known.has(x) : a.includes(x))) (out ??= [...a]).push(x)
  return out ?? a
}
const loadMemo = expressionMemo<readonly (Expr & { k: 'load' })[]>()
/** The loads in an expression, also in data-dependent indices, each once. Expressions never change, so the list is kept. */
export function loadsOf(e: Expr): readonly (Expr & { k: 'load' })[] {
  let out = loadMemo.get(e)
  if (out === undefined) {
    out = e.k === 'load' ? [e] : noLoads
    for (const x of indicesOf(e)) for (const v of valuesOf(x)) out = joined(out, loadsOf(v.value as Expr))
    for (const x of operands(e)) out = joined(out, loadsOf(x))
    loadMemo.set(e, out)
  }
  return out
}
/** Symbols that the value of an index depends on, also through loads inside it. */
export function symbolsOfIx(x: Ix): ReadonlySet<Sym> {
  const values = valuesOf(x)
  if (values.size === 0) return symbolsOf(x)
  const out = new Set(symbolsOf(x))
  for (const v of values) for (const s of symbolsOfExpr(v.value as Expr)) out.add(s)
  return out
}
const none: ReadonlySet<never> = new Set()
/** Both sets as one; one of them where it holds the other. */
function union<X>(a: ReadonlySet<X> | undefined, b: ReadonlySet<X>): ReadonlySet<X> {
  if (a === undefined || a.size === 0 || a === b) return b
  let out: Set<X> | undefined
  for (const x of b) if (!a.has(x)) (out ??= new Set(a)).add(x)
  return out ?? a
}
const symbolMemo = expressionMemo<ReadonlySet<Sym>>()
export function symbolsOfExpr(e: Expr): ReadonlySet<Sym> {
  let out = symbolMemo.get(e)
  if (out === undefined) {
    for (const x of indicesOf(e)) out = union(out, symbolsOfIx(x))
    for (const x of operands(e)) out = union(out, symbolsOfExpr(x))
    symbolMemo.set(e, (out ??= none as ReadonlySet<Sym>))
  }
  return out
}
const localMemo = expressionMemo<ReadonlySet<Local>>()
export function localsOf(e: Expr): ReadonlySet<Local> {
  let out = localMemo.get(e)
  if (out === undefined) {
    if (e.k === 'local') out = new Set([e.v])
    for (const x of indicesOf(e)) for (const v of valuesOf(x)) out = union(out, localsOf(v.value as Expr))
    for (const x of operands(e)) out = union(out, localsOf(x))
    localMemo.set(e, (out ??= none as ReadonlySet<Local>))
  }
  return out
}

/** An index with the expressions inside it replaced. */
export const throughValues = (x: Ix, go: (e: Expr) => Expr): Ix =>
  valuesOf(x).size === 0 ? x : mapValues(x, (v) => dataIndex(go(v.value as Expr), v.lo, v.hi))

/** The number of elements along a domain symbol, whose lo is 0. */
export const extentOf = (s: Sym): Ix => (s.hi === INF ? INF : add(s.hi, 1))
/** A loop symbol over 0 … extent - 1. */
export const loopSymbol = (name: string, extent: Ix | number): Sym =>
  sym(name, { lo: 0, hi: sub(extent, 1), role: 'loop' })
export const isUnit = (s: Sym): boolean => s.hi === con(0)

/** Rebuilds statements bottom-up: `f` sees a statement whose body is already rebuilt and gives its replacements. */
export function mapStmts(body: readonly Stmt[], f: (s: Stmt) => readonly Stmt[]): readonly Stmt[] {
  let changed = false
  const out: Stmt[] = []
  for (const s of body) {
    let t = s
    if (s.k === 'for' || s.k === 'if') {
      const inner = mapStmts(s.body, f)
      if (inner !== s.body) t = { ...s, body: inner }
    }
    const made = f(t)
    if (made.length !== 1 || made[0] !== s) changed = true
    for (const x of made) out.push(x)
  }
  return changed ? out : body
}

/** Applies a mapper to all expressions and indices; binders stay. */
export function mapExprs(body: readonly Stmt[], m: Mapper): readonly Stmt[] {
  return mapStmts(body, (s) => [mapOne(s, m)])
}
function mapOne(s: Stmt, m: Mapper): Stmt {
  switch (s.k) {
    case 'for': {
      const lo = m.ix(s.lo)
      const hi = m.ix(s.hi)
      return lo === s.lo && hi === s.hi ? s : { ...s, lo, hi }
    }
    case 'let':
    case 'var':
    case 'assign': {
      const e = m.expr(s.e)
      return e === s.e ? s : { ...s, e }
    }
    case 'store': {
      const at = mapSame(s.at, m.ix)
      const e = m.expr(s.e)
      return at === s.at && e === s.e ? s : { ...s, at, e }
    }
    case 'if': {
      const c = m.expr(s.c)
      return c === s.c ? s : { ...s, c }
    }
    case 'bind': {
      const ix = m.ix(s.ix)
      return ix === s.ix ? s : { ...s, ix }
    }
    default:
      return s
  }
}

/** Copies statements with fresh binders, remembering what it called them. */
export interface Copier extends Mapper {
  readonly stmt: (s: Stmt) => Stmt
  readonly symbols: ReadonlyMap<Sym, Sym>
}

/** `given` replaces free symbols; `rename` names the copies of locals and buffers. */
export function copier(given: ReadonlyMap<Sym, Ix> = new Map(), rename: (name: string) => string = (n) => n): Copier {
  const syms = new Map(given)
  const symbols = new Map<Sym, Sym>()
  const locals = new Map<Local, Local>()
  const localExprs = new Map<Local, Expr>()
  const buffers = new Map<Buffer, Buffer>()
  const renamed = (b: Buffer, at: readonly Ix[], vector?: Vector): Expr | undefined =>
    buffers.has(b) ? load(buffers.get(b)!, at, vector) : undefined
  const m = mapper({ syms, locals: localExprs, load: renamed })
  const freshSym = (v: Sym): Sym => {
    const hi = v.hi === INF ? INF : m.ix(v.hi)
    const made = sym(v.name, { lo: m.ix(v.lo), hi, multipleOf: v.multipleOf, role: v.role })
    symbols.set(v, made)
    syms.set(v, of(made))
    return made
  }
  const freshLocal = (v: Local): Local => {
    const made = newLocal(rename(v.name), v.of, v.lanes)
    locals.set(v, made)
    localExprs.set(v, local(made))
    return made
  }
  const stmt = (s: Stmt): Stmt => {
    switch (s.k) {
      case 'for': {
        const [lo, hi] = [m.ix(s.lo), m.ix(s.hi)]
        return { ...s, lo, hi, v: freshSym(s.v), body: s.body.map(stmt) }
      }
      case 'let':
      case 'var': {
        const e = m.expr(s.e)
        return { ...s, e, v: freshLocal(s.v) }
      }
      case 'assign':
        return { ...s, v: locals.get(s.v) ?? s.v, e: m.expr(s.e) }
      case 'store':
        return { ...s, buf: buffers.get(s.buf) ?? s.buf, at: s.at.map(m.ix), e: m.expr(s.e) }
      case 'if':
        return { ...s, c: m.expr(s.c), body: s.body.map(stmt) }
      case 'alloc': {
        const made = newBuffer(rename(s.buf.name), s.buf.of, s.buf.space, s.buf.shape.map(m.ix), s.buf.layout)
        buffers.set(s.buf, made)
        return { k: 'alloc', buf: made }
      }
      case 'bind': {
        const ix = m.ix(s.ix)
        return { ...s, ix, v: freshSym(s.v) }
      }
      default:
        return s
    }
  }
  return { ...m, stmt, symbols }
}

/** Calls `f` on every statement, outermost first, with the loops and conditions around it. */
export function visitStmts(
  body: readonly Stmt[],
  f: (s: Stmt, around: readonly (For | (Stmt & { k: 'if' }))[]) => void,
  around: readonly (For | (Stmt & { k: 'if' }))[] = [],
): void {
  for (const s of body) {
    f(s, around)
    if (s.k === 'for' || s.k === 'if') visitStmts(s.body, f, [...around, s])
  }
}

/** The expressions a statement evaluates itself (not those of its body). */
export function exprsOf(s: Stmt): readonly Expr[] {
  return s.k === 'let' || s.k === 'var' || s.k === 'assign' || s.k === 'store' ? [s.e] : s.k === 'if' ? [s.c] : []
}
/** The index polynomials a statement holds itself, outside of its expressions. */
export function ownIndices(s: Stmt): readonly Ix[] {
  return s.k === 'for' ? [s.lo, s.hi] : s.k === 'store' ? s.at : s.k === 'bind' ? [s.ix] : []
}

/** Buffers that statements read and write, and locals that they assign. */
export interface Effects {
  readonly reads: ReadonlySet<Buffer>
  readonly writes: ReadonlySet<Buffer>
  readonly assigns: ReadonlySet<Local>
  readonly barrier: boolean
}
export function effectsOf(body: readonly Stmt[]): Effects {
  const reads = new Set<Buffer>()
  const writes = new Set<Buffer>()
  const assigns = new Set<Local>()
  let barrier = false
  const read = (e: Expr): void => {
    for (const l of loadsOf(e)) reads.add(l.buf)
  }
  visitStmts(body, (s) => {
    if (s.k === 'let' || s.k === 'var' || s.k === 'assign' || s.k === 'store') read(s.e)
    else if (s.k === 'if') read(s.c)
    for (const x of ownIndices(s)) for (const v of valuesOf(x)) read(v.value as Expr)
    if (s.k === 'store') writes.add(s.buf)
    if (s.k === 'assign') assigns.add(s.v)
    if (s.k === 'barrier') barrier = true
  })
  return { reads, writes, assigns, barrier }
}

/** The loop of a symbol, or an error: the handles of schedules are loop symbols. */
export function findLoop(body: readonly Stmt[], v: Sym): For {
  let found: For | undefined
  visitStmts(body, (s) => {
    if (s.k === 'for' && s.v === v) found = s
  })
  if (found === undefined) throw new Error(`internal: no loop over ${v.name}`)
  return found
}
/** All loops, outermost first, in order of appearance. */
export function loopsOf(body: readonly Stmt[]): readonly For[] {
  const out: For[] = []
  visitStmts(body, (s) => {
    if (s.k === 'for') out.push(s)
  })
  return out
}
/** The constant number of iterations. */
export function tripCount(s: For): number | undefined {
  const n = isConst(sub(s.hi, s.lo))
  return n === undefined ? undefined : Math.max(0, Math.ceil(n / s.step))
}
