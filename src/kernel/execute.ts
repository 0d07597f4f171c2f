/**
 * Runs nests in float64 with error bounds, to check rewrites and emitted code and to derive tolerances. A nest becomes JavaScript source
 * on (value, error) pairs. Compiler side only. Threads of a workgroup run in turn from barrier to barrier.
 */
import type { Ix, Sym } from '../types/ix.ts'
import { evaluate, isConst } from '../types/ix.ts'
import { offsetOf } from './address.ts'
import type { Buffer } from './buffer.ts'
import type { Expr, Local } from './expr.ts'
import { expandLanes } from './lanes.ts'
import type { For, NestKernel, Stmt } from './nest.ts'
import type { ErrorMode, Pair, PairCode, PairEnvironment, Rules } from './pairs.ts'
import { helperNames, helpers, pairCode } from './pairs.ts'

export interface Cells {
  readonly value: Float64Array
  /** Absolute errors, or in `rms` mode standard deviations, of the values. */
  readonly error: Float64Array
}
export type Executor = (buffers: ReadonlyMap<Buffer, Cells>, params: ReadonlyMap<Sym, number>) => void

export interface ExecuteOptions {
  /** Throw when an access leaves its buffer's shape or storage. */
  readonly checked?: boolean
  /** Order in which the threads of a workgroup run between barriers, and iterations that are shared out among threads. */
  readonly threads?: 'forward' | 'backward'
  /** Values of f16 are rounded to it: what a device may compute, where they are exact otherwise. */
  readonly rounds?: boolean
}

/** A nest as a function on pairs. Buffers of i32 and bool are exact. */
export function compileExecutor(
  nest: NestKernel,
  rules: Rules,
  mode: ErrorMode,
  options: ExecuteOptions = {},
): Executor {
  const w = new Writer(rules, mode, options)
  w.block(expandLanes(nest).body)
  const args = nest.args.map((a) => a.buffer)
  const names = args.flatMap((b) => [`b${b.id}`, `b${b.id}e`])
  const params = nest.params.map((s) => `s${s.id}`)
  const source = `'use strict'\nreturn (${[...names, ...params].join(', ')}) => {\n${[...w.allocations, ...w.lines].join('\n')}\n}`
  const run = new Function(...helperNames, 'outside', source)(...Object.values(helpers), outside) as (
    ...xs: unknown[]
  ) => void
  return (buffers, values) => {
    const cells = args.flatMap((b) => {
      const found = buffers.get(b)
      if (found === undefined) throw new Error(`internal: ${nest.name} runs without ${b.name}`)
      return [found.value, found.error]
    })
    const numbers = nest.params.map((s) => {
      const n = values.get(s)
      if (n === undefined) throw new Error(`internal: ${nest.name} runs without ${s.name}`)
      return n
    })
    run(...cells, ...numbers)
  }
}

function outside(buffer: string, coordinates: readonly number[]): never {
  throw new Error(`internal: ${buffer} accessed at [${coordinates.join(', ')}]`)
}

/** Storage that a nest allocates; poisoned, so that reading before writing shows. */
function sizeOf(b: Buffer): number {
  const n =
    b.layout === undefined
      ? b.shape.reduce((p, x) => p * evaluate(x, noSymbols), 1)
      : evaluate(b.layout.size, noSymbols)
  return n
}
const noSymbols = (s: Sym): number => {
  throw new Error(`internal: allocated extent depends on ${s.name}`)
}

/** Whether it may be wider than f32 as it is: an accumulator, or a function that is more exact than that. Other operations count a rounding of their own. */
function wide(e: Expr, rules: Rules): boolean {
  switch (e.k) {
    case 'local':
      return e.v.of === 'f32' || e.v.of === 'f64'
    case 'load':
      return e.buf.space !== 'global'
    case 'un':
      return e.f === 'neg' || e.f === 'abs' ? wide(e.x, rules) : (rules.ulp[e.f] ?? 1) < 1
    case 'bin':
      return (e.f === 'max' || e.f === 'min') && (wide(e.a, rules) || wide(e.b, rules))
    case 'select':
      return wide(e.x, rules) || wide(e.y, rules)
    default:
      return false
  }
}

