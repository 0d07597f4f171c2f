/** Pieces that move elements: reshapes, slices, joins, gathers, comprehensions. */
import type { Piece } from './grammar.ts'
import {
  axisText,
  B,
  bind,
  calm,
  choose,
  define,
  fits,
  hasFixedLast,
  last,
  lastSize,
  mixable,
  one,
  param,
  rank,
  S,
  sameShape,
  sizeOf,
  T,
  width,
  withLast,
} from './grammar.ts'
import type { Extent, Var } from './model.ts'
import { fixed, isFixed, plus, times, valueOf } from './model.ts'

const list = (shape: readonly Extent[]): string => `[${shape.map((e) => e.text).join(', ')}]`
const at = <X>(xs: readonly X[], i: number, ...x: readonly X[]): X[] => [...xs.slice(0, i), ...x, ...xs.slice(i + 1)]

/** An axis in two, or two in one. */
export const reshape: Piece = (g) => {
  const x = choose(g, (v) => rank(v) > 0 && v.dtype !== 'bool')
  if (!x) return false
  const splits = x.shape.flatMap((e, i) =>
    isFixed(e) && valueOf(e) > 1 ? [2, 3, 4].filter((f) => valueOf(e) % f === 0).map((f) => [i, f] as const) : [],
  )
  if (splits.length > 0 && rank(x) < 4 && g.r.chance(0.6)) {
    const [i, f] = g.r.pick(splits)
    const shape = at(x.shape, i, fixed(f), fixed(valueOf(x.shape[i]) / f))
    bind(g, `reshape(${x.name}, ${list(shape)})`, { ...x, shape }, x.most, x.below)
    return true
  }
  const merges = mixable(g, x).filter((i) => mixable(g, x).includes(i + 1) && !/[+*]/.test(x.shape[i].text + x.shape[i + 1].text)) // prettier-ignore
  if (merges.length === 0) return false
  const i = g.r.pick(merges)
  const [a, b] = [x.shape[i], x.shape[i + 1]]
  const merged = isFixed(a) && isFixed(b) ? fixed(valueOf(a) * valueOf(b)) : a.text === '1' ? b : b.text === '1' ? a : times(a, b) // prettier-ignore
  const shape = [...x.shape.slice(0, i), merged, ...x.shape.slice(i + 2)]
  bind(g, `reshape(${x.name}, ${list(shape)})`, { ...x, shape }, x.most, x.below)
  return true
}

export const permute: Piece = (g) => {
  const x = choose(g, (v) => rank(v) > 1)
  if (!x) return false
  if (g.r.chance(0.3)) {
    const shape = [...x.shape.slice(0, -2), last(x), x.shape[rank(x) - 2]]
    bind(g, `transpose(${x.name})`, { ...x, shape }, x.most, x.below)
    return true
  }
  const order = x.shape.map((_, i) => i)
  for (let i = order.length - 1; i > 0; i--) {
    const j = g.r.int(0, i)
    ;[order[i], order[j]] = [order[j], order[i]]
  }
  bind(g, `permute(${x.name}, [${order.join(', ')}])`, { ...x, shape: order.map((i) => x.shape[i]) }, x.most, x.below)
  return true
}

/** An axis of 1 more or less, or stretched. */
export const units: Piece = (g) => {
  const x = choose(g, (v) => rank(v) < 4)
  if (!x) return false
  const ones = x.shape.flatMap((e, i) => (e.text === '1' ? [i] : []))
  if (ones.length === 0) {
    const i = g.r.int(0, rank(x))
    const shape = [...x.shape.slice(0, i), one, ...x.shape.slice(i)]
    bind(g, `unsqueeze(${x.name}, axis = ${i})`, { ...x, shape }, x.most, x.below)
    return true
  }
  const i = g.r.pick(ones)
  const stretched = at(x.shape, i, fixed(g.r.pick([2, 3, 5])))
  if (g.r.chance(0.5) && fits(g, stretched))
    bind(g, `broadcast(${x.name}, ${list(stretched)})`, { ...x, shape: stretched }, x.most, x.below)
  else bind(g, `squeeze(${x.name}, axis = ${i})`, { ...x, shape: at(x.shape, i) }, x.most, x.below)
  return true
}

