/** Statements of models and blocks. Each is elaborated even when an earlier one failed, so that one run finds every mistake. */
import type * as ast from '../../grammar/ast.ts'
import { walk } from '../../grammar/desugar.ts'
import {
  countMismatch,
  declaredTwice,
  notAStatementHere,
  numberTooLarge,
  shapeMismatch,
  tupleMisuse,
  unknownBlock,
  wrongKind,
} from '../diagnostics/catalogue.ts'
import { withReasons, type Span } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import { builtins } from './builtins.ts'
import { blockNames, evaluateArgs, resolveBlock } from './calls.ts'
import { checkWhere } from './constraints.ts'
import { holder, joinPath, lookup, report, suggestion, type BlockScope, type Env } from './context.ts'
import { declareDim, evalShape } from './dims.ts'
import { evaluate, stringOf } from './exprs.ts'
import { apply, nameNode } from './graphing.ts'
import { tensorOf } from './lanes.ts'
import type { BlockDef } from './modules.ts'
import { isOp } from './opcalls.ts'
import { IxOverflow } from '../types/ix.ts'
import { compileTime } from './operators.ts'
import { declareParam } from './params.ts'
import { repeatStatement } from './repeat.ts'
import { describe, fault, sameType, showType, type BindingKind, type Value } from './values.ts'
import { becauseOf } from './why.ts'

export interface Completion {
  readonly k: 'return' | 'yield'
  readonly value: Value
  readonly span: Span
}

export function execBody(body: ast.Body, env: Env): Completion | undefined {
  const inner = withBlocks(body, env)
  for (const stmt of body.stmts) {
    const end = execSafely(stmt, inner)
    if (end) return end
  }
  return undefined
}

/** Sizes beyond 2^53 have no exact form; what the statement would have bound is then a fault. */
function execSafely(stmt: ast.Stmt, env: Env): Completion | undefined {
  try {
    return exec(stmt, env)
  } catch (error) {
    if (!(error instanceof IxOverflow)) throw error
    report(env, numberTooLarge(stmt.span))
    for (const name of assignedIn(stmt)) bind(env, name, fault, 'var')
    return stmt.k === 'return' || stmt.k === 'yield' ? { k: stmt.k, value: fault, span: stmt.span } : undefined
  }
}

/** Blocks declared in a body may be called before their line. */
function withBlocks(body: ast.Body, env: Env): Env {
  const defs = new Map<string, BlockDef>()
  const blocks: BlockScope = { defs, ...(env.blocks ? { parent: env.blocks } : {}) }
  for (const stmt of body.stmts) {
    if (stmt.k !== 'block') continue
    const name = stmt.name.name
    const earlier = defs.get(name)
    if (earlier) {
      const first = { message: `first declared here`, span: earlier.decl.name.span }
      report(env, withReasons(declaredTwice(stmt.name.span, name), first))
      continue
    }
    const { module, hypers } = env
    defs.set(name, { name, decl: stmt, module, std: module.std, blocks, ...(hypers ? { hypers } : {}) })
  }
  return defs.size > 0 ? { ...env, blocks } : env
}

function exec(stmt: ast.Stmt, env: Env): Completion | undefined {
  switch (stmt.k) {
    case 'assign': {
      const since = env.run.nodes
      bindTargets(stmt.targets, evaluate(stmt.value, env), stmt, env, since)
      return undefined
    }
    case 'param':
      bind(env, stmt.name, declareParam(stmt, env), 'param')
      return undefined
    case 'return':
    case 'yield': {
      const values = stmt.values.map((e) => evaluate(e, env))
      const first = values[0] ?? fault
      return { k: stmt.k, value: values.length === 1 ? first : { k: 'tuple', items: values }, span: stmt.span }
    }
    case 'scope': {
      const path = stringOf(stmt.path, env)
      const inner = { ...env, path: joinPath(env.path, path.value), template: joinPath(env.template, path.template) }
      return execBody(stmt.body, inner)
    }
    case 'if':
      return execIf(stmt, env)
    case 'repeat':
      return repeatStatement(stmt, env)
    case 'share':
      share(stmt, env)
      return undefined
    case 'block':
      return undefined
    case 'input':
    case 'output':
    case 'sequence':
    case 'weights':
    case 'entry':
      return modelOnly(stmt, env)
  }
}

