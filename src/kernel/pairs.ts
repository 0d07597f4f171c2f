/**
 * Source text that computes (value, error) pairs: the arithmetic of the error model. Values are exact reals (float64); an error bounds
 * how far a target's result may be from the value. `worst` adds absolute errors; `rms` adds squares of independent roundings
 * (Higham & Mary 2019, "A New Approach to Probabilistic Rounding Error Analysis"), and then every `e` here is a square.
 *
 * Each operation adds its own rounding and propagates the errors of its operands: exactly for sums, products and quotients, by the
 * derivative (with a second-order term where the function is curved) for functions.
 */
import type { Ix, Sym } from '../types/ix.ts'
import type { Buffer } from './buffer.ts'
import type { BinaryFn, Expr, Local, Scalar, UnaryFn } from './expr.ts'
import { noVectors } from './expr.ts'
import type { HalfRules } from './half.ts'
import { halfErrors } from './half.ts'
import { ixText } from './names.ts'

/** As `FloatRules` of a target. */
export interface Rules {
  readonly roundoff: number
  readonly accumulate: number
  readonly ulp: Readonly<Partial<Record<string, number>>>
  readonly expSlope: number
  readonly flush: number
  /** Of targets that compute in f16. */
  readonly half?: HalfRules
}
export type ErrorMode = 'worst' | 'rms'

/** Standard deviations that a value may be off by. */
export const deviations = 8

/** Text of a value and of its error; error '0' is exact. */
export interface Pair {
  readonly v: string
  readonly e: string
}

export interface PairEnvironment {
  readonly sym: (s: Sym) => string
  readonly local: (v: Local) => Pair
  /** Text of a load; may emit lines. */
  readonly load: (buf: Buffer, at: readonly Ix[], code: PairCode) => Pair
  /** Called around the branches of a select: loads in them need not be in range. */
  readonly branch?: (enter: boolean) => void
}
export interface PairCode {
  readonly expr: (e: Expr) => Pair
  /** `acc = fold(acc, x)` rounds with the unit of accumulators. */
  readonly fold: (e: Expr) => Pair
  readonly ix: (x: Ix) => string
  readonly line: (text: string) => void
}

/** Functions that generated code calls. Also the meaning of the operations in float64. */
export const helpers = {
  erf,
  halfEven,
  floorMod,
  binade,
  nearestHalf,
  floorDiv: (a: number, b: number): number => Math.floor(a / b),
}
export const helperNames = Object.keys(helpers)

/**
 * A generator of straight-line code; values are memoised until `line` consumers start a new generator (one per statement). With `rounds`, values
 * of f16 are rounded to it, to nearest: what a device may compute, where they are exact otherwise.
 */
