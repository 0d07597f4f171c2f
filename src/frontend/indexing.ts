/** `x[…]` outside and inside comprehensions: slices, picks, gathers, and loop variables as labels of axes. */
import type * as ast from '../../grammar/ast.ts'
import {
  rankMismatch,
  shapeMismatch,
  tupleMisuse,
  unprovenIndex,
  wrongKind,
  mixedDtypes,
} from '../diagnostics/catalogue.ts'
import { spanText, withReasons, type Span } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import { add, isConst, max, min, mul, of, sub, symbolsOf as symbols, type Ix, type Sym } from '../types/ix.ts'
import { decide } from './constraints.ts'
import { report, type Env } from './context.ts'
import { asDim } from './dims.ts'
import { evaluate } from './exprs.ts'
import { apply } from './graphing.ts'
import { lanewise, onLanes, sortLanes, tensorOfIx } from './lanes.ts'
import { constantOf, lower } from './numbers.ts'
import { nameOf } from './operators.ts'
import { describe, fault, tensor, type TensorValue, type Value } from './values.ts'
import { becauseOf } from './why.ts'

type Item =
  | { readonly k: 'all' }
  | { readonly k: 'range'; readonly at: ast.Range }
  | { readonly k: 'at'; readonly value: Value; readonly expr: ast.Expr }

export function index(e: ast.Index, env: Env): Value {
  const base = evaluate(e.base, env)
  if (base.k === 'error') return fault
  if (base.k === 'tuple') {
    report(env, tupleMisuse(e.base.span, base.items.length))
    return fault
  }
  if (base.k === 'list') return element(base.items, e, env)
  if (base.k !== 'tensor') {
    report(env, wrongKind(e.base.span, 'what is indexed', 'a tensor or a list', describe(base)))
    return fault
  }
  if (base.lanes) {
    report(env, wrongKind(e.base.span, 'what is indexed', 'a whole tensor', 'one number per point'))
    return fault
  }
  const items = expand(e, base, env)
  if (!items) return fault
  if (items.some((item) => item.k === 'at' && item.value.k === 'error')) return fault
  const laned = items.some(
    (item) =>
      item.k === 'at' &&
      ((item.value.k === 'num' && onLanes(item.value, env)) || (item.value.k === 'tensor' && item.value.lanes)),
  )
  return laned ? atPoint(e, base, items, env) : whole_(e, base, items, env)
}

function element(items: readonly Value[], e: ast.Index, env: Env): Value {
  const only = e.items.length === 1 ? e.items[0] : undefined
  if (only?.k === 'range') return part(items, only, env)
  const value = only?.k === 'at' ? evaluate(only.index, env) : undefined
  if (value?.k === 'error') return fault
  const at = value?.k === 'num' ? constantOf(value) : undefined
  if (at === undefined || !Number.isInteger(at)) {
    report(
      env,
      wrongKind(e.span, 'the index of a list', 'one number known at compile time', value ? describe(value) : 'a range'),
    )
    return fault
  }
  const found = items[at < 0 ? at + items.length : at]
  if (found) return found
  report(env, shapeMismatch(e.span, 'the index goes beyond the list', String(at), String(items.length)))
  return fault
}

/** `widths[1:]`: a list again; bounds beyond its ends are an error. */
function part(items: readonly Value[], e: ast.Range, env: Env): Value {
  const bound = (at: ast.Expr | undefined, otherwise: number): number | undefined => {
    const value = at && asDim(evaluate(at, env), env, at.span, 'a bound of a range')
    const known = at ? value && isConst(value) : otherwise
    return known !== undefined && known < 0 ? known + items.length : known
  }
  const from = bound(e.from, 0)
  const to = bound(e.to, items.length)
  if (from === undefined || to === undefined) return fault
  if (from >= 0 && from <= to && to <= items.length) return { k: 'list', items: items.slice(from, to) }
  report(
    env,
    shapeMismatch(e.span, `\`${spanText(e.span)}\` goes beyond the list`, `${from}:${to}`, String(items.length)),
  )
  return fault
}