const spoken = {
  input: '`input`',
  output: '`output`',
  sequence: '`sequence`',
  weights: '`weights`',
  entry: '`entry`',
} as const

function modelOnly(stmt: ast.Input | ast.Output | ast.Sequence | ast.Weights | ast.Entry, env: Env): undefined {
  if (env.frame.def) {
    report(env, notAStatementHere(stmt.span, spoken[stmt.k], 'in a block: it belongs to the model'))
    if (stmt.k === 'input') bind(env, stmt.name, fault, 'input')
    return undefined
  }
  if (env.loops.length > 0) {
    report(env, notAStatementHere(stmt.span, spoken[stmt.k], 'in a scan: it belongs to the model'))
    for (const name of assignedIn(stmt)) bind(env, name, fault, 'var')
    return undefined
  }
  switch (stmt.k) {
    case 'input':
      input(stmt, env)
      return undefined
    case 'output':
      output(stmt, env)
      return undefined
    case 'sequence': {
      const known = lookup(env.scope, stmt.name.name)
      if (env.run.sequence) report(env, declaredTwice(stmt.name.span, 'sequence'))
      else if (!known) env.run.sequence = declareDim(env, stmt.name.name, stmt.name.span)
      else env.run.sequence = env.run.dims.find((dim) => dim.name === stmt.name.name)
      return undefined
    }
    case 'weights':
      weights(stmt, env)
      return undefined
    case 'entry':
      // Checked once all outputs are known.
      env.run.entryDecls.push(stmt)
      return undefined
  }
}

/** Binds names to the results of an expression. */
function bindTargets(
  targets: readonly ast.Name[],
  value: Value,
  stmt: ast.Assign | ast.Output,
  env: Env,
  since: number,
): void {
  const items = value.k === 'tuple' ? value.items : [value]
  if (value.k === 'error' || items.length !== targets.length) {
    if (value.k !== 'error') {
      const said =
        targets.length === 1
          ? tupleMisuse(stmt.value.span, items.length, resultsOf(stmt.value, value))
          : countMismatch(stmt.value.span, targets.length, items.length, resultsOf(stmt.value, value))
      report(env, said)
    }
    for (const target of targets) bind(env, target, fault, 'var')
    return
  }
  targets.forEach((target, i) => {
    const item = items[i]!
    if (item.k === 'tensor') nameNode(item.node, target.name, since)
    bind(env, target, item, 'var', stmt.value)
  })
}

/** What an expression gives, where that is often mistaken. */
function resultsOf(e: ast.Expr, value: Value): string | undefined {
  if (e.k === 'scan' && e.carries.length > 0) {
    const last = e.carries.map((c) => `\`${c.name.name}\``).join(', ')
    return `a \`scan\` gives what it yields, then the last value of each carry, here ${last}`
  }
  if (value.k === 'list') return 'items of a list are taken by number: `shape(x)[0]`'
  return undefined
}

/** `=` rebinds: in the scope that has the name, or here. */
export function bind(env: Env, name: ast.Name, value: Value, kind: BindingKind, from?: ast.Expr): void {
  const scope = kind === 'var' ? holder(env.scope, name.name) : env.scope
  scope.names.set(name.name, { kind, value, span: name.span, ...(from ? { from } : {}) })
}

function execIf(stmt: ast.If, env: Env): Completion | undefined {
  const cond = compileTime(evaluate(stmt.cond, env), stmt.cond, env)
  if (cond === undefined) {
    // What either branch would have bound is unknown, and says so only once.
    for (const name of assignedIn(stmt)) if (!lookup(env.scope, name.name)) bind(env, name, fault, 'var')
    return undefined
  }
  if (cond) return execBody(stmt.then, env)
  if (!stmt.else) return undefined
  return stmt.else.k === 'if' ? execIf(stmt.else, env) : execBody(stmt.else, env)
}

/** Names that statements below this one assign or declare, not entering blocks. */
export function assignedIn(node: ast.Node): ast.Name[] {
  const found: ast.Name[] = []
  walk(node, (at) => {
    if (at.k === 'block') return false
    if (at.k === 'assign') found.push(...at.targets)
    else if (at.k === 'output') found.push(...at.names)
    else if (at.k === 'param' || at.k === 'input' || at.k === 'share') found.push(at.name)
    return undefined
  })
  return found
}

