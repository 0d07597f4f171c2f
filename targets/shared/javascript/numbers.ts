/** Index polynomials and scalar expressions as JavaScript. Every number is a float64; rounding happens at stores. */
import type { Atom, Ix, Sym, Term } from '../../../src/types/ix.ts'
import { range } from '../../../src/types/ix.ts'
import { offsetOf } from '../../../src/kernel/address.ts'
import type { Buffer } from '../../../src/kernel/buffer.ts'
import type { BinaryFn, Expr, Local, UnaryFn } from '../../../src/kernel/expr.ts'
import { noVectors } from '../../../src/kernel/expr.ts'
import type { MathHelper } from './math.ts'

/** How things are called in the scope that an expression is printed in. */
export interface Scope {
  readonly sym: (s: Sym) => string
  readonly local: (v: Local) => string
  readonly buffer: (b: Buffer) => string
  /** Notes that a helper function is needed, and gives its name. */
  readonly helper: (h: MathHelper) => string
}

/** Binding strength, higher binds tighter. */
const P = {
  ternary: 1,
  or: 2,
  and: 3,
  bitor: 4,
  equal: 8,
  compare: 9,
  shift: 10,
  add: 11,
  mul: 12,
  unary: 14,
  call: 17,
} as const
interface Text {
  readonly s: string
  readonly p: number
}
const call = (f: string, ...xs: readonly Text[]): Text => ({ s: `${f}(${xs.map((x) => x.s).join(', ')})`, p: P.call })
const within = (x: Text, p: number): string => (x.p < p ? `(${x.s})` : x.s)
const infix = (op: string, p: number, a: Text, b: Text, strict = true): Text => ({
  s: `${within(a, p)} ${op} ${within(b, strict ? p + 1 : p)}`,
  p,
})

export const ixText = (x: Ix, scope: Scope): string => ix(x, scope).s
export const exprText = (e: Expr, scope: Scope): string => expr(e, scope).s
function ix(x: Ix, scope: Scope): Text {
  const terms = x.terms
  if (terms.length === 0) return { s: '0', p: P.call }
  // A common factor is taken out: (i * T + j) * 768 + k.
  const scaled = terms.filter((t) => t.atoms.length > 0 && Math.abs(t.coef) > 1)
  const g = scaled.reduce((n, t) => gcd(n, Math.abs(t.coef)), 0)
  if (g > 1 && scaled.length > 1) {
    const inner = sum(
      scaled.map((t) => ({ ...t, coef: t.coef / g })),
      scope,
    )
    const product = infix('*', P.mul, inner, number(g))
    const rest = terms.filter((t) => !scaled.includes(t))
    return rest.length === 0 ? product : sum(rest, scope, product)
  }
  return sum(terms, scope)
}
/** The base of an address: reads best in front. */
const isBase = (t: Term): boolean =>
  t.coef === 1 && t.atoms.length === 1 && t.atoms[0].k === 'sym' && t.atoms[0].name.endsWith('_at')
function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}
function sum(terms: readonly Term[], scope: Scope, head?: Text): Text {
  // A positive term first, so that nothing starts with a minus where that can be avoided.
  const first = head ? -1 : terms.findIndex((t) => t.coef > 0)
  const order = (first > 0 ? [terms[first], ...terms.filter((_, i) => i !== first)] : [...terms]).sort(
    (a, b) => Number(isBase(b)) - Number(isBase(a)),
  )
  return (head ? order : order.slice(1)).reduce<Text>(
    (left, t) =>
      t.coef < 0
        ? infix('-', P.add, left, term({ ...t, coef: -t.coef }, scope))
        : infix('+', P.add, left, term(t, scope), false),
    head ?? term(order[0], scope),
  )
}
function term(t: Term, scope: Scope): Text {
  if (t.atoms.length === 0) return number(t.coef)
  const product = t.atoms.map((a) => atom(a, scope)).reduce((a, b) => infix('*', P.mul, a, b))
  if (t.coef === 1) return product
  if (t.coef === -1) return { s: `-${within(product, P.unary)}`, p: P.unary }
  return infix('*', P.mul, product, number(t.coef))
}
function atom(a: Atom, scope: Scope): Text {
  switch (a.k) {
    case 'sym':
      return { s: scope.sym(a), p: P.call }
    case 'div': {
      const quotient = infix('/', P.mul, ix(a.a, scope), ix(a.b, scope))
      return range(a.a).lo >= 0 && range(a.a).hi < 2 ** 31
        ? { s: `(${quotient.s}) | 0`, p: P.bitor }
        : call('Math.floor', quotient)
    }
    case 'mod': {
      const [x, y] = [ix(a.a, scope), ix(a.b, scope)]
      return range(a.a).lo >= 0 ? infix('%', P.mul, x, y) : call(scope.helper('mod'), x, y)
    }
    case 'min':
    case 'max':
      return call(`Math.${a.k}`, ix(a.a, scope), ix(a.b, scope))
    case 'value': {
      const e = a.value as Expr
      return call('Math.min', call('Math.max', expr(e, scope), ix(a.lo, scope)), ix(a.hi, scope))
    }
  }
}

