/** Pieces along an axis: recurrences, convolutions, pools, running sums, order. */
import type { Piece } from './grammar.ts'
import { bind, calm, choose, define, fits, hasFixedLast, isFloat, last, lastSize, param, place, rank, tamed, width, withLast } from './grammar.ts' // prettier-ignore
import type { Var } from './model.ts'
import { fixed, isFixed, valueOf } from './model.ts'

/** [rows, positions, features]. */
const sequential = (v: Var): boolean => calm(v) && rank(v) === 3 && hasFixedLast(v)

/** A scan over axis 1, with a matrix in the loop or without, yielding what it carries or more. */
export const recurrence: Piece = (g) => {
  const x = choose(g, sequential)
  if (!x) return false
  const [rows, steps] = x.shape
  const [d, y, h, t] = [lastSize(x), g.fresh('x'), g.fresh('x'), g.fresh('t')]
  const now = `${tamed(x)}[:, ${t}]`
  const w = g.r.chance(0.4) && d < 14 ? param(g, [fixed(d), fixed(d)]) : undefined
  const [next, most] = g.r.pick<readonly [string, number]>([
    [`tanh(${now} + ${w ? `${h} @ ${w.name}` : h})`, 1],
    [`0.75 * ${h} + ${w ? `0.1 * tanh(${h} @ ${w.name}) + ` : ''}${now}`, 40],
    [`sigmoid(${now}) * ${h} + ${now}`, 100],
    [`max(${h}, ${now})`, 8],
    [`${h} * 0.5 + f32(${t}) * 0.01 * ${now}`, 10],
  ])
  const reverse = !g.causal && g.r.chance(0.3)
  const yields = g.r.pick([h, `${h} * ${now}`])
  const text = [
    `${y}, ${h} = scan ${t} < ${steps.text}, axis = 1${reverse ? ', reverse = true' : ''} carry ${h} = zeros([${rows.text}, ${d}]) {`,
    `  ${h} = ${next}`,
    `  yield ${yields}`,
    '}',
  ]
  const stacked: Var = { ...x, name: y, most: 8 * most }
  // The final carry depends on every position.
  const final: Var = { dtype: 'f32', name: h, shape: [rows, fixed(d)], most }
  define(g, 'let', text.join('\n'), g.causal ? [stacked] : [stacked, final])
  return true
}

const transposed = (x: string, inner: string): string => `${x} |> transpose |> ${inner} |> transpose`

/** Over the positions, each channel by itself or all together. */
export const convolution: Piece = (g) => {
  const x = choose(g, (v) => sequential(v) && /^\w+$/.test(v.shape[1].text))
  if (!x) return false
  const d = lastSize(x)
  const [kernel, dilation] = [g.r.int(1, 4), g.r.pick([1, 1, 2])]
  const depthwise = g.r.chance(0.4)
  const n = depthwise ? d : width(g)
  if (!fits(g, withLast(x, fixed(n)))) return false
  const bias = g.r.chance(0.3) ? ', bias = false' : ''
  const options = `${kernel}, dilation = ${dilation}, groups = ${depthwise ? d : 1}, causal = true${bias}, ${place(g)}`
  bind(g, transposed(tamed(x), `conv1d(${n}, ${options})`), { ...x, shape: withLast(x, fixed(n)) }, 12)
  return true
}

/** Of the last axis, where its size is known. */
export const pool: Piece = (g) => {
  const x = choose(g, (v) => sequential(v) && lastSize(v) > 1)
  if (!x) return false
  const size = lastSize(x)
  const kernel = g.r.int(1, Math.min(3, size))
  const stride = g.r.int(1, 3)
  const made = fixed(Math.floor((size - kernel) / stride) + 1)
  const name = g.r.pick(['max_pool1d', 'avg_pool1d'])
  bind(g, `${name}(${x.name}, ${kernel}, stride = ${stride})`, { ...x, shape: withLast(x, made) }, x.most)
  return true
}

export const running: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && rank(v) > 0)
  if (!x) return false
  const axis = g.r.int(0, rank(x) - 1)
  bind(g, `cumsum(${tamed(x)}, axis = ${axis})`, x, 200)
  return true
}

/** The largest of an axis, in order: their places would be uncertain where two are close. */
export const order: Piece = (g) => {
  const x = choose(g, (v) => isFloat(v) && rank(v) > 0 && isFixed(last(v)) && valueOf(last(v)) < 14)
  if (!x) return false
  const [values, places] = [g.fresh('x'), g.fresh('n')]
  const k = g.r.int(1, lastSize(x))
  const [call, shape] = g.r.chance(0.5)
    ? [`topk(${x.name}, ${k})`, withLast(x, fixed(k))]
    : [`sort(${x.name}${g.r.chance(0.5) ? ', descending = true' : ''})`, x.shape]
  define(g, 'let', `${values}, ${places} = ${call}`, [{ ...x, name: values, shape }])
  return true
}
