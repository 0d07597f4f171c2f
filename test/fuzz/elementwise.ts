/** Pieces that work element by element: functions, operators, choices, masks, norms and reductions. */
import type { Piece, Grammar } from './grammar.ts'
import {
  axisText,
  bind,
  calm,
  choose,
  define,
  fits,
  hasFixedLast,
  isFloat,
  last,
  lastSize,
  mixable,
  one,
  param,
  place,
  rank,
  sameShape,
  sizeOf,
  tamed,
  tamedMost,
} from './grammar.ts'
import type { Extent, Var } from './model.ts'
import { fixed } from './model.ts'

/** Text of a function of `x`, and how large its result may be where |x| ≤ most. */
type Fn = readonly [text: (x: string) => string, most: (most: number) => number]
const one_ = (): number => 1
const same = (m: number): number => m
const named = (f: string, most: (m: number) => number): Fn => [(x) => `${f}(${x})`, most]

/** Functions that are smooth and finite everywhere. */
export const smooth: readonly Fn[] = [
  ...['sigmoid', 'tanh', 'erf', 'sin', 'cos'].map((f) => named(f, one_)),
  ...['silu', 'gelu', 'gelu_tanh', 'gelu_sigmoid', 'mish', 'relu', 'leaky_relu', 'elu', 'abs'].map((f) =>
    named(f, same),
  ),
  named('softplus', (m) => m + 1),
  [(x) => `exp(-abs(${x}))`, one_],
  [(x) => `expm1(min(${x}, 1))`, (m) => Math.max(2, m)],
  [(x) => `log1p(abs(${x}))`, (m) => Math.log1p(m) + 1],
  [(x) => `log(abs(${x}) + 0.5)`, (m) => Math.log1p(m) + 1],
  [(x) => `sqrt(abs(${x}) + 0.1)`, (m) => Math.sqrt(m) + 1],
  [(x) => `1 / (1 + ${x} * ${x})`, one_],
  [(x) => `2 ** min(${x}, 2)`, () => 4],
  [(x) => `(abs(${x}) + 0.1) ** 0.75`, same],
  [(x) => `-${x}`, same],
  [(x) => `0.5 * ${x} + 1`, (m) => m + 1],
  [(x) => `${x} * ${x}`, (m) => m * m],
  [(x) => `max(${x}, -0.25)`, (m) => Math.max(1, m)],
]
/** Functions with steps. */
const steps: readonly Fn[] = [
  ...['floor', 'ceil', 'round', 'sign'].map((f) => named(f, (m) => m + 1)),
  [(x) => `${x} % 3`, () => 3],
  [(x) => `${x} // 2`, same],
  [(x) => `f32(i32(${x}))`, same],
]

export const unary: Piece = (g) => {
  const x = choose(g, calm)
  if (!x) return false
  const [text, most] = g.r.pick(x.most > 1e3 || g.r.chance(0.88) ? smooth : steps)
  const piped = g.r.chance(0.2) && /^\w+\(x\)$/.test(text('x'))
  bind(g, piped ? `${x.name} |> ${text('x').slice(0, -3)}` : text(x.name), x, most(x.most))
  return true
}

/** What `b` of shape [.., n] stretches to beside `a`; undefined if they do not meet. */
function joined(a: Var, b: Var): readonly Extent[] | undefined {
  const [long, short] = rank(a) >= rank(b) ? [a, b] : [b, a]
  const shift = rank(long) - rank(short)
  const out = [...long.shape]
  for (const [i, e] of short.shape.entries()) {
    const d = out[i + shift]
    if (d.text === e.text || e.text === '1') continue
    if (d.text !== '1') return undefined
    out[i + shift] = e
  }
  return out
}
type Join = readonly [text: (a: string, b: string) => string, most: (a: number, b: number) => number]
const joins: readonly Join[] = [
  [(a, b) => `${a} + ${b}`, (a, b) => a + b],
  [(a, b) => `${a} + ${b}`, (a, b) => a + b],
  [(a, b) => `${a} - ${b}`, (a, b) => a + b],
  [(a, b) => `${a} * ${b}`, (a, b) => a * b],
  [(a, b) => `${a} * sigmoid(${b})`, (a) => a],
  [(a, b) => `min(${a}, ${b})`, Math.max],
  [(a, b) => `max(${a}, ${b})`, Math.max],
  [(a, b) => `${a} / (1 + abs(${b}))`, (a) => a],
  [(a, b) => `select(${b} > 0, ${a}, 0.5 * ${b})`, Math.max],
]