class Writer {
  readonly lines: string[] = []
  readonly allocations: string[] = []
  private temps = 0
  private depth = 0
  private branches = 0
  /** Loops around that are shared out among threads. */
  private shared = 0
  private readonly worst: boolean
  private readonly env: PairEnvironment
  private readonly rules: Rules
  private readonly mode: ErrorMode
  private readonly options: ExecuteOptions

  constructor(rules: Rules, mode: ErrorMode, options: ExecuteOptions) {
    this.rules = rules
    this.mode = mode
    this.options = options
    this.worst = mode === 'worst'
    this.env = {
      sym: (s) => `s${s.id}`,
      local: (v) => ({ v: `v${v.id}`, e: exact(v) ? '0' : `v${v.id}e` }),
      load: (b, at, code) => this.load(b, at, code),
      branch: (enter) => void (this.branches += enter ? 1 : -1),
    }
  }

  private readonly out = (line: string): void => {
    this.lines.push(line)
  }
  private readonly fresh = (): string => `t${this.temps++}`
  private code(): PairCode {
    return pairCode(this.rules, this.mode, this.env, this.out, this.fresh, this.options.rounds)
  }

  private load(b: Buffer, at: readonly Ix[], code: PairCode): Pair {
    const i = this.fresh()
    this.check(b, at, code)
    this.out(`const ${i} = ${code.ix(offsetOf(b, at))}`)
    const v = this.fresh()
    this.out(`const ${v} = b${b.id}[${i}]`)
    if (b.of === 'i32' || b.of === 'bool') return { v, e: '0' }
    const e = this.fresh()
    // Private storage holds squares in rms mode, buffers that outlive the kernel do not.
    this.out(
      this.worst || b.space !== 'global'
        ? `const ${e} = b${b.id}e[${i}]`
        : `const ${e} = b${b.id}e[${i}] * b${b.id}e[${i}]`,
    )
    return { v, e }
  }

  private check(b: Buffer, at: readonly Ix[], code: PairCode): void {
    if (!this.options.checked || this.branches > 0) return
    const xs = at.map(code.ix)
    const bad = xs.map((x, d) => `!(${x} >= 0 && ${x} < ${code.ix(b.shape[d])})`)
    if (bad.length > 0) this.out(`if (${bad.join(' || ')}) outside(${JSON.stringify(b.name)}, [${xs.join(', ')}])`)
  }

  block(body: readonly Stmt[]): void {
    for (const s of body) this.stmt(s)
  }

  private stmt(s: Stmt): void {
    switch (s.k) {
      case 'for':
        if (s.kind.startsWith('local.') && this.depth === 0) return this.threads(s)
        return this.loop(s)
      case 'let':
      case 'var':
      case 'assign': {
        const code = this.code()
        const p = s.k === 'assign' ? code.fold(s.e) : code.expr(s.e)
        const word = s.k === 'assign' ? '' : s.k === 'let' ? 'const ' : 'let '
        this.out(`${word}v${s.v.id} = ${p.v}`)
        if (!exact(s.v)) this.out(`${word}v${s.v.id}e = ${p.e}`)
        return
      }
      case 'store': {
        const code = this.code()
        const p = code.expr(s.e)
        this.check(s.buf, s.at, code)
        const i = this.fresh()
        this.out(`const ${i} = ${code.ix(offsetOf(s.buf, s.at))}`)
        this.out(`b${s.buf.id}[${i}] = ${p.v}`)
        const whole =
          s.buf.of === 'f32' && s.buf.space === 'global' && wide(s.e, this.rules)
            ? `${p.e} + ${this.rounding(p.v)}`
            : p.e
        const error = this.worst || s.buf.space !== 'global' ? whole : `Math.sqrt(${whole})`
        if (s.buf.of !== 'f32' && s.buf.of !== 'f64' && s.buf.of !== 'f16') return
        // What is 0 times an error without a bound has none.
        const e = this.fresh()
        this.out(`const ${e} = ${error}`)
        this.out(`b${s.buf.id}e[${i}] = ${e} >= 0 ? ${e} : Infinity`)
        return
      }
      case 'if': {
        const c = this.code().expr(s.c)
        this.out(`if (${c.v}) {`)
        this.block(s.body)
        this.out('}')
        return
      }
      case 'bind':
        this.out(`const s${s.v.id} = ${this.code().ix(s.ix)}`)
        return
      case 'alloc': {
        const make = (suffix: string): string =>
          `const b${s.buf.id}${suffix} = new Float64Array(${sizeOf(s.buf)}).fill(NaN)`
        // One serial thread keeps its private storage for the whole kernel.
        if (this.depth === 0 && s.buf.space === 'private') {
          this.allocations.push(make(''), make('e'))
          // Another thread may have run the iteration before.
          if (this.shared > 0) this.out(`b${s.buf.id}.fill(NaN), b${s.buf.id}e.fill(NaN)`)
        } else this.lines.push(make(''), make('e'))
        return
      }
      case 'barrier':
        if (this.depth > 0) this.out('yield')
        return
      case 'comment':
    }
  }

