/**
 * `[for i < T, j < T: e]` and `sum[for e < E: …]`. The body is evaluated once, with the loop variables as symbols: what stays
 * arithmetic of them is exact (bounds are proved on it), what meets a tensor becomes elementwise over aligned axes.
 */
import type * as ast from '../../grammar/ast.ts'
import { unknownArgument, wrongKind } from '../diagnostics/catalogue.ts'
import type { Node } from '../ir/types.ts'
import { of, sub, sym, type Ix, type Sym } from '../types/ix.ts'
import { newScope, report, type Env, type Lane } from './context.ts'
import { asDim } from './dims.ts'
import { evaluate } from './exprs.ts'
import { apply } from './graphing.ts'
import { arrange } from './indexing.ts'
import { sortLanes, stretch, tensorOf } from './lanes.ts'
import { int, lower, whole } from './numbers.ts'
import { elementwise } from './operators.ts'
import { describe, fault, tensor, type Cond, type TensorValue, type Value } from './values.ts'

const reductions: Readonly<Record<string, string>> = {
  sum: 'reduce_sum',
  prod: 'reduce_prod',
  max: 'reduce_max',
  min: 'reduce_min',
}

export function comprehension(e: ast.Comprehension, env: Env): Value {
  const reduce = e.reduce ? reductions[e.reduce.name] : undefined
  if (e.reduce && !reduce) {
    report(
      env,
      unknownArgument(e.reduce.span, e.reduce.name, '[for …]', `it may be ${Object.keys(reductions).join(', ')}`),
    )
    return fault
  }
  const scope = newScope(env.scope)
  let inner: Env = { ...env, scope }
  const own: Lane[] = []
  for (const binder of e.binders) {
    const extent = asDim(evaluate(binder.bound, inner), inner, binder.bound.span, 'the bound of a loop')
    if (extent === undefined) return fault
    const variable = sym(binder.name.name, { lo: 0, hi: sub(extent, 1), role: 'loop' })
    scope.names.set(binder.name.name, { kind: 'index', value: int(of(variable)), span: binder.name.span })
    own.push({ sym: variable, extent })
    inner = { ...inner, lanes: [...inner.lanes, { sym: variable, extent }] }
  }
  const reduced = own.map((lane) => lane.sym)
  if (reduce === 'reduce_sum' && e.body.k === 'binary' && e.body.op === '*' && reduced.length === 1) {
    const left = evaluate(e.body.left, inner)
    const right = evaluate(e.body.right, inner)
    if (left.k === 'error' || right.k === 'error') return fault
    const product = contraction(left, right, reduced[0]!, inner, e)
    if (product) return product
    return finish(elementwise(inner, 'mul', [left, right], e.body.span), reduce, reduced, e, env, inner)
  }
  const body = evaluate(e.body, inner)
  return finish(body, reduce, reduced, e, env, inner)
}

function finish(
  body: Value,
  reduce: string | undefined,
  own: readonly Sym[],
  e: ast.Comprehension,
  env: Env,
  inner: Env,
): Value {
  if (body.k === 'error') return fault
  if (body.k === 'tensor' && !body.lanes && body.node.type.shape.length > 0) {
    report(env, wrongKind(e.body.span, 'the body of a comprehension', 'one number per point', describe(body)))
    return fault
  }
  const value = tensorOf(
    body,
    reduce && body.k === 'num' ? (whole(body) ? 'i32' : 'f32') : undefined,
    inner,
    e.body.span,
  )
  if (!value) return fault
  const outer = env.lanes.map((lane) => lane.sym)
  const wanted = sortLanes([...(value.lanes ?? []), ...own], inner)
  const node = stretch(
    value,
    reduce ? wanted : inner.lanes.map((l) => l.sym).filter((s) => wanted.includes(s)),
    inner,
    e.span,
  )
  if (!node) return fault
  if (!reduce) {
    const free = wanted.filter((s) => outer.includes(s))
    if (free.length > 0) {
      report(
        env,
        wrongKind(e.span, 'inside a comprehension, `[for …]`', 'reduced (`sum[for …]`)', 'a tensor per point'),
      )
      return fault
    }
    return tensor(node)
  }
  const axes = wanted.flatMap((s, i) => (own.includes(s) ? [i] : []))
  const result = apply(inner, reduce, [node], { axes, keep: false }, e.span)
  if (!result) return fault
  const left = wanted.filter((s) => !own.includes(s))
  return left.length > 0 ? tensor(result, left) : tensor(result)
}

/** `sum[for e < E: q[i, e] * k[j, e]]` is a matrix product where the loops fall into batch, rows, columns and `e`. */
function contraction(left: Value, right: Value, over: Sym, env: Env, e: ast.Comprehension): Value | undefined {
  const floats = (v: Value): v is TensorValue & { readonly lanes: readonly Sym[] } =>
    v.k === 'tensor' && v.lanes !== undefined && v.node.type.dtype === 'f32' && v.lanes.includes(over)
  if (!floats(left) || !floats(right)) return undefined
  const shared = left.lanes.filter((s) => s !== over && right.lanes.includes(s))
  const rows = left.lanes.filter((s) => !right.lanes.includes(s))
  const columns = right.lanes.filter((s) => !left.lanes.includes(s))
  if (columns.length !== 1 || (shared.length > 0 ? rows.length !== 1 : rows.length < 1)) return undefined
  const a = order(left, [...shared, ...rows, over], env, e)
  const b = order(right, [...shared, over, ...columns], env, e)
  const product = a && b && apply(env, 'matmul', [a, b], {}, e.span)
  return product ? arrange(product, [...shared, ...rows, ...columns], env, e.span) : fault
}

function order(value: TensorValue, lanes: readonly Sym[], env: Env, e: ast.Comprehension): Node | undefined {
  const axes = lanes.map((s) => (value.lanes ?? []).indexOf(s))
  return axes.every((axis, i) => axis === i) ? value.node : apply(env, 'permute', [value.node], { order: axes }, e.span)
}

/** What holds in the arm of a `select` whose condition is (not) true, as polynomials that are not negative. */
export function factsOf(cond: Value, holds: boolean): Ix[] {
  if (cond.k !== 'cond') return []
  if (cond.op === 'not') return factsOf(cond.x, !holds)
  if (cond.op !== 'rel') return (cond.op === 'and') === holds ? cond.xs.flatMap((x) => factsOf(x, holds)) : []
  return relationFacts(cond, holds)
}

function relationFacts(cond: Cond & { op: 'rel' }, holds: boolean): Ix[] {
  const a = whole(cond.a)
  const b = whole(cond.b)
  if (!a || !b) return []
  const below = (x: Ix, y: Ix, strict: boolean): Ix => sub(sub(y, x), strict ? 1 : 0)
  switch (cond.rel) {
    case '<':
      return [holds ? below(a, b, true) : below(b, a, false)]
    case '<=':
      return [holds ? below(a, b, false) : below(b, a, true)]
    case '>':
      return [holds ? below(b, a, true) : below(a, b, false)]
    case '>=':
      return [holds ? below(b, a, false) : below(a, b, true)]
    case '==':
    case '!=': {
      if ((cond.rel === '==') === holds) return [below(a, b, false), below(b, a, false)]
      // An end of the range that is left out moves the bound.
      if (lower(sub(a, b)) === 0) return [below(b, a, true)]
      return lower(sub(b, a)) === 0 ? [below(a, b, true)] : []
    }
  }
}
