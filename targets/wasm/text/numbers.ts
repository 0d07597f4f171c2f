/** Index polynomials and expressions as folded instructions: i32 positions, f32 and i32 values, truth values as 0 or 1, masks on lanes. */
import type { Buffer, Narrow } from '../../../src/kernel/buffer.ts'
import type { BinaryFn, Expr, Lanes, LaneFold, Local, PairFn, Scalar, UnaryFn } from '../../../src/kernel/expr.ts'
import { operands } from '../../../src/kernel/expr.ts'
import { inRange } from '../../../src/kernel/ranges.ts'
import { loadsOf } from '../../../src/kernel/walk.ts'
import type { Atom, Ix, Sym, Term } from '../../../src/types/ix.ts'
import { isConst, range } from '../../../src/types/ix.ts'
import type { MathFn } from '../math.ts'
import { f32x4, inlineMath, madd, mathFunctions, nmadd } from '../math.ts'
import { isConstantVector } from './constants.ts'
import type { WasmType } from './names.ts'
import type { Printer } from './printer.ts'
import type { Sx } from './sexp.ts'
import { f32Text, get, i32, set } from './sexp.ts'

/** How things are called where an expression is printed, and where the steps go that come before it. */
export interface Scope {
  readonly p: Printer
  readonly sym: (s: Sym) => string
  readonly local: (v: Local) => string
  /** A local for an intermediate value. */
  readonly temp: (wish: string, type: WasmType) => string
  /** Statements that run before what is being printed. */
  readonly out: Sx[]
  /** A byte address, and what the instruction adds to it. */
  readonly address: (b: Buffer, offset: Ix, scope: Scope) => { readonly base: Sx; readonly offset: number }
  /** A scope whose steps run under a condition. */
  readonly under: (out: Sx[]) => Scope
}

/** How an element of storage is read, written and counted in bytes. */
interface Storage {
  readonly bytes: number
  readonly type: 'f32' | 'i32'
}
const storages: Readonly<Partial<Record<Scalar, Storage>>> = {
  f32: { bytes: 4, type: 'f32' },
  i32: { bytes: 4, type: 'i32' },
  bool: { bytes: 4, type: 'i32' },
  pair: { bytes: 4, type: 'i32' },
}
const narrowBytes: Readonly<Record<Narrow, number>> = { u8: 1, f16: 2, bf16: 2, u8x2: 2 }
/** Bytes of an element in memory. */
export const bytesOf = (b: Buffer): number => (b.as ? narrowBytes[b.as] : storageOf(b.of).bytes)
export function storageOf(of: Scalar): Storage {
  const found = storages[of]
  if (found === undefined) throw new Error(`internal: no ${of} in WebAssembly kernels`)
  return found
}
export const wasmType = (of: Scalar, lanes: Lanes): WasmType => {
  if (lanes === 2) throw new Error('internal: two lanes')
  return lanes === 4 ? 'v128' : storageOf(of).type
}
const shapeOf = (of: Scalar): 'f32x4' | 'i32x4' => (of === 'f32' ? 'f32x4' : 'i32x4')

/** The operand as a name or a constant: what may be written twice. */
export function named(x: Sx, type: WasmType, scope: Scope, wish = 't'): Sx {
  if (typeof x !== 'string' && (x[0] === 'local.get' || /^(i32|f32|v128)\.const$/.test(String(x[0])))) return x
  if (isConstantVector(x)) return x
  const v = scope.temp(wish, type)
  scope.out.push(set(v, x))
  return get(v)
}

export function ix(x: Ix, scope: Scope): Sx {
  const terms = x.terms
  if (terms.length === 0) return i32(0)
  // A common factor is taken out: (i * T + j) * 768 + k.
  const scaled = terms.filter((t) => t.atoms.length > 0 && Math.abs(t.coef) > 1)
  const g = scaled.reduce((n, t) => gcd(n, Math.abs(t.coef)), 0)
  if (g > 1 && scaled.length > 1) {
    const inner = scaled.map((t) => ({ ...t, coef: t.coef / g }))
    const rest = terms.filter((t) => !scaled.includes(t))
    return sum(rest, scope, times(sum(inner, scope), g))
  }
  return sum(terms, scope)
}
const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