/** One item per axis; `...` and missing items stand for whole axes. */
function expand(e: ast.Index, base: TensorValue, env: Env): Item[] | undefined {
  const rank = base.node.type.shape.length
  const written = e.items.filter((item) => item.k !== 'ellipsis').length
  if (written > rank) {
    const said = rankMismatch(
      e.span,
      `\`${nameOf(e.base) ?? 'this'}\``,
      `at most ${rank} ${rank === 1 ? 'index' : 'indices'}`,
      String(written),
    )
    report(env, withReasons(said, becauseOf(base.node, nameOf(e.base))))
    return undefined
  }
  const items: Item[] = []
  let filled = false
  for (const item of e.items) {
    if (item.k === 'ellipsis') {
      if (filled) {
        report(env, rankMismatch(item.span, 'an index', 'one `...`', 'two'))
        return undefined
      }
      filled = true
      for (let i = written; i < rank; i++) items.push({ k: 'all' })
    } else if (item.k === 'range')
      items.push(item.from || item.to || item.step ? { k: 'range', at: item } : { k: 'all' })
    else items.push({ k: 'at', value: evaluate(item.index, env), expr: item.index })
  }
  while (items.length < rank) items.push({ k: 'all' })
  return items
}

function whole_(e: ast.Index, base: TensorValue, items: readonly Item[], env: Env): Value {
  let node: Node | undefined = base.node
  const tensors = items.filter((item) => item.k === 'at' && item.value.k === 'tensor')
  if (tensors.length > 1) {
    report(
      env,
      wrongKind(
        e.span,
        'an index',
        'at most one tensor; a comprehension takes several (`[for …: x[i[…], j[…]]]`)',
        'two',
      ),
    )
    return fault
  }
  const dropped: number[] = []
  let looked: { axis: number; ids: Node; name: string | undefined } | undefined
  for (const [axis, item] of items.entries()) {
    if (!node) return fault
    if (item.k === 'all') continue
    const extent: Ix = node.type.shape[axis]!
    if (item.k === 'range') {
      node = sliceRange(node, axis, extent, item.at, env)
      continue
    }
    const { value, expr } = item
    if (value.k === 'tensor') {
      if (value.node.type.dtype !== 'i32') {
        const said = mixedDtypes(
          expr.span,
          `an index of ${value.node.type.dtype}`,
          'i32',
          `write \`i32(${nameOf(expr) ?? '…'})\``,
        )
        report(env, withReasons(said, becauseOf(value.node, nameOf(expr))))
        return fault
      }
      looked = { axis, ids: value.node, name: nameOf(expr) }
      continue
    }
    const at = asDim(value, env, expr.span, 'an index')
    if (at === undefined) return fault
    const known = isConst(at)
    const start: Ix = known !== undefined && known < 0 ? add(extent, known) : at
    const size = isConst(extent)
    if (known !== undefined && size !== undefined && (known >= size || known < -size)) {
      const said = shapeMismatch(expr.span, `index ${known} goes beyond the axis`, String(known), String(extent))
      report(env, withReasons(said, becauseOf(base.node, nameOf(e.base))))
      return fault
    }
    node = apply(env, 'slice', [node], { axis, start, size: of(1) }, e.span, [nameOf(e.base)])
    dropped.push(axis)
  }
  if (node && looked) {
    node = apply(env, 'gather', [node, looked.ids], { axis: looked.axis, batch: 0 }, e.span, [
      nameOf(e.base),
      looked.name,
    ])
  }
  if (!node) return fault
  if (dropped.length === 0) return tensor(node)
  // A gather put the axes of its ids in the place of one.
  const shift = looked ? looked.ids.type.shape.length - 1 : 0
  const gone = new Set(dropped.map((axis) => (looked && axis > looked.axis ? axis + shift : axis)))
  const shape = node.type.shape.filter((_, axis) => !gone.has(axis))
  const squeezed = apply(env, 'reshape', [node], { shape }, e.span)
  return squeezed ? tensor(squeezed) : fault
}

function sliceRange(node: Node, axis: number, extent: Ix, at: ast.Range, env: Env): Node | undefined {
  const bound = (e: ast.Expr | undefined, otherwise: Ix): Ix | undefined => {
    if (!e) return otherwise
    const value = asDim(evaluate(e, env), env, e.span, 'a bound of a range')
    const known = value === undefined ? undefined : isConst(value)
    return known !== undefined && known < 0 ? add(extent, known) : value
  }
  const from = bound(at.from, of(0))
  const to = bound(at.to, extent)
  if (!from || !to) return undefined
  const text = spanText(at.span)
  if (
    !within(env, of(0), from, at.span, text) ||
    !within(env, from, to, at.span, text) ||
    !within(env, to, extent, at.span, text)
  ) {
    return undefined
  }
  const sliced = apply(env, 'slice', [node], { axis, start: from, size: sub(to, from) }, at.span)
  return sliced && at.step ? everyNth(sliced, axis, at.step, env) : sliced
}

