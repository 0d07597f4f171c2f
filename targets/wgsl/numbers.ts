/** Index polynomials and expressions as WGSL: i32 positions, f32 values, truth values as bool (0 or 1 where stored), and vectors of them. */
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { BinaryFn, Expr, Lanes, Local, UnaryFn } from '../../src/kernel/expr.ts'
import { noVectors } from '../../src/kernel/expr.ts'
import type { Atom, Ix, Sym, Term } from '../../src/types/ix.ts'
import { range } from '../../src/types/ix.ts'
import type { AccessScope, Held, Store } from './access.ts'
import { component, loadText, storeText, typeText } from './access.ts'
import type { Taken } from './kept-load.ts'
import { keptHalves, keptText, takenText } from './kept-load.ts'
import type { MathHelper } from './math.ts'
import type { Text } from './syntax.ts'
import { P, atomText, call, infix, negated, within } from './syntax.ts'

export interface Scope {
  readonly sym: (s: Sym) => string
  readonly local: (v: Local) => string
  readonly held: (b: Buffer) => Held
  /** The name of a function of ours, of scalars or of each lane of vectors. */
  readonly helper: (h: MathHelper, lanes: Lanes) => string
  /** The name of a word of kept weights, or of scales, that were read before, if they were. */
  readonly taken: (t: Taken) => string | undefined
  /** The name of a subexpression that was computed before, if it was. */
  readonly shared: (e: Expr) => string | undefined
  /** A name for part of a sum, if there is one, and the rest. */
  readonly base: (x: Ix) => { readonly name: string; readonly rest: Ix } | undefined
}

export const ixText = (x: Ix, scope: Scope): string => ix(x, scope).s
export const exprText = (e: Expr, scope: Scope): string => expr(e, scope).s
/** Whether an index is a number, a name, or one of them plus a number: as cheap as a name. */
export const isPlain = (text: string): boolean => /^[\w.]+( [-+] \d+)?$/.test(text)

function ix(x: Ix, scope: Scope): Text {
  const terms = x.terms
  if (terms.length === 0) return atomText('0')
  const base = terms.length > 1 || terms[0].atoms.length > 1 || terms[0].coef !== 1 ? scope.base(x) : undefined
  if (base !== undefined) {
    if (base.rest.terms.length === 0) return atomText(base.name)
    return base.rest.terms.every((t) => t.coef < 0)
      ? sum(atomText(base.name), spelled(base.rest.terms, scope))
      : infix('+', P.add, atomText(base.name), ix(base.rest, scope), true)
  }
  const [head, ...rest] = spelled(terms, scope)
  return sum(head.t.coef < 0 ? term(head.t, scope) : head.text, rest)
}
interface Spelled {
  readonly t: Term
  /** Without its sign. */
  readonly text: Text
}
/** The order of terms must not depend on what was compiled before: positive ones first, then by their text, numbers last. */
function spelled(terms: readonly Term[], scope: Scope): Spelled[] {
  const rank = (t: Term): number => (t.coef > 0 ? 0 : 2) + (t.atoms.length === 0 ? 1 : 0)
  return terms
    .map((t) => ({ t, text: term({ ...t, coef: Math.abs(t.coef) }, scope) }))
    .sort((x, y) => rank(x.t) - rank(y.t) || compare(x.text.s, y.text.s))
}
const sum = (start: Text, rest: readonly Spelled[]): Text =>
  rest.reduce<Text>(
    (left, { t, text }) => (t.coef < 0 ? infix('-', P.add, left, text) : infix('+', P.add, left, text, true)),
    start,
  )
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
function term(t: Term, scope: Scope): Text {
  if (t.atoms.length === 0) return integer(t.coef)
  const factors = t.atoms.map((a) => atom(a, scope)).sort((a, b) => compare(a.s, b.s))
  const product = factors.reduce((a, b) => infix('*', P.mul, a, b))
  if (t.coef === 1) return product
  if (t.coef === -1) return negated(product)
  return infix('*', P.mul, product, integer(t.coef))
}
function atom(a: Atom, scope: Scope): Text {
  switch (a.k) {
    case 'sym':
      return atomText(scope.sym(a))
    case 'div':
    case 'mod': {
      const [x, y] = [ix(a.a, scope), ix(a.b, scope)]
      // Truncation is floor where the dividend is not negative.
      if (range(a.a).lo < 0) return call(scope.helper(a.k === 'div' ? 'floor_div' : 'floor_mod', 1), x, y)
      return infix(a.k === 'div' ? '/' : '%', P.mul, x, y)
    }
    case 'min':
    case 'max':
      return call(a.k, ...[ix(a.a, scope), ix(a.b, scope)].sort((x, y) => compare(x.s, y.s)))
    case 'value':
      return call('clamp', expr(a.value as Expr, scope), ix(a.lo, scope), ix(a.hi, scope))
  }
}

