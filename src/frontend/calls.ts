/** Calls: what a name means, arguments of blocks, implicit parameters, and the expansion of a block's body. */
import type * as ast from '../../grammar/ast.ts'
import { walk } from '../../grammar/desugar.ts'
import {
  argumentTwice,
  countMismatch,
  missingArgument,
  noReturn,
  noValue,
  notInThisVersion,
  recursiveBlock,
  tooManyArguments,
  tupleMisuse,
  unknownArgument,
  unknownBlock,
  wrongKind,
} from '../diagnostics/catalogue.ts'
import { lineOf, withReasons, type Reason, type Span } from '../diagnostics/index.ts'
import { builtinNames, builtins } from './builtins.ts'
import { checkWhere } from './constraints.ts'
import {
  joinPath,
  lookup,
  lookupName,
  newScope,
  report,
  suggestion,
  type Env,
  type Frame,
  type FrameValue,
  type Scope,
} from './context.ts'
import { isDimName, matchType, type Matching } from './dims.ts'
import { evaluate, stringOf } from './exprs.ts'
import { tensorOf } from './lanes.ts'
import type { BlockDef } from './modules.ts'
import { constantOf, whole } from './numbers.ts'
import { callOp, isOp, opNames, type Arguments, type Given } from './opcalls.ts'
import { nameOf } from './operators.ts'
import { residual } from './residual.ts'
import { execBody } from './statements.ts'
import { describe, fault, type Shared, type Value } from './values.ts'
import { selectLazily } from './select.ts'

/** Constructs that the language names and a later version brings. */
const later = new Set(
  'scan topk sort scatter_add conv conv1d conv2d unfold batchnorm groupnorm cumsum max_pool mean_pool rnn lstm gru'.split(
    ' ',
  ),
)

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
  if (later.has(name)) report(env, notInThisVersion(e.callee.span, `\`${name}\``))
  else {
    const value = lookupName(env, name)?.value
    const near = suggestion(name, blockNames(env))
    report(env, unknownBlock(e.callee.span, name, value ? `\`${name}\` is ${describe(value)}, not a block` : near))
  }
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

type BoundArgs = Map<string, Given>

function bindArguments(def: BlockDef, called: string, args: Arguments, env: Env, span: Span): BoundArgs | undefined {
  const { params } = def.decl
  const bound: BoundArgs = new Map()
  let good = true
  args.positional.forEach((given, i) => {
    const param = params[i]
    if (param) bound.set(param.name.name, given)
  })
  const extra = args.positional[params.length]
  if (extra) {
    report(env, withReasons(tooManyArguments(extra.span, called, params.length, args.positional.length), declared(def)))
    good = false
  }
  for (const arg of args.named) {
    if (!params.some((p) => p.name.name === arg.name)) {
      const names = params.map((p) => p.name.name)
      const near = suggestion(arg.name, names) ?? (names.length > 0 ? `it takes ${names.join(', ')}` : undefined)
      report(env, withReasons(unknownArgument(arg.nameSpan, arg.name, called, near), declared(def)))
      good = false
    } else if (bound.has(arg.name)) {
      report(env, argumentTwice(arg.nameSpan, arg.name))
      good = false
    } else bound.set(arg.name, arg)
  }
  for (const param of params) {
    const name = param.name.name
    if (bound.has(name) || param.default || param.auto) continue
    report(env, withReasons(missingArgument(span, name, called), declared(def)))
    good = false
  }
  for (const [name, given] of bound) {
    if (given.value.k === 'error') good = false
    else if (given.value.k === 'tuple') {
      const said = tupleMisuse(given.span, given.value.items.length)
      report(env, withReasons(said, { message: `\`${name}\` of \`${called}\` is one value`, span: def.decl.name.span }))
      good = false
    }
  }
  return good ? bound : undefined
}

const declared = (def: BlockDef): Reason => ({ message: `\`${def.name}\` is declared here`, span: def.decl.name.span })

/** Gives each parameter its value: arguments, implicit values, then tensors matched against their types, then defaults. */
function bindParameters(def: BlockDef, called: string, bound: BoundArgs, env: Env, inner: Env, span: Span): boolean {
  const { params } = def.decl
  let good = true
  const numbers = params.filter((p) => !p.type)
  const open: ast.BlockParam[] = []
  for (const param of numbers) {
    const given = bound.get(param.name.name)
    if (given)
      good =
        setNumber(
          param,
          called,
          { value: given.value, span: given.span, source: 'call', from: called, via: [] },
          inner,
          given.span,
        ) && good
    else {
      const found = param.auto ? implicit(param.name.name, env) : undefined
      if (found) good = setNumber(param, called, found, inner, span) && good
      else if (param.default && mentionsDims(param.default)) open.push(param)
      else good = setDefault(param, called, env, inner, span) && good
    }
  }
  const matching: Matching = { bound: new Map() }
  for (const param of params) {
    if (!param.type) continue
    const given = bound.get(param.name.name)
    if (!given && mentionsOpen(param, open)) continue
    good = setTensor(param, param.type, called, given, inner, matching, span) && good
  }
  for (const param of open) good = setDefault(param, called, env, inner, span) && good
  return good
}

const mentionsOpen = (_param: ast.BlockParam, _open: readonly ast.BlockParam[]): boolean => false

function mentionsDims(e: ast.Expr): boolean {
  let found = false
  walk(e, (node) => {
    if (node.k === 'name' && isDimName(node.name)) found = true
  })
  return found
}

