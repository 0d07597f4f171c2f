/**
 * `scan`: its body is elaborated once, with `t` as a number and the carries as values of a step. What depends on neither stands outside of the
 * loop by construction (docs/scan.md).
 */
import type * as ast from '../../grammar/ast.ts'
import {
  noReturn,
  notAStatementHere,
  scanAssigns,
  scanCarryType,
  unknownArgument,
  wrongKind,
} from '../diagnostics/catalogue.ts'
import { withReasons } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import { of, sub, sym, type Ix } from '../types/ix.ts'
import { lookup, newScope, report, type Env } from './context.ts'
import { asDim } from './dims.ts'
import { evaluate } from './exprs.ts'
import { apply, nameNode } from './graphing.ts'
import { tensorOf } from './lanes.ts'
import { constantOf, int, lower } from './numbers.ts'
import { assignedIn, execBody } from './statements.ts'
import { describe, fault, sameType, showType, tensor, type Value } from './values.ts'
import { becauseOf } from './why.ts'

interface Options {
  readonly axis: number
  readonly axisSpan: ast.Expr['span']
  readonly reverse: boolean
}

function optionsOf(e: ast.Scan, env: Env): Options | undefined {
  let [axis, axisSpan, reverse, good] = [0, e.span, false, true]
  for (const option of e.options) {
    const name = option.name?.name ?? ''
    const value = evaluate(option.value, env)
    const wrong = (expected: string): void => {
      if (value.k !== 'error') report(env, wrongKind(option.value.span, `\`${name}\``, expected, describe(value)))
      good = false
    }
    if (name === 'axis') {
      const known = value.k === 'num' ? constantOf(value) : undefined
      if (known === undefined || !Number.isInteger(known)) wrong('a whole number known at compile time')
      else [axis, axisSpan] = [known, option.value.span]
    } else if (name === 'reverse') {
      if (value.k === 'flag') reverse = value.value
      else wrong('`true` or `false`')
    } else {
      report(env, unknownArgument(option.span, name, 'scan', 'it may be `axis` or `reverse`'))
      good = false
    }
  }
  return good ? { axis, axisSpan, reverse } : undefined
}

function extentOf(e: ast.Scan, env: Env): Ix | undefined {
  const extent = asDim(evaluate(e.bound, env), env, e.bound.span, 'the bound of `scan`')
  if (extent === undefined || lower(extent) >= 1) return extent
  report(env, wrongKind(e.bound.span, 'the bound of `scan`', 'at least 1 for all values of its dims', `\`${extent}\``))
  return undefined
}

/** A carry: its node, unless its start is at fault. */
interface Carried {
  readonly name: ast.Name
  readonly node: Node | undefined
  /** It starts as a number, which is an i32 if it is whole. */
  readonly number: boolean
}

function start(carry: ast.Carry, loop: string, index: number, env: Env): Carried {
  const since = env.run.nodes
  const value = evaluate(carry.init, env)
  const first = tensorOf(value, undefined, env, carry.init.span)
  const node = first && apply(env, 'carry', [first.node], { loop, index }, carry.name.span)
  if (node) nameNode(node, carry.name.name, since)
  return { name: carry.name, node, number: value.k === 'num' }
}

/** What the carry is at the next step, which must be of the type that it started with. */
function next(carry: Carried, e: ast.Scan, inner: Env): Node | undefined {
  const { name, node } = carry
  const binding = lookup(inner.scope, name.name)
  if (node === undefined || binding === undefined || binding.value.k === 'error') return undefined
  const now = tensorOf(binding.value, node.type.dtype, inner, binding.span)
  if (now === undefined || sameType(now.node.type, node.type)) return now?.node
  const said = scanCarryType(
    binding.span,
    name.name,
    showType(node.type),
    showType(now.node.type),
    carry.number && now.node.type.dtype === 'f32' && now.node.type.shape.length === 0,
  )
  const before = becauseOf(node.inputs[0]!, name.name, `\`${name.name}\` starts as ${showType(node.type)}`)
  const after = becauseOf(now.node, undefined, `after one step it is ${showType(now.node.type)}`)
  report(inner, withReasons(said, before, after, { message: 'steps of this `scan`', span: e.bound.span }))
  return undefined
}

