/** Conditions over dims: proved now, refuted now, or left to the call. `where` clauses come here too. */
import type * as ast from '../../grammar/ast.ts'
import { indivisible, scanVaries, shapeMismatch, whereFails, wrongKind } from '../diagnostics/catalogue.ts'
import { spanText, type Span } from '../diagnostics/index.ts'
import type { Constraint } from '../ir/types.ts'
import { add, exactDiv, isConst, mod, of, sub, symbolsOf as symbols, type Ix, type IxLike } from '../types/ix.ts'
import { lookupName, report, type Env } from './context.ts'
import { evaluate } from './exprs.ts'
import { arithmetic, constantOf, lower, type Num, whole } from './numbers.ts'
import { describe, type Cond, type Value } from './values.ts'
import { walk } from '../../grammar/desugar.ts'

type Kind = Constraint['k']

/** True if it holds for all values of the dims, false if for none, else undefined. */
export function decide(k: Kind, a: Ix, b: Ix): boolean | undefined {
  const difference = sub(b, a)
  if (k === 'le') return lower(difference) >= 0 ? true : lower(sub(a, add(b, 1))) >= 0 ? false : undefined
  if (k === 'eq') {
    if (a === b) return true
    return lower(sub(difference, 1)) >= 0 || lower(sub(sub(a, b), 1)) >= 0 ? false : undefined
  }
  if (exactDiv(a, b) !== undefined) return true
  const rest = isConst(mod(a, b))
  return rest === undefined ? undefined : rest === 0
}

/** Demands a condition that the program needs. Reports when it cannot hold; keeps it for the call when it is open. */
export function require(env: Env, k: Kind, a: IxLike, b: IxLike, span: Span, text = spanText(span)): boolean {
  const x = of(a)
  const y = of(b)
  const known = decide(k, x, y)
  if (known === false) {
    if (k === 'divides') report(env, indivisible(span, String(x), String(y)))
    else
      report(
        env,
        shapeMismatch(span, k === 'le' ? `\`${text}\` goes beyond the axis` : `\`${text}\``, String(x), String(y)),
      )
    return false
  }
  if (known === undefined) keep(env, { k, a: x, b: y, span, text })
  else if (symbols(x).size + symbols(y).size > 0)
    env.run.assumptions.push({ text: spelled(k, x, y), span, status: 'proved' })
  return true
}

export function keep(env: Env, constraint: Constraint): void {
  const t = env.loops.find((s) => symbols(constraint.a).has(s) || symbols(constraint.b).has(s))
  if (t !== undefined) {
    report(env, scanVaries(constraint.span, `\`${constraint.text}\``, t.name))
    return
  }
  const { constraints, assumptions } = env.run
  if (constraints.some((c) => c.k === constraint.k && c.a === constraint.a && c.b === constraint.b)) return
  constraints.push(constraint)
  assumptions.push({
    text: spelled(constraint.k, constraint.a, constraint.b),
    span: constraint.span,
    status: 'checked at the call',
  })
}

function spelled(k: Kind, a: Ix, b: Ix): string {
  return k === 'le' ? `${a} <= ${b}` : k === 'eq' ? `${a} == ${b}` : `${a} is a multiple of ${b}`
}

/** Conditions of `where`, of a model, a block or an input. */
export function checkWhere(conditions: readonly ast.Expr[], env: Env, defining = false): void {
  for (const condition of conditions) {
    const value = evaluate(condition, env)
    demand(value, condition, env, defining)
  }
}

function demand(value: Value, condition: ast.Expr, env: Env, defining: boolean): void {
  if (value.k === 'error') return
  if (value.k === 'flag') {
    if (!value.value) report(env, whereFails(condition.span, spanText(condition.span), valuesIn(condition, env)))
    else if (defining) keepDefining(condition, env)
    return
  }
  if (value.k !== 'cond') {
    report(
      env,
      wrongKind(condition.span, 'a condition of `where`', 'a comparison of dims and numbers', describe(value)),
    )
    return
  }
  if (value.op === 'and') {
    for (const x of value.xs) demand(x, condition, env, defining)
    return
  }
  const constraint = value.op === 'rel' ? asConstraint(value, condition) : undefined
  if (constraint) keep(env, constraint)
  else {
    const fix = '`<`, `<=`, `==`, `>=`, `>`, or `a % n == 0`, joined by `and`'
    report(env, wrongKind(condition.span, 'a condition of `where`', fix, 'another form'))
  }
}

/** A bound that made a dim's range (`T <= ctx`) is proved by that range, and yet must be checked at the call. */
function keepDefining(condition: ast.Expr, env: Env): void {
  if (condition.k === 'binary' && condition.op === 'and') {
    keepDefining(condition.left, env)
    keepDefining(condition.right, env)
    return
  }
  if (condition.k !== 'binary') return
  const common = { span: condition.span, text: spanText(condition.span) }
  const multiple = multipleIn(condition, env)
  if (multiple) {
    if (symbols(multiple.a).size > 0) keep(env, { k: 'divides', ...multiple, ...common })
    return
  }
  const a = evaluate(condition.left, env)
  const b = evaluate(condition.right, env)
  if (a.k !== 'num' || b.k !== 'num' || (constantOf(a) !== undefined && constantOf(b) !== undefined)) return
  const rel = condition.op
  if (rel !== '<' && rel !== '<=' && rel !== '>' && rel !== '>=' && rel !== '==') return
  const constraint = asConstraint({ k: 'cond', op: 'rel', rel, a, b }, condition)
  if (constraint) keep(env, constraint)
}

