/** Expressions as documents for prettier's printer. */
import { spanText } from '../../src/diagnostics/span.ts'
import type * as ast from '../ast.ts'
import { comparisonRank, powerRank, ranks, unaryRanks } from '../build/operators.ts'
import { chainOf, type Chain } from './chain.ts'
import { ownLines, trailing, type Comments } from './comments.ts'
import {
  breakParent,
  conditionalGroup,
  fill,
  flat,
  group,
  hardline,
  indent,
  join,
  line,
  softline,
  type Doc,
} from './doc.ts'

export interface Printer {
  readonly text: string
  readonly comments: Comments
  body(body: ast.Body): Doc
}

/** Binding of what is not an operator: the contexts in which it needs no brackets. */
const pipeRank = 0
const wideRank = 0.5
const postfixRank = 9

function rankOf(expr: ast.Expr): number {
  switch (expr.k) {
    case 'pipe':
      return pipeRank
    case 'ifExpr':
    case 'repeat':
    case 'scan':
      return wideRank
    case 'binary':
      return ranks[expr.op]
    case 'unary':
      return unaryRanks[expr.op]
    default:
      return postfixRank
  }
}

/** An expression in a place that takes operators from `least` on; looser ones get brackets. */
export function printExpr(p: Printer, expr: ast.Expr, least = pipeRank): Doc {
  if (rankOf(expr) >= least) return printBare(p, expr)
  return group(['(', indent([softline, printBare(p, expr)]), softline, ')'])
}

/** Where the grammar takes operators but no pipe: conditions, bounds, dims, indices. */
export const printOperators = (p: Printer, expr: ast.Expr): Doc => printExpr(p, expr, wideRank)

function printBare(p: Printer, expr: ast.Expr): Doc {
  switch (expr.k) {
    case 'name':
      return expr.name
    case 'number':
      return expr.text
    case 'string':
    case 'error':
      return spanText(expr.span)
    case 'bool':
      return String(expr.value)
    case 'list':
      return expr.items.length === 0
        ? '[]'
        : printList(
            p,
            '[',
            expr.items.map((item) => ({ span: item.span, print: () => printExpr(p, item) })),
            ']',
            expr.span.end - 1,
          )
    case 'comprehension':
      return printComprehension(p, expr)
    case 'unary':
      // `not a == b` is right, and reads wrong.
      return expr.op === '-'
        ? ['-', printExpr(p, expr.arg, unaryRanks['-'])]
        : ['not ', printExpr(p, expr.arg, expr.arg.k === 'unary' ? unaryRanks.not : postfixRank)]
    case 'binary':
      return group(indent(printBinary(p, expr)))
    case 'call':
      return [expr.callee.name, printArgs(p, expr)]
    case 'pipe':
      return printChain(p, chainOf(expr))
    case 'index':
      return [
        printExpr(p, expr.base, postfixRank),
        printList(
          p,
          '[',
          expr.items.map((item) => ({ span: item.span, print: () => printIndexItem(p, item) })),
          ']',
          expr.span.end - 1,
        ),
      ]
    case 'ifExpr': {
      const cond = printOperators(p, expr.cond)
      const yes = printExpr(p, expr.then)
      return group(['if ', cond, indent([line, 'then ', yes, line, 'else ', printOperators(p, expr.else)])])
    }
    case 'repeat':
      return printRepeat(p, expr)
    case 'scan':
      return printScan(p, expr)
  }
}

/** Left-leaning runs of operators of one rank share one indentation. */
function printBinary(p: Printer, expr: ast.Binary): Doc {
  const own = ranks[expr.op]
  const tighter = own + 0.5
  const { left, right } = expr
  const leftDoc =
    left.k === 'binary' && ranks[left.op] === own && own !== comparisonRank && own !== powerRank
      ? printBinary(p, left)
      : printExpr(p, left, own === comparisonRank || own === powerRank ? tighter : own)
  const negated = own === powerRank && right.k === 'unary' && right.op === '-'
  const rightDoc = negated ? printBare(p, right) : printExpr(p, right, own === powerRank ? own : tighter)
  return [leftDoc, ` ${expr.op}`, line, rightDoc]
}

export interface Element {
  readonly span: { readonly start: number; readonly end: number }
  readonly print: () => Doc
}

/**
 * A bracketed list: on one line; else one element per line, or, `packed`, as many as fit with the breaks of the source. Comments keep their elements.
 * `end` is the offset of the closing bracket.
 */
