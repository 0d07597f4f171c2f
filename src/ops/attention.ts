import { bin, constant, load, select, un } from '../kernel/expr.ts'
import type { Expr } from '../kernel/expr.ts'
import { newBuffer } from '../kernel/buffer.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Body, Stage } from '../kernel/stage.ts'
import type { Ix, Sym } from '../types/ix.ts'
import { exactDiv, floorDiv, isConst, of, print } from '../types/ix.ts'
import type { TensorType } from '../types/tensor.ts'
import { defineOp, InferError } from './define.ts'
import {
  domainOf,
  loadStretched,
  loopSymbol,
  stretch,
  tensor,
  typeFact,
  wantBroadcastTo,
  wantDtype,
  wantRank,
} from './support.ts'

type Given = {
  /** Factor of the scores. */
  readonly scale?: number
  /** Bound of the scores. */
  readonly softcap?: number
  /** Which of 'mask', 'bias' and 'sinks' there are. */
  readonly given?: string
}

/** mask, bias and sinks among the inputs. */
function optional<X>(inputs: readonly X[], attrs: Given): { mask?: X; bias?: X; sinks?: X } {
  const names = (attrs.given ?? '').split(' ').filter((n) => n !== '')
  return Object.fromEntries(names.map((n, i) => [n, inputs[3 + i]]))
}

const scaleOf = (attrs: Given, e: number): number => attrs.scale ?? e ** -0.5

function same(
  op: string,
  names: readonly [string, string],
  inputs: readonly [number, number],
  types: readonly [TensorType, TensorType],
  axes: readonly [number, number],
): void {
  const [a, b] = [types[0].shape[axes[0]], types[1].shape[axes[1]]]
  if (a === b) return
  throw new InferError(
    'TFM1402',
    `${op}: axis ${axes[0]} of {${inputs[0]}:${names[0]}} (${print(a)}) and axis ${axes[1]} of {${inputs[1]}:${names[1]}} (${print(b)}) differ`,
    [typeFact(inputs[0]), typeFact(inputs[1])],
  )
}

/** Query heads per kv head. */
function groupSize(heads: Ix, kv: Ix): Ix | undefined {
  return exactDiv(heads, kv)
}

/**
 * Softmax attention with grouped heads. Not composed in the language because one kernel must see the whole: it never stores the scores.
 * The running form is the online softmax of Milakov & Gimelshein 2018, tiled as in Dao et al. 2022 (FlashAttention).
 */