function sum(terms: readonly Term[], scope: Scope, head?: Sx): Sx {
  // A positive term first, so that nothing starts with a minus where that can be avoided; constants last.
  const order = [...terms].sort((a, b) => rank(a) - rank(b))
  let x = head
  for (const t of order) {
    if (x === undefined) x = t.coef < 0 ? times(product(t, scope), t.coef) : term(t, scope)
    else if (t.coef < 0) x = ['i32.sub', x, term({ ...t, coef: -t.coef }, scope)]
    else x = ['i32.add', x, term(t, scope)]
  }
  return x ?? i32(0)
}
const rank = (t: Term): number => (t.atoms.length === 0 ? 2 : t.coef < 0 ? 1 : 0)
const product = (t: Term, scope: Scope): Sx =>
  t.atoms.length === 0 ? i32(1) : t.atoms.map((a) => atom(a, scope)).reduce((a, b) => ['i32.mul', a, b])
function term(t: Term, scope: Scope): Sx {
  if (t.atoms.length === 0) return i32(t.coef)
  // x div 8 * 8 is x without its lowest bits.
  const at = t.atoms.findIndex((a) => a.k === 'div' && isPower(isConst(a.b)) && t.coef % isConst(a.b)! === 0)
  const a = t.atoms[at]
  if (a?.k !== 'div') return times(product(t, scope), t.coef)
  const n = isConst(a.b)!
  const whole: Sx = ['i32.and', ix(a.a, scope), i32(-n)]
  const others = t.atoms.filter((_, i) => i !== at)
  const all = others.length === 0 ? whole : (['i32.mul', product({ ...t, atoms: others }, scope), whole] as const)
  return times(all, t.coef / n)
}
const isPower = (n: number | undefined): boolean => n !== undefined && n > 0 && Number.isInteger(Math.log2(n))
function times(x: Sx, n: number): Sx {
  if (n === 1) return x
  if (typeof x !== 'string' && x[0] === 'i32.const') return i32(Number(x[1]) * n)
  return isPower(n) ? ['i32.shl', x, i32(Math.log2(n))] : ['i32.mul', x, i32(n)]
}

function atom(a: Atom, scope: Scope): Sx {
  switch (a.k) {
    case 'sym':
      return get(scope.sym(a))
    case 'div':
    case 'mod':
      return quotient(a.k, ix(a.a, scope), ix(a.b, scope), isConst(a.b), range(a.a).lo >= 0, scope)
    case 'min':
    case 'max':
      return extreme(a.k, ix(a.a, scope), ix(a.b, scope), scope)
    case 'value': {
      const e = expr(a.value as Expr, scope)
      return extreme('min', extreme('max', e, ix(a.lo, scope), scope), ix(a.hi, scope), scope)
    }
  }
}
/** `a div b` or `a mod b`, rounded down. */
function quotient(k: 'div' | 'mod', a: Sx, b: Sx, n: number | undefined, natural: boolean, scope: Scope): Sx {
  if (n !== undefined && isPower(n))
    return k === 'mod' ? ['i32.and', a, i32(n - 1)] : [natural ? 'i32.shr_u' : 'i32.shr_s', a, i32(Math.log2(n))]
  if (natural) return [k === 'mod' ? 'i32.rem_u' : 'i32.div_u', a, b]
  return ['call', scope.p.helper(k === 'mod' ? 'floor_mod' : 'floor_div'), a, b]
}
function extreme(k: 'min' | 'max', a: Sx, b: Sx, scope: Scope): Sx {
  const [x, y] = [named(a, 'i32', scope), named(b, 'i32', scope)]
  return ['select', x, y, [k === 'min' ? 'i32.lt_s' : 'i32.gt_s', x, y]]
}