function number(x: number): Text {
  if (Number.isNaN(x)) return { s: 'NaN', p: P.call }
  if (!Number.isFinite(x)) return { s: x > 0 ? 'Infinity' : '-Infinity', p: x > 0 ? P.call : P.unary }
  return x < 0 || Object.is(x, -0) ? { s: `-${literal(-x)}`, p: P.unary } : { s: literal(x), p: P.call }
}
/** The shortest of the usual spellings: 1e-5 rather than 0.00001. */
function literal(x: number): string {
  const plain = String(x).replace('e+', 'e')
  const exponent = x.toExponential().replace('e+', 'e')
  return exponent.length < plain.length ? exponent : plain
}

const plainUnary: Partial<Record<UnaryFn, string>> = {
  abs: 'Math.abs', sign: 'Math.sign', floor: 'Math.floor', ceil: 'Math.ceil', log: 'Math.log',
  log1p: 'Math.log1p', sqrt: 'Math.sqrt', sin: 'Math.sin', cos: 'Math.cos',
} // prettier-ignore
const operators: Partial<Record<BinaryFn, readonly [string, number]>> = {
  add: ['+', P.add], sub: ['-', P.add], mul: ['*', P.mul], div: ['/', P.mul], eq: ['===', P.equal], ne: ['!==', P.equal], lt: ['<', P.compare],
  le: ['<=', P.compare], gt: ['>', P.compare], ge: ['>=', P.compare], and: ['&&', P.and], or: ['||', P.or],
} // prettier-ignore

function expr(e: Expr, scope: Scope): Text {
  switch (e.k) {
    case 'const':
      return e.of === 'bool' ? { s: e.value !== 0 ? 'true' : 'false', p: P.call } : number(e.value)
    case 'index':
      return ix(e.ix, scope)
    case 'local':
      return { s: scope.local(e.v), p: P.call }
    case 'load': {
      const value: Text = { s: `${scope.buffer(e.buf)}[${flat(e.buf, e.at, scope)}]`, p: P.call }
      return e.of === 'bool' ? infix('!==', P.equal, value, number(0)) : value
    }
    case 'un': {
      const x = expr(e.x, scope)
      if (e.f === 'neg') return { s: `-${within(x, x.s.startsWith('-') ? P.call : P.unary)}`, p: P.unary }
      if (e.f === 'not') return { s: `!${within(x, P.unary)}`, p: P.unary }
      return call(plainUnary[e.f] ?? scope.helper(e.f as MathHelper), x)
    }
    case 'bin': {
      const [a, b] = [expr(e.a, scope), expr(e.b, scope)]
      const operator = operators[e.f]
      if (operator !== undefined) return infix(operator[0], operator[1], a, b, e.f !== 'and' && e.f !== 'or')
      if (e.f === 'floordiv') return call('Math.floor', infix('/', P.mul, a, b))
      return call(e.f === 'mod' ? scope.helper('mod') : `Math.${e.f}`, a, b)
    }
    case 'select': {
      const [c, x, y] = [e.c, e.x, e.y].map((q) => expr(q, scope))
      return { s: `${within(c, P.ternary + 1)} ? ${within(x, P.ternary)} : ${within(y, P.ternary)}`, p: P.ternary }
    }
    case 'splat':
    case 'vec':
    case 'lane':
    case 'across':
    case 'pairs':
      return noVectors(e)
    case 'cast':
      return castText(e.of, e.x, scope)
  }
}
function castText(to: Expr['of'], x: Expr, scope: Scope): Text {
  const text = expr(x, scope)
  if (to === 'bool') return x.of === 'bool' ? text : infix('!==', P.equal, text, number(0))
  if (x.of === 'bool') return { s: `${within(text, P.ternary + 1)} ? 1 : 0`, p: P.ternary }
  if (to === 'i32' && x.of !== 'i32') return call('Math.trunc', text)
  return text
}

/** A flat offset. */
export const flat = (b: Buffer, at: readonly Ix[], scope: Scope): string => ixText(offsetOf(b, at), scope)
/** The value as it is stored: a boolean as 0 or 1. */
export const storedText = (e: Expr, scope: Scope): string =>
  e.of === 'bool' ? castText('i32', e, scope).s : exprText(e, scope)