export const binary: Piece = (g) => {
  const a = choose(g, calm)
  const b = a && choose(g, (v) => calm(v) && joined(a, v) !== undefined && (v !== a || g.vars.length < 3))
  const shape = a && b && joined(a, b)
  if (!shape || !fits(g, shape)) return false
  const [text, most] = g.r.pick(joins)
  bind(g, text(a.name, b.name), { dtype: 'f32', shape }, most(a.most, b.most))
  return true
}

/** Eight operands and more in one expression: more than a kernel may bind beside its results. */
export const crowd: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && rank(v) > 0)
  if (!x) return false
  const others = g.vars.filter((v) => calm(v) && v !== x && joined(x, v)?.every((e, i) => e.text === x.shape[i]?.text))
  if (others.length < 4) return false
  const text = [x, ...others.slice(-9)].map((v, i) => (i % 3 === 2 ? `tanh(${v.name})` : v.name)).join(' + ')
  bind(g, text, x, x.most + others.reduce((n, v) => n + v.most, 0))
  return true
}

/** A vector or a number of the checkpoint, scaled before it is used: such expressions are computed at load. */
export const affine: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && hasFixedLast(v))
  if (!x) return false
  const w = param(g, g.r.chance(0.8) ? [last(x)] : [], 'gain')
  const text = g.r.weighted([
    [3, `${x.name} * ${w.name}`],
    [2, `${x.name} + ${w.name}`],
    [2, `${x.name} * (1 + tanh(${w.name}))`],
    [1, `(${x.name} - ${w.name}) * exp(${w.name} * 0.5)`],
  ])
  bind(g, text, x, 3 * x.most + 2)
  return true
}

export const norm: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && hasFixedLast(v) && lastSize(v) > 1)
  if (!x) return false
  const name = g.r.pick(['layernorm', 'layernorm', 'rmsnorm', 'rmsnorm', 'layernorm_std'])
  const how = g.r.pick([place(g), place(g), 'affine = false', `${place(g)}, eps = 0.001`])
  bind(g, `${name}(${x.name}, ${how})`, x, 4 * Math.sqrt(lastSize(x)))
  return true
}

/** Statistics that the user writes, over any axes. */
export const statistics: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && mixable(g, v).length > 0)
  if (!x) return false
  const axes = g.r.pick([[g.r.pick(mixable(g, x))], [g.r.pick(mixable(g, x))], mixable(g, x)])
  const at = axes.length === 1 ? axisText(g, x, axes[0]) : `[${axes.join(', ')}]`
  const shape = x.shape.map((e, i) => (axes.includes(i) ? one : e))
  const count = axes
    .map((a) => x.shape[a].text)
    .map((t) => (/ /.test(t) ? `(${t})` : t))
    .join(' * ')
  const n = g.causal && /\bT\b/.test(count) ? '1' : axes.reduce((p, a) => p * sizeOf(g, x.shape[a]), 1)
  const mean = bind(g, `sum(${x.name}, axis = ${at}, keep = true) / ${n}`, { dtype: 'f32', shape }, x.most)
  const kind = g.r.int(0, 2)
  if (kind === 0) bind(g, `${x.name} - ${mean.name}`, x, 2 * x.most)
  else if (kind === 1) {
    const c = bind(g, `${x.name} - ${mean.name}`, x, 2 * x.most)
    const spread = bind(g, `mean(abs(${c.name}), axis = ${axisText(g, x, axes[0])}, keep = true)`, { dtype: 'f32', shape: x.shape.map((e, i) => (i === axes[0] ? one : e)) }, x.most) // prettier-ignore
    bind(g, `${c.name} / (${spread.name} + 0.01)`, x, 200 * Math.max(1, Math.min(x.most, 10)))
  } else {
    const top = bind(g, `max(abs(${x.name}), axis = ${at}, keep = true)`, { dtype: 'f32', shape }, x.most)
    bind(g, `${x.name} / (0.1 + ${top.name}) + ${mean.name}`, x, 1 + x.most)
  }
  return true
}