/** `auto`: the same-named parameter of the calling blocks, outward, then the hyperparameter of the model. */
function implicit(name: string, env: Env): FrameValue | undefined {
  const via: string[] = []
  for (let f: Frame | undefined = env.frame; f; f = f.caller) {
    const found = f.values.get(name)
    if (found) {
      const passed = found.source === 'call' || found.source === 'default'
      const from = passed ? `${f.name}.${name}` : found.from
      return { ...found, source: 'caller', from, via: passed ? via : [...found.via, f.name, ...via] }
    }
    if (f.def) via.unshift(f.name)
  }
  const hyper = env.run.hyperScope.names.get(name)
  return hyper && { value: hyper.value, span: hyper.span, source: 'hyper', from: `${env.run.name}.${name}`, via }
}

function setDefault(param: ast.BlockParam, called: string, env: Env, inner: Env, span: Span): boolean {
  if (!param.default) {
    const frames: Reason[] = []
    for (let f: Frame | undefined = env.frame; f?.def; f = f.caller) {
      const at = f.spans.at(-1)
      if (at) frames.push({ message: `called by \`${f.name}\`, which has no \`${param.name.name}\``, span: at })
    }
    report(env, withReasons(noValue(span, param.name.name, called), ...frames))
    return false
  }
  const value = evaluate(param.default, inner)
  if (value.k === 'error') return false
  const found: FrameValue = { value, span: param.default.span, source: 'default', from: called, via: [] }
  return setNumber(param, called, found, inner, span)
}

function setNumber(param: ast.BlockParam, called: string, found: FrameValue, inner: Env, span: Span): boolean {
  const name = param.name.name
  const { value } = found
  if (value.k === 'error') return false
  const expected = expectedKind(param)
  const wrong = value.k === 'tensor' || value.k === 'shared' || (expected !== undefined && !fitsKind(value, expected))
  if (wrong) {
    const said = wrongKind(
      span,
      `\`${name}\` of \`${called}\``,
      expected ?? 'a number, a flag or a string',
      describe(value),
    )
    const where =
      found.source === 'call' ? [] : [{ message: `\`${name}\` comes from \`${found.from}\``, span: found.span }]
    report(
      inner,
      withReasons(said, ...where, { message: `\`${called}\` declares \`${name}\` without a type`, span: param.span }),
    )
    return false
  }
  const because = (): Reason => ({
    message: `\`${name}\` is ${showValue(value)}, from \`${found.from}\``,
    span: found.span,
  })
  inner.scope.names.set(name, { kind: 'arg', value, span: found.span, ...(found.source === 'call' ? {} : { because }) })
  inner.frame.values.set(name, found)
  if (param.auto) explain(name, called, found, inner, span)
  return true
}

function explain(name: string, called: string, found: FrameValue, inner: Env, span: Span): void {
  const value = showValue(found.value)
  const key = [called, name, value, found.from, found.via.join('>'), found.source].join('|')
  const { provenance } = inner.run
  if (!provenance.has(key)) {
    const { source, from, via } = found
    provenance.set(key, { block: called, param: name, value, source, from, via, span: found.span, at: span })
  }
}

export function showValue(value: Value): string {
  if (value.k === 'num') return String(constantOf(value) ?? whole(value) ?? `${value.num} / ${value.den}`)
  if (value.k === 'flag') return String(value.value)
  if (value.k === 'text') return JSON.stringify(value.value)
  return value.k === 'list' ? `[${value.items.map(showValue).join(', ')}]` : describe(value)
}

/** What the default says about the kind of a parameter. */
function expectedKind(param: ast.BlockParam): string | undefined {
  if (param.default?.k === 'bool') return 'true or false'
  if (param.default?.k === 'number') return 'a number'
  return param.default?.k === 'string' ? 'a string' : undefined
}

function fitsKind(value: Value, expected: string): boolean {
  if (expected === 'true or false') return value.k === 'flag'
  // `axis` may be a list, where the callee takes several.
  if (expected === 'a number') return value.k === 'num' || value.k === 'list'
  return value.k === 'text'
}

function setTensor(
  param: ast.BlockParam,
  type: ast.Type,
  called: string,
  given: Given | undefined,
  inner: Env,
  matching: Matching,
  span: Span,
): boolean {
  const name = param.name.name
  const value = given ? given.value : param.default ? evaluate(param.default, inner) : fault
  if (value.k === 'error') return false
  const at = given?.span ?? span
  const bindTo = (v: Value): true => {
    inner.scope.names.set(name, { kind: 'arg', value: v, span: at })
    inner.frame.values.set(name, { value: v, span: at, source: 'call', from: called, via: [] })
    return true
  }
  if (value.k === 'none') {
    if (param.default) return bindTo(value)
    report(inner, wrongKind(at, `\`${name}\` of \`${called}\``, 'a tensor', 'none'))
    return false
  }
  if (value.k !== 'tensor' && value.k !== 'num' && value.k !== 'flag' && value.k !== 'cond') {
    const said = wrongKind(at, `\`${name}\` of \`${called}\``, 'a tensor', describe(value))
    report(
      inner,
      withReasons(said, { message: `\`${called}\` declares it here, line ${lineOf(param.span)}`, span: param.span }),
    )
    return false
  }
  const dtype =
    type.dtype.name === 'i32' || type.dtype.name === 'f32' || type.dtype.name === 'bool' ? type.dtype.name : undefined
  const made = tensorOf(value, dtype, inner, at)
  if (!made) return false
  const known = given?.expr ? nameOf(given.expr) : undefined
  const site = { span: at, param: name, block: called, ...(known === undefined ? {} : { name: known }) }
  // The dims of a type that does not match stay unknown, and what is declared with them silent.
  if (!matchType(type, made, inner, matching, site)) return false
  return bindTo(made)
}

export type { Scope }
