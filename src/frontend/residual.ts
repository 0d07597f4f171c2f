/**
 * `residual(e)` is `x + e`, where x is the one float variable written in `e` that has the type of `e` and lies on its spine (first
 * arguments, both sides of operators). Where a second reading exists it is an error that names both.
 */
import type * as ast from '../../grammar/ast.ts'
import { asCall, walk } from '../../grammar/desugar.ts'
import {
  argumentTwice,
  mixedDtypes,
  residualAmbiguous,
  residualBare,
  residualShapes,
  residualTuple,
  skipsFromNorm,
  tooManyArguments,
  unknownArgument,
  wrongKind,
} from '../diagnostics/catalogue.ts'
import { withReasons, type Reason, type Span } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import { lookup, report, suggestion, type Env } from './context.ts'
import { evaluate } from './exprs.ts'
import { apply } from './graphing.ts'
import { tensorOf } from './lanes.ts'
import { nameOf } from './operators.ts'
import { describe, fault, sameType, showType, tensor, type Binding, type TensorValue, type Value } from './values.ts'
import { becauseOf } from './why.ts'

const options = ['skip', 'scale', 'skip_scale'] as const

interface Candidate {
  readonly name: string
  readonly node: Node
  readonly binding: Binding
}

export function residual(call: ast.Call, env: Env): Value {
  const given = new Map<string, ast.Arg>()
  let body: ast.Expr | undefined
  let good = true
  for (const arg of call.args) {
    if (!arg.name) {
      if (body) {
        report(env, tooManyArguments(arg.span, 'residual', 1, 2))
        good = false
      } else body = arg.value
    } else if (given.has(arg.name.name)) {
      report(env, argumentTwice(arg.name.span, arg.name.name))
      good = false
    } else if (!options.some((o) => o === arg.name?.name)) {
      const near = suggestion(arg.name.name, options) ?? `it takes ${options.join(', ')}`
      report(env, unknownArgument(arg.name.span, arg.name.name, 'residual', near))
      good = false
    } else given.set(arg.name.name, arg)
  }
  if (!body) {
    if (good) report(env, wrongKind(call.span, '`residual`', 'given one expression', 'nothing'))
    return fault
  }
  const value = evaluate(body, env)
  const extra = new Map([...given].map(([name, arg]) => [name, evaluate(arg.value, env)]))
  if (!good || value.k === 'error' || [...extra.values()].some((v) => v.k === 'error')) return fault
  if (value.k === 'tuple') {
    report(env, residualTuple(body.span, value.items.length))
    return fault
  }
  if (value.k !== 'tensor') {
    report(env, wrongKind(body.span, 'what `residual` takes', 'a tensor', describe(value)))
    return fault
  }
  if (value.node.type.dtype !== 'f32') {
    report(
      env,
      withReasons(mixedDtypes(body.span, value.node.type.dtype, 'f32', 'write `f32(…)`'), becauseOf(value.node)),
    )
    return fault
  }
  const skip = given.has('skip')
    ? explicit(extra.get('skip')!, given.get('skip')!, value, env)
    : find(body, value, env, call.span)
  if (!skip) return fault
  const branch = scaled(value, extra.get('scale'), given.get('scale'), 'scale', value, env)
  const kept = scaled(tensor(skip), extra.get('skip_scale'), given.get('skip_scale'), 'skip_scale', value, env)
  if (!branch || !kept) return fault
  const sum = apply(env, 'add', [kept, branch], {}, call.span)
  return sum ? tensor(sum) : fault
}

function explicit(skip: Value, arg: ast.Arg, value: TensorValue, env: Env): Node | undefined {
  if (skip.k !== 'tensor') {
    report(env, wrongKind(arg.value.span, '`skip`', 'a tensor', describe(skip)))
    return undefined
  }
  if (sameType(skip.node.type, value.node.type)) return skip.node
  const name = nameOf(arg.value) ?? 'skip'
  const said = residualShapes(arg.value.span, name, showType(skip.node.type), showType(value.node.type))
  report(env, withReasons(said, becauseOf(skip.node, name), becauseOf(value.node)))
  return undefined
}

/** A factor: a number, a scalar, or a tensor that stretches to the type of the expression. */
function scaled(
  x: TensorValue,
  factor: Value | undefined,
  arg: ast.Arg | undefined,
  what: string,
  value: TensorValue,
  env: Env,
): Node | undefined {
  if (!factor || !arg) return x.node
  if (factor.k !== 'num' && factor.k !== 'tensor') {
    report(env, wrongKind(arg.value.span, `\`${what}\``, 'a number or a tensor', describe(factor)))
    return undefined
  }
  const by = tensorOf(factor, 'f32', env, arg.value.span)
  const product = by && apply(env, 'mul', [by.node, x.node], {}, arg.span, [nameOf(arg.value)])
  if (!product || sameType(product.type, value.node.type)) return product
  const said = residualShapes(arg.value.span, what, showType(by.node.type), showType(value.node.type))
  report(env, withReasons(said, becauseOf(by.node, nameOf(arg.value))))
  return undefined
}

