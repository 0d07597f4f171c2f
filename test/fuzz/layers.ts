/** Pieces with weights: linears, feed-forwards, attention, residuals, repeated layers. */
import type { Grammar, Piece } from './grammar.ts'
import {
  bind,
  calm,
  choose,
  define,
  fits,
  hasFixedLast,
  input,
  last,
  lastSize,
  place,
  rank,
  tamed,
  tamedMost,
  width,
  withLast,
} from './grammar.ts'
import { smooth } from './elementwise.ts'
import type { Extent, Var } from './model.ts'
import { fixed, isFixed } from './model.ts'

const flags = (g: Grammar): string =>
  (g.r.chance(0.25) ? ', bias = false' : '') + (g.r.chance(0.3) ? ', transposed = true' : '')

export const linear: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && hasFixedLast(v) && rank(v) > 1)
  if (!x) return false
  const n = width(g)
  const shape = withLast(x, fixed(n))
  if (!fits(g, shape)) return false
  const [act] = g.r.chance(0.4) ? g.r.pick(smooth) : [(t: string) => t]
  const text = `linear(${x.name}, ${n}, ${place(g)}${flags(g)})`
  const most = 6 * x.most + 1
  if (act('x') === 'x' || most > 1e4) bind(g, text, { dtype: 'f32', shape }, most)
  else {
    const h = bind(g, text, { dtype: 'f32', shape }, most)
    bind(g, act(h.name), h, most * most)
  }
  return true
}

/** Two linears of one value that meet again: projections that may be merged, gates, epilogues. */
export const gated: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && hasFixedLast(v) && rank(v) > 1 && v.most < 1e3)
  if (!x) return false
  const n = width(g)
  const shape = withLast(x, fixed(n))
  if (!fits(g, shape)) return false
  const [a, b] = [0, 1].map(() =>
    bind(g, `linear(${x.name}, ${n}, ${place(g)})`, { dtype: 'f32', shape }, 6 * x.most + 1),
  )
  bind(g, g.r.pick([`silu(${a.name}) * ${b.name}`, `${a.name} * sigmoid(${b.name})`, `tanh(${a.name}) + ${b.name}`]), a, a.most * b.most) // prettier-ignore
  return true
}

/** A text of x with the type of x, and how large it gets. */
type Branch = readonly [text: string, most: number]
const isRows = (v: Var): boolean => rank(v) === 3 && v.shape[0].text === 'B' && isFixed(last(v))

function branch(g: Grammar, x: string, v: Var): Branch {
  const d = lastSize(v)
  const most = Math.max(1, tamedMost(v))
  const kinds: (readonly [number, () => Branch])[] = [
    [2, () => [`linear(gelu(linear(${x}, ${g.r.pick([2, 5, 16])}, ${place(g)})), ${d}, ${place(g)})`, 10 * most]],
    [2, () => [`ffn(${x}, ff = ${g.r.pick([3, 8])}, ${place(g)})`, 10 * most]],
    [1, () => [`mlp(${x}, ff = ${g.r.pick([3, 8])}, ${place(g)})`, 10 * most]],
    [2, () => [`${g.r.pick(['swiglu', 'geglu'])}(${x}, ff = ${g.r.pick([3, 7])}, ${place(g)})`, 40 * most * most]],
    [1, () => [`linear(${x}, ${d}, ${place(g)})`, 6 * most]],
    [1, () => [`sin(${x})`, 1]],
    [isRows(v) ? 4 : 0, () => [attended(g, x, v), 6 * most]],
  ]
  return g.r.weighted(kinds)()
}

/** `residual` does not take parameters for what is added. */
const isParam = (v: Var): boolean => v.name.startsWith('w')

/** Heads that divide d. */
const headsOf = (g: Grammar, d: number): number => g.r.pick([1, 2, 3, 4].filter((h) => d % h === 0))

