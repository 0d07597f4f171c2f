/**
 * Expressions of the kernel IR: scalars, and vectors of `lanes` scalars once a schedule has asked for them. They are hash-consed:
 * structurally equal expressions are the same object, so that equality is `===` and common subexpressions are found by identity.
 *
 * Invariants: `bool` only comes from comparisons, logic and loads of bool buffers; `i32` arithmetic on positions is an
 * `index` expression (an `Ix`), never a tree of `bin`; operands of `bin` have the same type and as many lanes. Vectors come from
 * loads, `splat` and `vec` only; `index` and `const` are scalars.
 */
import type { Ix } from '../types/ix.ts'
import { add, con, floorDiv, max, min, mod, mul, neg, range, sub, valueIx } from '../types/ix.ts'
import type { Buffer } from './buffer.ts'

/** A `pair` is two integers of 16 bits in 32: what instructions for sums of products take. `f16` is for parts of schedules (half.ts). */
export type Scalar = 'f32' | 'f64' | 'f16' | 'i32' | 'bool' | 'pair'
export type Lanes = 1 | 2 | 4

/**
 * Functions of one operand. `bool` for `not`, otherwise the operand's type. `binade` is the power of two of a float's exponent, at least 2^-122, and
 * `invert` one over a power of two: both exact.
 */
export const unaryFunctions = [
  'neg', 'abs', 'sign', 'floor', 'ceil', 'round', 'exp', 'expm1', 'log', 'log1p', 'sqrt', 'sin', 'cos', 'tanh', 'erf', 'binade', 'invert', 'not',
] as const // prettier-ignore
export type UnaryFn = (typeof unaryFunctions)[number]

/** Functions of two operands of one type. Comparisons give `bool`. `in_f16` is of the error model only (half.ts). */
export const binaryFunctions = [
  'add', 'sub', 'mul', 'div', 'floordiv', 'mod', 'pow', 'min', 'max', 'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'and', 'or', 'in_f16',
] as const // prettier-ignore
export type BinaryFn = (typeof binaryFunctions)[number]

/** Associative folds of reductions. `argmax` yields the i32 index of the first largest element. */
export type Fold = 'add' | 'mul' | 'max' | 'min' | 'argmax'

/** A named scalar of a nest. Mutable locals are accumulators (`var` and `assign`). */
export interface Local {
  readonly id: number
  readonly name: string
  readonly of: Scalar
  readonly lanes: Lanes
}

interface Common {
  readonly id: number
  readonly of: Scalar
  readonly lanes: Lanes
}
export type Expr =
  | (Common & { readonly k: 'const'; readonly value: number })
  | (Common & { readonly k: 'index'; readonly ix: Ix })
  | (Common & { readonly k: 'local'; readonly v: Local })
  /** With lanes: of elements that lie side by side in storage; `axis` is the logical axis along which they do, `at` the first. */
  | (Common & { readonly k: 'load'; readonly buf: Buffer; readonly at: readonly Ix[]; readonly axis?: number })
  | (Common & { readonly k: 'un'; readonly f: UnaryFn; readonly x: Expr })
  | (Common & { readonly k: 'bin'; readonly f: BinaryFn; readonly a: Expr; readonly b: Expr })
  | (Common & { readonly k: 'select'; readonly c: Expr; readonly x: Expr; readonly y: Expr })
  | (Common & { readonly k: 'cast'; readonly x: Expr })
  /** One scalar in all lanes; scalars as lanes; one lane as a scalar; all lanes folded into a scalar, in pairs: (0, 1), (2, 3). */
  | (Common & { readonly k: 'splat'; readonly x: Expr })
  | (Common & { readonly k: 'vec'; readonly xs: readonly Expr[] })
  | (Common & { readonly k: 'lane'; readonly x: Expr; readonly i: number })
  | (Common & { readonly k: 'across'; readonly f: LaneFold; readonly x: Expr })
  /** Arithmetic of pairs. */
  | (Common & { readonly k: 'pairs'; readonly f: PairFn; readonly xs: readonly Expr[] })
/**
 * `even`, `odd`: one of the integers of a pair, i32. `low4`, `high4`, `low8`, `high8`: the lower and the upper half of
 * both bytes, or of both integers, of a pair, without sign, as a pair. `dot` of two
 * pairs: a0 b0 + a1 b1, i32. `narrow`: four i32 and four more, each within 16 bits, as (a0, a1), (a2, a3), (b0, b1), (b2, b3).
 */