/** Windows of one element. */
function everyNth(node: Node, axis: number, e: ast.Expr, env: Env): Node | undefined {
  const stride = asDim(evaluate(e, env), env, e.span, 'a step')
  const picked = stride && apply(env, 'unfold', [node], { axis, size: of(1), stride, dilation: of(1) }, e.span)
  return picked && apply(env, 'reshape', [picked], { shape: picked.type.shape.slice(0, -1) }, e.span)
}

/** Reports what is certainly wrong; what cannot be proved is the op's to refuse. */
function within(env: Env, a: Ix, b: Ix, span: Span, text: string): boolean {
  if (decide('le', a, b) !== false) return true
  report(env, shapeMismatch(span, `\`${text}\` goes beyond the axis`, String(a), String(b)))
  return false
}

// ---- inside a comprehension

/** Whether `x >= 0`, by the ranges of its symbols or with the facts of the `select` around. */
function provedNonNegative(x: Ix, env: Env): boolean {
  if (lower(x) >= 0) return true
  for (const [i, fact] of env.facts.entries()) {
    const rest = sub(x, fact)
    if (lower(rest) >= 0) return true
    for (const second of env.facts.slice(i + 1)) if (lower(sub(rest, second)) >= 0) return true
  }
  return false
}

interface Axis {
  readonly label?: Sym
  /** Where no label says it: the position, per point. */
  readonly at?: TensorValue
}

/** One element per point of the loops: axes that follow a loop variable stay, others are sliced or gathered. */
function atPoint(e: ast.Index, base: TensorValue, items: readonly Item[], env: Env): Value {
  let node: Node = base.node
  const axes: (Axis | undefined)[] = []
  for (const [axis, item] of items.entries()) {
    const extent = node.type.shape[axis]!
    if (item.k !== 'at') {
      const said = rankMismatch(
        e.span,
        'inside a comprehension, an index',
        `one number for each of the ${items.length} axes`,
        'a whole axis',
      )
      report(env, withReasons(said, becauseOf(base.node, nameOf(e.base))))
      return fault
    }
    const { value, expr } = item
    if (value.k === 'tensor') {
      if (value.node.type.dtype !== 'i32') {
        report(env, mixedDtypes(expr.span, `an index of ${value.node.type.dtype}`, 'i32', 'write `i32(…)`'))
        return fault
      }
      axes.push({ at: value })
      continue
    }
    const at = asDim(value, env, expr.span, 'an index')
    if (at === undefined) return fault
    const known = isConst(at)
    const position = known !== undefined && known < 0 ? add(extent, known) : at
    const low = provedNonNegative(position, env)
    const high = provedNonNegative(sub(sub(extent, 1), position), env)
    if (!low || !high) {
      const said = unprovenIndex(expr.span, spanText(expr.span), String(extent), low, high)
      report(env, withReasons(said, becauseOf(base.node, nameOf(e.base))))
      return fault
    }
    const found = follow(node, axis, position, extent, env, e.span)
    if (!found) return fault
    node = found.node
    axes.push(found.axis)
  }
  return pick(node, axes, env, e.span)
}

/** `x[…, i + 2, …]` follows `i` on a slice; anything else becomes a computed position. */
function follow(
  node: Node,
  axis: number,
  at: Ix,
  extent: Ix,
  env: Env,
  span: Span,
): { node: Node; axis: Axis | undefined } | undefined {
  const used = env.lanes.filter((lane) => symbols(at).has(lane.sym))
  if (used.length === 0) {
    const sliced = apply(env, 'slice', [node], { axis, start: at, size: of(1) }, span)
    return sliced && { node: sliced, axis: undefined }
  }
  const lane = used[0]!
  const offset = sub(at, of(lane.sym))
  const last = sub(sub(extent, offset), lane.extent)
  const free = !env.lanes.some((l) => symbols(offset).has(l.sym))
  if (used.length === 1 && free && lower(offset) >= 0 && lower(last) >= 0) {
    if (isConst(offset) === 0 && extent === lane.extent) return { node, axis: { label: lane.sym } }
    const sliced = apply(env, 'slice', [node], { axis, start: offset, size: lane.extent }, span)
    return sliced && { node: sliced, axis: { label: lane.sym } }
  }
  // Proved only where a `select` around it looks: elsewhere the position is moved to the nearest that exists.
  const inside = lower(at) >= 0 && lower(sub(sub(extent, 1), at)) >= 0
  const safe = inside ? at : min(max(at, 0), sub(extent, 1))
  const position = tensorOfIx(safe, env, span)
  return position && { node, axis: { at: position } }
}