function maskOf(g: Grammar, n: Extent): string {
  const t = n.text
  const kept = g.vars.find((v) => v.dtype === 'i32' && v.below === 2 && rank(v) === 2 && v.shape[0].text === 'B' && v.shape[1].text === t) // prettier-ignore
  const causal = g.r.weighted([
    [4, `causal(${t})`],
    [2, `sliding(${t}, ${g.r.pick([1, 2, 3])})`],
    [1, `[for i < ${t}, j < ${t}: j <= i and (i - j) % 2 == 0]`],
    [1, `[for i < ${t}, j < ${t}: j < i]`],
  ])
  const any = g.r.pick([causal, `[for i < ${t}, j < ${t}: i // 3 == j // 3]`, `[for i < ${t}, j < ${t}: j != i]`, ''])
  const base = g.causal || g.r.chance(0.3) ? causal : any
  if (!kept || g.r.chance(0.4)) return base
  return base === '' ? `keys(${kept.name} == 1)` : `${base} and keys(${kept.name} == 1)`
}

function attended(g: Grammar, x: string, v: Var): string {
  const n = v.shape[1]
  const [d, mask] = [lastSize(v), maskOf(g, n)]
  const name = g.r.pick(['self_attention', 'self_attention', 'attend_self'])
  return `${name}(${x}${mask === '' ? '' : `, mask = ${mask}`}, heads = ${headsOf(g, d)}, ${place(g)})`
}

/** Attention spelled out: grouped heads, rotary positions, biases, other scales and widths of values. */
export const attention: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && isRows(v) && /^[TS]$/.test(v.shape[1].text))
  const y = x && (g.r.chance(0.6) ? x : choose(g, (v) => calm(v) && isRows(v) && /^\d+$|^[TS]$/.test(v.shape[1].text)))
  if (!x || !y) return false
  const self = y === x || y.shape[1].text === x.shape[1].text
  if (g.causal && !self && y.shape[1].text === 'T') return false
  const [kv, groups, e] = [g.r.pick([1, 1, 2, 3]), g.r.pick([1, 1, 2, 3]), g.r.pick([1, 2, 3, 4, 8])]
  const f = g.r.chance(0.8) ? e : g.r.pick([1, 5])
  const heads = kv * groups
  if (!fits(g, withLast(x, fixed(heads * Math.max(e, f))))) return false
  const turned = e % 2 === 0 && self && g.r.chance(0.5) ? ' |> rope' : ''
  const project = (from: string, h: number, size: number, turn: string): string =>
    `${from} |> linear(${h * size}, ${place(g)}${flags(g)}) |> split_heads(heads = ${h})${turn}`
  const heading = (n: Extent, h: number, size: number): readonly Extent[] => [x.shape[0], fixed(h), n, fixed(size)]
  const [xs, ys] = [tamed(x), tamed(y)]
  const [n, s] = [x.shape[1], y.shape[1]]
  const q = bind(g, project(xs, heads, e, turned), { dtype: 'f32', shape: heading(n, heads, e) }, 12)
  const k = bind(g, project(ys, kv, e, turned), { dtype: 'f32', shape: heading(s, kv, e) }, 12)
  const v = bind(g, project(ys, kv, f, ''), { dtype: 'f32', shape: heading(s, kv, f) }, 12)
  const rest: string[] = []
  const mask = self ? maskOf(g, n) : crossMask(g, s)
  if (mask !== '') rest.push(`mask = ${mask}`)
  if (self && g.r.chance(0.25)) rest.push(`bias = alibi(${n.text}, ${n.text}, heads = ${heads})`)
  if (g.r.chance(0.2)) rest.push('scale = 0.7')
  const shape = heading(n, heads, f)
  const a = bind(g, `attention(${[q.name, k.name, v.name, ...rest].join(', ')})`, { dtype: 'f32', shape }, 12)
  bind(g, `merge_heads(${a.name})`, { dtype: 'f32', shape: [x.shape[0], n, fixed(heads * f)] }, 12)
  return true
}