export type PairFn = 'even' | 'odd' | 'low4' | 'high4' | 'low8' | 'high8' | 'dot' | 'narrow'
/** Folds over the lanes of a vector. */
export type LaneFold = Exclude<Fold, 'argmax'>

/**
 * Interned expressions by kind. Keys of one or two operands are numbers: ids since the last reset are below 2^26, so a pair fits
 * into a double exactly.
 */
const interned = new Map<string, Map<number | string, Expr>>()
const memos: Map<Expr, unknown>[] = []
let nextId = 0
let firstId = 0
let nextLocal = 0
const idPairs = 2 ** 26

function newId(): number {
  if (nextId - firstId >= idPairs) throw new Error('internal: more expressions than a compilation can have')
  return nextId++
}
function tableOf(kind: string): Map<number | string, Expr> {
  let table = interned.get(kind)
  if (table === undefined) interned.set(kind, (table = new Map()))
  return table
}
/** `expr` was given `newId()`. */
function made(table: Map<number | string, Expr>, key: number | string, expr: Expr): Expr {
  table.set(key, expr)
  return expr
}
const pairKey = (a: Expr, b: Expr): number => (a.id - firstId) * idPairs + (b.id - firstId)

/** Forgets all interned expressions. Only between compilations: expressions made before and after must not be mixed. */
export function resetExpressions(): void {
  interned.clear()
  for (const memo of memos) memo.clear()
  firstId = nextId
}

/** A table of facts about expressions, which is forgotten with them. */
export function expressionMemo<X>(): Map<Expr, X> {
  const memo = new Map<Expr, X>()
  memos.push(memo)
  return memo
}

export function constant(value: number, of: Scalar = 'f32'): Expr {
  const table = tableOf(of)
  const key = Object.is(value, -0) ? '-0' : value
  return table.get(key) ?? made(table, key, { id: newId(), k: 'const', of, lanes: 1, value })
}
export function index(ix: Ix): Expr {
  const table = tableOf('index')
  return table.get(ix.id) ?? made(table, ix.id, { id: newId(), k: 'index', of: 'i32', lanes: 1, ix })
}
export function local(v: Local): Expr {
  const table = tableOf('local')
  return table.get(v.id) ?? made(table, v.id, { id: newId(), k: 'local', of: v.of, lanes: v.lanes, v })
}
export function newLocal(name: string, of: Scalar, lanes: Lanes = 1): Local {
  return { id: nextLocal++, name, of, lanes }
}
/** Which elements a vector access touches: `lanes` of them, side by side along `axis`. */
export interface Vector {
  readonly lanes: Lanes
  readonly axis: number
}
/** A load at logical coordinates, one per axis of the buffer; with `vector`, of several elements from there on. */
export function load(buf: Buffer, at: readonly Ix[], vector?: Vector): Expr {
  if (at.length !== buf.shape.length) {
    throw new Error(`internal: ${buf.name} has ${buf.shape.length} axes, loaded at ${at.length} coordinates`)
  }
  let key = `${buf.id}`
  for (const x of at) key += `,${x.id}`
  const table = tableOf('load')
  if (vector === undefined || vector.lanes === 1)
    return table.get(key) ?? made(table, key, { id: newId(), k: 'load', of: buf.of, lanes: 1, buf, at })
  const { lanes, axis } = vector
  key += `:${lanes}@${axis}`
  return table.get(key) ?? made(table, key, { id: newId(), k: 'load', of: buf.of, lanes, buf, at, axis })
}
/** The vector that a load is of, if it is. */
export const vectorOf = (e: Expr & { readonly k: 'load' }): Vector | undefined =>
  e.axis === undefined ? undefined : { lanes: e.lanes, axis: e.axis }