export const attention = defineOp<Given>({
  doc:
    'Scaled dot-product attention (Vaswani et al. 2017): softmax(scale · q kᵀ + bias) v over the keys where mask is true; a row that sees no key is 0. ' +
    'q [B, H, T, E], k [B, G, S, E], v [B, G, S, F]; query head h reads kv head h // (H / G). scale defaults to E ** -0.5. ' +
    'With softcap c the scaled scores s become c · tanh(s / c) before bias and mask (Gemma 2). ' +
    'sinks [H] adds exp(sinks[h]) to the denominator of the softmax: a key without a value (gpt-oss).',
  params: [
    { name: 'q', kind: 'tensor' },
    { name: 'k', kind: 'tensor' },
    { name: 'v', kind: 'tensor' },
    { name: 'mask', kind: 'tensor', default: null },
    { name: 'bias', kind: 'tensor', default: null },
    { name: 'scale', kind: 'number', default: null },
    { name: 'softcap', kind: 'number', default: null },
    { name: 'sinks', kind: 'tensor', default: null },
  ],
  infer: (inputs, attrs) => {
    const [q, k, v] = inputs
    for (const [i, name] of ['q', 'k', 'v'].entries()) {
      wantDtype('attention', name, i, inputs[i], ['f32'])
      wantRank('attention', name, i, inputs[i], (r) => r === 4, 'four axes: batch, heads, positions, features')
    }
    same('attention', ['q', 'k'], [0, 1], [q, k], [0, 0])
    same('attention', ['q', 'k'], [0, 1], [q, k], [3, 3])
    for (const axis of [0, 1, 2]) same('attention', ['k', 'v'], [1, 2], [k, v], [axis, axis])
    if (groupSize(q.shape[1], k.shape[1]) === undefined) {
      const what = `the ${print(q.shape[1])} heads of {0:q} are not a multiple of the ${print(k.shape[1])} heads of {1:k}`
      throw new InferError('TFM1405', what, [typeFact(0), typeFact(1)])
    }
    if (attrs.scale === undefined && isConst(q.shape[3]) === undefined) {
      const what = `the default scale needs a known number of features, not ${print(q.shape[3])}`
      throw new InferError('TFM1410', what, [typeFact(0)], 'give scale')
    }
    const scores = [q.shape[0], q.shape[1], q.shape[2], k.shape[2]]
    const { mask, bias, sinks } = optional(inputs, attrs)
    if (mask !== undefined) {
      wantDtype('mask', 'mask', 3, mask, ['bool'])
      wantBroadcastTo('mask', 3, mask, scores)
    }
    if (bias !== undefined) {
      const at = mask === undefined ? 3 : 4
      wantDtype('bias', 'bias', at, bias, ['f32'])
      wantBroadcastTo('bias', at, bias, scores)
    }
    if (sinks !== undefined) {
      const at = inputs.length - 1
      wantDtype('sinks', 'sinks', at, sinks, ['f32'])
      wantRank('attention', 'sinks', at, sinks, (r) => r === 1, 'one axis of sinks, the heads')
      same('attention', ['q', 'sinks'], [0, at], [q, sinks], [1, 0])
    }
    if (attrs.softcap !== undefined && !(attrs.softcap > 0))
      throw new InferError('TFM1410', `softcap is ${attrs.softcap}, and must be positive`, [], 'leave it out for none')
    return { dtype: 'f32', shape: [...q.shape.slice(0, 3), v.shape[3]] }
  },
  evaluate: (inputs, attrs, [shape]) => {
    const [q, k, v] = inputs
    const [batches, heads, rows, features] = shape
    const [, kv, keys, e] = k.shape
    const scale = scaleOf(attrs, e)
    const { mask, bias, sinks } = optional(inputs, attrs)
    const { softcap } = attrs
    const all = [batches, heads, rows, keys]
    const seen = mask && stretch(mask, all)
    const added = bias && stretch(bias, all)
    const out = tensor('f32', shape)
    const p = new Float64Array(keys)
    for (let row = 0; row < batches * heads * rows; row++) {
      const head = Math.floor(row / rows)
      const group = Math.floor(head / heads) * kv + Math.floor((head % heads) / (heads / kv))
      let top = -Infinity
      for (let j = 0; j < keys; j++) {
        p[j] = -Infinity
        if (seen && seen[row * keys + j] === 0) continue
        let dot = 0
        const [a, b] = [row * e, (group * keys + j) * e]
        for (let x = 0; x < e; x++) dot += q.data[a + x] * k.data[b + x]
        const score = softcap === undefined ? dot * scale : softcap * Math.tanh((dot * scale) / softcap)
        p[j] = score + (added ? added[row * keys + j] : 0)
        top = Math.max(top, p[j])
      }
      if (top === -Infinity) continue
      const sink = sinks ? sinks.data[head % heads] : -Infinity
      top = Math.max(top, sink)
      let sum = Math.exp(sink - top)
      for (let j = 0; j < keys; j++) sum += p[j] = Math.exp(p[j] - top)
      for (let j = 0; j < keys; j++) {
        if (p[j] === 0) continue
        const [w, b, o] = [p[j] / sum, (group * keys + j) * features, row * features]
        for (let x = 0; x < features; x++) out.data[o + x] += w * v.data[b + x]
      }
    }
    return out
  },
  lower: ({ inputs, out, attrs }) => {
    const domain = domainOf(out.shape)
    return [{ name: out.name, out, domain, body: carried(inputs, domain, attrs) }]
  },
})

/** The maximum over nothing: below every score, and finite, since kernels have no infinities. */
const lowest = -3e38