/** What each step yields. */
function yielded(e: ast.Scan, inner: Env): Node[] | undefined {
  const end = execBody(e.body, inner)
  if (end?.k === 'return') {
    report(inner, notAStatementHere(end.span, '`return`', 'in a scan: a step gives what it yields'))
    return undefined
  }
  if (end === undefined) {
    report(inner, noReturn(e.span, 'this `scan`', 'yield'))
    return undefined
  }
  const nodes: Node[] = []
  for (const item of end.value.k === 'tuple' ? end.value.items : [end.value]) {
    const one = tensorOf(item, undefined, inner, end.span)
    if (one === undefined) return undefined
    nodes.push(one.node)
  }
  return nodes
}

/** Variables from outside that the body assigns would be lost after each step. */
function checkAssigned(e: ast.Scan, env: Env, inner: Env): void {
  const reported = new Set<string>()
  for (const name of assignedIn(e.body)) {
    const known = lookup(env.scope, name.name)
    if (inner.scope.names.has(name.name) || reported.has(name.name) || known === undefined) continue
    reported.add(name.name)
    report(env, withReasons(scanAssigns(name.span, name.name), { message: 'first bound here', span: known.span }))
    inner.scope.names.set(name.name, known)
  }
}

export function scanValue(e: ast.Scan, env: Env): Value {
  if (env.lanes.length > 0) {
    report(env, wrongKind(e.span, 'the body of a comprehension', 'one number per point', 'a `scan`'))
    return fault
  }
  const { faults } = env.run
  const options = optionsOf(e, env)
  const extent = extentOf(e, env)
  if (options === undefined || extent === undefined) return fault
  const loop = `scan.${env.run.scans++}`
  const t = sym(e.index.name, { lo: 0, hi: sub(extent, 1), role: 'loop' })
  const carries = e.carries.map((c, i) => start(c, loop, i, env))

  const scope = newScope(env.scope)
  const inner: Env = { ...env, scope, loops: [...env.loops, t] }
  scope.names.set(e.index.name, { kind: 'index', value: int(of(t)), span: e.index.span })
  for (const { name, node } of carries) {
    if (scope.names.has(name.name)) {
      report(env, wrongKind(name.span, 'the name of a carry', 'a name of its own', `\`${name.name}\` again`))
    }
    scope.names.set(name.name, { kind: 'var', value: node ? tensor(node) : fault, span: name.span })
  }
  checkAssigned(e, env, inner)
  const yields = yielded(e, inner)
  const nexts = carries.map((c) => next(c, e, inner))
  if (yields === undefined || env.run.faults > faults || nexts.some((n) => n === undefined)) return fault

  const axes: number[] = []
  for (const y of yields) {
    const rank = y.type.shape.length + 1
    const axis = options.axis < 0 ? options.axis + rank : options.axis
    if (axis < 0 || axis >= rank) {
      const found = `${options.axis}, as the result is ${rank === 1 ? 'a vector' : `of ${rank} axes`}`
      report(
        env,
        withReasons(wrongKind(options.axisSpan, '`axis`', `from ${-rank} to ${rank - 1}`, found), becauseOf(y)),
      )
      return fault
    }
    axes.push(axis)
  }
  const inputs = [...nexts.map((n) => n!), ...yields]
  const attrs = { loop, t: of(t), extent, carries: carries.length, axes, reverse: options.reverse }
  const node = apply(env, 'scan', inputs, attrs, e.span)
  if (node === undefined) return fault
  const items = (node.results ?? [node.type]).map(({ dtype, shape }, index): Value => {
    const part = apply(env, 'part', [node], { index, dtype, shape }, e.span)
    return part ? tensor(part) : fault
  })
  return items.length === 1 ? items[0]! : { k: 'tuple', items }
}