function pick(start: Node, axes: readonly (Axis | undefined)[], env: Env, span: Span): Value {
  const kept = axes.flatMap((axis, i) => (axis ? [{ ...axis, extent: start.type.shape[i]! }] : []))
  let node: Node | undefined = start
  if (kept.length < axes.length) node = apply(env, 'reshape', [node], { shape: kept.map((axis) => axis.extent) }, span)
  if (!node) return fault
  const labels = kept.flatMap((axis) => (axis.label ? [axis.label] : []))
  const computed = kept.filter((axis) => axis.at !== undefined)
  const unique = new Set(labels).size === labels.length
  if (unique && computed.length === 0) return arrange(node, labels, env, span)
  const single = computed.length === 1 ? computed[0]!.at! : undefined
  if (unique && single) return gathered(node, kept, single, env, span)
  return flat(node, kept, env, span)
}

/** One computed axis. Loop variables that it depends on and that are axes of the tensor too pair up, in front: `x[b, ids[b, i]]`. */
function gathered(start: Node, kept: readonly Axis[], at: TensorValue, env: Env, span: Span): Value {
  const paired = (at.lanes ?? []).filter((lane) => kept.some((one) => one.label === lane))
  const order = [...paired.map((lane) => kept.findIndex((one) => one.label === lane)), ...kept.keys()].filter(
    (axis, i, all) => all.indexOf(axis) === i,
  )
  const free = (at.lanes ?? []).filter((lane) => !paired.includes(lane))
  const ids = paired.length > 0 ? permuted(at, [...paired, ...free], env, span) : at.node
  let node: Node | undefined = start
  if (order.some((axis, i) => axis !== i)) node = apply(env, 'permute', [node], { order }, span)
  if (!node || !ids) return fault
  const axis = order.findIndex((one) => kept[one]!.at !== undefined)
  node = apply(env, 'gather', [node, ids], { axis, batch: paired.length }, span)
  const labels = order.flatMap((one) => kept[one]!.label ?? free)
  return node ? arrange(node, labels, env, span) : fault
}

function permuted(value: TensorValue, lanes: readonly Sym[], env: Env, span: Span): Node | undefined {
  const order = lanes.map((lane) => (value.lanes ?? []).indexOf(lane))
  return order.every((axis, i) => axis === i) ? value.node : apply(env, 'permute', [value.node], { order }, span)
}

/** Several computed axes, or one loop variable on two axes: one gather from the flattened tensor. */
function flat(node: Node, kept: readonly (Axis & { readonly extent: Ix })[], env: Env, span: Span): Value {
  let place: TensorValue | undefined
  for (const axis of kept) {
    const at = axis.label ? tensorOfIx(of(axis.label), env, span) : axis.at
    if (!place) place = at
    else {
      const scaled = lanewise(env, 'mul', [place, tensorOfIx(axis.extent, env, span)], span)
      place = lanewise(env, 'add', [scaled, at], span)
    }
    if (!place) return fault
  }
  const size = mul(1, ...kept.map((axis) => axis.extent))
  const line = apply(env, 'reshape', [node], { shape: [size] }, span)
  const found = line && place && apply(env, 'gather', [line, place.node], { axis: 0, batch: 0 }, span)
  return found ? tensor(found, place?.lanes) : fault
}

/** Permutes axes labelled with loop variables into the order of the loops. */
export function arrange(node: Node, labels: readonly Sym[], env: Env, span: Span): Value {
  const order = sortLanes(labels, env)
  const axes = order.map((label) => labels.indexOf(label))
  if (axes.every((axis, i) => axis === i)) return tensor(node, order)
  const permuted = apply(env, 'permute', [node], { order: axes }, span)
  return permuted ? tensor(permuted, order) : fault
}
