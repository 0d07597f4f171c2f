/**
 * Functions that the instruction set lacks, each described once on four lanes; the scalar form is lane 0 of the same. Accuracies were
 * measured against float64 (docs/targets/wasm.md has the table).
 */
import type { WasmType } from './text/names.ts'
import { locals } from './text/names.ts'
import type { Sx } from './text/sexp.ts'
import { f32Text, get, set } from './text/sexp.ts'

export type MathFn = 'exp' | 'expm1' | 'log' | 'log1p' | 'tanh' | 'erf' | 'sin' | 'cos' | 'pow'

/** Where the steps of a function go. */
export interface MathScope {
  readonly relaxed: boolean
  /** Only lane 0 of the result will be read. */
  readonly scalar: boolean
  /** A name for a step. */
  readonly step: (name: string, x: Sx) => Sx
}
export interface MathText {
  readonly doc: string
  readonly params: readonly string[]
  /** Printed where it is used: V8 does not inline functions of a module, and rebuilds the constants of one with each call. */
  readonly inline: boolean
  /** Operands are names or constants. */
  readonly body: (g: MathScope, ...xs: readonly Sx[]) => Sx
}

const mul = (a: Sx, b: Sx): Sx => ['f32x4.mul', a, b]
const add = (a: Sx, b: Sx): Sx => ['f32x4.add', a, b]
const sub = (a: Sx, b: Sx): Sx => ['f32x4.sub', a, b]
const div = (a: Sx, b: Sx): Sx => ['f32x4.div', a, b]
const bits = (x: number): Sx => ['i32x4.splat', ['i32.const', `0x${x.toString(16)}`]]
const pick = (x: Sx, y: Sx, mask: Sx): Sx => ['v128.bitselect', x, y, mask]
/** A number in all lanes. */
export const f32x4 = (x: number): Sx => ['f32x4.splat', ['f32.const', f32Text(x)]]
const f64x2 = (x: number): Sx => ['f64x2.splat', ['f64.const', String(x)]]
const i64x2 = (x: string): Sx => ['i64x2.splat', ['i64.const', x]]

/** a * b + c, and c - a * b: in one rounding in the relaxed form. */
export const madd = (relaxed: boolean, a: Sx, b: Sx, c: Sx): Sx =>
  relaxed ? ['f32x4.relaxed_madd', a, b, c] : ['f32x4.add', ['f32x4.mul', a, b], c]
export const nmadd = (relaxed: boolean, a: Sx, b: Sx, c: Sx): Sx =>
  relaxed ? ['f32x4.relaxed_nmadd', a, b, c] : ['f32x4.sub', c, ['f32x4.mul', a, b]]

/** Horner's scheme; coefficients from the highest power down. */
function polynomial(g: MathScope, x: Sx, coefficients: readonly number[]): Sx {
  const [first, ...rest] = coefficients.map(f32x4)
  return rest.reduce((p, c) => g.step('p', madd(g.relaxed, p, x, c)), first)
}

/** Both halves of the lanes in f64, and back. */
function inDouble(g: MathScope, xs: readonly Sx[], f: (xs: readonly Sx[]) => Sx): Sx {
  const half = (x: Sx, i: number): Sx => g.step(`d${i}`, ['f64x2.promote_low_f32x4', x])
  const low = g.step('low', ['f32x4.demote_f64x2_zero', f(xs.map(half))])
  if (g.scalar) return low
  const upper = (x: Sx): Sx => ['i8x16.shuffle', ...range(8, 16), ...range(8, 16), x, x]
  const high = ['f32x4.demote_f64x2_zero', f(xs.map((x, i) => half(upper(x), i)))]
  return ['i8x16.shuffle', ...range(0, 8), ...range(16, 24), low, high]
}
const range = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i))

/** 1.5 * 2^23, 1.5 * 2^52: added to a number of moderate size, they leave its nearest integer in the lowest bits. */
const shifter = 12582912
const shifter64 = 6755399441055744

