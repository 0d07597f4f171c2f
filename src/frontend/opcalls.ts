/** Calls of ops: arguments are bound by the op's `params`; nothing here knows an op by name. */
import type * as ast from '../../grammar/ast.ts'
import {
  argumentTwice,
  missingArgument,
  mixedDtypes,
  tooManyArguments,
  tupleMisuse,
  unknownArgument,
  wrongKind,
} from '../diagnostics/catalogue.ts'
import type { Span } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import type { Attr, Op, Param } from '../ops/define.ts'
import { InferError } from '../ops/define.ts'
import { opOf, ops } from '../ops/table.ts'
import type { DType } from '../types/dtype.ts'
import type { Tensor } from '../types/tensor.ts'
import { report, suggestion, type Env } from './context.ts'
import { attribute, byDefault } from './attributes.ts'
import { apply, attempt } from './graphing.ts'
import { align, onLanes, tensorOf, unionLanes } from './lanes.ts'
import { constantOf, number, whole } from './numbers.ts'
import { nameOf } from './operators.ts'
import { describe, dtypes, fault, flag, tensor, type TensorValue, type Value } from './values.ts'

/** An argument that has been evaluated. */
export interface Given {
  readonly value: Value
  readonly span: Span
  /** The expression as written, for messages. */
  readonly expr?: ast.Expr
}
export interface Arguments {
  readonly positional: readonly Given[]
  readonly named: readonly (Given & { readonly name: string; readonly nameSpan: Span })[]
}

/** Ops by their name in the language. `max` is two: of two tensors, and along an axis. Leaves of the graph cannot be called. */
const callable = new Map<string, string[]>()
function opsCalled(name: string): readonly string[] {
  if (callable.size === 0) {
    for (const [key, op] of Object.entries(ops) as [string, Op][]) {
      if (!op.lower || op.internal || op.params.some((p) => p.kind === 'numbers')) continue
      const called = op.call ?? key
      callable.set(called, [...(callable.get(called) ?? []), key])
    }
  }
  return callable.get(name) ?? []
}

export const isOp = (name: string): boolean => opsCalled(name).length > 0
export const opNames = (): string[] => {
  opsCalled('')
  return [...callable.keys()]
}

type Bound = Map<string, Given>

/** Calls an op. `called` is the name in the source. */
export function callOp(called: string, args: Arguments, env: Env, span: Span): Value {
  for (const given of [...args.positional, ...args.named]) if (given.value.k === 'error') return fault
  const keys = opsCalled(called)
  const key = keys.find((k) => accepts(opOf(k), args)) ?? keys.at(-1)!
  const op: Op = opOf(key)
  const bound = bind(called, op, args, env, span)
  if (!bound) return fault
  const computed = computeNow(key, op, bound, env)
  if (computed) return computed
  return build(called, key, op, bound, env, span)
}

const required = (p: Param): boolean => p.default === undefined

function accepts(op: Op, args: Arguments): boolean {
  if (args.positional.length > op.params.length) return false
  if (!args.named.every((arg) => op.params.some((p) => p.name === alias(op, arg.name)))) return false
  const given = new Set([
    ...op.params.slice(0, args.positional.length).map((p) => p.name),
    ...args.named.map((a) => alias(op, a.name)),
  ])
  if (!op.params.every((p) => !required(p) || given.has(p.name))) return false
  return args.positional.every((arg, i) => {
    const kind = op.params[i]!.kind
    return (
      kind !== 'tensor' ||
      arg.value.k === 'tensor' ||
      arg.value.k === 'num' ||
      arg.value.k === 'cond' ||
      arg.value.k === 'flag'
    )
  })
}

/** `axis = 1` also for ops that take several axes. */
const alias = (op: Op, name: string): string =>
  name === 'axis' && !op.params.some((p) => p.name === 'axis') && op.params.some((p) => p.name === 'axes')
    ? 'axes'
    : name