/** A scalar in each of several lanes; a vector stays what it is. */
export function splat(x: Expr, lanes: Lanes): Expr {
  if (x.lanes === lanes) return x
  if (x.lanes !== 1) throw new Error(`internal: splat of ${x.lanes} lanes`)
  const table = tableOf(`splat ${lanes}`)
  return table.get(x.id) ?? made(table, x.id, { id: newId(), k: 'splat', of: x.of, lanes, x })
}
export function vec(xs: readonly Expr[]): Expr {
  const [first] = xs
  if ((xs.length !== 2 && xs.length !== 4) || xs.some((x) => x.of !== first.of || x.lanes !== 1))
    throw new Error('internal: a vector is made of 2 or 4 scalars of one type')
  if (xs.every((x) => x === first)) return splat(first, xs.length)
  const table = tableOf('vec')
  const key = xs.map((x) => x.id).join()
  return table.get(key) ?? made(table, key, { id: newId(), k: 'vec', of: first.of, lanes: xs.length, xs })
}
/** Lane `i` as a scalar. */
export function lane(x: Expr, i: number): Expr {
  if (x.lanes === 1) return x
  if (x.k === 'splat') return x.x
  if (x.k === 'vec') return x.xs[i]
  const table = tableOf(`lane ${i}`)
  return table.get(x.id) ?? made(table, x.id, { id: newId(), k: 'lane', of: x.of, lanes: 1, x, i })
}
export function across(f: LaneFold, x: Expr): Expr {
  const table = tableOf(`across ${f}`)
  return table.get(x.id) ?? made(table, x.id, { id: newId(), k: 'across', of: x.of, lanes: 1, f, x })
}
export function pairs(f: PairFn, ...xs: readonly Expr[]): Expr {
  const from = f === 'narrow' ? 'i32' : 'pair'
  const [{ lanes }] = xs
  if (
    xs.length !== (f === 'dot' || f === 'narrow' ? 2 : 1) ||
    xs.some((x) => x.of !== from || x.lanes !== lanes) ||
    (f === 'narrow' && lanes !== 4)
  )
    throw new Error(`internal: ${f} of ${xs.map((x) => `${x.of} x ${x.lanes}`).join(' and ')}`)
  const table = tableOf(f)
  const key = xs.map((x) => x.id).join()
  const of = f === 'dot' || f === 'even' || f === 'odd' ? 'i32' : 'pair'
  return table.get(key) ?? made(table, key, { id: newId(), k: 'pairs', of, lanes, f, xs })
}
export function un(f: UnaryFn, x: Expr): Expr {
  const position = f === 'neg' ? asIx(x) : undefined
  if (position !== undefined) return index(neg(position))
  const table = tableOf(f)
  const of = f === 'not' ? 'bool' : x.of
  return table.get(x.id) ?? made(table, x.id, { id: newId(), k: 'un', of, lanes: x.lanes, f, x })
}
/** An i32 expression as an index polynomial, where it is a position or a constant. */
export function asIx(e: Expr): Ix | undefined {
  if (e.k === 'index') return e.ix
  return e.k === 'const' && e.of === 'i32' && Number.isInteger(e.value) ? con(e.value) : undefined
}
/** Exact integer arithmetic on positions: this is what makes masks over positions into predicates that bound loops. */
function onPositions(f: BinaryFn, x: Expr, y: Expr): Ix | undefined {
  const a = asIx(x)
  const b = a && asIx(y)
  if (a === undefined || b === undefined) return undefined
  switch (f) {
    case 'add':
      return add(a, b)
    case 'sub':
      return sub(a, b)
    case 'mul':
      return mul(a, b)
    case 'min':
      return min(a, b)
    case 'max':
      return max(a, b)
    case 'floordiv':
      return range(b).lo > 0 ? floorDiv(a, b) : undefined
    case 'mod':
      return range(b).lo > 0 ? mod(a, b) : undefined
    default:
      return undefined
  }
}
const comparisons: ReadonlySet<BinaryFn> = new Set(['eq', 'ne', 'lt', 'le', 'gt', 'ge'])
export function bin(f: BinaryFn, a: Expr, b: Expr): Expr {
  if (a.of !== b.of || a.lanes !== b.lanes)
    throw new Error(`internal: ${f} of ${a.of} x ${a.lanes} and ${b.of} x ${b.lanes}`)
  const position = onPositions(f, a, b)
  if (position !== undefined) return index(position)
  const table = tableOf(f)
  const key = pairKey(a, b)
  const of = comparisons.has(f) ? 'bool' : a.of
  return table.get(key) ?? made(table, key, { id: newId(), k: 'bin', of, lanes: a.lanes, f, a, b })
}
/** One condition for all lanes, or one for each. */
export function select(c: Expr, x: Expr, y: Expr): Expr {
  if (x.of !== y.of || x.lanes !== y.lanes || (c.lanes !== 1 && c.lanes !== x.lanes))
    throw new Error(`internal: select of ${x.of} x ${x.lanes} and ${y.of} x ${y.lanes} by ${c.lanes} conditions`)
  const table = tableOf('select')
  const key = `${c.id},${x.id},${y.id}`
  return table.get(key) ?? made(table, key, { id: newId(), k: 'select', of: x.of, lanes: x.lanes, c, x, y })
}
const casts = { f32: 'to f32', f64: 'to f64', f16: 'to f16', i32: 'to i32', bool: 'to bool', pair: 'to pair' } as const
export function cast(of: Scalar, x: Expr): Expr {
  if (x.of === of) return x
  const table = tableOf(casts[of])
  return table.get(x.id) ?? made(table, x.id, { id: newId(), k: 'cast', of, lanes: x.lanes, x })
}
/** An i32 expression as a coordinate (a data-dependent index). `lo`, `hi` are the proven inclusive bounds it is clamped to. */
export function dataIndex(e: Expr, lo: Ix | number, hi: Ix | number): Ix {
  if (e.k === 'index') return e.ix
  return valueIx(`e${e.id}`, e, lo, hi)
}

