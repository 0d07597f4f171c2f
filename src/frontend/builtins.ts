/**
 * Functions of the language that neither an op nor a block of `std/` can be: their number of results, or the rank of the shapes
 * they build, depends on the arguments. Each elaborates into ops.
 */
import { indivisible, rankMismatch, shapeMismatch, wrongKind } from '../diagnostics/catalogue.ts'
import { withReasons, type Span } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import { add, exactDiv, isConst, of, type Ix } from '../types/ix.ts'
import { axisArg, define, tensorArg, type Bound, type Builtin } from './builtin.ts'
import { report, type Env } from './context.ts'
import { asDim } from './dims.ts'
import { apply, applied } from './graphing.ts'
import { measures } from './measures.ts'
import { describe, fault, showType, tensor, type Value } from './values.ts'
import { becauseOf } from './why.ts'

export const builtinNames = (): string[] => Object.keys(builtins)

const slice = (node: Node, axis: number, start: Ix, size: Ix, env: Env, span: Span): Node | undefined =>
  apply(env, 'slice', [node], { axis, start, size }, span)

const split: Builtin = define('split', ['x', 'parts', 'axis?'], (bound) => {
  const { env, span, given } = bound
  const x = tensorArg(bound, 'split')
  const axis = x && axisArg(bound, x, 'axis', -1)
  if (!x || axis === undefined) return fault
  const extent = x.type.shape[axis]!
  const parts = given.get('parts')!
  const sizes: Ix[] = []
  if (parts.value.k === 'list') {
    for (const item of parts.value.items) {
      const size = asDim(item, env, parts.span, 'a size of `split`')
      if (size === undefined) return fault
      sizes.push(size)
    }
    const total = add(0, ...sizes)
    if (total !== extent) {
      const said = shapeMismatch(
        parts.span,
        `the sizes of \`split\` add up to ${total}`,
        String(total),
        `axis ${axis} of ${showType(x.type)}`,
      )
      report(env, withReasons(said, becauseOf(x)))
      return fault
    }
  } else {
    const count = asDim(parts.value, env, parts.span, '`parts` of `split`')
    const n = count === undefined ? undefined : isConst(count)
    if (count === undefined) return fault
    if (n === undefined || n < 1 || n > 4096) {
      report(
        env,
        wrongKind(
          parts.span,
          '`parts` of `split`',
          'a number of parts known at compile time, or a list of sizes',
          String(count),
        ),
      )
      return fault
    }
    const size = exactDiv(extent, n)
    if (!size) {
      report(env, withReasons(indivisible(parts.span, String(extent), String(n)), becauseOf(x)))
      return fault
    }
    for (let i = 0; i < n; i++) sizes.push(size)
  }
  const items: Value[] = []
  let start: Ix = of(0)
  for (const size of sizes) {
    const part = slice(x, axis, start, size, env, span)
    if (!part) return fault
    items.push(tensor(part))
    start = add(start, size)
  }
  return { k: 'tuple', items }
})

const unstack: Builtin = define('unstack', ['x', 'axis?'], (bound) => {
  const { env, span } = bound
  const x = tensorArg(bound, 'unstack')
  const axis = x && axisArg(bound, x, 'axis', 0)
  if (!x || axis === undefined) return fault
  const n = isConst(x.type.shape[axis]!)
  if (n === undefined) {
    const said = wrongKind(span, 'the axis of `unstack`', 'of a size known at compile time', String(x.type.shape[axis]))
    report(env, withReasons(said, becauseOf(x)))
    return fault
  }
  const shape = x.type.shape.filter((_, i) => i !== axis)
  const items: Value[] = []
  for (let i = 0; i < n; i++) {
    const part = slice(x, axis, of(i), of(1), env, span)
    if (!part) return fault
    items.push(applied(env, 'reshape', [part], { shape }, span))
  }
  return { k: 'tuple', items }
})

/** `x` with a new axis of extent 1, at a position of the result. */
export function unsqueezed(x: Node, axis: number, env: Env, span: Span): Node | undefined {
  const shape = [...x.type.shape]
  shape.splice(axis, 0, of(1))
  return apply(env, 'reshape', [x], { shape }, span)
}