  /** The rounding of a wide value that is stored as f32. */
  private rounding(v: string): string {
    const { roundoff: u, accumulate, flush } = this.rules
    if (accumulate >= u) return '0'
    const own = this.worst ? `${u} * Math.abs(${v})` : `${u * u} * ${v} * ${v}`
    return flush > 0 ? `${own} + (${v} === 0 ? 0 : ${this.worst ? flush : flush * flush})` : own
  }

  private loop(s: For): void {
    const code = this.code()
    const [lo, hi] = [this.fresh(), this.fresh()]
    this.out(`const ${lo} = ${code.ix(s.lo)}, ${hi} = ${code.ix(s.hi)}`)
    const v = `s${s.v.id}`
    if (s.kind.startsWith('thread') && this.options.threads === 'backward') {
      const last = `${lo} + Math.floor((${hi} - 1 - ${lo}) / ${s.step}) * ${s.step}`
      this.out(`for (let ${v} = ${last}; ${v} >= ${lo}; ${v} -= ${s.step}) {`)
    } else this.out(`for (let ${v} = ${lo}; ${v} < ${hi}; ${v} += ${s.step}) {`)
    const shared = s.kind.startsWith('thread') ? 1 : 0
    this.shared += shared
    this.block(s.body)
    this.shared -= shared
    this.out('}')
  }

  /** The threads of a workgroup, as generators that stop at barriers. Each must pass the same number of them. */
  private threads(s: For): void {
    const band: For[] = [s]
    for (let t: Stmt = s; t.k === 'for' && t.body.length === 1;) {
      const next: Stmt = t.body[0]
      if (next.k !== 'for' || !next.kind.startsWith('local.')) break
      band.push(next)
      t = next
    }
    const names = band.map((t) => `s${t.v.id}`)
    const thread = this.fresh()
    const all = this.fresh()
    this.out(`const ${thread} = function* (${names.join(', ')}) {`)
    this.depth++
    this.block(band[band.length - 1].body)
    this.depth--
    this.out('}')
    this.out(`const ${all} = []`)
    for (const t of band) {
      const [lo, hi] = [isConst(t.lo), isConst(t.hi)]
      if (lo === undefined || hi === undefined)
        throw new Error(`internal: threads over ${t.v.name} without constant bounds`)
      this.out(`for (let s${t.v.id} = ${lo}; s${t.v.id} < ${hi}; s${t.v.id} += ${t.step})`)
    }
    this.out(`  ${all}.push(${thread}(${names.join(', ')}))`)
    if (this.options.threads === 'backward') this.out(`${all}.reverse()`)
    this.out(`for (let live = ${all}.length; live > 0; ) {`)
    this.out(`  const n = ${all}.filter(t => !t.next().done).length`)
    this.out(`  if (n !== 0 && n !== live) throw new Error('internal: threads pass different barriers')`)
    this.out(`  live = n`)
    this.out('}')
  }
}

const exact = (v: Local): boolean => v.of === 'i32'
