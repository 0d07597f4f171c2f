/**
 * Values inside a comprehension. A *lane tensor* has one axis per loop variable it depends on, in the order of the loops; an
 * operator first aligns its operands to the loops that any of them depends on. Outside of comprehensions nothing has lanes.
 */
import { mixedDtypes, tupleMisuse, wrongKind } from '../diagnostics/catalogue.ts'
import type { Span } from '../diagnostics/index.ts'
import type { Node } from '../ir/types.ts'
import type { DType } from '../types/dtype.ts'
import { isConst, of, symbolsOf as symbols, type Atom, type Ix, type Sym } from '../types/ix.ts'
import { report, type Env } from './context.ts'
import { apply, scalar } from './graphing.ts'
import { constantOf, symbolsOf, whole, type Num } from './numbers.ts'
import { describe, tensor, type Cond, type TensorValue, type Value } from './values.ts'

/** Order of the loops; lanes are always sorted by it. */
export function sortLanes(lanes: Iterable<Sym>, env: Env): Sym[] {
  const wanted = new Set(lanes)
  return env.lanes.map((lane) => lane.sym).filter((s) => wanted.has(s))
}

export const extentOf = (lane: Sym, env: Env): Ix => {
  const found = env.lanes.find((l) => l.sym === lane)
  if (!found) throw new Error(`internal: ${lane.name} is not a loop variable here`)
  return found.extent
}

/** Whether a number depends on the loops around. */
export function onLanes(x: Num, env: Env): boolean {
  if (env.lanes.length === 0) return false
  const used = symbolsOf(x)
  return env.lanes.some((lane) => used.has(lane.sym))
}

/** Reshapes so that the axes are those of `lanes` (missing ones in front may stay absent). */
export function align(value: TensorValue, lanes: readonly Sym[], env: Env, span: Span): Node | undefined {
  const own = value.lanes ?? []
  if (own.length === 0 || own.length === lanes.length) return value.node
  const first = lanes.indexOf(own[0]!)
  const tail = lanes.slice(first)
  if (tail.length === own.length) return value.node
  const shape = tail.map((lane) => (own.includes(lane) ? extentOf(lane, env) : of(1)))
  return apply(env, 'reshape', [value.node], { shape }, span)
}

/** As `align`, then stretched to the full extent of every lane. */
export function stretch(value: TensorValue, lanes: readonly Sym[], env: Env, span: Span): Node | undefined {
  const aligned = align(value, lanes, env, span)
  if (!aligned || (value.lanes ?? []).length === lanes.length) return aligned
  return apply(env, 'broadcast', [aligned], { shape: lanes.map((lane) => extentOf(lane, env)) }, span)
}

/** All lanes that the values depend on, sorted; undefined when there are none. */
export function unionLanes(values: readonly TensorValue[], env: Env): Sym[] | undefined {
  const all = new Set(values.flatMap((v) => v.lanes ?? []))
  return all.size === 0 ? undefined : sortLanes(all, env)
}

/** A polynomial over dims and loop variables as an i32 tensor. */
export function tensorOfIx(x: Ix, env: Env, span: Span): TensorValue | undefined {
  const known = isConst(x)
  if (known !== undefined) return tensor(scalar(env, known, 'i32', span))
  const used = symbols(x)
  if (!env.lanes.some((lane) => used.has(lane.sym))) {
    return dimScalar(x, env, span)
  }
  let sum: TensorValue | undefined
  for (const term of x.terms) {
    let product: TensorValue | undefined
    for (const atom of term.atoms) {
      const factor = tensorOfAtom(atom, env, span)
      product = product ? lanewise(env, 'mul', [product, factor], span) : factor
      if (!product) return undefined
    }
    const magnitude = Math.abs(term.coef)
    if (product && magnitude !== 1) {
      product = lanewise(env, 'mul', [tensor(scalar(env, magnitude, 'i32', span)), product], span)
    }
    product ??= tensor(scalar(env, magnitude, 'i32', span))
    if (sum) sum = lanewise(env, term.coef < 0 ? 'sub' : 'add', [sum, product], span)
    else sum = term.coef < 0 ? lanewise(env, 'neg', [product], span) : product
    if (!sum) return undefined
  }
  return sum
}

const atomOps = { div: 'floordiv', mod: 'mod', min: 'min', max: 'max' } as const

