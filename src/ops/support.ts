/** What the op records share: printing of types, checks that throw `InferError`, broadcasting, strides. */
import type { Expr } from '../kernel/expr.ts'
import { load } from '../kernel/expr.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Stage } from '../kernel/stage.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { con, isConst, of, print, proveLe, sub, sym } from '../types/ix.ts'
import type { Tensor, TensorType } from '../types/tensor.ts'
import { InferError, type Fact } from './define.ts'

export const showShape = (shape: readonly Ix[]): string => `[${shape.map((d) => print(d)).join(', ')}]`
/** `f32[B, T, 768]` */
export const showType = (t: TensorType): string => `${t.dtype}${showShape(t.shape)}`

/** The fact that an input has its type. */
export const typeFact = (input: number): Fact => ({ input })

/** Refuses dtypes other than `allowed`; `fix` says how to get there. */
export function wantDtype(op: string, name: string, input: number, t: TensorType, allowed: readonly DType[]): void {
  if (allowed.includes(t.dtype)) return
  const it = `{${input}:${name}}`
  const fix = allowed.includes('f32') ? `f32(${it})` : allowed.includes('i32') ? `i32(${it})` : `${it} != 0`
  throw new InferError('TFM1801', `${op} takes ${allowed.join(' or ')}, not ${t.dtype}`, [typeFact(input)], fix)
}

/** Refuses operands of different dtypes. */
export function sameDtype(names: readonly string[], types: readonly TensorType[], first = 0): DType {
  const other = types.findIndex((t) => t.dtype !== types[0].dtype)
  if (other < 0) return types[0].dtype
  const [a, b] = [types[0].dtype, types[other].dtype]
  const [wrong, right] = a === 'f32' ? [other, a] : [0, b === 'bool' ? a : b]
  const target = types[wrong].dtype === right ? other : wrong
  throw new InferError(
    'TFM1801',
    `${a} and ${b} do not mix`,
    [typeFact(first), typeFact(first + other)],
    `${right}({${first + target}:${names[target]}})`,
  )
}

export function wantRank(
  op: string,
  name: string,
  input: number,
  t: TensorType,
  ok: (rank: number) => boolean,
  what: string,
): void {
  if (ok(t.shape.length)) return
  throw new InferError('TFM1403', `${op} needs ${what}, not ${t.shape.length} axes`, [typeFact(input)])
}

/** A non-negative axis below `rank`, or TFM1404. */
export function wantAxis(axis: number, rank: number, t: TensorType): number {
  if (Number.isInteger(axis) && axis >= 0 && axis < rank) return axis
  throw new InferError('TFM1404', `axis ${axis} is not one of the ${t.shape.length} axes of ${showType(t)}`, [
    typeFact(0),
  ])
}

/** Refuses a dim that is not provably at least `least`. */
export function wantAtLeast(what: string, value: Ix, least: number): void {
  if (proveLe(least, value)) return
  throw new InferError('TFM1410', `${what} is ${print(value)}, which is not provably at least ${least}`)
}

/**
 * The shape to which all stretch, from the right: only a literal 1 or a missing axis stretches, never a symbol. TFM1402 for numbers that
 * differ, TFM1406 where a symbol would have to stretch.
 */
export function broadcastShapes(names: readonly string[], types: readonly TensorType[], first = 0): readonly Ix[] {
  const rank = Math.max(0, ...types.map((t) => t.shape.length))
  const out: Ix[] = []
  for (let axis = 0; axis < rank; axis++) {
    let dim = con(1)
    let from = -1
    for (const [n, t] of types.entries()) {
      const d = t.shape[axis - rank + t.shape.length]
      if (d === undefined || d === con(1) || d === dim) continue
      if (dim === con(1)) {
        dim = d
        from = n
        continue
      }
      throw mismatch(names, types, first, from, n, dim, d)
    }
    out.push(dim)
  }
  return out
}

