/** Shapes and lists as values of the compiler, which blocks of any rank are written with, and the errors that blocks declare. */
import { countMismatch, refusedByAuthor, wrongKind } from '../diagnostics/catalogue.ts'
import { isConst, mul } from '../types/ix.ts'
import { axisOf } from './attributes.ts'
import { axisArg, define, tensorArg, type Builtin } from './builtin.ts'
import { report } from './context.ts'
import { asDim } from './dims.ts'
import { int } from './numbers.ts'
import { describe, fault, type Value } from './values.ts'

/** The extent of an axis, as a number; of several, their product. */
const dim: Builtin = define('dim', ['x', 'axis?'], (bound) => {
  const x = tensorArg(bound, 'dim')
  if (!x) return fault
  const arg = bound.given.get('axis')
  const asked = arg?.value ?? int(-1)
  const axes = (asked.k === 'list' ? asked.items : [asked]).map((a) => axisOf(a, x, arg?.span ?? bound.span, bound.env))
  if (!axes.every((axis) => axis !== undefined)) return fault
  const size = int(mul(1, ...axes.map((axis) => x.type.shape[axis]!)))
  return axes.length === 1 ? { ...size, dim: true } : size
})

/** The position of an axis from the front, however it is given. */
const axis: Builtin = define('axis_of', ['x', 'axis'], (bound) => {
  const x = tensorArg(bound, 'axis_of')
  const at = x && axisArg(bound, x, 'axis', -1)
  return at === undefined ? fault : int(at)
})

/** The extents of all axes, as a list. */
const shape: Builtin = define('shape', ['x'], (bound) => {
  const x = tensorArg(bound, 'shape')
  return x ? { k: 'list', items: x.type.shape.map((d) => int(d)) } : fault
})

/** How many entries a list has. */
const len: Builtin = define('len', ['list'], ({ env, given }) => {
  const { value, span } = given.get('list')!
  if (value.k === 'list') return int(value.items.length)
  report(env, wrongKind(span, '`list` of `len`', 'a list', describe(value)))
  return fault
})

/** `value` n times as a list; a list of n entries is taken as it is. This is how a block takes one number or one per axis. */
const list: Builtin = define('list', ['value', 'n'], ({ env, given, span }) => {
  const { value } = given.get('value')!
  const count = given.get('n')!
  const size = asDim(count.value, env, count.span, '`n` of `list`')
  const n = size === undefined ? undefined : isConst(size)
  if (size === undefined) return fault
  if (n === undefined || n < 0 || n > 4096) {
    report(env, wrongKind(count.span, '`n` of `list`', 'a number known at compile time', String(size)))
    return fault
  }
  if (value.k !== 'list') return { k: 'list', items: new Array<Value>(n).fill(value) }
  if (value.items.length === n) return value
  report(env, countMismatch(span, n, value.items.length))
  return fault
})

/** What a block says about values that it does not take. */
const error: Builtin = define('error', ['message'], ({ env, span, given }) => {
  const { value, span: at } = given.get('message')!
  if (value.k === 'text') report(env, refusedByAuthor(span, value.value))
  else report(env, wrongKind(at, '`message` of `error`', 'a string', describe(value)))
  return fault
})

export const measures: Readonly<Record<string, Builtin>> = { dim, axis_of: axis, shape, len, list, error }
