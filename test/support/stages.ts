/**
 * What stages mean, by direct evaluation at one point in float64: the slowest reading there is, shared with nothing. Carried reductions are
 * taken in chunks of a given size, so that `merge` is exercised.
 */
import { erf, roundHalfEven } from '../../src/ops/special.ts'
import type { BinaryFn, Expr, UnaryFn } from '../../src/kernel/expr.ts'
import { noVectors } from '../../src/kernel/expr.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { Body, Carried, Stage } from '../../src/kernel/stage.ts'
import type { Ix, Sym } from '../../src/types/ix.ts'
import { evaluate } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'

type Env = ReadonlyMap<Sym, number>
/** Values of buffers beside the stages: operands, and the running carries. */
type Read = (buffer: Buffer, at: readonly number[]) => number | undefined

const unary: Readonly<Record<UnaryFn, (x: number) => number>> = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  erf,
  binade: (x) => 2 ** Math.max(-122, Math.floor(Math.log2(Math.abs(x)))),
  invert: (x) => 1 / x,
  not: (x) => (x === 0 ? 1 : 0),
}
const binary: Readonly<Record<BinaryFn, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  floordiv: (a, b) => Math.floor(a / b),
  mod: (a, b) => a - b * Math.floor(a / b),
  pow: (a, b) => a ** b,
  min: (a, b) => (b < a ? b : a),
  max: (a, b) => (b > a ? b : a),
  eq: (a, b) => (a === b ? 1 : 0),
  ne: (a, b) => (a !== b ? 1 : 0),
  lt: (a, b) => (a < b ? 1 : 0),
  le: (a, b) => (a <= b ? 1 : 0),
  gt: (a, b) => (a > b ? 1 : 0),
  ge: (a, b) => (a >= b ? 1 : 0),
  and: (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
  or: (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
  in_f16: (a) => a,
}

interface Context {
  readonly stages: readonly Stage[]
  readonly read: Read
  /** Elements per chunk of a carried reduction. */
  readonly chunk: number
  /** Within a chunk: reductions over `axis` run over these values only. */
  readonly set?: { readonly axis: Sym; readonly values: readonly number[] }
  /** Values of chunk stages, which depend on their coordinates and the row only. */
  readonly memo?: Map<string, number>
}

export interface Point {
  /** Where the stage stores it. */
  readonly at: readonly number[]
  readonly value: number
}

/** Every point that the last stage defines. Loads out of range throw. */
export function evaluateStages(
  stages: readonly Stage[],
  operands: ReadonlyMap<Buffer, Tensor>,
  dims: Env,
  chunk = 2,
): Point[] {
  const read: Read = (buffer, at) => {
    const t = operands.get(buffer)
    return t === undefined ? undefined : element(buffer.name, t, at)
  }
  const context: Context = { stages, read, chunk }
  const last = stages[stages.length - 1]
  return points(last.domain, dims, context).map((env) => ({
    at: last.at?.map((x) => coordinate(x, env, context)) ?? last.domain.map((s) => env.get(s) as number),
    value: body(last.body, env, context),
  }))
}

function element(name: string, t: Tensor, at: readonly number[]): number {
  let offset = 0
  for (const [axis, i] of at.entries()) {
    if (i < 0 || i >= t.shape[axis]) throw new Error(`${name}[${at.join(', ')}] is outside [${t.shape.join(', ')}]`)
    offset = offset * t.shape[axis] + i
  }
  return t.data[offset]
}

const extentOf = (s: Sym, env: Env): number => evaluate(s.hi, (x) => env.get(x) as number) + 1

function points(domain: readonly Sym[], env: Env, context: Context): Env[] {
  return domain.reduce<Env[]>(
    (envs, s) =>
      envs.flatMap((e) => {
        const all = Array.from({ length: extentOf(s, e) }, (_, i) => i)
        return (context.set?.axis === s ? context.set.values : all).map((i) => new Map([...e, [s, i]]))
      }),
    [env],
  )
}

function coordinate(x: Ix, env: Env, context: Context): number {
  const symbol = (s: Sym): number => {
    const n = env.get(s)
    if (n === undefined) throw new Error(`${s.name} is not bound`)
    return n
  }
  /** A data-dependent index is clamped to its bounds. */
  const value = (e: unknown): number => expr(e as Expr, env, context)
  return evaluate(x, symbol, value)
}

function expr(e: Expr, env: Env, context: Context): number {
  const go = (e: Expr): number => expr(e, env, context)
  switch (e.k) {
    case 'const':
      return e.value
    case 'index':
      return coordinate(e.ix, env, context)
    case 'local':
      throw new Error('stages have no locals')
    case 'load':
      return loaded(
        e.buf,
        e.at.map((x) => coordinate(x, env, context)),
        env,
        context,
      )
    case 'un':
      return unary[e.f](go(e.x))
    case 'bin':
      return binary[e.f](go(e.a), go(e.b))
    case 'select':
      return go(e.c) !== 0 ? go(e.x) : go(e.y)
    case 'splat':
    case 'vec':
    case 'lane':
    case 'across':
    case 'pairs':
      return noVectors(e)
    case 'cast':
      return e.of === 'i32' ? Math.trunc(go(e.x)) : go(e.x)
  }
}

function loaded(buffer: Buffer, at: readonly number[], env: Env, context: Context): number {
  const known = context.read(buffer, at)
  if (known !== undefined) return known
  const stage = context.stages.find((s) => s.out === buffer)
  if (stage === undefined) throw new Error(`nothing defines ${buffer.name}`)
  const key = `${buffer.id}@${at.join()}`
  const seen = context.memo?.get(key)
  if (seen !== undefined) return seen
  // Row symbols of an enclosing carried reduction stay bound.
  const value = body(stage.body, new Map([...env, ...stage.domain.map((s, i) => [s, at[i]] as const)]), context)
  context.memo?.set(key, value)
  return value
}

const folds = {
  add: (a: number, b: number): number => a + b,
  mul: (a: number, b: number): number => a * b,
  max: (a: number, b: number): number => Math.max(a, b),
  min: (a: number, b: number): number => Math.min(a, b),
}

function body(b: Body, env: Env, context: Context): number {
  if (b.k === 'map') return expr(b.e, env, context)
  if (b.k === 'carried') return carried(b, env, context)
  const there = points(b.axes, env, context).filter((e) => b.where === undefined || expr(b.where, e, context) !== 0)
  if (there.length === 0) return b.empty
  const values = there.map((e) => expr(b.e, e, context))
  return b.fold === 'argmax' ? values.indexOf(Math.max(...values)) : values.reduce(folds[b.fold])
}

function carried(b: Carried, env: Env, context: Context): number {
  const n = extentOf(b.axis, env)
  const key = (axes: readonly Sym[], e: Env): string => axes.map((s) => e.get(s)).join()
  let running = new Map(
    b.carries.map((c) => [c.running, new Map(points(c.axes, env, context).map((e) => [key(c.axes, e), c.init]))]),
  )
  const withCarries = (): Read => {
    const now = running
    return (buffer, at) => now.get(buffer)?.get(at.join()) ?? context.read(buffer, at)
  }
  for (let from = 0; from < n; from += context.chunk) {
    const values = Array.from({ length: Math.min(context.chunk, n - from) }, (_, i) => from + i)
    const within: Context = {
      ...context,
      stages: [...context.stages, ...b.chunk],
      read: withCarries(),
      set: { axis: b.axis, values },
      memo: new Map(),
    }
    running = new Map(
      b.carries.map((c) => [
        c.running,
        new Map(points(c.axes, env, context).map((e) => [key(c.axes, e), expr(c.merge, e, within)])),
      ]),
    )
  }
  return expr(b.finish, env, { ...context, read: withCarries() })
}
