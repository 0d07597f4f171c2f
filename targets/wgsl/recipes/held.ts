/**
 * Rows that are read once: each thread keeps its elements of the row in registers from the first fold to the last result. What several stages
 * need of an element (the element itself, its distance from the mean, its exponential) is computed by the first of them.
 * For rows of constant length up to 4 elements, or vectors of four, a thread; longer ones are `rows`.
 */
import type { Buffer } from '../../../src/kernel/buffer.ts'
import { identityOf } from '../../../src/kernel/build.ts'
import type { Expr, LaneFold, Local } from '../../../src/kernel/expr.ts'
import {
  across,
  bin,
  cast,
  constant,
  index,
  lane,
  load,
  local,
  newLocal,
  operands,
  splat,
  vec,
} from '../../../src/kernel/expr.ts'
import type { Lanes } from '../../../src/kernel/expr.ts'
import { laneDistance } from '../../../src/kernel/lanes.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import type { Rows } from '../../../src/kernel/rows.ts'
import {
  extentOf,
  isUnit,
  localsOf,
  loopSymbol,
  mapper,
  rebuild,
  substituteExpr,
  symbolsOfExpr,
  symbolsOfIx,
} from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, con, isConst, min, mul, of, sub, substitute } from '../../../src/types/ix.ts'
import { below, foldThreads } from './kit.ts'
import type { RowPlace } from './rows.ts'

/** Elements, or vectors, of a row that a thread keeps at most. */
const MOST = 4

/** How rows of a kernel are kept: their length, and how many elements lie in a vector. */
export interface Holding {
  readonly length: number
  readonly lanes: Lanes
}

/** Undefined where the rows have several axes, conditions, or lengths that are not constant. */
export function holdingOf(r: Rows, lanes: Lanes): Holding | undefined {
  const lengths = r.stages.flatMap(({ stage, inner }) => {
    const { body } = stage
    const axes = body.k === 'reduce' ? body.axes.filter((v) => !isUnit(v)) : []
    const plain = body.k === 'map' || (body.k === 'reduce' && body.where === undefined && body.fold !== 'argmax')
    if (!plain || (body.k === 'reduce' && (inner.length > 0 || axes.length !== 1)) || inner.length > 1)
      return [undefined]
    return [...inner, ...axes].map((v) => isConst(extentOf(v)))
  })
  const [length] = lengths
  if (length === undefined || lengths.some((n) => n !== length)) return undefined
  return { length, lanes: length % lanes === 0 ? lanes : 1 }
}
/** The fewest threads that can keep a row, within 64 … 256; undefined where there are none. */
export function threadsThatHold({ length, lanes }: Holding): number | undefined {
  return [64, 128, 256].find((n) => n * MOST * lanes >= length)
}

/** What a thread does for its elements, in order. */
type Step =
  | {
      readonly k: 'fold'
      readonly e: Expr
      readonly fold: LaneFold
      readonly own: Local
      readonly after: readonly Stmt[]
    }
  | { readonly k: 'store'; readonly e: Expr; readonly buf: Buffer; readonly at: readonly Ix[]; readonly guard?: Expr }
  | { readonly k: 'once'; readonly stmts: readonly Stmt[] }

/** Undefined where the threads are too few, or a stage reads elements of others. */
export function heldRows(r: Rows, place: RowPlace, holding: Holding): readonly Stmt[] | undefined {
  const { threads } = place.scratch
  const { length, lanes } = holding
  const count = Math.ceil(length / lanes / threads)
  if (count > MOST) return undefined
  const own = loopSymbol('c', length)
  const steps = stepsOf(r, place, own)
  if (steps === undefined) return undefined
  const shared = sharedBy(steps.steps, own)
  // What each thread keeps, by expression: one local per vector.
  const kept = new Map<Expr, readonly Local[]>()
  const vectors = length / lanes
  const nth = (u: number): Ix => add(place.lane, threads * u)
  const first = (u: number): Ix => mul(lanes, nth(u))
  const inside = (u: number, stmts: readonly Stmt[]): readonly Stmt[] => below(nth(u), con(vectors), stmts)
  const whole = (u: number): boolean => threads * (u + 1) <= vectors
  const value = (e: Expr, u: number, at = first(u)): Expr =>
    vectorOf(e, own, at, lanes, (x) => {
      const v = kept.get(x)
      return v && local(v[u])
    })
  const stmts: Stmt[] = []
  const keep = (e: Expr): void => {
    for (const x of shared) {
      if (kept.has(x) || !contains(e, x)) continue
      const name = steps.names.get(x) ?? (x.k === 'load' ? x.buf.name : 'held')
      const locals = Array.from({ length: count }, (_, u) => newLocal(count === 1 ? name : `${name}_${u}`, x.of, lanes))
      // Beyond the row threads have its last elements, which they neither fold nor store.
      locals.forEach((v, u) => {
        const at = whole(u) ? first(u) : mul(lanes, min(nth(u), vectors - 1))
        stmts.push({ k: 'let', v, e: value(x, u, at) })
      })
      kept.set(x, locals)
    }
  }
  for (const s of steps.steps) {
    if (s.k === 'once') {
      stmts.push(...s.stmts)
      continue
    }
    keep(s.e)
    if (s.k === 'store') {
      for (let u = 0; u < count; u++)
        stmts.push(...inside(u, storeOf(s, own, first(u), lanes, value(s.e, u), place.where)))
      continue
    }
    const acc = lanes === 1 ? s.own : newLocal(`${s.own.name}_lanes`, s.own.of, lanes)
    const neutral = constant(identityOf(s.fold, acc.of), acc.of)
    const start = whole(0) ? 1 : 0
    stmts.push({ k: 'var', v: acc, e: start === 1 ? value(s.e, 0) : lanes === 1 ? neutral : splat(neutral, lanes) })
    for (let u = start; u < count; u++)
      stmts.push(...inside(u, [{ k: 'assign', v: acc, e: bin(s.fold, local(acc), value(s.e, u)) }]))
    if (lanes > 1) stmts.push({ k: 'let', v: s.own, e: across(s.fold, local(acc)) })
    stmts.push(...s.after)
  }
  return stmts
}