/** e^r for |r| <= ln(2) / 2 within 4e-9: minimax, with coefficients of f32. */
const expSeries = [0.0013820734, 0.0083686775, 0.041668266, 0.16666521, 0.49999994, 1, 1]

function exp(g: MathScope, x: Sx): Sx {
  const y = g.step('y', ['f32x4.pmin', x, f32x4(88.72283)])
  const shifted = g.step('n', madd(g.relaxed, y, f32x4(Math.LOG2E), f32x4(shifter)))
  const n = g.step('m', sub(shifted, f32x4(shifter)))
  const high = g.step('r', nmadd(g.relaxed, n, f32x4(0.693359375), y))
  const r = g.step('r', nmadd(g.relaxed, n, f32x4(-2.1219444e-4), high))
  const p = polynomial(g, r, expSeries)
  const scaled: Sx = ['i32x4.add', p, ['i32x4.shl', shifted, ['i32.const', '23']]]
  return ['v128.and', scaled, ['f32x4.gt', x, f32x4(-87.33654)]]
}

function expm1(g: MathScope, x: Sx): Sx {
  const small = polynomial(g, x, [2.7557319e-7, 2.7557319e-6, 2.4801587e-5, 1.9841270e-4, 1.3888889e-3, 8.3333333e-3, 4.1666667e-2, 1.6666667e-1, 0.5]) // prettier-ignore
  const near = g.step('near', madd(g.relaxed, g.step('square', mul(x, x)), small, x))
  const far = g.step('far', sub(g.step('e', exp(g, x)), f32x4(1)))
  return pick(near, far, ['f32x4.lt', ['f32x4.abs', x], f32x4(0.7)])
}

function log(g: MathScope, x: Sx): Sx {
  const tiny = g.step('tiny', ['f32x4.lt', x, f32x4(2 ** -126)])
  const y = g.step('y', pick(mul(x, f32x4(2 ** 23)), x, tiny))
  // Exponent and mantissa between the roots of 1/2 and 2.
  const over = g.step('over', ['i32x4.shr_s', ['i32x4.sub', y, bits(0x3f3504f3)], ['i32.const', '23']])
  const m = ['i32x4.sub', y, ['i32x4.shl', over, ['i32.const', '23']]]
  const f = g.step('f', sub(m, f32x4(1)))
  const e = g.step('e', sub(['f32x4.convert_i32x4_s', over], ['v128.and', tiny, f32x4(23)]))
  const square = g.step('square', mul(f, f))
  const p = polynomial(g, f, [7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1]) // prettier-ignore
  const tail = g.step('p', madd(g.relaxed, p, f, f32x4(-0.5)))
  const low = g.step('low', madd(g.relaxed, e, f32x4(-2.1219444e-4), mul(square, tail)))
  return madd(g.relaxed, e, f32x4(0.693359375), add(f, low))
}

function log1p(g: MathScope, x: Sx): Sx {
  const u = g.step('u', add(x, f32x4(1)))
  // What was lost in the sum, to first order.
  const lost = g.step('lost', div(sub(x, sub(u, f32x4(1))), ['f32x4.pmax', u, f32x4(2 ** -126)]))
  return add(log(g, u), lost)
}

/** x times a ratio of polynomials in x². */
function odd(g: MathScope, x: Sx, most: number, above: readonly number[], below: readonly number[]): Sx {
  const y = g.step('y', ['f32x4.pmax', ['f32x4.pmin', x, f32x4(most)], f32x4(-most)])
  const square = g.step('square', mul(y, y))
  const p = polynomial(g, square, above)
  const numerator = g.step('numerator', mul(y, p))
  return div(numerator, polynomial(g, square, below))
}
const tanh = (g: MathScope, x: Sx): Sx =>
  odd(
    g, x, 7.90531110763549805,
    [-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-8, 1.48572235717979e-5, 6.37261928875436e-4, 4.89352455891786e-3],
    [1.19825839466702e-6, 1.18534705686654e-4, 2.268434632439e-3, 4.89352518554385e-3],
  ) // prettier-ignore
