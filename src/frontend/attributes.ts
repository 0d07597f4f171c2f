/** Arguments of ops that are no tensors: axes, dims, numbers, flags. */
import { badAxis, wrongKind } from '../diagnostics/catalogue.ts'
import { withReasons, type Span } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import type { Attr, Param } from '../ops/define.ts'
import { of, type Ix } from '../types/ix.ts'
import { report, type Env } from './context.ts'
import { asDim } from './dims.ts'
import { constantOf, whole } from './numbers.ts'
import type { Given } from './opcalls.ts'
import { describe, dtypes, showType, type Value } from './values.ts'
import { becauseOf } from './why.ts'

/** The attribute that a parameter has when the call leaves it out, if any. Axes count from the end of the first tensor. */
export function byDefault(param: Param, nodes: readonly Node[]): Attr | undefined {
  const value = param.default
  if (value === undefined || value === null) return undefined
  const rank = nodes[0]?.type.shape.length ?? 0
  if (param.kind === 'axis' && typeof value === 'number') return value < 0 ? value + rank : value
  if (param.kind === 'axes') {
    const list = typeof value === 'number' ? [value] : (value as readonly number[])
    return list.map((axis) => (axis < 0 ? axis + rank : axis))
  }
  if (param.kind === 'dim' && typeof value === 'number') return of(value)
  if (param.kind === 'dims') return (value as readonly number[]).map((d) => of(d))
  return value as Attr
}

export function attribute(
  param: Param,
  given: Given,
  nodes: readonly Node[],
  called: string,
  env: Env,
): Attr | undefined {
  const { value, span } = given
  const what = `\`${param.name}\` of \`${called}\``
  const wrong = (expected: string): undefined => {
    report(env, wrongKind(span, what, expected, describe(value)))
    return undefined
  }
  switch (param.kind) {
    case 'axis':
      return axisOf(value, nodes[0], span, env)
    case 'axes': {
      const items = value.k === 'list' ? value.items : [value]
      const found: number[] = []
      for (const item of items) {
        const axis = axisOf(item, nodes[0], span, env)
        if (axis === undefined) return undefined
        found.push(axis)
      }
      return found
    }
    case 'dim':
      return asDim(value, env, span, what, given.expr)
    case 'dims': {
      if (value.k !== 'list') return wrong('a list, such as `[B, T]`')
      const found: Ix[] = []
      const written = given.expr?.k === 'list' ? given.expr.items : []
      for (const [i, item] of value.items.entries()) {
        const expr = written[i]
        const size = asDim(item, env, expr?.span ?? span, `an entry of ${what}`, expr)
        if (size === undefined) return undefined
        found.push(size)
      }
      return found
    }
    case 'number': {
      const known = value.k === 'num' ? constantOf(value) : value.k === 'flag' ? Number(value.value) : undefined
      return known ?? wrong('a number known at compile time')
    }
    case 'bool':
      return value.k === 'flag' ? value.value : wrong('true or false')
    case 'string':
      return value.k === 'text' ? value.value : wrong('a string')
    case 'dtype':
      return value.k === 'text' && dtypes.some((dtype) => dtype === value.value)
        ? value.value
        : wrong('"f32", "i32" or "bool"')
    default:
      return wrong('something else')
  }
}

/** An axis given by position (negative from the end) or by the dim that it has. */
export function axisOf(value: Value, node: Node | undefined, span: Span, env: Env): number | undefined {
  if (value.k === 'error') return undefined
  const shape = node?.type.shape ?? []
  const bad = (axis: string, times = 0): undefined => {
    const type = node ? showType(node.type) : 'a tensor without axes'
    const said = badAxis(span, axis, times > 1 ? `${type}: ${times} axes have this extent` : type)
    report(env, node ? withReasons(said, becauseOf(node)) : said)
    return undefined
  }
  if (value.k !== 'num') {
    report(env, wrongKind(span, '`axis`', 'a number or a dim', describe(value)))
    return undefined
  }
  const size = whole(value)
  const byDim = value.dim === true || constantOf(value) === undefined
  if (byDim && size) {
    const at = shape.flatMap((dim, i) => (dim === size ? [i] : []))
    return at.length === 1 ? at[0] : bad(String(size), at.length)
  }
  const axis = constantOf(value)!
  if (!Number.isInteger(axis) || axis < -shape.length || axis >= shape.length) return bad(String(axis))
  return axis < 0 ? axis + shape.length : axis
}