export function pairCode(
  rules: Rules,
  mode: ErrorMode,
  env: PairEnvironment,
  out: (line: string) => void,
  fresh: () => string,
  rounds = false,
): PairCode {
  const worst = mode === 'worst'
  const memo = new Map<Expr, Pair>()
  const isFloat = (t: Scalar): boolean => t === 'f32' || t === 'f64' || t === 'f16'
  const half = (): HalfRules => {
    if (rules.half === undefined) throw new Error('internal: f16 of a target without')
    return rules.half
  }
  const unit = (t: Scalar): number => (t === 'f64' ? rules.accumulate : t === 'f16' ? half().unit : rules.roundoff)
  const flushOf = (t: Scalar): number => (t === 'f32' ? rules.flush : t === 'f16' ? half().flush : 0)

  const temp = (text: string): string => {
    if (/^(\w+|-?[\d.e+-]+)$/.test(text)) return text
    const t = fresh()
    out(`const ${t} = ${text}`)
    return t
  }
  /** The sum of error terms; each is an absolute error in `worst` mode and is squared otherwise. */
  const sum = (...terms: readonly string[]): string => {
    const kept = terms.filter((t) => t !== '0')
    return kept.length === 0 ? '0' : kept.join(' + ')
  }
  /** An operand's error times a factor. */
  const scaled = (factor: string, e: string): string => {
    if (e === '0') return '0'
    return worst ? `Math.abs(${factor}) * ${e}` : `${factor} * ${factor} * ${e}`
  }
  const rounding = (v: string, u: number, flush: number): string => {
    if (u === 0) return '0'
    const own = worst ? `${u} * Math.abs(${v})` : `${u * u} * ${v} * ${v}`
    // What is exactly 0 is not flushed; and what is near a 0 is flushed towards it.
    const flushed = `(${v} === 0 ? 0 : ${worst ? flush : flush * flush})`
    return flush > 0 ? `${own} + ${flushed}` : own
  }
  const round = (v: string, t: Scalar, ulps = 1, u = unit(t)): string => rounding(v, ulps * u, flushOf(t))
  /** The absolute error of an operand. */
  const abs = (e: string): string => (worst || e === '0' ? e : temp(`Math.sqrt(${e})`))
  /** How far an operand may be off at most, for what decides on it: standard deviations say little about one value. */
  const reach = (e: string): string => (worst || e === '0' ? e : `${deviations} * ${abs(e)}`)
  /** Back to the mode's measure. */
  const measure = (absolute: string): string => (absolute === '0' || worst ? absolute : `(${absolute}) ** 2`)
  const done = (v: string, e: string): Pair => ({ v, e: temp(e) })

  const style = {
    sym: env.sym,
    value: (payload: unknown, lo: Ix, hi: Ix): string =>
      `Math.min(Math.max(${expr(payload as Expr).v}, ${ix(lo)}), ${ix(hi)})`,
    call: (f: string, a: string, b: string): string =>
      f === 'div' ? `Math.floor((${a}) / (${b}))` : f === 'mod' ? `floorMod(${a}, ${b})` : `Math.${f}(${a}, ${b})`,
  }
  const ix = (x: Ix): string => ixText(x, style, true)

  function expr(e: Expr): Pair {
    const seen = memo.get(e)
    if (seen !== undefined) return seen
    const made = step(e)
    memo.set(e, made)
    return made
  }

  function step(e: Expr): Pair {
    switch (e.k) {
      case 'const': {
        const off = e.of === 'f32' ? Math.abs(Math.fround(e.value) - e.value) : 0
        return {
          v: e.value < 0 || Object.is(e.value, -0) ? `(${e.value})` : String(e.value),
          e: off === 0 || !Number.isFinite(off) ? '0' : String(worst ? off : off * off),
        }
      }
      case 'index':
        return { v: temp(ix(e.ix)), e: '0' }
      case 'local':
        return env.local(e.v)
      case 'load':
        return env.load(e.buf, e.at, code)
      case 'cast':
        return castOf(e.x, e.of, expr(e.x))
      case 'un':
        return unary(e.f, e.of, expr(e.x))
      case 'bin':
        return binary(e.f, e.a.of, expr(e.a), expr(e.b), unit(e.a.of))
      case 'splat':
      case 'vec':
      case 'lane':
      case 'across':
      case 'pairs':
        return noVectors(e)
      case 'select': {
        const c = expr(e.c)
        env.branch?.(true)
        const [x, y] = [expr(e.x), expr(e.y)]
        env.branch?.(false)
        const v = temp(`${c.v} ? ${x.v} : ${y.v}`)
        if (!isFloat(e.of))
          return {
            v,
            e: x.e === '0' && y.e === '0' && c.e === '0' ? '0' : temp(`${c.e} || (${c.v} ? ${x.e} : ${y.e})`),
          }
        const plain = x.e === y.e ? x.e : `(${c.v} ? ${x.e} : ${y.e})`
        if (c.e === '0') return done(v, plain)
        // An uncertain condition: either value may be the result.
        const gap = worst ? `Math.abs(${x.v} - ${y.v})` : `(${x.v} - ${y.v}) ** 2`
        return done(v, `${c.e} ? ${gap} + Math.max(${x.e}, ${y.e}) : ${plain}`)
      }
    }
  }

  function castOf({ k, of: from, ...e }: Expr, to: Scalar, x: Pair): Pair {
    if (to === 'f64' || from === 'f16') return x
    if (to === 'f16') {
      const v = rounds ? temp(`nearestHalf(${x.v})`) : x.v
      // Weights that are kept as f16 are of it.
      if ('buf' in e && k === 'load' && e.buf.layout?.kept?.as === 'f16') return { v, e: x.e }
      return done(v, sum(x.e, round(x.v, 'f16')))
    }
    if (to === 'f32') {
      if (from === 'bool') return x
      if (from === 'f64') return done(x.v, sum(x.e, round(x.v, 'f32')))
      return done(x.v, `Math.abs(${x.v}) > 16777216 ? ${round(x.v, 'f32')} : 0`)
    }
    if (to === 'bool')
      return {
        v: temp(`${x.v} !== 0 ? 1 : 0`),
        e: x.e === '0' ? '0' : temp(`${x.e} > 0 && ${reach(x.e)} >= Math.abs(${x.v}) ? 1 : 0`),
      }
    return { v: temp(from === 'bool' ? x.v : `Math.trunc(${x.v})`), e: '0' }
  }

  function unary(f: UnaryFn, t: Scalar, x: Pair): Pair {
    if (f === 'not') return { v: temp(`${x.v} ? 0 : 1`), e: x.e }
    if (f === 'neg') return { v: temp(`-${x.v}`), e: x.e }
    // What is scaled by a power of two is scaled back by the same one.
    if (f === 'binade') return { v: temp(`binade(${x.v})`), e: '0' }
    if (f === 'invert') return { v: temp(`1 / ${x.v}`), e: '0' }
    if (f === 'abs') return { v: temp(`Math.abs(${x.v})`), e: x.e }
    if (f === 'sign' || f === 'floor' || f === 'ceil' || f === 'round') {
      const at = (v: string): string => (f === 'round' ? `halfEven(${v})` : `Math.${f}(${v})`)
      const v = temp(at(x.v))
      if (x.e === '0') return { v, e: '0' }
      const d = temp(reach(x.e))
      return done(v, measure(`${at(`${x.v} + ${d}`)} - ${at(`${x.v} - ${d}`)}`))
    }
    const v = temp(f === 'erf' ? `erf(${x.v})` : `Math.${f}(${x.v})`)
    const ulps = rules.ulp[f] ?? 1
    const own = f === 'exp' ? expRounding(x.v, v, t, ulps) : round(v, t, ulps)
    if (x.e === '0') return done(v, own)
    const d = abs(x.e)
    return done(v, sum(measure(propagated(f, x.v, v, d)), own))
  }
  function expRounding(x: string, v: string, t: Scalar, ulps: number): string {
    if (rules.expSlope === 0) return round(v, t, ulps)
    const k = `(${ulps} + ${rules.expSlope} * Math.abs(${x})) * ${unit(t)} * Math.abs(${v})`
    return worst ? k : `(${k}) ** 2`
  }
  /** How far f moves when its operand moves by d; an upper bound. */
  function propagated(f: UnaryFn, x: string, v: string, d: string): string {
    switch (f) {
      case 'exp':
        // Far away the sum is taken first: a huge error of a huge negative operand leaves 0.
        return `(${d} < 1 ? ${v} * Math.expm1(${d}) : Math.exp(${x} + ${d}) - ${v})`
      case 'expm1':
        return `(${v} + 1) * Math.expm1(${d})`
      case 'log':
        return `(${d} < ${x} ? -Math.log1p(-${d} / ${x}) : Infinity)`
      case 'log1p':
        return `(${d} < 1 + ${x} ? -Math.log1p(-${d} / (1 + ${x})) : Infinity)`
      case 'sqrt':
        return `(${v} > 0 ? Math.min(${d} / ${v}, Math.sqrt(${d})) : Math.sqrt(${d}))`
      case 'sin':
        return `Math.abs(Math.cos(${x})) * ${d} + 0.5 * ${d} * ${d}`
      case 'cos':
        return `Math.abs(Math.sin(${x})) * ${d} + 0.5 * ${d} * ${d}`
      case 'tanh':
        return `(1 - ${v} * ${v}) * ${d} + 0.4 * ${d} * ${d}`
      case 'erf':
        return `1.1283791670955126 * Math.exp(-${x} * ${x}) * ${d} + 0.5 * ${d} * ${d}`
      default:
        throw new Error(`internal: no error rule for ${f}`)
    }
  }

  function binary(f: BinaryFn, t: Scalar, a: Pair, b: Pair, u: number): Pair {
    const exact = a.e === '0' && b.e === '0'
    switch (f) {
      case 'and':
        return { v: temp(`${a.v} && ${b.v}`), e: exact ? '0' : temp(`${a.e} || ${b.e}`) }
      case 'or':
        return { v: temp(`${a.v} || ${b.v}`), e: exact ? '0' : temp(`${a.e} || ${b.e}`) }
      case 'eq':
      case 'ne':
      case 'lt':
      case 'le':
      case 'gt':
      case 'ge': {
        const op = { eq: '===', ne: '!==', lt: '<', le: '<=', gt: '>', ge: '>=' }[f]
        const v = temp(`${a.v} ${op} ${b.v} ? 1 : 0`)
        if (exact) return { v, e: '0' }
        const d = temp(sum(reach(a.e), reach(b.e)))
        return { v, e: temp(`${d} > 0 && ${d} >= Math.abs(${a.v} - ${b.v}) ? 1 : 0`) }
      }
      case 'max':
      case 'min': {
        const v = temp(`Math.${f}(${a.v}, ${b.v})`)
        if (exact) return { v, e: '0' }
        // The other operand counts as far as it may reach beyond the chosen one.
        const first = f === 'max' ? `${a.v} >= ${b.v}` : `${a.v} <= ${b.v}`
        const gap = temp(`Math.abs(${a.v} - ${b.v})`)
        const near = (e: string, other: string): string =>
          worst ? `Math.max(${e}, ${other} - ${gap})` : `(${gap} * ${gap} < ${other} ? Math.max(${e}, ${other}) : ${e})`
        return done(v, `${first} ? ${near(a.e, b.e)} : ${near(b.e, a.e)}`)
      }
    }
    if (!isFloat(t)) return { v: temp(integer(f, a.v, b.v)), e: '0' }
    const own = (v: string, ulps = 1): string => rounding(v, u * ulps, flushOf(t))
    const near = (v: string): string => (rounds && t === 'f16' ? `nearestHalf(${v})` : v)
    switch (f) {
      case 'add':
      case 'sub': {
        const v = temp(near(`${a.v} ${f === 'add' ? '+' : '-'} ${b.v}`))
        return done(v, sum(a.e, b.e, own(v)))
      }
      case 'mul': {
        const v = temp(near(`${a.v} * ${b.v}`))
        const cross = a.e === '0' || b.e === '0' ? '0' : `${a.e} * ${b.e}`
        return done(v, sum(scaled(a.v, b.e), scaled(b.v, a.e), cross, own(v)))
      }
      case 'in_f16': {
        const { relative, lost } = halfErrors(half(), worst)
        const [r, l] = worst ? [relative, lost] : [relative ** 2, lost ** 2]
        const size = worst ? `Math.abs(${a.v})` : `${a.v} * ${a.v}`
        const most = worst ? `(${b.v} + ${b.e})` : `(${b.v} * ${b.v} + ${b.e})`
        return done(a.v, sum(a.e, `${r} * (${size} + ${a.e})`, `${l} * ${most}`))
      }
      case 'div': {
        const v = temp(`${a.v} / ${b.v}`)
        const ulps = rules.ulp.div ?? 1
        if (b.e === '0') return done(v, sum(scaled(`(1 / ${b.v})`, a.e), own(v, ulps)))
        const low = temp(`Math.max(Math.abs(${b.v}) - ${abs(b.e)}, 0)`)
        const moved = sum(a.e, scaled(v, b.e))
        return done(v, sum(worst ? `(${moved}) / ${low}` : `(${moved}) / (${low} * ${low})`, own(v, ulps)))
      }
      case 'mod':
      case 'floordiv': {
        const v = temp(f === 'mod' ? `floorMod(${a.v}, ${b.v})` : `Math.floor(${a.v} / ${b.v})`)
        if (exact) return done(v, f === 'mod' ? own(v, rules.ulp.mod ?? 1) : '0')
        return done(v, sum(a.e, scaled(`(Math.floor(${a.v} / ${b.v}))`, b.e), own(v)))
      }
      case 'pow': {
        const v = temp(`Math.pow(${a.v}, ${b.v})`)
        const moved = exact
          ? '0'
          : `Math.abs(${v}) * Math.expm1(Math.abs(${b.v}) * ${abs(a.e)} / Math.abs(${a.v}) + Math.abs(Math.log(Math.abs(${a.v}))) * ${abs(b.e)})`
        return done(v, sum(measure(moved), own(v, rules.ulp.pow ?? 1)))
      }
      default:
        throw new Error(`internal: no error rule for ${f}`)
    }
  }
  const integer = (f: BinaryFn, a: string, b: string): string => {
    const infix: Partial<Record<BinaryFn, string>> = { add: '+', sub: '-', mul: '*' }
    if (infix[f] !== undefined) return `${a} ${infix[f]} ${b}`
    return f === 'floordiv'
      ? `floorDiv(${a}, ${b})`
      : f === 'mod'
        ? `floorMod(${a}, ${b})`
        : `Math.trunc(Math.pow(${a}, ${b}))`
  }
  const fold = (e: Expr): Pair => {
    if (e.k !== 'bin' || !isFloat(e.of)) return expr(e)
    return binary(e.f, e.of, expr(e.a), expr(e.b), e.of === 'f16' ? half().unit : rules.accumulate)
  }
  const code: PairCode = { expr, fold, ix, line: out }
  return code
}

