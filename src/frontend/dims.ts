/** Types in the source: dims as polynomials, free capitals, and matching a declared type against a value. */
import type * as ast from '../../grammar/ast.ts'
import { walk } from '../../grammar/desugar.ts'
import {
  indivisible,
  shapeMismatch,
  rankMismatch,
  mixedDtypes,
  unknownDim,
  unknownDtype,
  wrongKind,
} from '../diagnostics/catalogue.ts'
import { didYouMean, lineOf, spanText, withReasons, type Reason, type Span } from '../diagnostics/index.ts'
import type { DType } from '../types/dtype.ts'
import { exactDiv, floorDiv, isConst, sym, type Ix, type Sym } from '../types/ix.ts'
import { sameShape } from '../types/shape.ts'
import { require } from './constraints.ts'
import { lookup, lookupName, namesIn, report, type Env } from './context.ts'
import { evaluate } from './exprs.ts'
import { constantOf, int, lower, whole } from './numbers.ts'
import { describe, dtypes, showDims, showType, type TensorValue, type Value } from './values.ts'
import { becauseOf } from './why.ts'

export const isDimName = (name: string): boolean => /^[A-Z]/.test(name)

/** Whether an expression needs dims to be bound. */
export function mentionsDims(e: ast.Expr): boolean {
  let found = false
  walk(e, (node) => {
    if (node.k === 'name' && isDimName(node.name)) found = true
  })
  return found
}

/** Capitals that a type mentions and no scope binds, in order. */
function freeDims(type: ast.Type, env: Env): ast.Name[] {
  const found: ast.Name[] = []
  for (const dim of type.dims) {
    walk(dim, (node) => {
      if (node.k !== 'name' || !isDimName(node.name)) return
      if (!lookup(env.scope, node.name) && !found.some((n) => n.name === node.name)) found.push(node)
    })
  }
  return found
}

/** Makes a symbol for a dim of the model, with the bounds that `where` clauses give it. */
export function declareDim(env: Env, name: string, span: Span): Sym {
  const bounds = env.run.bounds.get(name)
  const made = sym(name, {
    ...(bounds?.lo === undefined ? {} : { lo: bounds.lo }),
    ...(bounds?.hi ? { hi: bounds.hi } : {}),
    ...(bounds?.multipleOf ? { multipleOf: bounds.multipleOf } : {}),
  })
  env.scope.names.set(name, { kind: 'dim', value: { ...int(made), dim: true }, span })
  env.run.dims.push(made)
  return made
}

/** `any`, in a block's signature, is every dtype. */
function dtypeOf(name: ast.Name, env: Env, any: boolean): DType | 'any' | undefined {
  if (any && name.name === 'any') return 'any'
  const found = dtypes.find((dtype) => dtype === name.name)
  if (!found) report(env, unknownDtype(name.span, name.name))
  return found
}

/** A value as a dim or a size: a whole number, if need be under a condition that is checked at the call. */
export function asDim(value: Value, env: Env, span: Span, what: string, expr?: ast.Expr): Ix | undefined {
  if (value.k === 'error') return undefined
  if (value.k !== 'num') {
    report(env, wrongKind(span, what, 'a whole number', describe(value)))
    return undefined
  }
  const exact = whole(value)
  if (exact) return exact
  if (value.real !== undefined) {
    report(env, wrongKind(span, what, 'a whole number', describe(value)))
    return undefined
  }
  if (constantOf(value) !== undefined) {
    const said = indivisible(span, quotientText(span, value.num), String(isConst(value.den)))
    report(env, withReasons(said, ...(expr ? reasonsIn(expr, env) : [])))
    return undefined
  }
  require(env, 'divides', value.num, value.den, span)
  return floorDiv(value.num, value.den)
}