/** Tensors of one type along a new axis. */
export function stacked(nodes: readonly Node[], axis: number, env: Env, span: Span): Value {
  const raised: Node[] = []
  for (const node of nodes) {
    const one = unsqueezed(node, axis, env, span)
    if (!one) return fault
    raised.push(one)
  }
  return applied(env, 'concat', raised, { axis }, span)
}

/** An axis of the result, whose rank is one more than that of x. */
function newAxis({ env, given }: Bound, rank: number, otherwise: number, called: string): number | undefined {
  const arg = given.get('axis')
  const value = arg ? asDim(arg.value, env, arg.span, `\`axis\` of \`${called}\``) : of(otherwise)
  const axis = value === undefined ? undefined : isConst(value)
  if (axis === undefined) return undefined
  if (axis >= -rank - 1 && axis <= rank) return axis < 0 ? axis + rank + 1 : axis
  if (arg)
    report(
      env,
      rankMismatch(arg.span, `\`axis\` of \`${called}\``, `a position from ${-rank - 1} to ${rank}`, String(axis)),
    )
  return undefined
}

const stack: Builtin = define('stack', ['xs', 'axis?'], (bound) => {
  const { env, span, given } = bound
  const { value, span: at } = given.get('xs')!
  const nodes: Node[] = []
  if (value.k === 'list') for (const item of value.items) if (item.k === 'tensor') nodes.push(item.node)
  if (value.k !== 'list' || nodes.length !== value.items.length || nodes.length === 0) {
    if (value.k !== 'list' || !value.items.some((item) => item.k === 'error')) {
      report(env, wrongKind(at, '`xs` of `stack`', 'a list of tensors (`[a, b]`)', describe(value)))
    }
    return fault
  }
  const axis = newAxis(bound, nodes[0]!.type.shape.length, 0, 'stack')
  return axis === undefined ? fault : stacked(nodes, axis, env, span)
})

const unsqueeze: Builtin = define('unsqueeze', ['x', 'axis?'], (bound) => {
  const x = tensorArg(bound, 'unsqueeze')
  const axis = x && newAxis(bound, x.type.shape.length, -1, 'unsqueeze')
  const node = x && axis !== undefined ? unsqueezed(x, axis, bound.env, bound.span) : undefined
  return node ? tensor(node) : fault
})

const squeeze: Builtin = define('squeeze', ['x', 'axis?'], (bound) => {
  const { env, span } = bound
  const x = tensorArg(bound, 'squeeze')
  const axis = x && axisArg(bound, x, 'axis', -1)
  if (!x || axis === undefined) return fault
  if (isConst(x.type.shape[axis]!) !== 1) {
    const said = shapeMismatch(span, `axis ${axis} of ${showType(x.type)}`, String(x.type.shape[axis]), '1')
    report(env, withReasons(said, becauseOf(x)))
    return fault
  }
  return applied(env, 'reshape', [x], { shape: x.type.shape.filter((_, i) => i !== axis) }, span)
})

const transpose: Builtin = define('transpose', ['x', 'a?', 'b?'], (bound) => {
  const { env, span, given } = bound
  const x = tensorArg(bound, 'transpose')
  if (!x) return fault
  if (x.type.shape.length < 2 && !(given.has('a') && given.has('b'))) {
    report(env, withReasons(rankMismatch(span, '`transpose`', 'at least two axes', showType(x.type)), becauseOf(x)))
    return fault
  }
  const a = axisArg(bound, x, 'a', -2)
  const b = axisArg(bound, x, 'b', -1)
  if (a === undefined || b === undefined) return fault
  const axes = x.type.shape.map((_, i) => (i === a ? b : i === b ? a : i))
  return applied(env, 'permute', [x], { order: axes }, span)
})

export const builtins: Readonly<Record<string, Builtin>> = {
  split,
  unstack,
  stack,
  unsqueeze,
  squeeze,
  transpose,
  ...measures,
}
