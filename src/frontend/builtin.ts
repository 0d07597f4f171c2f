/** How the functions of the language that elaborate by themselves see their arguments. */
import {
  argumentTwice,
  missingArgument,
  tooManyArguments,
  unknownArgument,
  wrongKind,
} from '../diagnostics/catalogue.ts'
import type { Span } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import { axisOf } from './attributes.ts'
import { report, suggestion, type Env } from './context.ts'
import { int } from './numbers.ts'
import type { Arguments, Given } from './opcalls.ts'
import { describe, fault, type Value } from './values.ts'

export type Builtin = (args: Arguments, env: Env, span: Span) => Value

export interface Bound {
  readonly env: Env
  readonly span: Span
  readonly given: ReadonlyMap<string, Given>
}

/** Wraps a body so that it sees its arguments by name; `params` ending in `?` may be left out. */
export function define(name: string, params: readonly string[], body: (bound: Bound) => Value): Builtin {
  return (args, env, span) => {
    const names = params.map((p) => p.replace('?', ''))
    const given = new Map<string, Given>()
    args.positional.forEach((arg, i) => {
      if (i < names.length) given.set(names[i]!, arg)
    })
    let good = true
    const extra = args.positional[names.length]
    if (extra) {
      report(env, tooManyArguments(extra.span, name, names.length, args.positional.length))
      good = false
    }
    for (const arg of args.named) {
      if (!names.includes(arg.name)) {
        report(
          env,
          unknownArgument(arg.nameSpan, arg.name, name, suggestion(arg.name, names) ?? `it takes ${names.join(', ')}`),
        )
        good = false
      } else if (given.has(arg.name)) {
        report(env, argumentTwice(arg.nameSpan, arg.name))
        good = false
      } else given.set(arg.name, arg)
    }
    for (const param of params) {
      if (param.endsWith('?') || given.has(param)) continue
      report(env, missingArgument(span, param, name))
      good = false
    }
    if (!good || [...given.values()].some((arg) => arg.value.k === 'error')) return fault
    return body({ env, span, given })
  }
}

export function tensorArg({ env, given }: Bound, called: string, name = 'x'): Node | undefined {
  const arg = given.get(name)!
  if (arg.value.k === 'tensor' && !arg.value.lanes) return arg.value.node
  report(env, wrongKind(arg.span, `\`${name}\` of \`${called}\``, 'a tensor', describe(arg.value)))
  return undefined
}

export function axisArg({ env, span, given }: Bound, node: Node, name: string, otherwise: number): number | undefined {
  const arg = given.get(name)
  return axisOf(arg?.value ?? int(otherwise), node, arg?.span ?? span, env)
}