function tensorOfAtom(atom: Atom, env: Env, span: Span): TensorValue | undefined {
  if (atom.k === 'value') throw new Error('internal: a data-dependent index in the source')
  if (atom.k !== 'sym') {
    return lanewise(env, atomOps[atom.k], [tensorOfIx(atom.a, env, span), tensorOfIx(atom.b, env, span)], span)
  }
  const lane = env.lanes.find((l) => l.sym === atom)
  if (!lane) return dimScalar(of(atom), env, span)
  const node = apply(env, 'iota', [], { n: lane.extent, start: of(0) }, span)
  return node && tensor(node, [lane.sym])
}

/** A dim as a value: the one position that starts there. */
function dimScalar(x: Ix, env: Env, span: Span): TensorValue | undefined {
  const node = apply(env, 'iota', [], { n: of(1), start: x }, span)
  const flat = node && apply(env, 'reshape', [node], { shape: [] }, span)
  return flat && tensor(flat)
}

/** Applies an elementwise op to aligned operands. */
export function lanewise(
  env: Env,
  op: string,
  operands: readonly (TensorValue | undefined)[],
  span: Span,
  names: readonly (string | undefined)[] = [],
): TensorValue | undefined {
  const given: TensorValue[] = []
  for (const operand of operands) {
    if (!operand) return undefined
    given.push(operand)
  }
  const lanes = unionLanes(given, env)
  if (!lanes) {
    const node = apply(
      env,
      op,
      given.map((v) => v.node),
      {},
      span,
      names,
    )
    return node && tensor(node)
  }
  const nodes: Node[] = []
  for (const value of given) {
    if (!value.lanes && value.node.type.shape.length > 0) {
      report(env, wrongKind(span, 'inside a comprehension, each operand', 'one number per point', describe(value)))
      return undefined
    }
    const node = align(value, lanes, env, span)
    if (!node) return undefined
    nodes.push(node)
  }
  const node = apply(env, op, nodes, {}, span, names)
  return node && tensor(node, lanes)
}

/** A value as a tensor: numbers get `dtype` (`f32` or `i32` by their form when it is undefined), conditions become masks. */
export function tensorOf(value: Value, dtype: DType | undefined, env: Env, span: Span): TensorValue | undefined {
  switch (value.k) {
    case 'tensor':
      return value
    case 'num':
      return tensorOfNum(value, dtype, env, span)
    case 'flag':
      return tensor(scalar(env, value.value ? 1 : 0, 'bool', span))
    case 'cond':
      return tensorOfCond(value, env, span)
    case 'tuple':
      report(env, tupleMisuse(span, value.items.length))
      return undefined
    case 'error':
      return undefined
    default:
      report(env, wrongKind(span, 'this', 'a tensor or a number', describe(value)))
      return undefined
  }
}

function tensorOfNum(x: Num, dtype: DType | undefined, env: Env, span: Span): TensorValue | undefined {
  const known = constantOf(x)
  const integral = whole(x) !== undefined
  if (dtype === 'bool') {
    report(env, mixedDtypes(span, 'bool', 'a number', 'compare (`m == 1`) or convert (`f32(m)`)'))
    return undefined
  }
  if (dtype === 'i32' && !integral) {
    report(
      env,
      mixedDtypes(span, 'i32', known === undefined ? 'a quotient' : String(known), 'write `f32(…)` of the i32 tensor'),
    )
    return undefined
  }
  const type = dtype ?? (integral ? 'i32' : 'f32')
  if (known !== undefined) return tensor(scalar(env, known, type, span))
  const num = tensorOfIx(x.num, env, span)
  if (type === 'i32') return num
  const dividend = lanewise(env, 'f32', [num], span)
  if (integral) return dividend
  return lanewise(env, 'div', [dividend, lanewise(env, 'f32', [tensorOfIx(x.den, env, span)], span)], span)
}

const relOps = { '==': 'eq', '!=': 'ne', '<': 'lt', '<=': 'le', '>': 'gt', '>=': 'ge' } as const
export { relOps }

function tensorOfCond(cond: Cond, env: Env, span: Span): TensorValue | undefined {
  if (cond.op === 'rel') {
    const dtype = whole(cond.a) && whole(cond.b) ? 'i32' : 'f32'
    return lanewise(
      env,
      relOps[cond.rel],
      [tensorOf(cond.a, dtype, env, span), tensorOf(cond.b, dtype, env, span)],
      span,
    )
  }
  if (cond.op === 'not') return lanewise(env, 'not', [tensorOf(cond.x, 'bool', env, span)], span)
  const [first, ...rest] = cond.xs.map((x) => tensorOf(x, 'bool', env, span))
  return rest.reduce<TensorValue | undefined>((a, b) => a && b && lanewise(env, cond.op, [a, b], span), first)
}