function mismatch(
  names: readonly string[],
  types: readonly TensorType[],
  first: number,
  i: number,
  j: number,
  a: Ix,
  b: Ix,
): InferError {
  const facts = [typeFact(first + i), typeFact(first + j)]
  if (isConst(a) !== undefined && isConst(b) !== undefined) {
    return new InferError('TFM1402', `${print(a)} and ${print(b)} differ`, facts)
  }
  const [short, long] = types[i].shape.length <= types[j].shape.length ? [i, j] : [j, i]
  const last = types[short].shape[types[short].shape.length - 1]
  const elsewhere = types[long].shape.indexOf(last)
  const fix =
    types[short].shape.length < types[long].shape.length && elsewhere >= 0
      ? `unsqueeze({${first + short}:${names[short]}}, axis = -1)`
      : undefined
  const what = `${showShape(types[i].shape)} and ${showShape(types[j].shape)} do not broadcast: ${print(a)} and ${print(b)} differ`
  return new InferError('TFM1406', what, facts, fix)
}

/** Broadcasting of `t` to exactly `shape`, or an error. */
export function wantBroadcastTo(name: string, input: number, t: TensorType, shape: readonly Ix[]): void {
  const fits =
    t.shape.length <= shape.length &&
    t.shape.every((d, axis) => d === con(1) || d === shape[axis + shape.length - t.shape.length])
  if (fits) return
  throw new InferError('TFM1406', `${showType(t)} does not broadcast to ${showShape(shape)}`, [typeFact(input)])
}

// ---- lowering ----

const letters = 'ijklmnpq'

/** A loop symbol `0 … extent - 1`. */
export function loopSymbol(name: string, extent: Ix): Sym {
  return sym(name, { lo: 0, hi: sub(extent, 1), role: 'loop' })
}
/** One loop symbol per axis. */
export function domainOf(shape: readonly Ix[]): Sym[] {
  return shape.map((d, axis) => loopSymbol(letters[axis] ?? `i${axis}`, d))
}
/** Coordinates in an input of `shape` for a point of the broadcast result. */
export function stretchedAt(shape: readonly Ix[], at: readonly Ix[]): Ix[] {
  return shape.map((d, axis) => (d === con(1) ? con(0) : at[axis + at.length - shape.length]))
}
export const loadStretched = (buf: Buffer, at: readonly Ix[]): Expr => load(buf, stretchedAt(buf.shape, at))

/** A stage that computes each element of `out` from its coordinates. */
export function mapStage(out: Buffer, body: (at: readonly Ix[]) => Expr): Stage {
  const domain = domainOf(out.shape)
  return { name: out.name, out, domain, body: { k: 'map', e: body(domain.map((s) => of(s))) } }
}

// ---- evaluation ----

export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  for (let axis = shape.length - 1, n = 1; axis >= 0; axis--) {
    strides[axis] = n
    n *= shape[axis]
  }
  return strides
}

export const tensor = (dtype: DType, shape: readonly number[], data?: Float64Array): Tensor => ({
  dtype,
  shape,
  data: data ?? new Float64Array(sizeOf(shape)),
})

/** Copies elements by strides: `out[p] = data[base + Σ coordinate · stride]` over all points p of `shape` in order. */
export function gatherStrided(
  data: Float64Array,
  shape: readonly number[],
  strides: readonly number[],
  base = 0,
): Float64Array {
  const out = new Float64Array(sizeOf(shape))
  if (out.length === 0) return out
  const rank = shape.length
  if (rank === 0) {
    out[0] = data[base]
    return out
  }
  const inner = shape[rank - 1]
  const step = strides[rank - 1]
  const at = new Array<number>(rank).fill(0)
  let from = base
  for (let p = 0; p < out.length;) {
    for (let i = 0, q = from; i < inner; i++, q += step) out[p++] = data[q]
    let axis = rank - 2
    for (; axis >= 0; axis--) {
      from += strides[axis]
      if (++at[axis] < shape[axis]) break
      from -= strides[axis] * shape[axis]
      at[axis] = 0
    }
  }
  return out
}

/** The data of `t` stretched to `shape`; the same array where nothing stretches. */
export function stretch(t: Tensor, shape: readonly number[]): Float64Array {
  const lead = shape.length - t.shape.length
  if (sizeOf(t.shape) === sizeOf(shape)) return t.data
  const own = stridesOf(t.shape)
  return gatherStrided(
    t.data,
    shape,
    shape.map((_, axis) => (axis < lead || t.shape[axis - lead] === 1 ? 0 : own[axis - lead])),
  )
}