/** A load or store instruction's operands: `offset=` and the address. */
export function place(b: Buffer, at: Ix, scope: Scope): readonly Sx[] {
  const { base, offset } = scope.address(b, at, scope)
  return offset === 0 ? [base] : [`offset=${offset}`, base]
}

export function expr(e: Expr, scope: Scope): Sx {
  switch (e.k) {
    case 'const':
      if (e.of === 'f32') return ['f32.const', f32Text(e.value)]
      return i32(e.of === 'bool' ? Number(e.value !== 0) : e.value)
    case 'index':
      return ix(e.ix, scope)
    case 'local':
      return get(scope.local(e.v))
    case 'load':
      return loaded(e, scope)
    case 'un':
      return unary(e.f, e.x, scope)
    case 'bin':
      return binary(e, scope)
    case 'select':
      return chosen(e, scope)
    case 'cast':
      return converted(e.of, e.x, scope)
    case 'splat':
      return splatted(e.x, scope)
    case 'vec':
      return vector(
        e.of,
        e.xs.map((x) => expr(x, scope)),
      )
    case 'lane': {
      const lane: Sx = [`${shapeOf(e.of)}.extract_lane`, String(e.i), expr(e.x, scope)]
      return e.of === 'bool' ? ['i32.and', lane, i32(1)] : lane
    }
    case 'across':
      return across(e.f, e.x, scope)
    case 'pairs':
      return ofPairs(e.f, e.xs, scope)
  }
}

function loaded(e: Expr & { k: 'load' }, scope: Scope): Sx {
  const where = place(e.buf, e.at[0], scope)
  if (e.buf.as) return widened(e.buf.as, wasmType(e.of, e.lanes) === 'v128', where)
  if (wasmType(e.of, e.lanes) !== 'v128') {
    const value: Sx = [`${storageOf(e.of).type}.load`, ...where]
    return e.of === 'bool' ? ['i32.ne', value, i32(0)] : value
  }
  const value: Sx = ['v128.load', ...where]
  return e.of === 'bool' ? ['i32x4.ne', value, zeros] : value
}
/** The elements of narrow storage as what they are computed with. */
function widened(as: Narrow, lanes: boolean, where: readonly Sx[]): Sx {
  if (!lanes)
    switch (as) {
      case 'u8':
        return ['i32.load8_u', ...where]
      case 'bf16':
        return ['f32.reinterpret_i32', ['i32.shl', ['i32.load16_u', ...where], i32(16)]]
      case 'f16':
        return ['f32.mul', ['f32.reinterpret_i32', ['i32.and', ['i32.shl', ['i32.load16_s', ...where], i32(13)], i32(halfBits)]], ['f32.const', f32Text(2 ** 112)]] // prettier-ignore
      default:
        throw new Error(`internal: one element of ${as}`)
    }
  switch (as) {
    case 'u8x2':
      return ['v128.load8x8_u', ...where]
    case 'bf16':
      return ['i32x4.shl', ['v128.load16x4_u', ...where], i32(16)]
    case 'f16':
      return ['f32x4.mul', ['v128.and', ['i32x4.shl', ['v128.load16x4_s', ...where], i32(13)], ['v128.const', 'i32x4', ...Array<string>(4).fill(String(halfBits))]], f32x4(2 ** 112)] // prettier-ignore
    default:
      throw new Error(`internal: vectors of ${as}`)
  }
}
/** Sign, exponent and fraction of a finite half, sign-extended and moved by 13; its exponent is off by 112. */
const halfBits = 0x8fffe000 | 0