function bind(called: string, op: Op, args: Arguments, env: Env, span: Span): Bound | undefined {
  const bound: Bound = new Map()
  let good = true
  args.positional.forEach((given, i) => {
    const param = op.params[i]
    if (param) bound.set(param.name, given)
  })
  if (args.positional.length > op.params.length) {
    report(
      env,
      tooManyArguments(args.positional[op.params.length]!.span, called, op.params.length, args.positional.length),
    )
    good = false
  }
  for (const arg of args.named) {
    const name = alias(op, arg.name)
    if (!op.params.some((p) => p.name === name)) {
      const near = suggestion(
        arg.name,
        op.params.map((p) => p.name),
      )
      report(
        env,
        unknownArgument(arg.nameSpan, arg.name, called, near ?? `it takes ${op.params.map((p) => p.name).join(', ')}`),
      )
      good = false
    } else if (bound.has(name)) {
      report(env, argumentTwice(arg.nameSpan, arg.name))
      good = false
    } else bound.set(name, arg)
  }
  for (const param of op.params) {
    if (!required(param) || bound.has(param.name)) continue
    report(env, missingArgument(span, param.name, called))
    good = false
  }
  return good ? bound : undefined
}

/** A scalar function of known numbers is known: `sqrt(d)`. Exact as far as doubles go. */
function computeNow(key: string, op: Op, bound: Bound, env: Env): Value | undefined {
  if (!op.params.every((p) => p.kind === 'tensor') || bound.size !== op.params.length) return undefined
  // `f32(2)` asks for a tensor.
  if (dtypes.some((dtype) => dtype === key)) return undefined
  const values = op.params.map((p) => bound.get(p.name)!.value)
  const numbers: number[] = []
  for (const value of values) {
    const known = value.k === 'num' ? constantOf(value) : undefined
    if (known === undefined) return undefined
    numbers.push(known)
  }
  const inputs: Tensor[] = numbers.map((x) => ({ dtype: 'f32', shape: [], data: Float64Array.of(x) }))
  const type = attempt(
    env,
    key,
    numbers.map((x) => literal(env, x, bound)),
    {},
    spanOfFirst(bound),
  )
  if (type instanceof InferError || type.type.shape.length > 0) return undefined
  const result = op.evaluate(inputs, {}, [[]])
  const value = (Array.isArray(result) ? result[0] : result) as Tensor
  const x = value.data[0]!
  return type.type.dtype === 'bool' ? flag(x !== 0) : number(x)
}

const literal = (env: Env, x: number, bound: Bound): Node =>
  attemptNode(attempt(env, 'full', [], { value: x, shape: [], dtype: 'f32' }, spanOfFirst(bound)))
const attemptNode = (node: Node | InferError): Node => {
  if (node instanceof InferError) throw new Error(`internal: ${node.message}`)
  return node
}
const spanOfFirst = (bound: Bound): Span => [...bound.values()][0]!.span

function build(called: string, key: string, op: Op, bound: Bound, env: Env, span: Span): Value {
  const tensors = collectTensors(called, key, op, bound, env)
  if (!tensors) return fault
  const nodes: Node[] = []
  const names: (string | undefined)[] = []
  const lanes = unionLanes(
    tensors.flatMap((t) => t.values),
    env,
  )
  if (lanes && tensors.some((t) => t.values.some((v) => !v.lanes && v.node.type.shape.length > 0))) {
    report(
      env,
      wrongKind(
        span,
        `inside a comprehension, each operand of \`${called}\``,
        'one number per point',
        'a whole tensor',
      ),
    )
    return fault
  }
  for (const { values, name } of tensors) {
    for (const value of values) {
      const node = lanes ? align(value, lanes, env, span) : value.node
      if (!node) return fault
      nodes.push(node)
      names.push(name)
    }
  }
  const attrs: Record<string, Attr> = {}
  const optional = op.params.filter((p) => p.kind === 'tensor' && p.default === null)
  if (optional.length > 0) {
    attrs.given = optional
      .filter((p) => tensors.some((t) => t.param === p.name))
      .map((p) => p.name)
      .join(' ')
  }
  for (const param of op.params) {
    if (param.kind === 'tensor' || param.kind === 'tensors') continue
    const passed = bound.get(param.name)
    const given = passed?.value.k === 'none' && !required(param) ? undefined : passed
    const value = given ? attribute(param, given, nodes, called, env) : byDefault(param, nodes)
    if (value === undefined && given) return fault
    if (value !== undefined) attrs[param.name] = value
  }
  const node = apply(env, key, nodes, attrs, span, names)
  if (!node) return fault
  if (lanes && node.type.shape.length !== lanes.length) {
    report(
      env,
      wrongKind(span, `inside a comprehension, \`${called}\``, 'a function of numbers', 'an op on whole tensors'),
    )
    return fault
  }
  if (node.results) {
    const parts = node.results.map(({ dtype, shape }, index) =>
      apply(env, 'part', [node], { index, dtype, shape }, span),
    )
    return { k: 'tuple', items: parts.map((part) => (part ? tensor(part) : fault)) }
  }
  return tensor(node, lanes)
}