function share(stmt: ast.Share, env: Env): void {
  const { call } = stmt
  const def = resolveBlock(call.callee.name, env)
  if (!def) {
    const known = isOp(call.callee.name) || Object.hasOwn(builtins, call.callee.name)
    const hint = known ? 'it has no weights to share' : suggestion(call.callee.name, blockNames(env))
    report(env, unknownBlock(call.callee.span, call.callee.name, hint))
    bind(env, stmt.name, fault, 'var')
    return
  }
  const preset = evaluateArgs(call, env, def)
  const path = preset.name ? joinPath(env.path, preset.name.value) : env.path
  const template = preset.name ? joinPath(env.template, preset.name.template) : env.template
  bind(env, stmt.name, { k: 'shared', target: def, preset, memo: new Map<string, Node>(), path, template }, 'var')
}

function input(stmt: ast.Input, env: Env): void {
  const name = stmt.name.name
  const earlier = env.run.inputs.find((i) => i.name === name)
  if (earlier) {
    const first = { message: 'first declared here', span: earlier.node.origin.span }
    report(env, withReasons(declaredTwice(stmt.name.span, name), first))
    return
  }
  const type = evalShape(stmt.type, env, true)
  const node = type && apply(env, 'input', [], { name, dtype: type.dtype, shape: type.shape }, stmt.name.span)
  if (!node) {
    bind(env, stmt.name, fault, 'input')
    return
  }
  nameNode(node, name, node.id)
  bind(env, stmt.name, { k: 'tensor', node }, 'input')
  const absent = stmt.default ? inputDefault(stmt.default, node, name, env) : undefined
  env.run.inputs.push({ name, node, ...(absent ? { default: absent } : {}), ...(stmt.doc ? { doc: stmt.doc } : {}) })
  checkWhere(stmt.where, env, true)
}

function inputDefault(e: ast.Expr, node: Node, name: string, env: Env): Node | undefined {
  const value = evaluate(e, env)
  const made = value.k === 'error' ? undefined : tensorOf(value, node.type.dtype, env, e.span)
  if (!made) return undefined
  if (sameType(made.node.type, node.type)) return made.node
  // `zeros` and `ones` are numbers written in the source: they take the dtype that they meet.
  const { op, attrs, type } = made.node
  const fits = sameType({ ...type, dtype: node.type.dtype }, node.type)
  if (op === 'full' && fits) return apply(env, 'full', [], { ...attrs, dtype: node.type.dtype }, e.span)
  if (made.node.type.shape.length === 0 && made.node.type.dtype === node.type.dtype) {
    return apply(env, 'broadcast', [made.node], { shape: node.type.shape }, e.span)
  }
  const said = shapeMismatch(e.span, `the default of \`${name}\``, showType(node.type), showType(made.node.type))
  report(env, withReasons(said, becauseOf(node, name), becauseOf(made.node)))
  return undefined
}

function output(stmt: ast.Output, env: Env): void {
  const since = env.run.nodes
  const value = evaluate(stmt.value, env)
  bindTargets(stmt.names, value, stmt, env, since)
  for (const name of stmt.names) {
    if (env.run.outputs.some((o) => o.name === name.name)) {
      report(env, declaredTwice(name.span, name.name))
      continue
    }
    const bound = lookup(env.scope, name.name)?.value ?? fault
    if (bound.k === 'error') {
      env.run.faultyOutputs.add(name.name)
      continue
    }
    const made =
      bound.k === 'num' || bound.k === 'cond' || bound.k === 'flag' ? tensorOf(bound, undefined, env, name.span) : bound
    if (made?.k === 'tensor') {
      env.run.outputs.push({ name: name.name, node: made.node, ...(stmt.doc ? { doc: stmt.doc } : {}) })
    } else if (made) report(env, wrongKind(name.span, `output \`${name.name}\``, 'a tensor', describe(made)))
  }
}

function weights(stmt: ast.Weights, env: Env): void {
  const { rules } = env.run
  const string = (e: ast.Str): string => stringOf(e, env).value
  for (const rule of stmt.rules) {
    if (rule.k === 'prefix') rules.prefixes.push({ prefix: string(rule.prefix), optional: rule.optional })
    else if (rule.k === 'ignore') rules.ignore.push(...rule.patterns.map(string))
    else rules.rename.push({ from: string(rule.from), to: string(rule.to) })
  }
}