function ofPairs(f: PairFn, xs: readonly Expr[], scope: Scope): Sx {
  if (!onLanes(xs[0])) throw new Error(`internal: ${f} of scalars`)
  const [a, b] = xs.map((x) => expr(x, scope))
  const all = (n: number): Sx => ['v128.const', 'i16x8', ...Array<string>(8).fill(String(n))]
  switch (f) {
    case 'odd':
      return ['i32x4.shr_s', a, i32(16)]
    case 'even':
      return ['i32x4.shr_s', ['i32x4.shl', a, i32(16)], i32(16)]
    case 'low4':
      return ['v128.and', a, all(15)]
    case 'high4':
      return ['i16x8.shr_u', a, i32(4)]
    case 'low8':
      return ['v128.and', a, all(255)]
    case 'high8':
      return ['i16x8.shr_u', a, i32(8)]
    case 'dot':
      return ['i32x4.dot_i16x8_s', a, b]
    case 'narrow':
      return ['i16x8.narrow_i32x4_s', a, b]
  }
}
const zeros: Sx = ['v128.const', 'i32x4', '0', '0', '0', '0']
const ones: Sx = ['i32x4.splat', i32(1)]

function splatted(x: Expr, scope: Scope): Sx {
  if (x.k === 'const' && Object.is(x.value, 0)) return zeros
  if (x.k === 'const' && x.of === 'f32') return f32x4(x.value)
  if (x.k === 'const') return ['i32x4.splat', i32(x.of === 'bool' ? -1 : x.value)]
  if (x.k === 'load' && x.of !== 'bool' && !x.buf.as) return ['v128.load32_splat', ...place(x.buf, x.at[0], scope)]
  const value = expr(x, scope)
  return [`${shapeOf(x.of)}.splat`, x.of === 'bool' ? ['i32.sub', i32(0), value] : value]
}
function vector(of: Scalar, xs: readonly Sx[]): Sx {
  const type = shapeOf(of)
  const isNumber = (x: Sx): x is readonly Sx[] => x[0] === 'f32.const' || x[0] === 'i32.const'
  if (of !== 'bool' && xs.every(isNumber)) return ['v128.const', type, ...xs.map((x) => x[1])]
  const lanes = of === 'bool' ? xs.map((x): Sx => ['i32.sub', i32(0), x]) : xs
  return lanes
    .slice(1)
    .reduce<Sx>((v, x, i) => [`${type}.replace_lane`, String(i + 1), v, x], [`${type}.splat`, lanes[0]])
}

const laneFolds: Readonly<Record<LaneFold, BinaryFn>> = { add: 'add', mul: 'mul', max: 'max', min: 'min' }
/** Pairs first: (0, 1), (2, 3). */
function across(f: LaneFold, x: Expr, scope: Scope): Sx {
  const v = named(expr(x, scope), 'v128', scope, 'lanes')
  const swapped: Sx = ['i8x16.shuffle', ...[4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11].map(String), v, v]
  const pairs = named(combine(laneFolds[f], x.of, 4, v, swapped, scope), 'v128', scope, 'pairs')
  const extract = (i: number): Sx => [`${shapeOf(x.of)}.extract_lane`, String(i), pairs]
  return combine(laneFolds[f], x.of, 1, extract(0), extract(2), scope)
}

/** A branch must not run unless it is chosen: its loads may leave their buffers, or it takes long. */
function mustBranch(e: Expr): boolean {
  if (loadsOf(e).some((l) => !inRange(l))) return true
  return isSlow(e)
}
const isSlow = (e: Expr): boolean =>
  (e.k === 'un' && e.f in mathFunctions) || (e.k === 'bin' && e.f === 'pow') || operands(e).some(isSlow)

function chosen(e: Expr & { k: 'select' }, scope: Scope): Sx {
  if (e.c.lanes > 1) {
    const [c, x, y] = [e.c, e.x, e.y].map((q) => expr(q, scope))
    return ['v128.bitselect', x, y, c]
  }
  const c = expr(e.c, scope)
  if (!mustBranch(e.x) && !mustBranch(e.y)) return ['select', expr(e.x, scope), expr(e.y, scope), c]
  const branch = (word: string, x: Expr): Sx => {
    const out: Sx[] = []
    const value = expr(x, scope.under(out))
    return [word, ...out, value]
  }
  return ['if', ['result', wasmType(e.of, e.lanes)], c, branch('then', e.x), branch('else', e.y)]
}