interface TensorArgument {
  readonly param: string
  readonly values: readonly TensorValue[]
  readonly name: string | undefined
}

function collectTensors(called: string, key: string, op: Op, bound: Bound, env: Env): TensorArgument[] | undefined {
  const wanted = op.params.filter((p) => p.kind === 'tensor' || p.kind === 'tensors')
  const hint = dtypeHint(key, wanted, bound, env)
  const found: TensorArgument[] = []
  for (const param of wanted) {
    const given = bound.get(param.name)
    if (!given || (given.value.k === 'none' && !required(param))) continue
    const { value, span } = given
    if (param.kind === 'tensors') {
      if (value.k === 'tuple') {
        report(env, tupleMisuse(span, value.items.length))
        return undefined
      }
      if (value.k !== 'list') {
        report(
          env,
          wrongKind(span, `\`${param.name}\` of \`${called}\``, 'a list of tensors (`[a, b]`)', describe(value)),
        )
        return undefined
      }
      const items: TensorValue[] = []
      for (const item of value.items) {
        const one = tensorOf(item, hint, env, span)
        if (!one) return undefined
        items.push(one)
      }
      found.push({ param: param.name, values: items, name: undefined })
      continue
    }
    // The first operand of `select` is a condition, whatever the others are.
    const condition = value.k === 'cond' || value.k === 'flag'
    const scalarShape =
      value.k !== 'tensor' &&
      wanted.length === 1 &&
      op.params.some((p) => p.kind === 'axis' || p.kind === 'axes' || p.kind === 'dims')
    if (scalarShape) {
      report(env, wrongKind(span, `\`${param.name}\` of \`${called}\``, 'a tensor', describe(value)))
      return undefined
    }
    if (value.k === 'num' && hint === 'i32' && value.real !== undefined) {
      report(env, mixedDtypes(span, 'i32', String(value.real), 'write `f32(…)` of the i32 tensor'))
      return undefined
    }
    const one = tensorOf(value, condition ? 'bool' : hint, env, span)
    if (!one) return undefined
    found.push({ param: param.name, values: [one], name: nameOf(given.expr) ?? (given.expr ? undefined : param.name) })
  }
  return found
}

/** The dtype that numbers take: that of the tensors beside them; alone, what the op admits of i32 and f32. */
function dtypeHint(key: string, wanted: readonly Param[], bound: Bound, env: Env): DType | undefined {
  const values = wanted.map((p) => bound.get(p.name)?.value).filter((v) => v !== undefined)
  const typed = values.filter((v) => v.k === 'tensor').map((v) => v.node.type.dtype)
  const first = typed.find((dtype) => dtype !== 'bool') ?? (values.length === typed.length ? typed[0] : undefined)
  if (first) return first
  const numbers = values.filter((v) => v.k === 'num')
  if (numbers.length === 0) return undefined
  if (numbers.some((v) => whole(v) === undefined)) return 'f32'
  if (values.length !== numbers.length)
    return numbers.every((v) => whole(v) !== undefined) && numbers.some((v) => onLanes(v, env)) ? 'i32' : 'f32'
  if (opOf(key).params.length > wanted.length) return 'f32'
  const probe = attempt(env, 'full', [], { value: 1, shape: [], dtype: 'i32' }, [...bound.values()][0]!.span)
  if (probe instanceof InferError) return 'f32'
  return attempt(
    env,
    key,
    numbers.map(() => probe),
    {},
    [...bound.values()][0]!.span,
  ) instanceof InferError
    ? 'f32'
    : 'i32'
}