const erf = (g: MathScope, x: Sx): Sx =>
  odd(
    g, x, 4,
    [-2.72614225801306e-10, 2.77068142495902e-8, -2.10102402082508e-6, -5.69250639462346e-5, -7.34990630326855e-4, -2.95459980854025e-3, -1.60960333262415e-2],
    [-1.45660718464996e-5, -2.13374055278905e-4, -1.68282697438203e-3, -7.37332916720468e-3, -1.42647390514189e-2],
  ) // prettier-ignore

function polynomial64(g: MathScope, x: Sx, coefficients: readonly number[]): Sx {
  const [first, ...rest] = coefficients.map(f64x2)
  return rest.reduce((p, c) => g.step('p', ['f64x2.add', ['f64x2.mul', p, x], c]), first)
}
const mul64 = (a: Sx, b: Sx): Sx => ['f64x2.mul', a, b]

/** sin(x + quarters * pi / 2): x less the nearest multiple of pi / 2, in f64. */
const sine = (quarters: 0 | 1) => (g: MathScope, x: Sx) =>
  inDouble(g, [x], ([d]) => {
    const shifted = g.step('n', ['f64x2.add', mul64(d, f64x2(2 / Math.PI)), f64x2(shifter64)])
    const n = g.step('m', ['f64x2.sub', shifted, f64x2(shifter64)])
    const high = g.step('r', ['f64x2.sub', d, mul64(n, f64x2(1.57079632673412561417))])
    const r = g.step('r', ['f64x2.sub', high, mul64(n, f64x2(6.07710050650619224932e-11))])
    const z = g.step('z', mul64(r, r))
    const odd = g.step('s', mul64(r, polynomial64(g, z, [1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1])))
    const even = polynomial64(g, z, [-1 / 3628800, 1 / 40320, -1 / 720, 1 / 24, -1 / 2, 1])
    const q = g.step('n', quarters === 0 ? shifted : ['i64x2.add', shifted, i64x2('1')])
    const mask = ['i64x2.sub', i64x2('0'), ['v128.and', q, i64x2('1')]]
    const value = g.step('s', pick(even, odd, mask))
    return ['v128.xor', value, ['v128.and', ['i64x2.shl', q, ['i32.const', '62']], i64x2('0x8000000000000000')]]
  })

/** exp2(y * log2|x|) in f64; the sign of a negative x survives an odd y. */
function pow(g: MathScope, x: Sx, y: Sx): Sx {
  const size = inDouble(g, [['f32x4.abs', x], y], ([a, b]) => {
    const over = g.step('over', ['i64x2.sub', a, i64x2('0x3fe6a09e667f3bcd')])
    const m = g.step('m', ['i64x2.sub', a, ['v128.and', over, i64x2('0xfff0000000000000')]])
    const e: Sx = ['i64x2.add', ['i64x2.shr_s', over, ['i32.const', '52']], i64x2('0x4338000000000000')]
    const exponent = g.step('e', ['f64x2.sub', e, f64x2(shifter64)])
    const s = g.step('s', ['f64x2.div', ['f64x2.sub', m, f64x2(1)], ['f64x2.add', m, f64x2(1)]])
    const square = g.step('z', mul64(s, s))
    const series = polynomial64(
      g,
      square,
      [15, 13, 11, 9, 7, 5, 3, 1].map((n) => (2 * Math.LOG2E) / n),
    )
    const log2 = g.step('l', ['f64x2.add', exponent, mul64(s, series)])
    const product = ['f64x2.pmin', mul64(b, log2), f64x2(128)]
    const p = g.step('t', ['f64x2.pmax', product, f64x2(-1000)])
    const shifted = g.step('n', ['f64x2.add', p, f64x2(shifter64)])
    const r = g.step('r', mul64(['f64x2.sub', p, ['f64x2.sub', shifted, f64x2(shifter64)]], f64x2(Math.LN2)))
    const inverse = [1]
    for (let n = 1; n <= 10; n++) inverse.unshift(inverse[0] / n)
    const power = polynomial64(g, r, inverse)
    const scaled: Sx = ['i64x2.add', power, ['i64x2.shl', shifted, ['i32.const', '52']]]
    return ['f64x2.pmin', scaled, f64x2(3.4028234663852886e38)]
  })
  const value = g.step('p', size)
  const parity = g.step('half', mul(y, f32x4(0.5)))
  const negative = ['v128.and', ['f32x4.lt', x, f32x4(0)], ['f32x4.ne', ['f32x4.nearest', parity], parity]]
  const signed = g.step('p', ['v128.xor', value, ['v128.and', negative, f32x4(-0)]])
  const atZero = pick(f32x4(1), ['v128.and', ['f32x4.lt', y, f32x4(0)], f32x4(3.4028234663852886e38)], ['f32x4.eq', y, f32x4(0)]) // prettier-ignore
  return pick(atZero, signed, ['f32x4.eq', x, f32x4(0)])
}