export const softmax: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && mixable(g, v).length > 0 && v.most < 300)
  if (!x) return false
  const axis = g.r.pick(mixable(g, x))
  const f = g.r.pick(['softmax', 'softmax', 'softmax', 'log_softmax'])
  const mask =
    f === 'softmax' && g.r.chance(0.4) ? g.vars.find((v) => v.dtype === 'bool' && sameShape(v, x)) : undefined
  const seen = mask ? `, mask = ${mask.name}` : f === 'softmax' && g.r.chance(0.25) ? `, mask = ${x.name} < 0.5` : ''
  bind(g, `${f}(${x.name}, axis = ${axisText(g, x, axis)}${seen})`, x, f === 'softmax' ? 1 : 2 * x.most + 4)
  return true
}

export const reduce: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && mixable(g, v).length > 0)
  if (!x) return false
  const axes = g.r.chance(0.75) || mixable(g, x).length < 2 ? [g.r.pick(mixable(g, x))] : mixable(g, x).slice(-2)
  const count = axes.reduce((n, a) => n * sizeOf(g, x.shape[a]), 1)
  const keep = g.r.chance(0.4)
  const shape = x.shape.flatMap((e, i) => (!axes.includes(i) ? [e] : keep ? [one] : []))
  const at = axes.length === 1 ? axisText(g, x, axes[0]) : `[${axes.join(', ')}]`
  const [f, most] = g.r.weighted<readonly [string, number]>([
    [3, ['sum', count * x.most]],
    [axes.length === 1 ? 3 : 0, ['mean', x.most]],
    [3, ['max', x.most]],
    [2, ['min', x.most]],
    [x.most ** count < 1e6 ? 2 : 0, ['prod', Math.max(x.most, 1) ** count]],
    [axes.length === 1 ? 1 : 0, ['var', x.most ** 2]],
    [axes.length === 1 && count > 1 ? 1 : 0, ['std', x.most]],
    [axes.length === 1 && !keep ? 2 : 0, ['logsumexp', x.most + 5]],
  ])
  const kept = f === 'logsumexp' || !keep ? '' : ', keep = true'
  bind(g, `${f}(${x.name}, axis = ${at}${kept})`, { dtype: 'f32', shape }, most)
  return true
}

export const argmax: Piece = (g) => {
  const x = choose(g, (v) => isFloat(v) && mixable(g, v).length > 0)
  if (!x) return false
  const axis = g.r.pick(mixable(g, x))
  const n = Math.min(...g.dims.map((d) => x.shape[axis].size(d)))
  const shape = x.shape.filter((_, i) => i !== axis)
  bind(
    g,
    `argmax(${x.name}, axis = ${axisText(g, x, axis)})`,
    { dtype: 'i32', shape },
    40,
    n === sizeOf(g, x.shape[axis]) ? n : undefined,
  )
  return true
}

export const compare: Piece = (g) => {
  const x = choose(g, isFloat)
  if (!x) return false
  const b = g.r.chance(0.3) ? choose(g, (v) => isFloat(v) && v !== x && sameShape(v, x)) : undefined
  const sign = g.r.pick(['<', '<=', '>', '>=', '!='])
  bind(g, `${x.name} ${sign} ${b?.name ?? g.r.pick(['0.3', '-0.7', '1.1'])}`, { ...x, dtype: 'bool' }, 1)
  return true
}