/** To float64 accuracy: the series e^(-x²) Σ 2^n x^(2n+1) / (2n+1)!! of positive terms, beyond 3 the continued fraction of erfc. */
export function erf(x: number): number {
  const a = Math.abs(x)
  if (!(a < 6)) return Number.isNaN(x) ? x : Math.sign(x)
  if (a < 3) {
    let term = a
    let total = a
    for (let n = 1; term > total * 1e-17; n++) {
      term *= (2 * a * a) / (2 * n + 1)
      total += term
    }
    return (Math.sign(x) * 2 * total * Math.exp(-a * a)) / Math.sqrt(Math.PI)
  }
  let f = a
  for (let n = 60; n >= 1; n--) f = a + n / 2 / f
  return Math.sign(x) * (1 - Math.exp(-a * a) / (f * Math.sqrt(Math.PI)))
}
export function halfEven(x: number): number {
  const f = Math.floor(x)
  const d = x - f
  return d < 0.5 ? f : d > 0.5 ? f + 1 : f % 2 === 0 ? f : f + 1
}
function binade(x: number): number {
  let p = 2 ** Math.max(-122, Math.floor(Math.log2(Math.abs(x))))
  while (p > Math.abs(x) && p > 2 ** -122) p /= 2
  while (2 * p <= Math.abs(x)) p *= 2
  return p
}
/** The nearest f16, ties to even; infinite beyond 65,520. */
export function nearestHalf(x: number): number {
  const a = Math.abs(x)
  if (!(a < 65520)) return Number.isNaN(x) ? x : Math.sign(x) * Infinity
  const step = 2 ** Math.max(-24, Math.floor(Math.log2(a)) - 10)
  return a === 0 ? x : halfEven(x / step) * step
}
function floorMod(a: number, b: number): number {
  return a - Math.floor(a / b) * b
}
