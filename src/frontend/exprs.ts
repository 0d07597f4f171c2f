/** Expressions to values. Never throws on a tree of the parser; a fault is reported once and stays silent from there on. */
import type * as ast from '../../grammar/ast.ts'
import { asCall } from '../../grammar/desugar.ts'
import { unknownName, wrongKind } from '../diagnostics/catalogue.ts'
import { blockNames, call, resolveBlock } from './calls.ts'
import { comprehension } from './comprehension.ts'
import { lookupName, namesIn, report, suggestion, type Env } from './context.ts'
import { isDimName, reportUnknownDim } from './dims.ts'
import { foreignName } from './foreign.ts'
import { index } from './indexing.ts'
import { constantOf, number } from './numbers.ts'
import { isOp } from './opcalls.ts'
import { binary, compileTime, unary } from './operators.ts'
import { repeatValue } from './repeat.ts'
import { scanValue } from './scan.ts'
import { describe, fault, flag, none, text, type Value } from './values.ts'

const predefined: Readonly<Record<string, Value>> = { pi: { ...number(Math.PI) }, none }

export function evaluate(e: ast.Expr, env: Env): Value {
  switch (e.k) {
    case 'name':
      return name(e, env)
    case 'number':
      return number(e.value)
    case 'bool':
      return flag(e.value)
    case 'string':
      return text(stringOf(e, env).value)
    case 'list':
      return { k: 'list', items: e.items.map((item) => evaluate(item, env)) }
    case 'unary':
      return unary(e, evaluate(e.arg, env), env)
    case 'binary':
      return binary(e, evaluate(e.left, env), evaluate(e.right, env), env)
    case 'call':
    case 'pipe':
      return call(asCall(e), env)
    case 'index':
      return index(e, env)
    case 'comprehension':
      return comprehension(e, env)
    case 'ifExpr': {
      const cond = compileTime(evaluate(e.cond, env), e.cond, env)
      return cond === undefined ? fault : evaluate(cond ? e.then : e.else, env)
    }
    case 'repeat':
      return repeatValue(e, env)
    case 'scan':
      return scanValue(e, env)
    case 'error':
      return fault
  }
}

function name(e: ast.Name, env: Env): Value {
  const binding = lookupName(env, e.name)
  if (binding) return binding.value
  const known = Object.hasOwn(predefined, e.name) ? predefined[e.name] : undefined
  if (known) return known
  if (foreignName(e.name) !== undefined) {
    report(env, unknownName(e.span, e.name, foreignName(e.name)))
    return fault
  }
  if (env.inShape || isDimName(e.name)) {
    reportUnknownDim(e, env)
    return fault
  }
  report(env, unknownName(e.span, e.name, hint(e.name, env)))
  return fault
}

function hint(unknown: string, env: Env): string | undefined {
  if (env.frame.def && env.run.modelScope?.names.has(unknown)) {
    return `blocks see hyperparameters, not variables: pass \`${unknown}\` to \`${env.frame.name}\``
  }
  if (env.frame.def && env.run.hyperScope.names.has(unknown)) {
    return `mark it as a parameter: \`auto ${unknown}\``
  }
  if (resolveBlock(unknown, env) || isOp(unknown)) return `\`${unknown}\` is a block: call it, \`${unknown}(…)\``
  const blocks = unknown.length > 3 ? blockNames(env) : []
  return suggestion(unknown, [...namesIn(env.scope), ...namesIn(env.hypers), ...blocks])
}

/** A string with its holes filled: as text, and as the template in which indices of `repeat` stay names. */
export function stringOf(e: ast.Str, env: Env): { readonly value: string; readonly template: string } {
  let value = ''
  let template = ''
  for (const part of e.parts) {
    if (part.k === 'text') {
      value += part.value
      template += part.value
      continue
    }
    const filled = evaluate(part.expr, env)
    if (filled.k === 'num' && constantOf(filled) === undefined) {
      report(env, wrongKind(part.expr.span, 'what stands in a string', 'known at compile time', describe(filled)))
    }
    const shown = showInString(filled)
    value += shown
    const turns = part.expr.k === 'name' && lookupName(env, part.expr.name)?.kind === 'index'
    template += turns ? `{${part.expr.name}}` : shown
  }
  return { value, template }
}

function showInString(value: Value): string {
  if (value.k === 'text') return value.value
  if (value.k === 'flag') return String(value.value)
  return value.k === 'num' ? String(value.real ?? value.num) : '?'
}
