/** Operators: exact on numbers, elementwise on tensors, logic on flags and conditions. */
import type * as ast from '../../grammar/ast.ts'
import { mixedDtypes, tensorCondition, tupleMisuse, wrongKind, divisionByZero } from '../diagnostics/catalogue.ts'
import { spanText, type Span } from '../diagnostics/index.ts'
import type { DType } from '../types/dtype.ts'
import { report, type Env } from './context.ts'
import { applied } from './graphing.ts'
import { lanewise, relOps, tensorOf } from './lanes.ts'
import { arithmetic, compare, constantOf, negate, type Arithmetic, type Num } from './numbers.ts'
import { describe, fault, flag, type Cond, type Rel, type TensorValue, type Value } from './values.ts'

const arithmeticOps: Readonly<Record<Arithmetic, string>> = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div',
  '//': 'floordiv',
  '%': 'mod',
  '**': 'pow',
}

const isArithmetic = (op: string): op is Arithmetic => Object.hasOwn(arithmeticOps, op)
const isRel = (op: string): op is Rel => Object.hasOwn(relOps, op)

/** What a message calls an operand: its name, or the expression itself where that is short. */
export function nameOf(e: ast.Expr | undefined): string | undefined {
  if (!e || e.k === 'name') return e?.name
  if (e.k === 'error') return undefined
  const written = spanText(e.span)
  return written.length <= 32 && !/[\n`]/.test(written) ? written : undefined
}

export function binary(e: ast.Binary, left: Value, right: Value, env: Env): Value {
  if (left.k === 'error' || right.k === 'error') return fault
  for (const [value, at] of [
    [left, e.left],
    [right, e.right],
  ] as const) {
    if (value.k !== 'tuple') continue
    report(env, tupleMisuse(at.span, value.items.length))
    return fault
  }
  const { op, span } = e
  if (left.k === 'num' && right.k === 'num') return ofNumbers(e, left, right, env)
  if (op === 'and' || op === 'or') return logic(op, left, right, env, e)
  if (op === '+' && left.k === 'list' && right.k === 'list')
    return { k: 'list', items: [...left.items, ...right.items] }
  if ((op === '==' || op === '!=') && (comparable(left, right) || left.k === 'none' || right.k === 'none')) {
    const same = left.k === right.k && JSON.stringify(plain(left)) === JSON.stringify(plain(right))
    return flag(op === '==' ? same : !same)
  }
  if (left.k !== 'tensor' && right.k !== 'tensor' && !(isMask(left) && isMask(right))) {
    const wrong = left.k === 'num' ? right : left
    report(
      env,
      wrongKind(
        wrong === left ? e.left.span : e.right.span,
        `an operand of \`${op}\``,
        'a tensor or a number',
        describe(wrong),
      ),
    )
    return fault
  }
  const names = [nameOf(e.left), nameOf(e.right)]
  if (op === '@') {
    if (left.k !== 'tensor' || right.k !== 'tensor') {
      const wrong = left.k === 'tensor' ? right : left
      report(env, wrongKind(span, 'an operand of `@`', 'a tensor', describe(wrong)))
      return fault
    }
    return applied(env, 'matmul', [left.node, right.node], {}, span, names)
  }
  const operator = isArithmetic(op) ? arithmeticOps[op] : isRel(op) ? relOps[op] : undefined
  if (!operator) throw new Error(`internal: operator ${op}`)
  return elementwise(env, operator, [left, right], span, names, [e.left.span, e.right.span])
}

/** Compared at compile time, as is anything with `none`. */
const isPlain = (v: Value): boolean => v.k === 'flag' || v.k === 'text' || v.k === 'list'
const comparable = (a: Value, b: Value): boolean =>
  (isPlain(a) && (isPlain(b) || b.k === 'num')) || (a.k === 'num' && isPlain(b))
const plain = (v: Value): unknown =>
  v.k === 'flag' || v.k === 'text'
    ? v.value
    : v.k === 'list'
      ? v.items.map(plain)
      : v.k === 'num'
        ? (constantOf(v) ?? `${v.num} / ${v.den}`)
        : v.k

const isMask = (v: Value): boolean =>
  v.k === 'flag' || v.k === 'cond' || (v.k === 'tensor' && v.node.type.dtype === 'bool')

/** An elementwise op over tensors and numbers; the numbers take the dtype of the tensors. */
export function elementwise(
  env: Env,
  op: string,
  values: readonly Value[],
  span: Span,
  names: readonly (string | undefined)[] = [],
  spans: readonly Span[] = [],
): Value {
  const dtypes = values.filter((v) => v.k === 'tensor').map((v) => v.node.type.dtype)
  const hint: DType | undefined = dtypes[0]
  const operands: (TensorValue | undefined)[] = values.map((value, i) => {
    if (value.k === 'num' && hint === 'i32' && value.real !== undefined) {
      report(env, mixedDtypes(span, 'i32', String(value.real), convert(names, values)))
      return undefined
    }
    return tensorOf(value, hint, env, spans[i] ?? span)
  })
  return lanewise(env, op, operands, span, names) ?? fault
}

function convert(names: readonly (string | undefined)[], values: readonly Value[]): string {
  const at = values.findIndex((v) => v.k === 'tensor')
  return `write \`f32(${names[at] ?? '…'})\``
}

