/**
 * Functions whose WGSL built-in is missing or too loose (WGSL 14.6.2 "Floating Point Accuracy" lets tanh, log, sin and pow inherit errors of
 * their parts; software adapters were seen off by 1e-4, 2e-5 and 1e-3). Printed once into a kernel that uses them, after those they need.
 * Reductions and polynomials are those of Cephes' single-precision library (Moshier 1992, `expf.c`, `logf.c`, `sinf.c`, `tanhf.c`); erf as noted.
 * `relative`: the largest relative error seen over the given range on a device with exact + - * (docs/targets/wgsl.md has the table).
 */
import type { DecodeHelper } from './decode.ts'
import { decodeHelpers } from './decode.ts'

export type MathHelper =
  | DecodeHelper | 'exp' | 'expm1' | 'log' | 'log_near_one' | 'log1p' | 'tanh' | 'erf' | 'sin' | 'cos' | 'sine_at' | 'pow' | 'floor_div' | 'floor_mod' | 'float_mod' | 'is_nan' // prettier-ignore

export interface HelperText {
  /** The function's name in WGSL, where no name of the model takes it. */
  readonly name: string
  readonly doc: string
  readonly needs: readonly MathHelper[]
  readonly params: string
  readonly result: 'f32' | 'i32' | 'bool' | 'vec4f'
  /** Lines; `$name` stands for the name of a needed helper. */
  readonly body: readonly string[]
  /** The same for devices that have a feature. */
  readonly form?: { readonly feature: 'shader-f16'; readonly body: readonly string[] }
}

const f32 = (name: string, doc: string, body: readonly string[], needs: readonly MathHelper[] = []): HelperText => ({
  name,
  doc,
  needs,
  params: 'x: f32',
  result: 'f32',
  body,
})