/** The stages as steps over the element `own`, stages of elements written out where they are read. */
function stepsOf(
  r: Rows,
  place: RowPlace,
  own: Sym,
): { readonly steps: readonly Step[]; readonly names: ReadonlyMap<Expr, string> } | undefined {
  const steps: Step[] = []
  const names = new Map<Expr, string>()
  const rowValue = new Map<Buffer, Expr>()
  const elementValue = new Map<Buffer, { readonly e: Expr; readonly axis: number }>()
  let foreign = false
  // What is the same for all elements of a row is computed before them.
  const rowLocals = new Map<Expr, Expr>()
  const once = (x: Expr): Expr => {
    const known = rowLocals.get(x)
    if (known !== undefined) return known
    const inner = x.k === 'un' || x.k === 'bin' || x.k === 'select' || x.k === 'cast'
    if (symbolsOfExpr(x).has(own)) return inner ? rebuild(x, once) : x
    if ((!inner || localsOf(x).size === 0) && x.k !== 'load') return x
    const v = newLocal(x.k === 'load' ? x.buf.name : 'f' in x ? x.f : 'row', x.of)
    steps.push({ k: 'once', stmts: [{ k: 'let', v, e: x }] })
    rowLocals.set(x, local(v))
    return local(v)
  }
  for (const { stage: s, rows, inner } of r.stages) {
    const { body } = s
    if (body.k === 'carried') return undefined
    const axes = body.k === 'reduce' ? body.axes : inner
    const syms = new Map<Sym, Ix>([...s.domain, ...axes].map((v) => [v, isUnit(v) ? con(0) : of(own)]))
    rows.forEach((v, i) => syms.set(v, place.at.get(r.outer[i])!))
    const m = mapper({
      syms,
      load: (b, at) => {
        const element = elementValue.get(b)
        if (element === undefined) return rowValue.get(b)
        foreign ||= at[element.axis] !== of(own)
        return element.e
      },
    })
    const e = once(body.k === 'map' ? cast(s.out.of, m.expr(body.e)) : m.expr(body.e))
    const guard = s.guard && m.expr(s.guard)
    const at = (s.at ?? s.domain.map(of)).map(m.ix)
    if (inner.length > 0) {
      elementValue.set(s.out, { e, axis: s.domain.indexOf(inner[0]) })
      names.set(e, s.name)
      if (s.out === place.operand?.of)
        steps.push({ k: 'store', e, buf: place.operand.put, at: [place.operand.line, of(own)] })
      else if (s.out.space === 'global') steps.push({ k: 'store', e, buf: s.out, at, ...(guard ? { guard } : {}) })
      // What lies elsewhere than it is computed is not read back at its own place.
      if (s.at !== undefined && s.out.space === 'global') elementValue.delete(s.out)
      continue
    }
    let result = cast(s.out.of, e)
    if (body.k === 'reduce') {
      const acc = newLocal(`${s.name}_own`, e.of)
      const folded = foldThreads(place.scratch, place.lane, body.fold, local(acc), s.name)
      steps.push({ k: 'fold', e, fold: body.fold as LaneFold, own: acc, after: folded.stmts })
      result = cast(s.out.of, folded.result)
    }
    const named = result.k === 'local' || result.k === 'const' ? undefined : newLocal(s.name, s.out.of)
    if (named) steps.push({ k: 'once', stmts: [{ k: 'let', v: named, e: result }] })
    rowValue.set(s.out, named ? local(named) : result)
    if (s.out.space !== 'global') continue
    const store: Stmt = { k: 'store', buf: s.out, at, e: rowValue.get(s.out)! }
    const conditions = [bin('eq', index(of(place.lane)), constant(0, 'i32')), place.where, guard]
    const guarded = conditions.reduceRight<readonly Stmt[]>(
      (b, c) => (c === undefined ? b : [{ k: 'if', c, body: b }]),
      [store],
    )
    steps.push({ k: 'once', stmts: guarded })
  }
  return foreign ? undefined : { steps, names }
}

