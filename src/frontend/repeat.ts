/** `repeat`: its body once per turn, with the index as a number. As a value it stacks what the turns yield. */
import type * as ast from '../../grammar/ast.ts'
import { carriedType, noReturn, notAStatementHere, wrongKind } from '../diagnostics/catalogue.ts'
import { withReasons } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import { isConst } from '../types/ix.ts'
import { stacked } from './builtins.ts'
import { joinPath, lookup, newScope, report, type Env } from './context.ts'
import { asDim } from './dims.ts'
import { evaluate, stringOf } from './exprs.ts'
import { tensorOf } from './lanes.ts'
import { int } from './numbers.ts'
import { assignedIn, bind, execBody, type Completion } from './statements.ts'
import { fault, sameType, showType, type Value } from './values.ts'
import { becauseOf } from './why.ts'

/** More turns than this are taken for a mistake: each is written out. */
const most = 4096

function countOf(stmt: ast.Repeat, env: Env): number | undefined {
  const size = asDim(evaluate(stmt.count, env), env, stmt.count.span, 'the count of `repeat`')
  const count = size === undefined ? undefined : isConst(size)
  if (size === undefined) return undefined
  if (count !== undefined && count >= 0 && count <= most) return count
  report(
    env,
    wrongKind(
      stmt.count.span,
      'the count of `repeat`',
      `a number from 0 to ${most} known at compile time`,
      String(size),
    ),
  )
  return undefined
}

function turns(stmt: ast.Repeat, env: Env, each: (end: Completion | undefined) => boolean): boolean {
  const count = countOf(stmt, env)
  const carried = assignedIn(stmt.body).filter((name, i, all) => all.findIndex((n) => n.name === name.name) === i)
  if (count === undefined) {
    for (const name of carried) if (lookup(env.scope, name.name)) bind(env, name, fault, 'var')
    return false
  }
  const { faults } = env.run
  for (let i = 0; i < count; i++) {
    const scope = newScope(env.scope)
    if (stmt.index) scope.names.set(stmt.index.name, { kind: 'index', value: int(i), span: stmt.index.span })
    let inner: Env = { ...env, scope }
    if (stmt.scope) {
      const path = stringOf(stmt.scope, inner)
      inner = { ...inner, path: joinPath(env.path, path.value), template: joinPath(env.template, path.template) }
    }
    const before = new Map(carried.map((name) => [name.name, lookup(env.scope, name.name)?.value]))
    const end = execBody(stmt.body, inner)
    const kept = stmt.unrolled || keepsTypes(stmt, carried, before, env)
    // A turn that failed would fail again.
    if (!each(end) || !kept || env.run.faults > faults) return false
  }
  return true
}

function keepsTypes(
  stmt: ast.Repeat,
  names: readonly ast.Name[],
  before: ReadonlyMap<string, Value | undefined>,
  env: Env,
): boolean {
  let kept = true
  for (const name of names) {
    const old = before.get(name.name)
    const now = lookup(env.scope, name.name)?.value
    if (old?.k !== 'tensor' || now?.k !== 'tensor' || sameType(old.node.type, now.node.type)) continue
    const said = carriedType(name.span, name.name, showType(old.node.type), showType(now.node.type))
    const before_ = becauseOf(old.node, name.name)
    const after = becauseOf(now.node, undefined, `after one turn it is ${showType(now.node.type)}`)
    report(env, withReasons(said, before_, after, { message: 'turns of this `repeat`', span: stmt.count.span }))
    bind(env, name, fault, 'var')
    kept = false
  }
  return kept
}

export function repeatStatement(stmt: ast.Repeat, env: Env): Completion | undefined {
  let ended: Completion | undefined
  turns(stmt, env, (end) => {
    if (end?.k === 'yield') {
      report(
        env,
        notAStatementHere(end.span, '`yield`', 'in a repeat that is no value: write `s = repeat … { … yield h }`'),
      )
    }
    if (end?.k === 'return') ended = end
    return !end
  })
  return ended
}

export function repeatValue(e: ast.Repeat, env: Env): Value {
  const yields: Value[][] = []
  const done = turns(e, env, (end) => {
    if (end?.k !== 'yield') {
      report(env, noReturn(e.span, 'this `repeat`, a value,', 'yield'))
      return false
    }
    yields.push(end.value.k === 'tuple' ? [...end.value.items] : [end.value])
    return true
  })
  if (!done) return fault
  const width = yields[0]?.length ?? 0
  if (width === 0) {
    report(env, wrongKind(e.count.span, 'a `repeat` that is a value', 'of at least one turn', '0'))
    return fault
  }
  const stacks: Value[] = []
  for (let i = 0; i < width; i++) {
    const nodes: Node[] = []
    for (const turn of yields) {
      const one = turn[i] ? tensorOf(turn[i]!, undefined, env, e.span) : undefined
      if (!one) return fault
      nodes.push(one.node)
    }
    stacks.push(stacked(nodes, 0, env, e.span))
  }
  return stacks.length === 1 ? stacks[0]! : { k: 'tuple', items: stacks }
}