const onLanes = (e: Expr): e is Expr & { lanes: 4 } => wasmType(e.of, e.lanes) === 'v128'

function unary(f: UnaryFn, x: Expr, scope: Scope): Sx {
  const v = expr(x, scope)
  const lanes = onLanes(x)
  const type = lanes ? shapeOf(x.of) : storageOf(x.of).type
  if (f === 'not') return lanes ? ['v128.not', v] : ['i32.eqz', v]
  if (f in mathFunctions) return mathCall(f as MathFn, lanes, [v], scope)
  if (x.of === 'f32') {
    if (f !== 'sign') return [`${type}.${f === 'round' ? 'nearest' : f}`, v]
    const y = named(v, wasmType(x.of, x.lanes), scope)
    return lanes
      ? ['f32x4.sub', ['v128.and', ['f32x4.gt', y, zeros], f32x4(1)], ['v128.and', ['f32x4.lt', y, zeros], f32x4(1)]]
      : ['f32.convert_i32_s', ['i32.sub', ['f32.gt', y, ['f32.const', '0']], ['f32.lt', y, ['f32.const', '0']]]]
  }
  switch (f) {
    case 'neg':
      return lanes ? ['i32x4.neg', v] : ['i32.sub', i32(0), v]
    case 'abs': {
      if (lanes) return ['i32x4.abs', v]
      const y = named(v, 'i32', scope)
      return ['select', y, ['i32.sub', i32(0), y], ['i32.ge_s', y, i32(0)]]
    }
    case 'sign': {
      const y = named(v, lanes ? 'v128' : 'i32', scope)
      return lanes
        ? ['i32x4.sub', ['i32x4.lt_s', y, zeros], ['i32x4.gt_s', y, zeros]]
        : ['i32.sub', ['i32.gt_s', y, i32(0)], ['i32.lt_s', y, i32(0)]]
    }
    case 'floor':
    case 'ceil':
    case 'round':
      return v
    default:
      throw new Error(`internal: ${f} of ${x.of}`)
  }
}

function mathCall(f: MathFn, lanes: boolean, xs: readonly Sx[], scope: Scope): Sx {
  const { p, out } = scope
  if (!lanes) return ['call', p.helper(`${f}_scalar`), ...xs]
  if (!mathFunctions[f].inline) return ['call', p.helper(f), ...xs]
  const operands = xs.map((x) => named(x, 'v128', scope, 'x'))
  return inlineMath(f, operands, out, p.relaxed, (wish) => scope.temp(wish, 'v128'))
}

const isProduct = (e: Expr): e is Expr & { k: 'bin' } => e.k === 'bin' && e.f === 'mul'

function binary(e: Expr & { k: 'bin' }, scope: Scope): Sx {
  const { f, a, b } = e
  // A sum with a product, where they may be one instruction.
  if (scope.p.relaxed && a.of === 'f32' && onLanes(a) && (f === 'add' || f === 'sub')) {
    const fused = f === 'add' ? madd : nmadd
    const [product, other] = isProduct(b) ? [b, a] : f === 'add' && isProduct(a) ? [a, b] : []
    if (product !== undefined && other !== undefined) {
      const rest = expr(other, scope)
      return fused(true, expr(product.a, scope), expr(product.b, scope), rest)
    }
  }
  if (a.of === 'i32' && (f === 'floordiv' || f === 'mod')) return integerQuotient(f, e, scope)
  return combine(f, a.of, a.lanes, expr(a, scope), expr(b, scope), scope)
}