export const mathFunctions: Readonly<Record<MathFn, MathText>> = {
  exp: { doc: 'e^x: 2^n * e^r with |r| <= ln(2) / 2; 0 below the normal numbers, 3.4028e38 above them.', params: ['x'], inline: true, body: exp },
  expm1: { doc: 'e^x - 1: its series for |x| < 0.7.', params: ['x'], inline: true, body: expm1 },
  log: { doc: 'Natural logarithm for x > 0: exponent and mantissa apart.', params: ['x'], inline: true, body: log },
  log1p: { doc: 'log(1 + x), also for small x.', params: ['x'], inline: true, body: log1p },
  tanh: { doc: 'tanh: x times a ratio of polynomials in x^2.', params: ['x'], inline: true, body: tanh },
  erf: { doc: 'Error function: x times a ratio of polynomials in x^2.', params: ['x'], inline: true, body: erf },
  sin: { doc: 'Sine, in f64.', params: ['x'], inline: false, body: sine(0) },
  cos: { doc: 'Cosine, in f64.', params: ['x'], inline: false, body: sine(1) },
  pow: { doc: 'x^y as 2^(y * log2|x|), in f64; the sign of a negative x survives an odd y.', params: ['x', 'y'], inline: false, body: pow },
} // prettier-ignore

/** The steps of a function where it is used; gives its result. `local` makes names, each for all steps that wish for it. */
export function inlineMath(
  f: MathFn,
  operands: readonly Sx[],
  out: Sx[],
  relaxed: boolean,
  local: (wish: string) => string,
): Sx {
  const names = new Map<string, string>()
  const step = (wish: string, x: Sx): Sx => {
    let v = names.get(wish)
    if (v === undefined) names.set(wish, (v = local(`${f}_${wish}`)))
    out.push(set(v, x))
    return get(v)
  }
  return mathFunctions[f].body({ relaxed, scalar: false, step }, ...operands)
}

/** A function on four lanes (v128 to v128), or on lane 0 (f32 to f32). */
export function mathFunction(
  f: MathText,
  name: string,
  scalar: boolean,
  { relaxed }: { readonly relaxed: boolean },
): readonly Sx[] {
  const own = locals()
  const type: WasmType = scalar ? 'f32' : 'v128'
  const params = f.params.map((p) => own.param(p))
  const lines: Sx[] = []
  const steps = new Map<string, string>()
  const step = (wish: string, x: Sx): Sx => {
    let v = steps.get(wish)
    if (v === undefined) steps.set(wish, (v = own.local(wish, 'v128')))
    lines.push(set(v, x))
    return get(v)
  }
  const operands = params.map((p, i): Sx => (scalar ? step(`${f.params[i]}s`, ['f32x4.splat', get(p)]) : get(p)))
  const result = f.body({ relaxed, scalar, step }, ...operands)
  return [
    'func',
    name,
    `;; ${f.doc}`,
    ...params.map((p) => ['param', p, type]),
    ['result', type],
    ...own.declared().map(([n, t]) => ['local', n, t]),
    ...lines,
    scalar ? ['f32x4.extract_lane', '0', result] : result,
  ]
}