function multipleIn(condition: ast.Expr, env: Env): { a: Ix; b: Ix } | undefined {
  if (condition.k !== 'binary' || condition.op !== '==' || condition.left.k !== 'binary' || condition.left.op !== '%')
    return undefined
  const zero = evaluate(condition.right, env)
  const a = evaluate(condition.left.left, env)
  const b = evaluate(condition.left.right, env)
  if (zero.k !== 'num' || constantOf(zero) !== 0 || a.k !== 'num' || b.k !== 'num') return undefined
  const x = whole(a)
  const y = whole(b)
  return x && y ? { a: x, b: y } : undefined
}

function asConstraint(cond: Cond & { op: 'rel' }, condition: ast.Expr): Constraint | undefined {
  const common = { span: condition.span, text: spanText(condition.span) }
  if (cond.rel === '==') {
    const remainder = condition.k === 'binary' && condition.left.k === 'binary' && condition.left.op === '%'
    const divided = remainder ? asRemainder(cond) : undefined
    if (divided) return { k: 'divides', ...divided, ...common }
  }
  const d = arithmetic('-', cond.b, cond.a) as Num | undefined
  if (!d || d.real !== undefined || lower(d.den) < 1) return undefined
  // Sides are kept as written where they are whole, so that messages show them.
  const x = whole(cond.a)
  const y = whole(cond.b)
  const [a, b] = x && y ? [x, y] : [of(0), d.num]
  switch (cond.rel) {
    case '==':
      return { k: 'eq', a, b, ...common }
    case '<=':
      return { k: 'le', a, b, ...common }
    case '<':
      return { k: 'le', a: add(a, 1), b, ...common }
    case '>=':
      return { k: 'le', a: b, b: a, ...common }
    case '>':
      return { k: 'le', a: add(b, 1), b: a, ...common }
    default:
      return undefined
  }
}

/** `a % n == 0`, found again in the remainder polynomial. */
function asRemainder(cond: Cond & { op: 'rel' }): { a: Ix; b: Ix } | undefined {
  const x = whole(cond.a)
  if (!x || constantOf(cond.b) !== 0 || x.terms.length !== 1) return undefined
  const term = x.terms[0]!
  const atom = term.atoms.length === 1 && term.coef === 1 ? term.atoms[0] : undefined
  return atom?.k === 'mod' ? { a: atom.a, b: atom.b } : undefined
}

/** "d = 7, heads = 2": the names of a condition with their values. */
function valuesIn(e: ast.Expr, env: Env): string {
  const told: string[] = []
  walk(e, (node) => {
    if (node.k !== 'name') return
    const value = lookupName(env, node.name)?.value
    const shown =
      value?.k === 'num' ? (constantOf(value) ?? whole(value)) : value?.k === 'flag' ? value.value : undefined
    const entry = shown === undefined ? undefined : `${node.name} = ${shown}`
    if (entry && !told.includes(entry)) told.push(entry)
  })
  return told.join(', ') || 'it is false'
}

/** Facts from conditions on a dim (`T <= ctx`, `T % 8 == 0`), read before the dim exists: its range and its step. */
export function gatherBounds(conditions: readonly ast.Expr[], env: Env): void {
  const constant = (e: ast.Expr): number | undefined => {
    let known = true
    walk(e, (node) => {
      if (node.k === 'name' && !lookupName(env, node.name)) known = false
    })
    const value = known ? evaluate(e, env) : undefined
    const number = value?.k === 'num' ? constantOf(value) : undefined
    return number !== undefined && Number.isSafeInteger(number) ? number : undefined
  }
  const atMost = (dim: ast.Expr, bound: number | undefined): void => {
    if (dim.k !== 'name' || bound === undefined || bound < 1 || !/^[A-Z]/.test(dim.name)) return
    const known = env.run.bounds.get(dim.name) ?? {}
    const before = known.hi === undefined ? Infinity : (isConst(known.hi) ?? Infinity)
    env.run.bounds.set(dim.name, { ...known, hi: of(Math.min(before, bound)) })
  }
  const atLeast = (dim: ast.Expr, bound: number | undefined): void => {
    if (dim.k !== 'name' || bound === undefined || bound <= 1 || !/^[A-Z]/.test(dim.name)) return
    const known = env.run.bounds.get(dim.name) ?? {}
    env.run.bounds.set(dim.name, { ...known, lo: Math.max(known.lo ?? 1, bound) })
  }
  for (const e of conditions) {
    if (e.k !== 'binary') continue
    if (e.op === 'and') gatherBounds([e.left, e.right], env)
    else if (e.op === '<=' || e.op === '<') {
      atMost(e.left, moved(constant(e.right), e.op === '<' ? -1 : 0))
      atLeast(e.right, moved(constant(e.left), e.op === '<' ? 1 : 0))
    } else if (e.op === '>=' || e.op === '>') {
      atMost(e.right, moved(constant(e.left), e.op === '>' ? -1 : 0))
      atLeast(e.left, moved(constant(e.right), e.op === '>' ? 1 : 0))
    } else if (e.op === '==' && e.left.k === 'binary' && e.left.op === '%' && e.left.left.k === 'name') {
      const step = constant(e.left.right)
      const name = e.left.left.name
      if (step === undefined || step < 1 || constant(e.right) !== 0 || !/^[A-Z]/.test(name)) continue
      env.run.bounds.set(name, { ...env.run.bounds.get(name), multipleOf: step })
    }
  }
}

const moved = (x: number | undefined, by: number): number | undefined => (x === undefined ? undefined : x + by)