function find(body: ast.Expr, value: TensorValue, env: Env, at: Span): Node | undefined {
  if (body.k === 'name') {
    report(env, residualBare(body.span, body.name))
    return undefined
  }
  const floats = variablesIn(body, env)
  const fits = floats.filter((c) => sameType(c.node.type, value.node.type))
  const onSpine = spineOf(body)
  const distinct = fits.filter((c, i) => fits.findIndex((other) => other.node === c.node) === i)
  if (distinct.length === 1 && fits.some((c) => onSpine.has(c.name))) {
    const chosen = fits.find((c) => onSpine.has(c.name))!
    lint(chosen, env, at)
    return chosen.node
  }
  const told = (list: readonly Candidate[]): Reason[] => list.map((c) => becauseOf(c.node, c.name))
  if (distinct.length > 1) {
    const names = fits.map((c) => `\`${c.name}\``).join(' and ')
    report(
      env,
      withReasons(
        residualAmbiguous(at, `${names} have its type, ${showType(value.node.type)}`, fits[0]!.name),
        ...told(fits),
      ),
    )
  } else if (distinct.length === 1) {
    const only = distinct[0]!
    const found = `\`${only.name}\` has its type, but is no first argument on the way`
    report(env, withReasons(residualAmbiguous(at, found, only.name), ...told([only])))
  } else {
    const near = floats.filter((c) => onSpine.has(c.name))
    const first = near[0]
    if (first) {
      const said = residualShapes(at, first.name, showType(first.node.type), showType(value.node.type))
      report(
        env,
        withReasons(
          said,
          ...told(near),
          becauseOf(value.node, undefined, `the expression is ${showType(value.node.type)}`),
        ),
      )
    } else {
      const found = `no float variable in it has its type, ${showType(value.node.type)}`
      report(env, withReasons(residualAmbiguous(at, found, '…'), ...told(floats)))
    }
  }
  return undefined
}

/** Float variables written in an expression; not parameters of the checkpoint, not the names of blocks. */
function variablesIn(e: ast.Expr, env: Env): Candidate[] {
  const found: Candidate[] = []
  const visit = (expr: ast.Node): void => {
    walk(expr, (node) => {
      if (node.k === 'call' || node.k === 'pipe') {
        const call = asCall(node)
        for (const arg of call.args) visit(arg.value)
        return false
      }
      if (node.k !== 'name' || found.some((c) => c.name === node.name)) return
      const binding = lookup(env.scope, node.name)
      const value = binding?.value
      if (!binding || value?.k !== 'tensor' || value.param || value.lanes || value.node.type.dtype !== 'f32') return
      found.push({ name: node.name, node: value.node, binding })
    })
  }
  visit(e)
  return found
}

/** Names on the spine: through first arguments, what is indexed, and both sides of operators. */
function spineOf(e: ast.Expr): Set<string> {
  const found = new Set<string>()
  const go = (x: ast.Expr | undefined): void => {
    switch (x?.k) {
      case 'name':
        found.add(x.name)
        return
      case 'call':
      case 'pipe':
        return go(asCall(x).args.find((arg) => !arg.name)?.value)
      case 'binary':
        go(x.left)
        return go(x.right)
      case 'unary':
        return go(x.arg)
      case 'index':
        return go(x.base)
      default:
        return
    }
  }
  go(e)
  return found
}

/** `h = layernorm(x)` and then `residual(attn(h))` skips from h, where x was probably meant. */
function lint(chosen: Candidate, env: Env, at: Span): void {
  const { from, span } = chosen.binding
  if (from?.k !== 'call' && from?.k !== 'pipe') return
  const call = asCall(from)
  const first = call.args.find((arg) => !arg.name)?.value
  if (!/norm|^ln/i.test(call.callee.name) || first?.k !== 'name' || first.name === chosen.name) return
  const input = lookup(env.scope, first.name)?.value
  if (input?.k !== 'tensor' || !sameType(input.node.type, chosen.node.type)) return
  const reason = { message: `\`${chosen.name}\` is \`${first.name}\` after \`${call.callee.name}\``, span }
  report(env, withReasons(skipsFromNorm(at, chosen.name, first.name), reason))
}