export const logic: Piece = (g) => {
  const a = choose(g, (v) => v.dtype === 'bool')
  const b = a && choose(g, (v) => v.dtype === 'bool' && v !== a && sameShape(v, a))
  if (!a) return false
  bind(g, b ? `${a.name} ${g.r.pick(['and', 'or', 'and not'])} ${b.name}` : `not ${a.name}`, a, 1)
  return true
}

/** A choice element by element, or a mask as numbers. */
export const masked: Piece = (g) => {
  const c = choose(g, (v) => v.dtype === 'bool')
  const x = c && choose(g, (v) => isFloat(v) && joined({ ...c, dtype: 'f32' }, v) !== undefined)
  const shape = c && x && joined({ ...c, dtype: 'f32' }, x)
  if (!shape || !fits(g, shape)) return false
  const text = g.r.pick([
    `select(${c.name}, ${x.name}, -1)`,
    `select(${c.name}, 0, ${x.name})`,
    `f32(${c.name}) * ${x.name}`,
  ])
  bind(g, text, { dtype: 'f32', shape }, Math.max(1, x.most))
  return true
}

/** Whole numbers among themselves, and as floats. */
export const whole: Piece = (g) => {
  const n = choose(g, (v) => v.dtype === 'i32')
  if (!n) return false
  const [text, below, dtype] = g.r.pick<readonly [string, number | undefined, 'i32' | 'f32' | 'bool']>([
    [`f32(${n.name}) * 0.25`, undefined, 'f32'],
    [`${n.name} % 3`, 3, 'i32'],
    [`${n.name} // 2`, n.below, 'i32'],
    [`min(${n.name}, 2)`, 3, 'i32'],
    [`${n.name} * 3 - 1`, undefined, 'i32'],
    [`${n.name} == 1`, undefined, 'bool'],
    [`${n.name} % 2 == 0`, undefined, 'bool'],
  ])
  const indexed = n.below === undefined && dtype === 'i32' && text.startsWith('min') ? undefined : below
  bind(g, text, { ...n, dtype }, 3 * n.most + 1, indexed)
  return true
}

/** A block of the model's own: some functions of x behind one name, called once, twice, or shared. */
export const ownBlock: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && hasFixedLast(v) && rank(v) > 1 && v.most < 100)
  if (!x) return false
  const d = lastSize(x)
  const f = g.fresh('f')
  const [act] = g.r.pick(smooth)
  const hidden = g.r.pick([1, 3, 8, d])
  const body = g.r.pick([
    `{\n  h = linear(y, ${hidden}, name = "a")\n  return linear(${act('h')}, ${d}, name = "b")\n}`,
    `= y |> linear(${hidden}, name = "a") |> tanh |> linear(D, name = "b", bias = false)`,
    `{\n  param s: f32[D] = "gain"\n  return residual(y * sigmoid(y), skip = y, scale = s)\n}`,
    `{\n  h = rmsnorm(y, name = "n")\n  a, b = linear(h, 2 * D, name = "ab") |> split(2)\n  return a * ${act('b')}\n}`,
  ])
  define(g, 'block', `block ${f}(y: f32[..., D]) ${body}`, [])
  const most = 6 * Math.max(1, tamedMost(x)) ** 2
  const arg = tamed(x)
  if (g.r.chance(0.3)) {
    const s = g.fresh('s')
    g.statements.push({ k: 'block', text: `share ${s} = ${f}(name = "${s}")`, defines: [] })
    const y = bind(g, `${s}(${arg})`, x, most)
    bind(g, `${s}(tanh(${y.name}))`, x, most)
  } else bind(g, `${f}(${arg}, ${place(g)})`, x, most)
  return true
}

/** What can serve as an axis of `n`. */
export const axisOf = (n: number): Extent => fixed(n)
export const ordered = (g: Grammar, xs: readonly Var[]): Var[] =>
  [...xs].sort((a, b) => g.vars.indexOf(a) - g.vars.indexOf(b))