/** Parts of an axis: ranges, single places, splits. */
export const slice: Piece = (g) => {
  const x = choose(g, (v) => v.shape.some((e) => isFixed(e) && valueOf(e) > 1))
  if (!x) return false
  const axis = g.r.pick(x.shape.flatMap((e, i) => (isFixed(e) && valueOf(e) > 1 ? [i] : [])))
  const n = valueOf(x.shape[axis])
  const picks = (item: string): string => `${x.name}[${x.shape.map((_, i) => (i === axis ? item : ':')).join(', ')}]`
  const made = (shape: readonly Extent[]): Var => ({ ...x, shape, name: g.fresh('x') })
  const kind = g.r.int(0, 3)
  if (kind === 0) {
    const from = g.r.int(0, n - 1)
    const to = g.r.int(from + 1, n)
    const text = g.r.pick([`${from}:${to}`, to === n ? `${from}:` : `${from}:${to}`, to < n ? `${from}:-${n - to}` : `${from}:${n}`]) // prettier-ignore
    bind(g, picks(text), { ...x, shape: at(x.shape, axis, fixed(to - from)) }, x.most, x.below)
  } else if (kind === 1) {
    bind(g, picks(String(g.r.int(-n, n - 1))), { ...x, shape: at(x.shape, axis) }, x.most, x.below)
  } else if (kind === 2) {
    const parts = [2, 3, 4].filter((f) => n % f === 0)
    const first = g.r.int(1, n - 1)
    const sizes = parts.length > 0 ? Array<number>(parts[0]).fill(n / parts[0]) : [first, n - first]
    const vars = sizes.map((s) => made(at(x.shape, axis, fixed(s))))
    const how = parts.length > 0 ? parts[0] : `[${sizes.join(', ')}]`
    define(g, 'let', `${vars.map((v) => v.name).join(', ')} = split(${x.name}, ${how}, axis = ${axisText(g, x, axis)})`, vars) // prettier-ignore
  } else {
    if (n > 4) return false
    const vars = Array.from({ length: n }, () => made(at(x.shape, axis)))
    define(g, 'let', `${vars.map((v) => v.name).join(', ')} = unstack(${x.name}, axis = ${axis})`, vars)
  }
  return true
}

/** The latest position, or the first. */
export const latest: Piece = (g) => {
  const x = choose(g, (v) => v.shape.some((e) => /^[BTS]$/.test(e.text)))
  if (!x) return false
  const axis = g.r.pick(x.shape.flatMap((e, i) => (/^[BTS]$/.test(e.text) ? [i] : [])))
  const item = g.causal ? '-1' : g.r.pick(['-1', '0'])
  const text = `${x.name}[${x.shape.map((_, i) => (i === axis ? item : ':')).join(', ')}]`
  bind(g, text, { ...x, shape: at(x.shape, axis) }, x.most, x.below)
  return true
}

export const join: Piece = (g) => {
  const x = choose(g, (v) => rank(v) > 0)
  if (!x) return false
  if (g.r.chance(0.3) && rank(x) < 4) {
    const y = choose(g, (v) => v.dtype === x.dtype && sameShape(v, x)) ?? x
    const i = g.r.int(0, rank(x))
    const shape = [...x.shape.slice(0, i), fixed(2), ...x.shape.slice(i)]
    if (!fits(g, shape)) return false
    bind(g, `stack([${x.name}, ${y.name}], axis = ${i})`, { ...x, shape }, Math.max(x.most, y.most))
    return true
  }
  const axes = mixable(g, x)
  if (axes.length === 0) return false
  const axis = g.r.pick(axes)
  const simple = (e: Extent): boolean => !/[+*]/.test(e.text)
  const y = choose(g, (v) => v.dtype === x.dtype && rank(v) === rank(x) && v.shape.every((e, i) => (i === axis ? simple(e) && mixable(g, v).includes(i) : e.text === x.shape[i].text))) // prettier-ignore
  if (!y || !simple(x.shape[axis])) return false
  const [a, b] = [x.shape[axis], y.shape[axis]]
  const joined = isFixed(a) && isFixed(b) ? fixed(valueOf(a) + valueOf(b)) : a.text === b.text ? times(fixed(2), a) : plus(a, b) // prettier-ignore
  const shape = at(x.shape, axis, joined)
  if (!fits(g, shape)) return false
  bind(g, `concat([${x.name}, ${y.name}], axis = ${axisText(g, x, axis)})`, { ...x, shape }, Math.max(x.most, y.most))
  return true
}

