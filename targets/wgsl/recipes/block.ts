/** Which carried reductions (attention) can be taken in vectors, read off their stages, and what their recipes share. */
import { conjuncts, tightenBounds } from '../../../src/kernel/bounds.ts'
import { identityOf } from '../../../src/kernel/build.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { Context } from '../../../src/kernel/build.ts'
import { placedMapper } from '../../../src/kernel/build.ts'
import type { Expr, Fold } from '../../../src/kernel/expr.ts'
import { bin, constant, lane, local, newLocal, rewrite } from '../../../src/kernel/expr.ts'
import type { Stmt } from '../../../src/kernel/nest.ts'
import type { Carried, Stage } from '../../../src/kernel/stage.ts'
import type { LoadExpr } from '../../../src/kernel/structure.ts'
import { contractionOf } from '../../../src/kernel/structure.ts'
import type { Mapper } from '../../../src/kernel/walk.ts'
import { extentOf, isUnit, mapper, symbolsOfExpr } from '../../../src/kernel/walk.ts'
import type { Ix, Sym } from '../../../src/types/ix.ts'
import { add, con, dependsOn, isConst, min, mod, mul, of, substitute } from '../../../src/types/ix.ts'
import { bound } from './kit.ts'
import { LANES, neighbours, range } from './lanes.ts'

export interface Block {
  /** The innermost axis of rows that the elements do not have: a block is of it. */
  readonly rows: Sym | undefined
  readonly column: Sym
  /** The sum of products per element: the operand of the row, and that of the element. */
  readonly dot: { readonly stage: Stage; readonly a: LoadExpr; readonly b: LoadExpr; readonly scale: readonly Expr[]; readonly over: Sym } // prettier-ignore
  readonly depth: number
  readonly width: number
  /** Conditions of the axis: bounds for a row, and the others. */
  readonly lo: Ix
  readonly hi: Ix
  readonly where: readonly Expr[]
}

export function blockOf(stage: Stage, body: Carried): Block | undefined {
  const columns = body.columns.filter((v) => !isUnit(v))
  if (columns.length !== 1 || stage.guard !== undefined) return undefined
  const perElement = body.chunk.filter((t) => t.domain.includes(body.axis))
  const sums = perElement.filter((t) => t.body.k === 'reduce')
  if (sums.length !== 1 || perElement.some((t) => t.domain.length !== 1)) return undefined
  const c = contractionOf(sums[0])
  if (c === undefined || c.sum.length !== 1 || (sums[0].body.k === 'reduce' && sums[0].body.where)) return undefined
  const [a, b] = symbolsOfExpr(c.a).has(body.axis) ? [c.b, c.a] : [c.a, c.b]
  if (symbolsOfExpr(a).has(body.axis) || !symbolsOfExpr(b).has(body.axis)) return undefined
  const rows = stage.domain
    .filter((v) => !isUnit(v) && !columns.includes(v) && !symbolsOfExpr(b).has(v) && symbolsOfExpr(a).has(v))
    .pop()
  const [depth, width] = [isConst(extentOf(c.sum[0])), isConst(extentOf(columns[0]))]
  const fits = (n: number | undefined): n is number => n !== undefined && n % LANES === 0 && n <= 128
  if (!fits(depth) || !fits(width)) return undefined
  const units = new Map<Sym, Ix>([...stage.domain, ...body.columns].filter(isUnit).map((v) => [v, con(0)]))
  const { lo, hi, rest } = tightenBounds(body.axis, con(0), extentOf(body.axis), conjuncts(body.where && mapper({ syms: units }).expr(body.where))) // prettier-ignore
  return { rows, column: columns[0], dot: { stage: sums[0], a, b, scale: c.scale, over: c.sum[0] }, depth, width, lo, hi, where: rest } // prettier-ignore
}

/** A fold over the elements: what it takes of each, what stands for an element that a row does not see, and what columns multiply it by. */
export interface ElementFold {
  readonly stage: Stage
  readonly fold: Exclude<Fold, 'argmax'>
  readonly element: Expr
  readonly neutral: number
  readonly operand: LoadExpr | undefined
}