function storeOf(
  s: Step & { k: 'store' },
  own: Sym,
  first: Ix,
  lanes: Lanes,
  e: Expr,
  where: Expr | undefined,
): readonly Stmt[] {
  const at = (i: number): readonly Ix[] => s.at.map((x) => substitute(x, new Map([[own, add(first, i)]])))
  const axis = lanes === 1 ? undefined : alongAxis(s.buf, s.at, own, first)
  const stores = (): readonly Stmt[] =>
    axis !== undefined && s.guard === undefined
      ? [{ k: 'store', buf: s.buf, at: at(0), e, axis }]
      : Array.from({ length: lanes }, (_, i): Stmt => {
          const one: Stmt = { k: 'store', buf: s.buf, at: at(i), e: lanes === 1 ? e : lane(e, i) }
          return s.guard === undefined
            ? one
            : { k: 'if', c: substituteExpr(s.guard, new Map([[own, add(first, i)]])), body: [one] }
        })
  const results = s.buf.space === 'global' && where !== undefined
  return results ? [{ k: 'if', c: where, body: stores() }] : stores()
}

/** The axis along which elements `own`, `own` + 1, … lie side by side in storage. */
function alongAxis(buf: Buffer, at: readonly Ix[], own: Sym, first: Ix): number | undefined {
  const axes = at.flatMap((x, d) => (symbolsOfIx(x).has(own) ? [d] : []))
  const [axis] = axes
  if (axes.length !== 1 || symbolsOfIx(sub(at[axis], own)).has(own)) return undefined
  const place = at.map((x) => substitute(x, new Map([[own, first]])))
  return [1, 2, 3].every((i) => laneDistance(buf, place, axis, i) === con(i)) ? axis : undefined
}

/** The values of `e` at `lanes` elements from `first` on; `known` are values that are at hand. */
function vectorOf(e: Expr, own: Sym, first: Ix, lanes: Lanes, known: (e: Expr) => Expr | undefined): Expr {
  const memo = new Map<Expr, Expr>()
  const go = (x: Expr): Expr => {
    let made = memo.get(x)
    if (made === undefined) memo.set(x, (made = known(x) ?? of1(x)))
    return made
  }
  const scalar = (x: Expr, i: number): Expr => substituteExpr(x, new Map([[own, add(first, i)]]))
  const of1 = (x: Expr): Expr => {
    if (!symbolsOfExpr(x).has(own)) return lanes === 1 ? x : splat(x, lanes)
    if (x.k === 'load') {
      const axis = lanes === 1 ? undefined : alongAxis(x.buf, x.at, own, first)
      if (axis === undefined) return each(x)
      return load(
        x.buf,
        x.at.map((y) => substitute(y, new Map([[own, first]]))),
        { lanes, axis },
      )
    }
    if (x.k === 'un' || x.k === 'bin' || x.k === 'select' || x.k === 'cast') return rebuild(x, go)
    return each(x)
  }
  const each = (x: Expr): Expr =>
    lanes === 1 ? scalar(x, 0) : vec(Array.from({ length: lanes }, (_, i) => scalar(x, i)))
  return go(e)
}

/** What several steps compute of an element: as much of it as they have in common, operands first. */
function sharedBy(steps: readonly Step[], own: Sym): readonly Expr[] {
  const users = new Map<Expr, Set<Step>>()
  const order: Expr[] = []
  const parents = new Map<Expr, Set<Expr | Step>>()
  const note = (x: Expr, s: Step, parent: Expr | Step): void => {
    if (!symbolsOfExpr(x).has(own) || x.k === 'index') return
    parents.set(x, (parents.get(x) ?? new Set()).add(parent))
    const known = users.get(x) ?? new Set()
    if (known.has(s)) return
    users.set(x, known.add(s))
    for (const y of operands(x)) note(y, s, x)
    if (!order.includes(x)) order.push(x)
  }
  for (const s of steps) if (s.k !== 'once') note(s.e, s, s)
  const several = (x: Expr): boolean => users.get(x)!.size > 1
  return order.filter(
    (x) => several(x) && [...parents.get(x)!].some((p) => !users.has(p as Expr) || !several(p as Expr)),
  )
}

function contains(e: Expr, x: Expr): boolean {
  return e === x || operands(e).some((y) => contains(y, x))
}