export function printList(
  p: Printer,
  open: string,
  elements: readonly Element[],
  close: string,
  end: number,
  packed = false,
): Doc {
  const before = p.comments.taken()
  const docs = elements.map((element, index) => {
    const leading = ownLines(p.comments.takeBefore(element.span.start), p.text)
    const printed = element.print()
    const comma = index < elements.length - 1 ? ',' : ''
    return [...leading, printed, comma, ...trailing(p.comments.takeTrailing(element.span.end))]
  })
  const dangling = p.comments.takeBefore(end)
  if (p.comments.taken() === before) {
    if (!packed) return group([open, indent([softline, join(line, docs)]), softline, close])
    const starts = elements.map((element, index) => {
      const previous = elements[index - 1]
      return previous !== undefined && p.text.slice(previous.span.end, element.span.start).includes('\n')
    })
    const asWritten = longestLine(docs, starts) <= widestLine
    const separated = docs.flatMap((one, index) =>
      index === 0 ? [one] : [asWritten && starts[index] ? hardline : line, one],
    )
    return conditionalGroup([
      [open, join(' ', docs), close],
      [open, indent([hardline, fill(separated)]), hardline, close],
    ])
  }
  const rest = dangling.flatMap((comment): Doc[] => [hardline, comment.text])
  return group([open, indent([hardline, join(hardline, docs), ...rest]), hardline, close, breakParent])
}

/** Lines of the source that are longer than this are packed anew; indentation takes the rest. */
const widestLine = 116

function longestLine(docs: readonly Doc[], starts: readonly boolean[]): number {
  let length = 0
  let longest = 0
  docs.forEach((one, index) => {
    length = flat(one).length + (starts[index] ? 0 : length + 1)
    longest = Math.max(longest, length)
  })
  return longest
}

export function printArgs(p: Printer, call: ast.Call): Doc {
  if (call.args.length === 0) return '()'
  const end = call.span.end - 1
  return printList(
    p,
    '(',
    call.args.map((arg) => ({ span: arg.span, print: () => printArg(p, arg) })),
    ')',
    end,
  )
}

function printArg(p: Printer, arg: ast.Arg): Doc {
  return arg.name ? [arg.name.name, ' = ', printExpr(p, arg.value)] : printExpr(p, arg.value)
}

function printIndexItem(p: Printer, item: ast.IndexItem): Doc {
  if (item.k === 'ellipsis') return '...'
  if (item.k === 'at') return printOperators(p, item.index)
  const step = item.step ? [':', printOperators(p, item.step)] : []
  return [item.from ? printOperators(p, item.from) : '', ':', item.to ? printOperators(p, item.to) : '', ...step]
}

function printComprehension(p: Printer, expr: ast.Comprehension): Doc {
  const binders = expr.binders.map((binder): Doc => [binder.name.name, ' < ', printExpr(p, binder.bound, ranks['+'])])
  const body = printExpr(p, expr.body)
  return group([expr.reduce?.name ?? '', '[for ', join(', ', binders), ':', indent([line, body]), softline, ']'])
}

/** On one line; else broken before the stages before which the source breaks; else before each. */
export function printChain(p: Printer, chain: Chain): Doc {
  const before = p.comments.taken()
  const head = printExpr(p, chain.head, wideRank + 0.5)
  const headEnd = trailing(p.comments.takeTrailing(chain.head.span.end))
  const asWritten = chain.stages.some((stage) => stage.broken) && !chain.stages.some((stage) => stage.wide)
  const docs = chain.stages.map((stage): Doc => {
    const comments = p.comments.takeBefore(stage.start)
    const leading: Doc[] = comments.flatMap((comment): Doc[] => [hardline, comment.text])
    const args = stage.args.length === 0 ? '' : printArgs(p, { ...stage.call, args: stage.args })
    const text: Doc = [
      '|> ',
      stage.each ? 'each ' : '',
      stage.call.callee.name,
      args,
      ...trailing(p.comments.takeTrailing(stage.end)),
    ]
    if (leading.length > 0) return [...leading, hardline, text]
    return [asWritten && !stage.broken && p.comments.taken() === before ? ' ' : line, text]
  })
  const forced = p.comments.taken() !== before ? breakParent : ''
  return group([head, ...headEnd, indent(docs), forced])
}

export function printRepeat(p: Printer, node: ast.Repeat): Doc {
  return [
    'repeat ',
    printOperators(p, node.count),
    node.index ? ` as ${node.index.name}` : '',
    node.unrolled ? ' unrolled' : '',
    node.scope ? ` scope ${spanText(node.scope.span)}` : '',
    ' ',
    p.body(node.body),
  ]
}

function printScan(p: Printer, node: ast.Scan): Doc {
  const bound = printExpr(p, node.bound, ranks['+'])
  const options = node.options.map((option): Doc => [
    `, ${option.name?.name ?? ''} = `,
    printOperators(p, option.value),
  ])
  const carries = node.carries.map((carry): Doc => [`${carry.name.name} = `, printOperators(p, carry.init)])
  const carried: Doc = carries.length === 0 ? '' : [' carry ', join(', ', carries)]
  return [`scan ${node.index.name} < `, bound, ...options, carried, ' ', p.body(node.body)]
}
