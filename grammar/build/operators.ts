/** Ranks operators: operands and operators in the order in which they stand become a tree (Pratt). */
import { comparisonChain, tooDeep } from '../../src/diagnostics/catalogue.ts'
import { joinSpans, spanText, type Span } from '../../src/diagnostics/span.ts'
import type { BinaryOp, Expr, UnaryOp } from '../ast.ts'
import { deepestTree, missing, type Builder } from './cst.ts'

/** Loosest first. `not` stands between `and` and comparison, unary `-` between `*` and `**`. */
export const ranks: Readonly<Record<BinaryOp, number>> = {
  or: 1,
  and: 2,
  '==': 4,
  '!=': 4,
  '<': 4,
  '<=': 4,
  '>': 4,
  '>=': 4,
  '+': 5,
  '-': 5,
  '*': 6,
  '/': 6,
  '//': 6,
  '%': 6,
  '@': 6,
  '**': 8,
}
export const unaryRanks: Readonly<Record<UnaryOp, number>> = { not: 3, '-': 7 }
export const comparisonRank = 4
export const powerRank = 8

export const isBinaryOp = (text: string): text is BinaryOp => Object.hasOwn(ranks, text)

export type Item =
  | { readonly k: 'value'; readonly value: Expr }
  | { readonly k: 'prefix'; readonly op: UnaryOp; readonly span: Span }
  | { readonly k: 'infix'; readonly op: BinaryOp; readonly span: Span }

export function rank(b: Builder, items: readonly Item[], whole: Span): Expr {
  if (items.length > deepestTree) {
    b.report(tooDeep(whole, deepestTree))
    return missing(whole)
  }
  let at = 0

  function read(above: number): Expr {
    const item = items[at]
    let left: Expr
    if (item?.k === 'value') {
      at++
      left = item.value
    } else if (item?.k === 'prefix') {
      at++
      const arg = read(unaryRanks[item.op])
      left = { k: 'unary', op: item.op, arg, span: joinSpans(item.span, arg.span) }
    } else {
      left = missing(item?.span ?? whole)
    }
    let compared: Expr | undefined
    for (;;) {
      const infix = items[at]
      if (infix?.k !== 'infix') return left
      const own = ranks[infix.op]
      if (own <= above) return left
      at++
      const right = read(own === powerRank ? own - 1 : own)
      if (own === comparisonRank) {
        if (compared) b.report(chain(compared, infix.op, right))
        compared = right
      } else compared = undefined
      left = { k: 'binary', op: infix.op, opSpan: infix.span, left, right, span: joinSpans(left.span, right.span) }
    }
  }

  const chain = (middle: Expr, op: BinaryOp, right: Expr) => {
    const first = { ...whole, end: middle.span.end }
    return comparisonChain(
      joinSpans(middle.span, right.span),
      spanText(first),
      `${spanText(middle.span)} ${op} ${spanText(right.span)}`,
    )
  }

  return read(0)
}