/** Rebuilds an expression bottom-up; `f` sees each node whose operands are already rewritten. Index maps go through `ix`. `memo` holds what is known. */
export function rewrite(
  e: Expr,
  f: (e: Expr) => Expr,
  ix: (x: Ix) => Ix = (x) => x,
  memo: Map<Expr, Expr> = new Map(),
): Expr {
  const go = (e: Expr): Expr => {
    const seen = memo.get(e)
    if (seen !== undefined) return seen
    const out = f(step(e))
    memo.set(e, out)
    return out
  }
  const step = (e: Expr): Expr => {
    switch (e.k) {
      case 'const':
      case 'local':
        return e
      default:
        return rebuild(e, go, ix)
    }
  }
  return go(e)
}

/** An expression with its operands and indices replaced; itself where none changes. */
export function rebuild(e: Expr, go: (e: Expr) => Expr, ix: (x: Ix) => Ix = (x) => x): Expr {
  switch (e.k) {
    case 'const':
    case 'local':
      return e
    case 'index': {
      const x = ix(e.ix)
      return x === e.ix ? e : index(x)
    }
    case 'load': {
      const at = mapSame(e.at, ix)
      return at === e.at ? e : load(e.buf, at, vectorOf(e))
    }
    case 'un': {
      const x = go(e.x)
      return x === e.x ? e : un(e.f, x)
    }
    case 'bin': {
      const a = go(e.a)
      const b = go(e.b)
      return a === e.a && b === e.b ? e : bin(e.f, a, b)
    }
    case 'select': {
      const c = go(e.c)
      const x = go(e.x)
      const y = go(e.y)
      return c === e.c && x === e.x && y === e.y ? e : select(c, x, y)
    }
    case 'cast': {
      const x = go(e.x)
      return x === e.x ? e : cast(e.of, x)
    }
    case 'splat': {
      const x = go(e.x)
      return x === e.x ? e : splat(x, e.lanes)
    }
    case 'vec': {
      const xs = mapSame(e.xs, go)
      return xs === e.xs ? e : vec(xs)
    }
    case 'pairs': {
      const xs = mapSame(e.xs, go)
      return xs === e.xs ? e : pairs(e.f, ...xs)
    }
    case 'lane': {
      const x = go(e.x)
      return x === e.x ? e : lane(x, e.i)
    }
    case 'across': {
      const x = go(e.x)
      return x === e.x ? e : across(e.f, x)
    }
  }
}

/** `map`, or the list itself where nothing changes. */
export function mapSame<X>(list: readonly X[], f: (x: X) => X): readonly X[] {
  for (let i = 0; i < list.length; i++) {
    const y = f(list[i])
    if (y === list[i]) continue
    const out = list.slice()
    out[i] = y
    for (let j = i + 1; j < list.length; j++) out[j] = f(list[j])
    return out
  }
  return list
}

/** Where only scalars may stand: `expandLanes` takes vectors apart. Nor do pairs. */
export function noVectors(e: Expr): never {
  throw new Error(`internal: ${e.k} of ${e.lanes} lanes where only scalars are known`)
}

/** The operands of an expression (not those inside its indices). */
export function operands(e: Expr): readonly Expr[] {
  switch (e.k) {
    case 'un':
    case 'cast':
    case 'splat':
    case 'lane':
    case 'across':
      return [e.x]
    case 'vec':
    case 'pairs':
      return e.xs
    case 'bin':
      return [e.a, e.b]
    case 'select':
      return [e.c, e.x, e.y]
    default:
      return []
  }
}
