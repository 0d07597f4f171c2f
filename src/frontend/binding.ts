/** Parameters of blocks: which argument is whose, implicit values of `auto` parameters and where they came from, tensors against types. */
import type * as ast from '../../grammar/ast.ts'
import {
  argumentTwice,
  missingArgument,
  noValue,
  tooManyArguments,
  tupleMisuse,
  unknownArgument,
  wrongKind,
} from '../diagnostics/catalogue.ts'
import { lineOf, withReasons, type Reason, type Span } from '../diagnostics/index.ts'
import { report, suggestion, type Env, type Frame, type FrameValue } from './context.ts'
import { matchType, mentionsDims, type Matching } from './dims.ts'
import { evaluate } from './exprs.ts'
import { tensorOf } from './lanes.ts'
import type { BlockDef } from './modules.ts'
import type { Arguments, Given } from './opcalls.ts'
import { nameOf } from './operators.ts'
import { describe, dtypes, fault, showValue, type Value } from './values.ts'

export type BoundArgs = Map<string, Given>

export function bindArguments(
  def: BlockDef,
  called: string,
  args: Arguments,
  env: Env,
  span: Span,
): BoundArgs | undefined {
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
export function bindParameters(
  def: BlockDef,
  called: string,
  bound: BoundArgs,
  env: Env,
  inner: Env,
  span: Span,
): boolean {
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
    good = setTensor(param, param.type, called, given, inner, matching, span) && good
  }
  for (const param of open) good = setDefault(param, called, env, inner, span) && good
  return good
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
  const dtype = dtypes.find((one) => one === type.dtype.name)
  const made = tensorOf(value, dtype, inner, at)
  if (!made) return false
  const known = given?.expr ? nameOf(given.expr) : undefined
  const site = { span: at, param: name, block: called, ...(known === undefined ? {} : { name: known }) }
  // The dims of a type that does not match stay unknown, and what is declared with them silent.
  if (!matchType(type, made, inner, matching, site)) return false
  return bindTo(made)
}