/** The online softmax over keys j, for one row (b, h, t); carries are the maximum m, the sum l and the weighted values o[f]. */
function carried(inputs: readonly Buffer[], domain: readonly Sym[], attrs: Given): Body {
  const [q, k, v] = inputs
  const [b, h, t] = domain.map((s) => of(s))
  const column = domain[3]
  const f = of(column)
  const { mask, bias, sinks } = optional(inputs, attrs)
  const axis = loopSymbol('s', k.shape[2])
  const j = of(axis)
  const group = floorDiv(h, groupSize(q.shape[1], k.shape[1]) as Ix)
  const where = mask && loadStretched(mask, [b, h, t, j])
  const scale = scaleOf(attrs, isConst(q.shape[3]) ?? NaN)

  const values = (name: string, shape: readonly Ix[]): Buffer => newBuffer(name, 'f32', 'virtual', shape)
  const stage = (name: string, over: readonly Sym[], shape: readonly Ix[], body: Body): Stage => ({
    name,
    out: values(name, shape),
    domain: over,
    body,
  })
  const fold = (fold: 'add' | 'max', over: Sym, e: Expr, empty: number, guarded?: Expr): Body => ({
    k: 'reduce',
    fold,
    axes: [over],
    e,
    ...(guarded === undefined ? {} : { where: guarded }),
    empty,
  })

  const x = loopSymbol('e', q.shape[3])
  const product = bin('mul', load(q, [b, h, t, of(x)]), load(k, [b, group, j, of(x)]))
  const keys = k.shape[2]
  const dot = stage('dot', [axis], [keys], fold('add', x, product, 0))
  const { softcap } = attrs
  const factor = (x: number): Expr => bin('mul', load(dot.out, [j]), constant(x))
  const scaled =
    softcap === undefined ? factor(scale) : bin('mul', constant(softcap), un('tanh', factor(scale / softcap)))
  const s = stage('score', [axis], [keys], {
    k: 'map',
    e: bias === undefined ? scaled : bin('add', scaled, loadStretched(bias, [b, h, t, j])),
  })
  const m = stage('top', [], [], fold('max', axis, load(s.out, [j]), lowest, where))
  const power = un('exp', bin('sub', load(s.out, [j]), load(m.out, [])))
  const p = stage('p', [axis], [keys], { k: 'map', e: where === undefined ? power : select(where, power, constant(0)) })
  const l = stage('sum', [], [], fold('add', axis, load(p.out, [j]), 0))
  const weighted = bin('mul', load(p.out, [j]), load(v, [b, group, j, f]))
  const o = stage('o', [column], [v.shape[3]], fold('add', axis, weighted, 0))

  const running = (name: string, shape: readonly Ix[]): Buffer => newBuffer(name, 'f32', 'private', shape)
  const [top, sum, acc] = [running('running_top', []), running('running_sum', []), running('running_o', [v.shape[3]])]
  const joint = bin('max', load(top, []), load(m.out, []))
  const merge = (mine: Expr, chunk: Expr): Expr =>
    bin(
      'add',
      bin('mul', mine, un('exp', bin('sub', load(top, []), joint))),
      bin('mul', chunk, un('exp', bin('sub', load(m.out, []), joint))),
    )
  const total = load(sum, [])
  let result = bin('div', load(acc, [f]), total)
  if (sinks !== undefined) {
    // The sink is one more element to merge, without a value.
    const sink = load(sinks, [h])
    const highest = bin('max', load(top, []), sink)
    const kept = un('exp', bin('sub', load(top, []), highest))
    const whole = bin('add', bin('mul', total, kept), un('exp', bin('sub', sink, highest)))
    result = bin('div', bin('mul', load(acc, [f]), kept), whole)
  }
  return {
    k: 'carried',
    axis,
    ...(where === undefined ? {} : { where }),
    columns: [column],
    chunk: [dot, s, m, p, l, o],
    carries: [
      { running: top, axes: [], init: lowest, chunk: m.out, merge: joint },
      { running: sum, axes: [], init: 0, chunk: l.out, merge: merge(total, load(l.out, [])) },
      { running: acc, axes: [column], init: 0, chunk: o.out, merge: merge(load(acc, [f]), load(o.out, [f])) },
    ],
    // Only a row that saw no key has the sum 0; a NaN goes on as one.
    finish: select(bin('eq', total, constant(0)), constant(0), result),
  }
}