/** Where the names of an expression got their values. */
function reasonsIn(e: ast.Expr, env: Env): Reason[] {
  const reasons = new Map<string, Reason>()
  walk(e, (node) => {
    const binding = node.k === 'name' ? lookupName(env, node.name) : undefined
    const value = binding?.value
    const size = value?.k === 'num' ? (whole(value) ?? constantOf(value)) : undefined
    if (node.k !== 'name' || !binding || size === undefined) return
    const plain = { message: `\`${node.name}\` is ${size}`, span: binding.span }
    reasons.set(node.name, binding.because?.() ?? plain)
  })
  return [...reasons.values()]
}

function quotientText(span: Span, num: Ix): string {
  const written = spanText(span)
  return /^[\w\s./*+()-]{1,40}$/.test(written) && written.includes('/') ? `${num} (in \`${written}\`)` : String(num)
}

export function evalDim(dim: ast.Expr, env: Env): Ix | undefined {
  const value = evaluate(dim, { ...env, inShape: true })
  const size = asDim(value, env, dim.span, 'a dim', dim)
  if (size === undefined) return undefined
  const known = isConst(size)
  if (known !== undefined && known < 0) {
    report(env, wrongKind(dim.span, 'a dim', 'zero or more', String(known)))
    return undefined
  }
  return size
}

/** The shape of a type whose dims are all bound (`param`), or get bound here (`input`, with `fresh`). */
export function evalShape(type: ast.Type, env: Env, fresh: boolean): { dtype: DType; shape: Ix[] } | undefined {
  const dtype = dtypeOf(type.dtype, env, false)
  let known = dtype !== undefined
  if (fresh) for (const name of freeDims(type, env)) declareDim(env, name.name, name.span)
  const shape: Ix[] = []
  for (const dim of type.dims) {
    if (dim.k === 'ellipsis') {
      report(env, rankMismatch(dim.span, 'this declaration', 'a fixed number of axes', '`...`'))
      known = false
      continue
    }
    const size = evalDim(dim, env)
    if (size === undefined) known = false
    else shape.push(size)
  }
  return known && dtype !== undefined && dtype !== 'any' ? { dtype, shape } : undefined
}

/** What the `...` of a signature stands for, shared by its parameters. */
export interface Matching {
  leading?: { readonly shape: readonly Ix[]; readonly because: () => Reason }
  readonly bound: Map<string, () => Reason>
}

/**
 * Matches a block's declared type against an argument: binds capitals in `env.scope`, checks the rest. `env` is the callee's.
 * Returns false after reporting.
 */
export function matchType(
  type: ast.Type,
  given: TensorValue,
  env: Env,
  matching: Matching,
  at: { readonly span: Span; readonly param: string; readonly block: string; readonly name?: string },
): boolean {
  const dtype = dtypeOf(type.dtype, env, true)
  if (dtype === undefined) return false
  const { node } = given
  const declared = (): string =>
    `${type.dtype.name}[${type.dims.map((d) => (d.k === 'ellipsis' ? '...' : spanText(d.span))).join(', ')}]`
  const why = (): Reason[] => [
    becauseOf(node, at.name),
    { message: `\`${at.block}\` declares \`${at.param}: ${declared()}\``, span: type.span },
  ]
  const parameter = `\`${at.param}\` of \`${at.block}\``
  const what = at.name === undefined ? parameter : `\`${at.name}\` as ${parameter}`
  if (dtype !== 'any' && dtype !== node.type.dtype) {
    const fix =
      dtype === 'bool'
        ? `write a condition, such as \`${at.name ?? at.param} == 1\``
        : `write \`${dtype}(${at.name ?? '…'})\``
    report(env, withReasons(mixedDtypes(at.span, `${what}: ${node.type.dtype}`, dtype, fix), ...why()))
    return false
  }
  const shape = node.type.shape
  const ellipsis = type.dims.findIndex((d) => d.k === 'ellipsis')
  const fixed = type.dims.length - (ellipsis >= 0 ? 1 : 0)
  if (ellipsis >= 0 ? shape.length < fixed : shape.length !== fixed) {
    const expected = `${ellipsis >= 0 ? 'at least ' : ''}${axes(fixed)} (${declared()})`
    report(env, withReasons(rankMismatch(at.span, what, expected, showType(node.type)), ...why()))
    return false
  }
  const skipped = shape.length - fixed
  // A lone `[...]` is any shape; beside other axes it is the same for all parameters.
  if (ellipsis >= 0 && fixed > 0) {
    const leading = shape.slice(ellipsis, ellipsis + skipped)
    const because = (): Reason => becauseOf(node, at.name)
    if (!matching.leading) matching.leading = { shape: leading, because }
    else if (!sameShape(matching.leading.shape, leading)) {
      const message = shapeMismatch(
        at.span,
        `the axes of \`...\` in \`${at.block}\``,
        showDims(matching.leading.shape),
        showDims(leading),
      )
      report(env, withReasons(message, matching.leading.because(), ...why()))
      return false
    }
  }
  const later: [ast.Expr, Ix][] = []
  let fits = true
  type.dims.forEach((dim, i) => {
    if (dim.k === 'ellipsis') return
    const actual = shape[ellipsis >= 0 && i > ellipsis ? i - 1 + skipped : i]!
    if (dim.k === 'name' && isDimName(dim.name) && !lookup(env.scope, dim.name))
      bindDim(dim, actual, env, matching, node, at.name)
    else later.push([dim, actual])
  })
  for (const [dim, actual] of later) {
    if (solve(dim, actual, env, matching, node, at.name)) continue
    const expected = evalDim(dim, env)
    if (expected === undefined) fits = false
    else if (expected !== actual) {
      const axis = spanText(dim.span)
      const earlier = dim.k === 'name' ? matching.bound.get(dim.name)?.() : undefined
      const value = dim.k === 'name' ? lookup(env.scope, dim.name) : undefined
      const told =
        earlier ??
        (value
          ? { message: `\`${axis}\` is ${expected} because of line ${lineOf(value.span)}`, span: value.span }
          : undefined)
      const message = shapeMismatch(at.span, `\`${axis}\` in ${what}`, String(expected), String(actual))
      report(env, withReasons(message, ...(told ? [told] : []), ...why()))
      fits = false
    }
  }
  return fits
}

const axes = (n: number): string => `${n} ax${n === 1 ? 'is' : 'es'}`

function bindDim(
  dim: ast.Name,
  actual: Ix,
  env: Env,
  matching: Matching,
  node: TensorValue['node'],
  name?: string,
): void {
  const because = (): Reason => becauseOf(node, name, `\`${dim.name}\` is ${actual}`)
  env.scope.names.set(dim.name, { kind: 'dim', value: { ...int(actual), dim: true }, span: dim.span, because })
  matching.bound.set(dim.name, because)
}

/** `3 * D` against 144 binds D to 48, where D is the only unknown and the division is exact. */
function solve(
  dim: ast.Expr,
  actual: Ix,
  env: Env,
  matching: Matching,
  node: TensorValue['node'],
  name?: string,
): boolean {
  if (dim.k !== 'binary' || dim.op !== '*') return false
  const unknown = (e: ast.Expr): e is ast.Name => e.k === 'name' && isDimName(e.name) && !lookup(env.scope, e.name)
  const [factor, wanted] = unknown(dim.right) ? [dim.left, dim.right] : [dim.right, dim.left]
  if (!unknown(wanted) || unknown(factor)) return false
  const size = evalDim(factor, env)
  const exact = size === undefined || lower(size) < 1 ? undefined : exactDiv(actual, size)
  if (exact === undefined) return false
  bindDim(wanted, exact, env, matching, node, name)
  return true
}

export function reportUnknownDim(name: ast.Name, env: Env): void {
  const candidates = namesIn(env.scope).concat(namesIn(env.hypers))
  report(env, unknownDim(name.span, name.name, didYouMean(name.name, candidates) ?? shorter(name.name, candidates)))
}

/** `dd` is nearest to `d`, though every letter counts in a name of two. */
function shorter(name: string, candidates: readonly string[]): string | undefined {
  const near = candidates.find((c) => name.startsWith(c) && name.length <= c.length + 1)
  return near === undefined ? undefined : `did you mean ${near}?`
}
