/** Calls: what a name means, arguments of blocks, implicit parameters, and the expansion of a block's body. */
import type * as ast from '../../grammar/ast.ts'
import { countMismatch, noReturn, recursiveBlock, unknownBlock, wrongKind } from '../diagnostics/catalogue.ts'
import type { Span } from '../diagnostics/index.ts'
import { bindArguments, bindParameters } from './binding.ts'
import { builtinNames, builtins } from './builtins.ts'
import { checkWhere } from './constraints.ts'
import { joinPath, lookup, lookupName, newScope, report, suggestion, type Env, type Frame } from './context.ts'
import { foreignCall } from './foreign.ts'
import { matchType, type Matching } from './dims.ts'
import { evaluate, stringOf } from './exprs.ts'
import type { BlockDef } from './modules.ts'
import { callOp, isOp, opNames, type Arguments, type Given } from './opcalls.ts'
import { residual } from './residual.ts'
import { execBody } from './statements.ts'
import { describe, fault, type Shared, type Value } from './values.ts'
import { selectLazily } from './select.ts'

export function resolveBlock(name: string, env: Env): BlockDef | undefined {
  for (let s = env.blocks; s; s = s.parent) {
    const local = s.defs.get(name)
    if (local) return local
  }
  const { overrides, library } = env.run
  if (env.module.std) return overrides.get(name) ?? env.module.blocks.get(name) ?? library.blocks.get(name)
  return env.module.blocks.get(name) ?? overrides.get(name) ?? library.blocks.get(name)
}

export function blockNames(env: Env): string[] {
  const names = [
    ...env.module.blocks.keys(),
    ...env.run.library.blocks.keys(),
    ...opNames(),
    ...builtinNames(),
    'residual',
  ]
  for (let s = env.blocks; s; s = s.parent) names.push(...s.defs.keys())
  return names
}

export function call(e: ast.Call, env: Env): Value {
  const name = e.callee.name
  const shared = lookup(env.scope, name)?.value
  const def = resolveBlock(name, env)
  if (shared?.k !== 'shared' && !def) {
    if (name === 'residual' && !e.each) return residual(e, env)
    if (name === 'select' && !e.each) return selectLazily(e, env)
  }
  const args = evaluateArgs(e, env, def)
  if (!e.each) return dispatch(e, shared?.k === 'shared' ? shared : undefined, def, args, env)
  const [first, ...rest] = args.positional
  if (!first || first.value.k === 'error') return fault
  if (first.value.k !== 'tuple') {
    report(env, wrongKind(first.span, 'what `each` maps', 'several results', describe(first.value)))
    return fault
  }
  const items = first.value.items.map((value) => {
    const positional = [{ value, span: first.span }, ...rest]
    return dispatch(e, shared?.k === 'shared' ? shared : undefined, def, { ...args, positional }, env)
  })
  return items.some((item) => item.k === 'error') ? fault : { k: 'tuple', items }
}

function dispatch(
  e: ast.Call,
  shared: Shared | undefined,
  def: BlockDef | undefined,
  args: CallArguments,
  env: Env,
): Value {
  const name = e.callee.name
  if (shared) {
    const named = [...args.named, ...shared.preset.named.filter((p) => !args.named.some((a) => a.name === p.name))]
    const merged = { positional: [...args.positional, ...shared.preset.positional], named, name: undefined }
    const inner = { ...env, path: shared.path, template: shared.template, share: shared.memo }
    return callBlock(shared.target, name, merged, inner, e.span)
  }
  if (def) return callBlock(def, name, args, env, e.span)
  const builtin = Object.hasOwn(builtins, name) ? builtins[name] : undefined
  if (builtin) return builtin(args, env, e.span)
  if (isOp(name)) return callOp(name, args, env, e.span)
  const value = lookupName(env, name)?.value
  const near = foreignCall(name) ?? suggestion(name, blockNames(env))
  report(env, unknownBlock(e.callee.span, name, value ? `\`${name}\` is ${describe(value)}, not a block` : near))
  return fault
}

export interface CallArguments extends Arguments {
  /** `name = "attn"`: the prefix for what the callee declares. */
  readonly name: { readonly value: string; readonly template: string } | undefined
}

export function evaluateArgs(e: ast.Call, env: Env, def: BlockDef | undefined): CallArguments {
  const positional: Given[] = []
  const named: (Given & { name: string; nameSpan: Span })[] = []
  let name: CallArguments['name']
  const own = def?.decl.params.some((p) => p.name.name === 'name') ?? false
  for (const arg of e.args) {
    if (arg.name?.name === 'name' && !own) {
      if (arg.value.k === 'string') name = stringOf(arg.value, env)
      else {
        const value = evaluate(arg.value, env)
        if (value.k === 'text') name = { value: value.value, template: value.value }
        else if (value.k !== 'error') report(env, wrongKind(arg.value.span, '`name`', 'a string', describe(value)))
      }
      continue
    }
    const given: Given = { value: evaluate(arg.value, env), span: arg.value.span, expr: arg.value }
    if (arg.name) named.push({ ...given, name: arg.name.name, nameSpan: arg.name.span })
    else positional.push(given)
  }
  return { positional, named, name }
}

/** Expands a block at a call. */
export function callBlock(def: BlockDef, called: string, args: CallArguments, env: Env, span: Span): Value {
  for (let f: Frame | undefined = env.frame; f; f = f.caller) {
    if (f.def !== def) continue
    report(env, recursiveBlock(span, [...chain(f, env.frame), called]))
    return fault
  }
  const bound = bindArguments(def, called, args, env, span)
  if (!bound) return fault
  const frame: Frame = {
    def,
    name: called,
    caller: env.frame,
    values: new Map(),
    spans: [...env.frame.spans, span],
  }
  const inner: Env = {
    run: env.run,
    scope: newScope(),
    frame,
    module: def.module,
    blocks: def.blocks,
    hypers: def.hypers,
    path: args.name ? joinPath(env.path, args.name.value) : env.path,
    template: args.name ? joinPath(env.template, args.name.template) : env.template,
    ...(env.share ? { share: env.share } : {}),
    lanes: env.lanes,
    loops: env.loops,
    facts: env.facts,
  }
  if (!bindParameters(def, called, bound, env, inner, span)) return fault
  checkWhere(def.decl.where, inner)
  const { body } = def.decl
  const value = body.k === 'body' ? bodyValue(body, def, inner, span) : evaluate(body, inner)
  return checkResults(value, def, called, inner, span)
}

function chain(from: Frame, to: Frame): string[] {
  const names: string[] = []
  for (let f: Frame | undefined = to; f; f = f.caller) {
    names.unshift(f.name)
    if (f === from) break
  }
  return names
}

function bodyValue(body: ast.Body, def: BlockDef, env: Env, span: Span): Value {
  const end = execBody(body, env)
  if (end?.k === 'return') return end.value
  report(env, noReturn(def.std ? span : def.decl.name.span, `block \`${def.name}\``, 'return'))
  return fault
}

function checkResults(value: Value, def: BlockDef, called: string, env: Env, span: Span): Value {
  const { results } = def.decl
  if (results.length === 0 || value.k === 'error') return value
  const items = value.k === 'tuple' ? value.items : [value]
  if (items.length !== results.length) {
    report(env, countMismatch(span, results.length, items.length))
    return fault
  }
  const matching: Matching = { bound: new Map() }
  const good = items.map((item, i) => {
    if (item.k !== 'tensor') return item.k === 'error'
    return matchType(results[i]!, item, env, matching, { span, param: 'result', block: called })
  })
  return good.every(Boolean) ? value : fault
}