/** A literal. */
export const numberText = (x: number, of: Expr['of']): string => (of === 'i32' ? integer(x) : float(x)).s

function integer(n: number): Text {
  if (n === -2147483648) return call('i32', atomText('-2147483648'))
  if (!Number.isInteger(n) || Math.abs(n) > 2147483647) throw new Error(`internal: ${n} is no i32`)
  return n < 0 ? { s: String(n), p: P.unary } : atomText(String(n))
}
const LARGEST = 3.4028234663852886e38
/** A float literal that reads back as the same f32. */
function float(x: number): Text {
  if (Number.isNaN(x)) throw new Error('internal: NaN in a kernel')
  const c = Math.min(LARGEST, Math.max(-LARGEST, x))
  const short = shortest(c)
  const s = /[.e]/.test(short) ? short : `${short}.0`
  return c < 0 || Object.is(c, -0) ? { s, p: P.unary } : atomText(s)
}
/** The fewest digits that round to the same f32; `f` would be wrong for the largest value only by its spelling. */
function shortest(x: number): string {
  if (Object.is(x, -0)) return '-0'
  const same = (text: string): boolean => Math.fround(Number(text)) === Math.fround(x)
  const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => Number(x.toPrecision(n)))
  const candidates = [x, ...digits]
    .flatMap((n) => [String(n), n.toExponential()])
    .map((c) => c.replace('e+', 'e').replace(/e0$/, ''))
  const fits = candidates.filter((c) => same(c) && Math.abs(Number(c)) <= LARGEST)
  return fits.reduce((a, b) => (b.length < a.length ? b : a), fits[0])
}

const plainUnary: Partial<Record<UnaryFn, string>> = {
  abs: 'abs',
  sign: 'sign',
  floor: 'floor',
  ceil: 'ceil',
  round: 'round',
  sqrt: 'sqrt',
}
const operators: Partial<Record<BinaryFn, readonly [string, number]>> = {
  add: ['+', P.add], sub: ['-', P.add], mul: ['*', P.mul], div: ['/', P.mul], eq: ['==', P.compare], ne: ['!=', P.compare], lt: ['<', P.compare],
  le: ['<=', P.compare], gt: ['>', P.compare], ge: ['>=', P.compare], and: ['&&', P.and], or: ['||', P.or],
} // prettier-ignore

function expr(e: Expr, scope: Scope): Text {
  const known = scope.shared(e)
  if (known !== undefined) return atomText(known)
  switch (e.k) {
    case 'const':
      return e.of === 'bool'
        ? atomText(e.value !== 0 ? 'true' : 'false')
        : e.of === 'i32'
          ? integer(e.value)
          : float(e.value)
    case 'index':
      return ix(e.ix, scope)
    case 'local':
      return atomText(scope.local(e.v))
    case 'load':
      return (e.buf.layout?.kept ? keptText : loadText)(e, accessIn(scope))
    case 'un': {
      const x = expr(e.x, scope)
      if (e.f === 'neg') return negated(x)
      if (e.f === 'not') return { s: `!${within(x, P.unary)}`, p: P.unary }
      if (e.f === 'binade' || e.f === 'invert') return powerText(e.f, x, e.lanes)
      if (e.of === 'i32' && (e.f === 'floor' || e.f === 'ceil' || e.f === 'round')) return x
      return call(plainUnary[e.f] ?? scope.helper(e.f as MathHelper, e.lanes), x)
    }
    case 'bin':
      return binary(e, scope)
    case 'select':
      return call('select', expr(e.y, scope), expr(e.x, scope), expr(e.c, scope))
    case 'splat':
      return splatText(e, scope)
    case 'vec':
      return call(typeText(e.of, e.lanes), ...e.xs.map((x) => expr(x, scope)))
    case 'lane':
      return component(expr(e.x, scope), e.i)
    case 'across':
      return acrossText(e.f, e.x, scope)
    case 'pairs':
      return noVectors(e)
    case 'cast':
      return castText(e.of, e.x, scope)
  }
}
type Of<K extends Expr['k']> = Expr & { readonly k: K }

const splatText = (e: Of<'splat'>, scope: Scope): Text =>
  call(typeText(e.of, e.lanes), ...(e.x.k === 'const' && e.x.value === 0 ? [] : [expr(e.x, scope)]))