/** Flipped, padded, rolled. */
export const moved: Piece = (g) => {
  const x = choose(g, (v) => mixable(g, v).some((i) => isFixed(v.shape[i])))
  if (!x) return false
  const axis = g.r.pick(mixable(g, x).filter((i) => isFixed(x.shape[i])))
  const n = valueOf(x.shape[axis])
  const kind = g.r.int(0, 2)
  if (kind === 0) bind(g, `flip(${x.name}, axis = ${axisText(g, x, axis)})`, x, x.most, x.below)
  else if (kind === 1 && x.dtype === 'f32') {
    const [before, after] = [g.r.int(0, 2), g.r.int(0, 2)]
    const shape = at(x.shape, axis, fixed(n + before + after))
    if (!fits(g, shape)) return false
    const value = g.r.pick(['', ', value = -1.5'])
    bind(g, `pad(${x.name}, axis = ${axis}, before = ${before}, after = ${after}${value})`, { ...x, shape }, Math.max(x.most, 2)) // prettier-ignore
  } else if (axis === rank(x) - 1 && n > 1) bind(g, `roll(${x.name}, ${g.r.int(1, n - 1)})`, x, x.most, x.below)
  else return false
  return true
}

/** Rows of a table by ids: of the checkpoint, or of another value. */
export const lookUp: Piece = (g) => {
  const ids = choose(g, (v) => v.below !== undefined && v.dtype === 'i32')
  if (!ids) return false
  const n = ids.below!
  const x = choose(g, (v) => calm(v) && rank(v) + rank(ids) <= 5 && v.shape.some((e) => isFixed(e) && valueOf(e) >= n))
  if (x && g.r.chance(0.5)) {
    const axis = x.shape.findIndex((e) => isFixed(e) && valueOf(e) >= n)
    const shape = at(x.shape, axis, ...ids.shape)
    if (shape.length > 4 || !fits(g, shape)) return false
    const items = x.shape.map((_, i) => (i === axis ? ids.name : ':')).join(', ')
    bind(g, g.r.pick([`gather(${x.name}, ${ids.name}, axis = ${axis})`, `${x.name}[${items}]`]), { dtype: 'f32', shape }, x.most) // prettier-ignore
    return true
  }
  const d = fixed(width(g))
  if (rank(ids) > 3 || !fits(g, [...ids.shape, d])) return false
  const table = param(g, [fixed(n), d])
  bind(g, `${table.name}[${ids.name}]`, { dtype: 'f32', shape: [...ids.shape, d] }, 2)
  // A tied head reads the same table the other way round.
  if (g.r.chance(0.4)) {
    const x = choose(g, (v) => calm(v) && rank(v) > 0 && last(v).text === d.text && fits(g, withLast(v, fixed(n))))
    if (x)
      bind(g, `${x.name} @ transpose(${table.name})`, { dtype: 'f32', shape: withLast(x, fixed(n)) }, 6 * x.most + 1)
  }
  return true
}

export const oneHot: Piece = (g) => {
  const ids = choose(g, (v) => v.dtype === 'i32' && rank(v) < 4)
  if (!ids) return false
  const shape = [...ids.shape, fixed(g.r.pick([3, 5]))]
  if (!fits(g, shape)) return false
  bind(g, `one_hot(${ids.name}, ${last({ dtype: 'f32', shape }).text})`, { dtype: 'f32', shape }, 1)
  return true
}

