/** `select(c, a, b)`: lazy per element, so what `c` says holds in `a`, and its opposite in `b`. */
import type * as ast from '../../grammar/ast.ts'
import { factsOf } from './comprehension.ts'
import type { Env } from './context.ts'
import { evaluate } from './exprs.ts'
import { callOp, type Given } from './opcalls.ts'
import { fault, type Value } from './values.ts'

export function selectLazily(e: ast.Call, env: Env): Value {
  const named = new Map(e.args.flatMap((arg) => (arg.name ? [[arg.name.name, arg] as const] : [])))
  const positional = e.args.filter((arg) => !arg.name)
  const at = (i: number, name: string): ast.Arg | undefined => positional[i] ?? named.get(name)
  const condition = at(0, 'c')
  const cond = condition ? evaluate(condition.value, env) : fault
  const given = (arg: ast.Arg): Given => {
    if (arg === condition) return { value: cond, span: arg.value.span, expr: arg.value }
    const holds = arg === at(1, 'a')
    const facts = env.lanes.length > 0 ? [...env.facts, ...factsOf(cond, holds)] : env.facts
    return { value: evaluate(arg.value, { ...env, facts }), span: arg.value.span, expr: arg.value }
  }
  if (cond.k === 'flag' && at(1, 'a') && at(2, 'b')) {
    // Known: the arm not taken is not there, as with `if`, unless both must be of one type.
    const taken = cond.value ? at(1, 'a')! : at(2, 'b')!
    return evaluate(taken.value, env)
  }
  const args = {
    positional: positional.map(given),
    named: e.args.flatMap((arg) => (arg.name ? [{ ...given(arg), name: arg.name.name, nameSpan: arg.name.span }] : [])),
  }
  return callOp('select', args, env, e.span)
}
