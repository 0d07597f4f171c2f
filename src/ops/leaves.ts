/** What a graph starts from, and what is kept of it between calls. Only the compiler makes these nodes. */
import { load } from '../kernel/expr.ts'
import type { DType } from '../types/dtype.ts'
import type { Ix } from '../types/ix.ts'
import { add, of } from '../types/ix.ts'
import { defineOp } from './define.ts'
import { domainOf, mapStage, sizeOf, tensor, wantAxis } from './support.ts'

const held = (what: string) => (): never => {
  throw new Error(`internal: ${what} has no value of its own`)
}

export const input = defineOp<{ name: string; dtype: DType; shape: readonly Ix[] }>({
  doc: 'A value that the caller gives.',
  params: [
    { name: 'name', kind: 'string' },
    { name: 'dtype', kind: 'dtype' },
    { name: 'shape', kind: 'dims' },
  ],
  infer: (_, { dtype, shape }) => ({ dtype, shape }),
  evaluate: held('input'),
})

export const param = defineOp<{ name: string; shape: readonly Ix[] }>({
  doc: 'A weight of the checkpoint; always f32.',
  params: [
    { name: 'name', kind: 'string' },
    { name: 'shape', kind: 'dims' },
  ],
  infer: (_, { shape }) => ({ dtype: 'f32', shape }),
  evaluate: held('param'),
})

export const state = defineOp<{ name: string; dtype: DType; shape: readonly Ix[] }>({
  doc: 'A value kept between calls.',
  params: [
    { name: 'name', kind: 'string' },
    { name: 'dtype', kind: 'dtype' },
    { name: 'shape', kind: 'dims' },
  ],
  infer: (_, { dtype, shape }) => ({ dtype, shape }),
  evaluate: held('state'),
})

export const append = defineOp<{ name: string; axis: number; past: Ix }>({
  doc: 'The kept value `name`, whose first `past` positions on `axis` are filled, with x stored behind them: concat(name[0:past], x).',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'name', kind: 'string' },
    { name: 'axis', kind: 'axis' },
    { name: 'past', kind: 'dim' },
  ],
  internal: true,
  infer: ([x], { axis, past }) => {
    wantAxis(axis, x.shape.length, x)
    return { dtype: x.dtype, shape: x.shape.map((d, a) => (a === axis ? add(past, d) : d)) }
  },
  /** The interpreter hands over the kept positions as a second input. */
  evaluate: ([x, kept], { axis, past }, [shape]) => {
    const out = tensor(x.dtype, shape)
    const outer = sizeOf(shape.slice(0, axis))
    const inner = sizeOf(shape.slice(axis + 1))
    const [before, added] = [past * inner, x.shape[axis] * inner]
    for (let o = 0; o < outer; o++) {
      if (before > 0) out.data.set(kept.data.subarray(o * before, (o + 1) * before), o * (before + added))
      out.data.set(x.data.subarray(o * added, (o + 1) * added), o * (before + added) + before)
    }
    return out
  },
  lower: ({ inputs: [x], out, attrs: { axis, past } }) => {
    const domain = domainOf(x.shape)
    const at = domain.map((s) => of(s))
    return [
      {
        name: out.name,
        out,
        domain,
        at: at.map((c, a) => (a === axis ? add(past, c) : c)),
        body: { k: 'map', e: load(x, at) },
      },
    ]
  },
})

export const hold = defineOp<{ name: string }>({
  doc: 'x, which is kept as `name` from the end of a call on: what the next call finds as the state of that name.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'name', kind: 'string' },
  ],
  internal: true,
  infer: ([x]) => x,
  evaluate: ([x]) => x,
  lower: ({ inputs: [x], out }) => [mapStage(out, (at) => load(x, at))],
})