function binary(e: Of<'bin'>, scope: Scope): Text {
  const operator = operators[e.f]
  // Arithmetic takes a scalar beside a vector.
  const mixes = operator !== undefined && (operator[1] === P.add || operator[1] === P.mul)
  const a = mixes && e.a.k === 'splat' && e.b.k !== 'splat' ? expr(e.a.x, scope) : expr(e.a, scope)
  const b = mixes && e.b.k === 'splat' && e.a.k !== 'splat' ? expr(e.b.x, scope) : expr(e.b, scope)
  // A number that differs from itself; WGSL lets compilers take for granted that there is none.
  if (a.s === b.s && e.a.of === 'f32' && (e.f === 'eq' || e.f === 'ne')) {
    const nan = call(scope.helper('is_nan', e.lanes), a)
    return e.f === 'ne' ? nan : { s: `!${nan.s}`, p: P.unary }
  }
  if (e.f === 'and' || e.f === 'or') {
    if (e.lanes === 1) return infix(operator![0], operator![1], a, b, true)
    return { s: `${within(a, P.unary)} ${e.f === 'and' ? '&' : '|'} ${within(b, P.unary)}`, p: P.or }
  }
  if (operator !== undefined) return infix(operator[0], operator[1], a, b)
  if (e.f === 'floordiv')
    return e.of === 'i32' ? call(scope.helper('floor_div', e.lanes), a, b) : call('floor', infix('/', P.mul, a, b))
  if (e.f === 'mod') return call(scope.helper(e.of === 'i32' ? 'floor_mod' : 'float_mod', e.lanes), a, b)
  return call(e.f === 'pow' ? scope.helper('pow', e.lanes) : e.f, a, b)
}

/** The power of two of a float's exponent, from 2^-122 on, and one over a power of two: their bits. */
function powerText(f: 'binade' | 'invert', x: Text, lanes: Lanes): Text {
  if (lanes !== 1) throw new Error(`internal: ${f} of vectors`)
  const bits = call('bitcast<u32>', x)
  return call(
    'bitcast<f32>',
    f === 'binade'
      ? call('clamp', atomText(`${bits.s} & 0x7f800000u`), atomText('0x2800000u'), atomText('0x7f000000u'))
      : infix('-', P.add, atomText('0x7f000000u'), bits),
  )
}

/** All lanes folded, in pairs. */
function acrossText(f: Of<'across'>['f'], x: Expr, scope: Scope): Text {
  if (f === 'add' && x.k === 'bin' && x.f === 'mul' && x.of === 'f32' && scope.shared(x) === undefined)
    return call('dot', expr(x.a, scope), expr(x.b, scope))
  const v = expr(x, scope)
  if (f === 'add' && x.of === 'f32') return call('dot', v, atomText(`${typeText(x.of, x.lanes)}(1.0)`))
  const join = (a: Text, b: Text): Text =>
    f === 'add' || f === 'mul' ? infix(f === 'add' ? '+' : '*', f === 'add' ? P.add : P.mul, a, b) : call(f, a, b)
  let level = Array.from({ length: x.lanes }, (_, i) => component(v, i))
  while (level.length > 1) level = level.flatMap((y, i) => (i % 2 === 0 ? [join(y, level[i + 1])] : []))
  return level[0]
}

function castText(to: Expr['of'], x: Expr, scope: Scope): Text {
  if (to === 'f16' && x.k === 'load' && x.buf.layout?.kept) return keptHalves(x, accessIn(scope))
  const text = expr(x, scope)
  const number = (n: number, of: Expr['of']): Text => {
    const one = of === 'i32' ? integer(n) : float(n)
    return x.lanes === 1 ? one : call(typeText(of, x.lanes), ...(n === 0 ? [] : [one]))
  }
  if (to === x.of) return text
  if (to === 'bool') return infix('!=', P.compare, text, number(0, x.of))
  if (x.of === 'bool') return call('select', number(0, to), number(1, to), text)
  if (x.of !== 'i32' && to !== 'i32' && x.of !== 'f16' && to !== 'f16') return text
  return call(typeText(to, x.lanes), text)
}

const accessIn = (scope: Scope): AccessScope => ({
  ...scope,
  helper: (h) => scope.helper(h, 1),
  ix: (x) => ix(x, scope),
})
/** A store, or with `+=` of what is added to the element. A truth value is stored as 0 or 1. */
export function storeIn(
  s: Store,
  e: Expr,
  scope: Scope,
  named: () => string,
  operator: '=' | '+=' = '=',
): readonly string[] {
  const value = e.of === 'bool' ? castText('i32', e, scope) : expr(e, scope)
  return storeText(s, value, accessIn(scope), operator, named)
}

/** A word of kept weights, or scales. */
export const takenIn = (t: Taken, scope: Scope): string => takenText(t, accessIn(scope)).s