function integerQuotient(f: 'floordiv' | 'mod', { a, b }: Expr & { k: 'bin' }, scope: Scope): Sx {
  const k = f === 'mod' ? 'mod' : 'div'
  const by = b.k === 'splat' ? b.x : b
  const n = by.k === 'const' ? by.value : by.k === 'index' ? isConst(by.ix) : undefined
  const natural = a.k === 'index' && range(a.ix).lo >= 0 && n !== undefined && n > 0
  if (!onLanes(a)) return quotient(k, expr(a, scope), expr(b, scope), n, natural, scope)
  const [x, y] = [a, b].map((q) => named(expr(q, scope), 'v128', scope))
  if (n !== undefined && isPower(n))
    return k === 'mod' ? ['v128.and', x, ['i32x4.splat', i32(n - 1)]] : ['i32x4.shr_s', x, i32(Math.log2(n))]
  const lane = (v: Sx, i: number): Sx => ['i32x4.extract_lane', String(i), v]
  return vector('i32', [0, 1, 2, 3].map((i) => quotient(k, lane(x, i), lane(y, i), n, false, scope))) // prettier-ignore
}

const comparisons: Partial<Record<BinaryFn, string>> = { eq: 'eq', ne: 'ne', lt: 'lt', le: 'le', gt: 'gt', ge: 'ge' }
const arithmetic: Partial<Record<BinaryFn, string>> = { add: 'add', sub: 'sub', mul: 'mul', div: 'div' }
const logic: Partial<Record<BinaryFn, string>> = { and: 'and', or: 'or' }

/** An operation on printed operands. */
function combine(f: BinaryFn, of: Scalar, lanes: Lanes, a: Sx, b: Sx, scope: Scope): Sx {
  const whole = wasmType(of, lanes) === 'v128'
  const type = whole ? shapeOf(of) : storageOf(of).type
  const compared = comparisons[f]
  if (compared !== undefined)
    return [`${type}.${compared}${of !== 'f32' && f !== 'eq' && f !== 'ne' ? '_s' : ''}`, a, b]
  if (logic[f] !== undefined) return [`${whole ? 'v128' : 'i32'}.${logic[f]}`, a, b]
  if (arithmetic[f] !== undefined && !(f === 'div' && of !== 'f32')) return [`${type}.${arithmetic[f]}`, a, b]
  if (f === 'min' || f === 'max') {
    if (of === 'f32') return [whole ? `${type}.p${f}` : `${type}.${f}`, a, b]
    return whole ? [`${type}.${f}_s`, a, b] : extreme(f, a, b, scope)
  }
  if (of === 'f32' && f === 'pow') return mathCall('pow', whole, [a, b], scope)
  if (of === 'f32' && f === 'floordiv') return [`${type}.floor`, [`${type}.div`, a, b]]
  if (of === 'f32' && f === 'mod') {
    const [x, y] = [a, b].map((q) => named(q, wasmType(of, lanes), scope))
    return [`${type}.sub`, x, [`${type}.mul`, y, [`${type}.floor`, [`${type}.div`, x, y]]]]
  }
  throw new Error(`internal: ${f} of ${of}`)
}

function converted(to: Scalar, x: Expr, scope: Scope): Sx {
  const v = expr(x, scope)
  if (to === x.of) return v
  const lanes = onLanes(x)
  storageOf(to)
  if (x.of === 'bool') {
    if (lanes) return ['v128.and', v, to === 'f32' ? f32x4(1) : ones]
    return to === 'f32' ? ['f32.convert_i32_s', v] : v
  }
  if (to === 'bool') {
    if (x.of === 'f32') return lanes ? ['f32x4.ne', v, zeros] : ['f32.ne', v, ['f32.const', '0']]
    return lanes ? ['i32x4.ne', v, zeros] : ['i32.ne', v, i32(0)]
  }
  if (to === 'f32') return [lanes ? 'f32x4.convert_i32x4_s' : 'f32.convert_i32_s', v]
  return [lanes ? 'i32x4.trunc_sat_f32x4_s' : 'i32.trunc_sat_f32_s', v]
}

/** The value as it is stored: truth values as 0 or 1. */
export function storedExpr(e: Expr, scope: Scope): Sx {
  const value = expr(e, scope)
  return e.of === 'bool' && onLanes(e) ? ['v128.and', value, ones] : value
}
