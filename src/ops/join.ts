/** Tensors put together along an axis: selects between loads whose coordinates are clamped into range. */
import { bin, constant, index, load, select } from '../kernel/expr.ts'
import type { Expr } from '../kernel/expr.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Ix } from '../types/ix.ts'
import { add, con, isConst, max, min, print, sub } from '../types/ix.ts'
import { defineOp, InferError } from './define.ts'
import { mapStage, sameDtype, sizeOf, tensor, typeFact, wantAtLeast, wantAxis } from './support.ts'

/** `buf` at `at`, with the coordinate on `axis` replaced by `c` clamped into range. */
const loadClamped = (buf: Buffer, at: readonly Ix[], axis: number, c: Ix): Expr =>
  load(
    buf,
    at.map((x, a) => (a === axis ? min(max(c, 0), sub(buf.shape[axis], 1)) : x)),
  )

export const concat = defineOp<{ axis: number }>({
  doc: 'The tensors one after the other along an axis; the other axes are equal.',
  params: [
    { name: 'xs', kind: 'tensors' },
    { name: 'axis', kind: 'axis', default: -1 },
  ],
  infer: (xs, { axis }) => {
    const [first] = xs
    if (first === undefined) throw new InferError('TFM1402', 'concat of no tensors')
    const names = xs.map((_, i) => `xs[${i}]`)
    wantAxis(axis, first.shape.length, first)
    for (const [i, x] of xs.entries()) {
      const facts = [typeFact(0), typeFact(i)]
      if (x.shape.length !== first.shape.length)
        throw new InferError('TFM1403', 'concat needs tensors of one rank', facts)
      const a = x.shape.findIndex((d, a) => a !== axis && d !== first.shape[a])
      if (a >= 0) {
        const what = `concat along axis ${axis}: ${print(first.shape[a])} and ${print(x.shape[a])} on axis ${a} differ`
        throw new InferError('TFM1402', what, facts)
      }
    }
    const dtype = sameDtype(names, xs)
    return { dtype, shape: first.shape.map((d, a) => (a === axis ? add(...xs.map((x) => x.shape[a])) : d)) }
  },
  evaluate: (xs, { axis }, [shape]) => {
    const out = tensor(xs[0].dtype, shape)
    const outer = sizeOf(shape.slice(0, axis))
    const runs = xs.map((x) => sizeOf(x.shape.slice(axis)))
    for (let o = 0, p = 0; o < outer; o++) {
      for (const [n, x] of xs.entries()) {
        out.data.set(x.data.subarray(o * runs[n], (o + 1) * runs[n]), p)
        p += runs[n]
      }
    }
    return out
  },
  lower: ({ inputs: xs, out, attrs: { axis } }) => [
    mapStage(out, (at) => {
      let start = con(0)
      const parts = xs.map((x) => {
        const part = { load: loadClamped(x, at, axis, sub(at[axis], start)), end: add(start, x.shape[axis]) }
        start = part.end
        return part
      })
      return parts.reduceRight<Expr | undefined>(
        (rest, part) =>
          rest === undefined ? part.load : select(bin('lt', index(at[axis]), index(part.end)), part.load, rest),
        undefined,
      ) as Expr
    }),
  ],
  leads: (xs, { axis }) =>
    xs.length < 2
      ? undefined
      : { axis, body: xs.length - 1, start: { op: 'concat', inputs: xs.slice(1).map((_, i) => i), attrs: { axis } } },
})

export const pad = defineOp<{ axis: number; before: Ix; after: Ix; value: number }>({
  doc: '`before` and `after` copies of `value` put around x on an axis.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'axis', kind: 'axis' },
    { name: 'before', kind: 'dim' },
    { name: 'after', kind: 'dim', default: 0 },
    { name: 'value', kind: 'number', default: 0 },
  ],
  infer: ([x], { axis, before, after }) => {
    wantAxis(axis, x.shape.length, x)
    wantAtLeast('the padding before', before, 0)
    wantAtLeast('the padding after', after, 0)
    return { dtype: x.dtype, shape: x.shape.map((d, a) => (a === axis ? add(before, d, after) : d)) }
  },
  evaluate: ([x], { axis, before, value }, [shape]) => {
    const out = tensor(x.dtype, shape)
    out.data.fill(value)
    const outer = sizeOf(shape.slice(0, axis))
    const inner = sizeOf(shape.slice(axis + 1))
    const run = x.shape[axis] * inner
    for (let o = 0; o < outer; o++) {
      out.data.set(x.data.subarray(o * run, (o + 1) * run), (o * shape[axis] + before) * inner)
    }
    return out
  },
  lower: ({ inputs: [x], out, attrs: { axis, before, value } }) => [
    mapStage(out, (at) => {
      const c = sub(at[axis], before)
      const inside = bin(
        'and',
        bin('le', index(before), index(at[axis])),
        bin('lt', index(at[axis]), index(add(before, x.shape[axis]))),
      )
      return select(inside, loadClamped(x, at, axis, c), constant(value, x.of))
    }),
  ],
  leads: ([x], { axis, before, after, value }) => {
    if (isConst(after) !== 0) return undefined
    const shape = x.shape.map((d, a) => (a === axis ? before : d))
    return { axis, body: 0, start: { op: 'full', inputs: [], attrs: { value, shape, dtype: x.dtype } } }
  },
})