function crossMask(g: Grammar, s: Extent): string {
  const kept = g.vars.find((v) => v.dtype === 'i32' && v.below === 2 && rank(v) === 2 && v.shape[0].text === 'B' && v.shape[1].text === s.text) // prettier-ignore
  return kept && g.r.chance(0.7) ? `keys(${kept.name} == 1)` : ''
}

const normed = (g: Grammar, x: string): string =>
  `${g.r.pick(['layernorm', 'rmsnorm'])}(${x}, ${g.r.chance(0.8) ? place(g) : 'affine = false'})`

export const residual: Piece = (g) => {
  const x = choose(
    g,
    (v) => calm(v) && hasFixedLast(v) && rank(v) > 1 && lastSize(v) > 1 && v.most < 1e3 && !isParam(v),
  )
  if (!x) return false
  const bounded = { ...x, most: 8 }
  const form = g.r.int(0, 5)
  const pre = (): Branch => branch(g, normed(g, x.name), bounded)
  const plain = (): Branch => branch(g, tamed(x), x)
  if (form <= 1) {
    const [text, most] = pre()
    bind(g, `residual(${text})`, x, x.most + most)
  } else if (form === 2) {
    const [text, most] = plain()
    bind(g, normed(g, `residual(${text})`), x, 4 * Math.sqrt(lastSize(x)) + 0 * most)
  } else if (form === 3) {
    const [text] = plain()
    bind(g, `residual(${normed(g, text)})`, x, x.most + 24)
  } else if (form === 4) {
    const [text, most] = pre()
    const scale = g.r.pick(['0.3', '0.5'])
    bind(g, `residual(${text}, skip = ${x.name}, scale = ${scale}, skip_scale = 0.5)`, x, x.most + most)
  } else {
    const [a, ma] = pre()
    const [b, mb] = pre()
    bind(g, `residual(${a} + ${b}, skip = ${x.name})`, x, x.most + ma + mb)
  }
  return true
}

/** Layers of equal shape, which the host program rolls again. */
export const layers: Piece = (g) => {
  const x = choose(
    g,
    (v) => calm(v) && hasFixedLast(v) && rank(v) > 1 && lastSize(v) > 1 && v.most < 100 && !isParam(v),
  )
  if (!x) return false
  const y = g.fresh('x')
  const count = g.r.pick([1, 2, 2, 3])
  const scope = g.fresh('h')
  const body = Array.from({ length: g.r.int(1, 2) }, () => {
    const inner = g.r.chance(0.75)
    const [text] = branch(g, inner ? normed(g, y) : y, { ...x, most: 8 })
    return inner ? `  ${y} = residual(${text})` : `  ${y} = ${normed(g, `residual(${text})`)}`
  })
  const most = x.most + 200 * count
  const v: Var = { ...x, name: y, most }
  if (g.r.chance(0.2)) {
    const all = g.fresh('x')
    const shape = [fixed(count), ...x.shape]
    if (shape.length > 4 || !fits(g, shape)) return false
    const text = [
      `${y} = ${x.name}`,
      `${all} = repeat ${count} as i scope "${scope}.{i}" {`,
      ...body,
      `  yield ${y}`,
      '}',
    ]
    define(g, 'let', text.join('\n'), [v, { ...x, shape, name: all, most }])
  } else
    define(g, 'let', [`${y} = ${x.name}`, `repeat ${count} as i scope "${scope}.{i}" {`, ...body, '}'].join('\n'), [v])
  return true
}

/** A late input, as decoders have. */
export const another: Piece = (g) => {
  const d = fixed(width(g))
  const shape = g.r.pick<readonly Extent[]>([[d], [...(g.vars.find((v) => rank(v) === 3)?.shape.slice(0, 2) ?? []), d]])
  if (!fits(g, shape)) return false
  input(g, shape, { k: g.r.pick(['normal', 'normal', 'repeated', 'tiny', 'zero', 'large']) })
  return true
}
