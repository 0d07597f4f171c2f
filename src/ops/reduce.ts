/** Reductions over axes. */
import { load } from '../kernel/expr.ts'
import type { Fold } from '../kernel/expr.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Stage } from '../kernel/stage.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { con, of } from '../types/ix.ts'
import type { TensorType } from '../types/tensor.ts'
import { defineOp, InferError } from './define.ts'
import type { Op } from './define.ts'
import { domainOf, loopSymbol, sizeOf, tensor, wantAxis, wantDtype } from './support.ts'

function reducedShape(x: TensorType, axes: readonly number[], keep: boolean): readonly Ix[] {
  for (const axis of axes) wantAxis(axis, x.shape.length, x)
  if (new Set(axes).size !== axes.length)
    throw new InferError('TFM1404', `an axis is named twice in [${axes.join(', ')}]`)
  return x.shape.flatMap((d, axis) => (!axes.includes(axis) ? [d] : keep ? [con(1)] : []))
}

function reduceStage(
  x: Buffer,
  out: Buffer,
  axes: readonly number[],
  keep: boolean,
  fold: Fold,
  empty: number,
): readonly Stage[] {
  const domain = domainOf(out.shape)
  const over: Sym[] = []
  let next = 0
  const at = x.shape.map((d, axis): Ix => {
    if (!axes.includes(axis)) return of(domain[next++])
    if (keep) next++
    const s = loopSymbol(axes.length === 1 ? 'r' : `r${over.length}`, d)
    over.push(s)
    return of(s)
  })
  return [{ name: out.name, out, domain, body: { k: 'reduce', fold, axes: over, e: load(x, at), empty } }]
}

/** Least and greatest finite values stand in for the infinities, which kernels do not have. */
const extremes = { f32: 3.4028234663852886e38, i32: 2147483647, bool: 1 } as const

function reduction(name: string, fold: Fold, doc: string, start: number, join: (a: number, b: number) => number): Op {
  const empty = (dtype: DType): number =>
    Number.isFinite(start) ? start : start < 0 ? -extremes[dtype] : extremes[dtype]
  return defineOp<{ axes: readonly number[]; keep: boolean }>({
    doc,
    call: name,
    params: [
      { name: 'x', kind: 'tensor' },
      { name: 'axes', kind: 'axes', default: -1 },
      { name: 'keep', kind: 'bool', default: false },
    ],
    infer: ([x], { axes, keep }) => {
      wantDtype(name, 'x', 0, x, ['f32', 'i32'])
      return { dtype: x.dtype, shape: reducedShape(x, axes, keep) }
    },
    evaluate: ([x], { axes }, [shape]) => {
      let data = x.data
      const left = [...x.shape]
      for (const a of axes) {
        const n = left[a]
        const inner = sizeOf(left.slice(a + 1))
        left[a] = 1
        const folded = new Float64Array(sizeOf(left)).fill(start)
        for (let o = 0, p = 0; o < folded.length; o += inner) {
          for (let r = 0; r < n; r++) for (let i = 0; i < inner; i++) folded[o + i] = join(folded[o + i], data[p++])
        }
        data = folded
      }
      return tensor(x.dtype, shape, data === x.data ? x.data.slice() : data)
    },
    lower: ({ inputs: [x], out, attrs: { axes, keep } }) => reduceStage(x, out, axes, keep, fold, empty(x.of as DType)),
  })
}

export const reduce_sum = reduction('sum', 'add', 'The sum over axes.', 0, (a, b) => a + b)
export const reduce_prod = reduction('prod', 'mul', 'The product over axes.', 1, (a, b) => a * b)
export const reduce_max = reduction('max', 'max', 'The largest element over axes.', -Infinity, Math.max)
export const reduce_min = reduction('min', 'min', 'The smallest element over axes.', Infinity, Math.min)

export const argmax = defineOp<{ axis: number; keep: boolean }>({
  doc: 'The index of the largest element on an axis; of equal ones the first.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'axis', kind: 'axis', default: -1 },
    { name: 'keep', kind: 'bool', default: false },
  ],
  infer: ([x], { axis, keep }) => {
    wantDtype('argmax', 'x', 0, x, ['f32', 'i32'])
    return { dtype: 'i32', shape: reducedShape(x, [axis], keep) }
  },
  evaluate: ([x], { axis }, [shape]) => {
    const out = tensor('i32', shape)
    const inner = sizeOf(x.shape.slice(axis + 1))
    const n = x.shape[axis]
    for (let p = 0; p < out.data.length; p++) {
      const base = Math.floor(p / inner) * n * inner + (p % inner)
      let best = 0
      for (let r = 1; r < n; r++) if (x.data[base + r * inner] > x.data[base + best * inner]) best = r
      out.data[p] = best
    }
    return out
  },
  lower: ({ inputs: [x], out, attrs: { axis, keep } }) => reduceStage(x, out, [axis], keep, 'argmax', 0),
})
