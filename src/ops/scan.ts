/**
 * Recurrences. A scan has no body of its own: nodes that depend on one of its carries, or mention its `t`, are inside (docs/scan.md). Like leaves,
 * these ops have no value that their record could compute alone: the reference and the lowering run the loop.
 */
import { load } from '../kernel/expr.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix } from '../types/ix.ts'
import { of } from '../types/ix.ts'
import type { TensorType } from '../types/tensor.ts'
import { defineOp, InferError } from './define.ts'
import { domainOf, sizeOf, tensor, typeFact, wantAtLeast } from './support.ts'

const looped = (what: string) => (): never => {
  throw new Error(`internal: ${what} has no value outside its loop`)
}

export const carry = defineOp<{ loop: string; index: number }>({
  doc: 'What a scan carries, at step t: x at the first step, then what the step before gave.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'loop', kind: 'string' },
    { name: 'index', kind: 'number' },
  ],
  infer: ([x]) => x,
  evaluate: looped('carry'),
})

export const scan = defineOp<{
  loop: string
  t: Ix
  extent: Ix
  carries: number
  axes: readonly number[]
  reverse: boolean
}>({
  doc: 'A loop over t < extent: its inputs are the next values of its carries, then what each step yields. Results: each yield, stacked along its axis, then the final carries.',
  params: [
    { name: 'x', kind: 'tensors' },
    { name: 'loop', kind: 'string' },
    { name: 't', kind: 'dim' },
    { name: 'extent', kind: 'dim' },
    { name: 'carries', kind: 'number' },
    { name: 'axes', kind: 'axes' },
    { name: 'reverse', kind: 'bool' },
  ],
  infer: (inputs, { extent, carries, axes }) => {
    wantAtLeast('the number of steps', extent, 1)
    if (inputs.length !== carries + axes.length) {
      throw new Error(
        `internal: scan of ${carries} carries and ${axes.length} yields takes not ${inputs.length} tensors`,
      )
    }
    const yields = inputs.slice(carries)
    return [...yields.map((y, i) => stacked(y, axes[i], extent, carries + i)), ...inputs.slice(0, carries)]
  },
  evaluate: looped('scan'),
})

/** `extent` values of type `y` along a new axis. */
function stacked(y: TensorType, axis: number, extent: Ix, input: number): TensorType {
  if (axis > y.shape.length) {
    throw new InferError('TFM1404', `axis ${axis} is not one of the ${y.shape.length + 1} axes of the result`, [
      typeFact(input),
    ])
  }
  const shape = [...y.shape.slice(0, axis), extent, ...y.shape.slice(axis)]
  return { dtype: y.dtype, shape }
}

export const part = defineOp<{ index: number; dtype: DType; shape: readonly Ix[] }>({
  doc: 'One of several results.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'index', kind: 'number' },
    { name: 'dtype', kind: 'dtype' },
    { name: 'shape', kind: 'dims' },
  ],
  infer: (_, { dtype, shape }) => ({ dtype, shape }),
  evaluate: looped('part'),
})

export const retain = defineOp({
  doc: 'x, stored in memory of its own: what a carry starts from, and its next value. Only the lowering makes these.',
  params: [{ name: 'x', kind: 'tensor' }],
  internal: true,
  infer: ([x]) => x,
  evaluate: ([x]) => x,
  lower: ({ inputs: [x], out }) => {
    const domain = domainOf(x.shape)
    const at = domain.map((s) => of(s))
    return [{ name: out.name, out, domain, at, body: { k: 'map', e: load(x, at) } }]
  },
})

export const collect = defineOp<{ t: Ix; extent: Ix; axis: number }>({
  doc: 'What a step of a scan yields, stored at t of its stacked values. Only the lowering makes these.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 't', kind: 'dim' },
    { name: 'extent', kind: 'dim' },
    { name: 'axis', kind: 'axis' },
  ],
  internal: true,
  infer: ([x], { extent, axis }) => stacked(x, axis, extent, 0),
  /** Zeros elsewhere, where the kernel stores nothing. */
  evaluate: ([x], { t, axis }, [shape]) => {
    const out = tensor(x.dtype, shape)
    const inner = sizeOf(shape.slice(axis + 1))
    for (let i = 0; i < x.data.length; i++) {
      out.data[(Math.floor(i / inner) * shape[axis] + t) * inner + (i % inner)] = x.data[i]
    }
    return out
  },
  lower: ({ inputs: [x], out, attrs: { t, axis } }) => {
    const domain = domainOf(x.shape)
    const at = domain.map((s) => of(s))
    const stored = [...at.slice(0, axis), t, ...at.slice(axis)]
    return [{ name: out.name, out, domain, at: stored, body: { k: 'map', e: load(x, at) } }]
  },
})