/** Undefined where a stage is no such fold. */
export function elementFold(t: Stage, body: Carried, b: Block): ElementFold | undefined {
  if (t.body.k !== 'reduce' || t.body.fold === 'argmax' || t.body.e.of !== 'f32') return undefined
  const { fold, e, axes, empty, where } = t.body
  const domain = t.domain.filter((v) => !isUnit(v))
  if (axes.length !== 1 || axes[0] !== body.axis) return undefined
  if (!conjuncts(where).every((c) => conjuncts(body.where).includes(c))) return undefined
  const start = identityOf(fold, e.of)
  const neutral = Math.abs(empty) >= 3e38 && Math.sign(empty) === Math.sign(start) ? empty : start
  if (neutral !== empty) return undefined
  if (domain.length === 0) return { stage: t, fold, element: e, neutral, operand: undefined }
  if (domain.length !== 1 || domain[0] !== b.column || fold !== 'add') return undefined
  const factors = factorsOf(e)
  const [operand, ...more] = factors.filter((f) => symbolsOfExpr(f).has(b.column))
  const rest = factors.filter((f) => f !== operand)
  if (operand?.k !== 'load' || more.length > 0 || rest.length === 0) return undefined
  const syms = symbolsOfExpr(operand)
  if (b.rows && syms.has(b.rows)) return undefined
  if (!syms.has(body.axis) || body.chunk.some((c) => c.out === operand.buf)) return undefined
  return { stage: t, fold, element: rest.reduce((x, y) => bin('mul', x, y)), neutral, operand }
}
const factorsOf = (e: Expr): readonly Expr[] =>
  e.k === 'bin' && e.f === 'mul' ? [...factorsOf(e.a), ...factorsOf(e.b)] : [e]

/** What remains of an expression where conditions hold. */
export function given(e: Expr, conditions: ReadonlySet<Expr>): Expr {
  const holds = (c: Expr): boolean => c.k === 'const' && c.value !== 0
  return rewrite(e, (x) => {
    if (conditions.has(x)) return constant(1, 'bool')
    if (x.k === 'bin' && x.f === 'and') return holds(x.a) ? x.b : holds(x.b) ? x.a : x
    return x.k === 'select' && holds(x.c) ? x.x : x
  })
}

/** Whether an index never falls as `v` grows. */
export function grows(x: Ix, v: Sym): boolean {
  return x.terms.every((t) => {
    const [a] = t.atoms
    if (!t.atoms.some((a) => a === v || (a.k !== 'sym' && a.k !== 'value' && (dependsOn(a.a, v) || dependsOn(a.b, v))))) return true // prettier-ignore
    if (t.atoms.length !== 1 || t.coef < 0) return false
    return a === v || ((a.k === 'min' || a.k === 'max') && grows(a.a, v) && grows(a.b, v))
  })
}

// ---- what a thread has ----

/** Vectors of a row that a thread has, every `LX`-th of `all`. */
export interface Piece {
  readonly stmts: readonly Stmt[]
  /** Its first element, of the last vector at most. */
  readonly at: Ix
  /** The number of the vector: `all` or more where there is none. */
  readonly raw: Ix
}
export function piecesOf(name: string, lx: Sym, LX: number, all: number): readonly Piece[] {
  return range(Math.ceil(all / LX)).map((w) => {
    const raw = add(of(lx), LX * w)
    if (all >= LX * (w + 1)) return { stmts: [], at: mul(LANES, raw), raw }
    const piece = bound(all <= LX ? name : `${name}${w}`, min(raw, all - 1), all)
    return { stmts: [piece.stmt], at: mul(LANES, of(piece.v)), raw }
  })
}

/** Mappers for four values of `v`, of which `values` are at hand as vectors. */
export function laneMappers(
  context: Context,
  syms: ReadonlyMap<Sym, Ix>,
  v: Sym,
  at: (k: number) => Ix,
  values: ReadonlyMap<Buffer, Expr>,
): readonly Mapper[] {
  return range(LANES).map((k) => {
    const placed = new Map(context.placed)
    for (const [buf, x] of values) placed.set(buf, { k: 'local', e: lane(x, k) })
    return placedMapper({ ...context, placed }, new Map([...syms, [v, at(k)] as const]))
  })
}

/** Whether every row sees all elements of all tiles. */
export const seesAll = (b: Block, axis: Sym, tile: number): boolean =>
  b.hi === extentOf(axis) && isConst(mod(b.hi, tile)) === 0 && b.lo === con(0)

/** Stores a vector of four neighbouring columns of the result, from `first` on. */
export function storeColumns(
  stage: Stage,
  column: Sym,
  e: Expr,
  first: Ix,
  syms: ReadonlyMap<Sym, Ix>,
): readonly Stmt[] {
  const own = stage.at ?? stage.domain.map(of)
  const at = (k: number): readonly Ix[] =>
    own.map((x) => substitute(x, new Map([...syms, [column, add(first, k)] as const])))
  const axis = neighbours(stage.out, own, column)
  if (axis !== undefined) return [{ k: 'store', buf: stage.out, at: at(0), e, axis }]
  const v = newLocal('y', e.of, LANES)
  const apart = range(LANES).map((k): Stmt => ({ k: 'store', buf: stage.out, at: at(k), e: lane(local(v), k) }))
  return [{ k: 'let', v, e }, ...apart]
}