export const mathHelpers: Readonly<Record<MathHelper, HelperText>> = {
  exp: f32('exp_f32', 'exp within 2e-7: 2^n * e^r with |r| <= ln(2)/2; 0 below -103, largest finite value above 88.72.', [
    'let c = clamp(x, -104.0, 88.72);',
    'let n = round(c * 1.44269504);',
    'let r = (c - n * 0.693359375) + n * 2.12194440e-4;',
    'let high = (1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3;',
    'let p = (((high * r + 4.1665795894e-2) * r + 1.6666665459e-1) * r + 5.0000001201e-1) * r * r + r + 1.0;',
    'let half = i32(n) / 2;',
    'let scaled = p * bitcast<f32>((half + 127) << 23u) * bitcast<f32>((i32(n) - half + 127) << 23u);',
    'return select(scaled, 0.0, x < -103.0);',
  ]),
  expm1: f32('expm1_f32', 'exp(x) - 1 within 4e-7: its series for |x| < 0.7.', [
    'if (abs(x) >= 0.7) { return $exp(x) - 1.0; }',
    'let high = (((2.7557319e-7 * x + 2.7557319e-6) * x + 2.4801587e-5) * x + 1.9841270e-4) * x + 1.3888889e-3;',
    'return x + x * x * (0.5 + x * (1.6666667e-1 + x * (4.1666667e-2 + x * (8.3333333e-3 + x * high))));',
  ], ['exp']),
  log_near_one: f32('log_near_one', 'log(1 + x) for -0.293 <= x <= 0.415.', [
    'let high = ((7.0376836292e-2 * x - 1.1514610310e-1) * x + 1.1676998740e-1) * x - 1.2420140846e-1;',
    'let low = (((high * x + 1.4249322787e-1) * x - 1.6668057665e-1) * x + 2.0000714765e-1) * x - 2.4999993993e-1;',
    'return x + (x * x * (x * (low * x + 3.3333331174e-1) - 0.5));',
  ]),
  log: f32('log_f32', 'Natural logarithm within 3e-7 for normal x > 0: exponent and mantissa apart.', [
    'let bits = bitcast<i32>(x);',
    'let m = bitcast<f32>((bits & 0x7fffff) | 0x3f000000);',
    'let small = m < 0.70710678;',
    'let e = f32((bits >> 23u) - select(126, 127, small));',
    'return ($log_near_one(select(m, m + m, small) - 1.0) - e * 2.12194440e-4) + e * 0.693359375;',
  ], ['log_near_one']),
  log1p: f32('log1p_f32', 'log(1 + x) within 3e-7, also for small x.', [
    'if (x >= -0.29 && x <= 0.41) { return $log_near_one(x); }',
    'return $log(1.0 + x);',
  ], ['log_near_one', 'log']),
  tanh: f32('tanh_f32', 'tanh within 3e-7: a polynomial for |x| < 0.625, else 1 - 2 / (exp(2|x|) + 1).', [
    'let z = abs(x);',
    'if (z >= 0.625) {',
    '  let y = 1.0 - 2.0 / ($exp(2.0 * min(z, 10.0)) + 1.0);',
    '  return select(y, -y, x < 0.0);',
    '}',
    'let s = x * x;',
    'let p = (((-5.70498872745e-3 * s + 2.06390887954e-2) * s - 5.37397155531e-2) * s + 1.33314422036e-1) * s - 3.33332819422e-1;',
    'return p * s * x + x;',
  ], ['exp']),
  erf: f32('erf_f32', 'Error function within 3e-7: x times a polynomial in x^2 up to 1, else 1 - exp(-x^2) times one in 1 / (1 + |x| / 2).', [
    'let z = abs(x);',
    'if (z <= 1.0) {',
    '  let q = x * x;',
    '  let high = 5.22378502e-3 + q * (-8.54267083e-4 + q * (1.19569497e-4 + q * (-1.39117181e-5 + q * 1.05955317e-6)));',
    '  return x * (1.12837916709 + q * (-0.376126388899 + q * (0.112837913136 + q * (-2.68661336293e-2 + q * high))));',
    '}',
    'let t = 1.0 / (1.0 + 0.5 * z);',
    'let high = 7.09901375096e-2 + t * (0.270653561431 + t * (-0.167630999768 + t * (-5.89210038792e-2 + t * 4.53795527356e-2)));',
    'let low = -3.66256934653e-5 + t * (0.282864691398 + t * (0.275145741206 + t * (0.281768037546 + t * high)));',
    'let y = 1.0 - $exp(-min(z * z, 40.0)) * low;',
    'return select(y, -y, x < 0.0);',
  ], ['exp']),
  sine_at: {
    name: 'sine_at', needs: [], params: 'x: f32, quarters: i32', result: 'f32',
    doc: 'sin(x + quarters * pi / 2), within 2e-7 absolutely for |x| <= 8192: x less the nearest multiple of pi / 2, in three parts.',
    body: [
      'let n = round(x * 0.636619772);',
      'let r = ((x - n * 1.5703125) - n * 4.837512969970703125e-4) - n * 7.549789948768648e-8;',
      'let q = i32(n) + quarters;',
      'let z = r * r;',
      'let sine = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;',
      'let cosine = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;',
      'let y = select(sine, cosine, (q & 1) == 1);',
      'return select(y, -y, (q & 2) == 2);',
    ],
  },
  sin: f32('sin_f32', 'Sine, within 2e-7 absolutely for |x| <= 8192.', ['return $sine_at(x, 0);'], ['sine_at']),
  cos: f32('cos_f32', 'Cosine, within 2e-7 absolutely for |x| <= 8192.', ['return $sine_at(x, 1);'], ['sine_at']),
  pow: {
    name: 'pow_f32', needs: ['exp', 'log'], params: 'x: f32, y: f32', result: 'f32',
    doc: 'x^y as exp(y log|x|), within (2 + 2|y log x|) * 1.2e-7; exact for y = 2; the sign of a negative x survives an odd y.',
    body: [
      'if (y == 2.0) { return x * x; }',
      'if (x == 0.0 || y == 0.0) { return select(0.0, 1.0, y == 0.0); }',
      'let p = $exp(y * $log(abs(x)));',
      'return select(p, -p, x < 0.0 && (i32(y) & 1) == 1);',
    ],
  },
  floor_div: {
    name: 'floor_div', needs: [], params: 'a: i32, b: i32', result: 'i32', doc: 'Quotient towards minus infinity.',
    body: ['let q = a / b;', 'return select(q, q - 1, a % b != 0 && (a < 0) != (b < 0));'],
  },
  floor_mod: {
    name: 'floor_mod', needs: [], params: 'a: i32, b: i32', result: 'i32', doc: 'Remainder with the sign of the divisor.',
    body: ['let r = a % b;', 'return select(r, r + b, r != 0 && (r < 0) != (b < 0));'],
  },
  is_nan: {
    name: 'is_nan', needs: [], params: 'x: f32', result: 'bool', doc: 'Whether x is no number, by its bits.',
    body: ['return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;'],
  },
  float_mod: {
    name: 'float_mod', needs: [], params: 'a: f32, b: f32', result: 'f32', doc: 'Remainder with the sign of the divisor.',
    body: ['return a - b * floor(a / b);'],
  },
  ...decodeHelpers,
} // prettier-ignore

/** The helpers asked for and those that they need, each after its needs. */
export function withNeeds(asked: Iterable<MathHelper>): readonly MathHelper[] {
  const out: MathHelper[] = []
  const visit = (h: MathHelper): void => {
    if (out.includes(h)) return
    mathHelpers[h].needs.forEach(visit)
    out.push(h)
  }
  for (const h of asked) visit(h)
  return out
}