/** Comprehensions that read a matrix or a vector at computed places. */
export const comprehension: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && rank(v) >= 1 && rank(v) <= 3 && hasFixedLast(v) && lastSize(v) > 1)
  if (!x) return false
  const names = ['i', 'j', 'k'].slice(0, rank(x))
  const binders = names.map((n, i) => `${n} < ${x.shape[i].text}`).join(', ')
  const [lead, e] = [names.slice(0, -1), names[rank(x) - 1]]
  const n = lastSize(x)
  const read = (item: string): string => `${x.name}[${[...lead, item].join(', ')}]`
  const [text, shape, most] = g.r.pick<readonly [string, readonly Extent[], number]>([
    [`[for ${binders}: ${read(`(${e} + 1) % ${n}`)} - ${read(e)}]`, x.shape, 2 * x.most],
    [`[for ${binders}: ${read(`${n} - 1 - ${e}`)} * ${e}]`, x.shape, n * x.most],
    [`[for ${binders}: select(${e} > 0, ${read(`max(${e} - 1, 0)`)}, 0.5)]`, x.shape, x.most],
    [`[for ${binders}: select(${e} % 2 == 0, ${read(e)}, ${read(`${e} // 2`)})]`, x.shape, x.most],
    ...(rank(x) > 1
      ? [
          [`[for ${lead.map((l, i) => `${l} < ${x.shape[i].text}`).join(', ')}: max[for ${e} < ${n}: ${read(e)} - ${e}]]`, x.shape.slice(0, -1), x.most + n],
          [`[for ${lead.map((l, i) => `${l} < ${x.shape[i].text}`).join(', ')}: sum[for ${e} < ${n}: ${read(e)} * cos(${e} * 0.3)]]`, x.shape.slice(0, -1), n * x.most],
        ] as const
      : []),
    ...(rank(x) === 2 && !g.causal
      ? [[`[for j < ${x.shape[1].text}, i < ${x.shape[0].text}: ${x.name}[i, j]]`, [...x.shape].reverse(), x.most]] as const
      : []),
  ]) // prettier-ignore
  bind(g, text, { dtype: 'f32', shape }, most)
  return true
}

/** Products: with the transpose of another, with a parameter on the left or right, with the rows of itself. */
export const product: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && rank(v) >= 2 && v.most < 1e4)
  if (!x) return false
  const lead = x.shape.slice(0, -2)
  const [m, k] = [x.shape[rank(x) - 2], last(x)]
  if (g.r.chance(0.35) && isFixed(k)) {
    const n = fixed(width(g))
    const w = param(g, [k, n])
    bind(g, `${x.name} @ ${w.name}`, { dtype: 'f32', shape: [...lead, m, n] }, 6 * x.most + 1)
    return true
  }
  const y = choose(g, (v) => calm(v) && rank(v) >= 2 && rank(v) <= rank(x) && v.most < 1e4 && last(v).text === k.text && v.shape.slice(0, -2).every((e, i) => e.text === lead[i + rank(x) - rank(v)]?.text)) // prettier-ignore
  if (!y || (g.causal && /\bT\b/.test(k.text))) return false
  const rows = y.shape[rank(y) - 2]
  if (g.causal && /\bT\b/.test(rows.text)) return false
  const shape = [...lead, m, rows]
  if (!fits(g, shape)) return false
  bind(g, `${x.name} @ transpose(${y.name})`, { dtype: 'f32', shape }, sizeOf(g, k) * x.most * y.most)
  return true
}

/** Positions: rows of a table, sinusoids, counts. */
export const positions: Piece = (g) => {
  const x = choose(g, (v) => calm(v) && rank(v) === 3 && v.shape[0].text === 'B' && /^[TS]$/.test(v.shape[1].text) && hasFixedLast(v)) // prettier-ignore
  if (!x) return false
  const n = x.shape[1].text
  const d = lastSize(x)
  const text = g.r.pick([
    `${x.name} + sinusoids(${n}, ${d})`,
    `${x.name} * 0.5 + f32([for i < ${n}, j < ${d}: i - j]) * 0.1`,
    `${x.name} + unsqueeze(f32(iota(${n})), axis = -1) * 0.01`,
    `[for b < B, t < ${n}, j < ${d}: ${x.name}[b, t, j] * 0.9 ** t]`,
    `[for b < B, t < ${n}, j < ${d}: select(t > 0, ${x.name}[b, max(t - 1, 0), j], 0)]`,
  ])
  bind(g, text, x, x.most + 2)
  return true
}

export const sources = [B, T, S]
