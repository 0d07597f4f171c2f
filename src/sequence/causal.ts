/** Proof that a reduction over positions hides those after the query's, and perhaps those long before it. */
import { lowerNode, virtual } from '../ir/kinds.ts'
import type { Kind } from '../ir/kinds.ts'
import type { Node } from '../ir/types.ts'
import { asNonNegative, conjuncts } from '../kernel/bounds.ts'
import type { Buffer } from '../kernel/buffer.ts'
import type { Expr } from '../kernel/expr.ts'
import { inlineStages } from '../kernel/inline.ts'
import type { Body, Stage } from '../kernel/stage.ts'
import { loadsOf } from '../kernel/walk.ts'
import type { Sym } from '../types/ix.ts'
import { add, isConst, of, proveLe, sub } from '../types/ix.ts'

/** An expression of `stage`, with the maps that compute its operands written out. */
function writtenOut(e: Expr, stage: Stage, operands: ReadonlyMap<Buffer, Node>, kind: (n: Node) => Kind): Expr {
  const stages: Stage[] = []
  const made = new Map<Node, Buffer>()
  const visit = (n: Node, out: Buffer): void => {
    const k = kind(n)
    if (k !== 'map' && k !== 'view' && k !== 'inline') return
    const inputs = n.inputs.map((x) => {
      let b = made.get(x)
      if (b === undefined) {
        made.set(x, (b = virtual(x)))
        visit(x, b)
      }
      return b
    })
    stages.push(...lowerNode(n, inputs, out))
  }
  const read = new Set(loadsOf(e).map((l) => l.buf))
  for (const [buffer, node] of operands) if (read.has(buffer)) visit(node, buffer)
  const probe: Stage = { ...stage, body: { k: 'reduce', fold: 'max', axes: [], e, empty: 0 } }
  const done = inlineStages([...stages, probe])
  const last = done[done.length - 1]
  return last.body.k === 'reduce' ? last.body.e : e
}

/** Conditions without which `e` is `value`, where 0 also comes of products with 0. */
function necessary(e: Expr, isNeutral: (value: number) => boolean): readonly Expr[] {
  const neutral = (x: Expr): boolean =>
    (x.k === 'const' && isNeutral(x.value)) || (x.k === 'index' && x.ix === of(0) && isNeutral(0))
  switch (e.k) {
    case 'select':
      if (neutral(e.y)) return [...conjuncts(e.c), ...necessary(e.x, isNeutral)]
      return necessary(e.x, isNeutral).filter((c) => necessary(e.y, isNeutral).includes(c))
    case 'cast':
      return e.x.of === 'bool' && isNeutral(0) ? conjuncts(e.x) : necessary(e.x, isNeutral)
    case 'bin':
      if (!isNeutral(0)) return []
      if (e.f === 'mul') return [...necessary(e.a, isNeutral), ...necessary(e.b, isNeutral)]
      return e.f === 'div' ? necessary(e.a, isNeutral) : []
    case 'un':
      return e.f === 'neg' && isNeutral(0) ? necessary(e.x, isNeutral) : []
    default:
      return []
  }
}
/** What leaves a fold as it is. */
const neutralOf = {
  add: (v: number) => v === 0,
  max: (v: number) => v <= -3e38,
  min: (v: number) => v >= 3e38,
} as const

function conditionsOf(body: Body, written: (e: Expr) => Expr): readonly Expr[] {
  if (body.k === 'map') return []
  if (body.where !== undefined) return conjuncts(written(body.where))
  if (body.k === 'carried' || (body.fold !== 'add' && body.fold !== 'max' && body.fold !== 'min')) return []
  return necessary(written(body.e), neutralOf[body.fold])
}

export interface Sight {
  /** Keys further back than this are hidden from every query. */
  readonly window?: number
}

/**
 * What the reduction of `stage` over `key` sees from the position that `query` walks, if that is no position after `query - slack`;
 * undefined if it may look ahead. `a <= b` implies `key <= query` when `key - query <= a - b` is provable.
 */
export function sightOf(
  stage: Stage, key: Sym, query: Sym, slack: number, operands: ReadonlyMap<Buffer, Node>, kind: (n: Node) => Kind,
): Sight | undefined {
  const conditions = conditionsOf(stage.body, (e) => writtenOut(e, stage, operands, kind))
    .map(asNonNegative)
    .filter((d) => d !== undefined)
  const ahead = sub(add(of(key), slack), of(query))
  if (!conditions.some((d) => proveLe(add(ahead, d), 0))) return undefined
  // d >= 0 gives query - key <= query - key + d.
  const back = conditions.map((d) => isConst(add(sub(of(query), of(key)), d))).filter((n) => n !== undefined)
  return back.length > 0 ? { window: Math.max(Math.min(...back), 0) } : {}
} // prettier-ignore