function ofNumbers(e: ast.Binary, a: Num, b: Num, env: Env): Value {
  const { op, span } = e
  if (isArithmetic(op)) {
    const exact = arithmetic(op, a, b)
    if (exact === 'zero') {
      report(env, divisionByZero(span))
      return fault
    }
    if (exact) return exact
    return elementwiseReal(env, arithmeticOps[op], [a, b], span)
  }
  if (isRel(op)) {
    const known = decided(op, compare(a, b))
    return known === undefined ? { k: 'cond', op: 'rel', rel: op, a, b } : flag(known)
  }
  report(env, wrongKind(span, `an operand of \`${op}\``, op === '@' ? 'a tensor' : 'a condition', describe(a)))
  return fault
}

/** Numbers that have no exact form together: computed by tensors in f32. */
function elementwiseReal(env: Env, op: string, values: readonly Num[], span: Span): Value {
  return (
    lanewise(
      env,
      op,
      values.map((v) => tensorOf(v, 'f32', env, span)),
      span,
    ) ?? fault
  )
}

function decided(op: Rel, order: ReturnType<typeof compare>): boolean | undefined {
  if (order === undefined) return undefined
  const yes: Record<Rel, readonly string[]> = {
    '==': ['='],
    '!=': ['<', '>', '!='],
    '<': ['<'],
    '<=': ['<', '=', '<='],
    '>': ['>'],
    '>=': ['>', '=', '>='],
  }
  const no: Record<Rel, readonly string[]> = {
    '==': ['<', '>', '!='],
    '!=': ['='],
    '<': ['>', '=', '>='],
    '<=': ['>'],
    '>': ['<', '=', '<='],
    '>=': ['<'],
  }
  return yes[op].includes(order) ? true : no[op].includes(order) ? false : undefined
}

function logic(op: 'and' | 'or', left: Value, right: Value, env: Env, e: ast.Binary): Value {
  for (const [value, at] of [
    [left, e.left],
    [right, e.right],
  ] as const) {
    if (isMask(value)) continue
    if (value.k === 'tensor') {
      const fix = `write a condition: \`${nameOf(at) ?? '…'} == 1\``
      report(env, mixedDtypes(at.span, value.node.type.dtype, 'bool', fix))
    } else report(env, wrongKind(at.span, `an operand of \`${op}\``, 'a condition or a mask', describe(value)))
    return fault
  }
  if (left.k === 'flag') return left.value === (op === 'and') ? right : left
  if (right.k === 'flag') return right.value === (op === 'and') ? left : right
  const shaped = [left, right].some((v) => v.k === 'tensor' && v.lanes === undefined && v.node.type.shape.length > 0)
  if (!shaped && (left.k === 'cond' || right.k === 'cond')) return { k: 'cond', op, xs: [left, right] }
  return elementwise(env, op, [left, right], e.span, [nameOf(e.left), nameOf(e.right)], [e.left.span, e.right.span])
}

export function unary(e: ast.Unary, value: Value, env: Env): Value {
  if (value.k === 'error') return fault
  if (value.k === 'tuple') {
    report(env, tupleMisuse(e.arg.span, value.items.length))
    return fault
  }
  if (e.op === '-') {
    if (value.k === 'num') return negate(value)
    if (value.k === 'tensor') return elementwise(env, 'neg', [value], e.span, [nameOf(e.arg)])
    report(env, wrongKind(e.arg.span, 'the operand of `-`', 'a tensor or a number', describe(value)))
    return fault
  }
  if (value.k === 'flag') return flag(!value.value)
  if (value.k === 'cond') return negated(value)
  if (value.k === 'tensor') {
    if (value.node.type.dtype === 'bool') return elementwise(env, 'not', [value], e.span, [nameOf(e.arg)])
    report(env, mixedDtypes(e.arg.span, value.node.type.dtype, 'bool', `write \`${nameOf(e.arg) ?? '…'} == 0\``))
    return fault
  }
  report(env, wrongKind(e.arg.span, 'the operand of `not`', 'a condition or a mask', describe(value)))
  return fault
}

const opposite: Record<Rel, Rel> = { '==': '!=', '!=': '==', '<': '>=', '>=': '<', '>': '<=', '<=': '>' }

export function negated(cond: Cond): Value {
  if (cond.op === 'rel') return { ...cond, rel: opposite[cond.rel] }
  return cond.op === 'not' ? cond.x : { k: 'cond', op: 'not', x: cond }
}

/** A condition of `if`: known now, or an error that says what it depends on. */
export function compileTime(value: Value, at: ast.Expr, env: Env): boolean | undefined {
  if (value.k === 'flag') return value.value
  if (value.k === 'error') return undefined
  if (value.k === 'tensor') report(env, tensorCondition(at.span))
  else if (value.k === 'cond') {
    report(
      env,
      wrongKind(
        at.span,
        'the condition of `if`',
        'known at compile time',
        'one of numbers that are known at the call',
        'choose between values with `select(c, a, b)`',
      ),
    )
  } else report(env, wrongKind(at.span, 'the condition of `if`', 'a flag or a comparison', describe(value)))
  return undefined
}
