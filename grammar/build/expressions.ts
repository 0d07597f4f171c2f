import type { CstNode, IToken } from 'chevrotain'
import * as say from '../../src/diagnostics/catalogue.ts'
import { joinSpans, spanOf, spanText, type Span } from '../../src/diagnostics/span.ts'
import type * as ast from '../ast.ts'
import { isNumber } from '../lex.ts'
import {
  deepestTree,
  docAbove,
  missing,
  nameOf,
  nodeOf,
  nodesOf,
  spanOfNode,
  spanOfToken,
  startOfNode,
  tokenOf,
  tokensOf,
  type Builder,
} from './cst.ts'
import { isBinaryOp, rank, type Item } from './operators.ts'
import { buildBody } from './statements.ts'
import { buildString } from './strings.ts'

/** An `expression`: operators, then pipes. */
export function buildExpr(b: Builder, cst: CstNode | undefined, otherwise: Span): ast.Expr {
  const span = spanOfNode(b, cst, otherwise)
  if (b.depth >= deepestTree) {
    b.report(say.tooDeep(span, deepestTree))
    return missing(span)
  }
  b.depth++
  let expr = buildOperators(b, nodeOf(cst, 'operators'), span)
  const stages = nodesOf(cst, 'pipeStage')
  if (stages.length > deepestTree) b.report(say.tooDeep(span, deepestTree))
  for (const stage of stages.slice(0, deepestTree)) expr = buildPipe(b, expr, stage)
  b.depth--
  return expr
}

function buildPipe(b: Builder, input: ast.Expr, stage: CstNode): ast.Expr {
  const span = joinSpans(input.span, spanOfNode(b, stage, input.span))
  const right = buildOperators(b, nodeOf(stage, 'operators'), span)
  const each = tokenOf(stage, 'Each') !== undefined
  if (right.k === 'call') return { k: 'pipe', input, each, call: right, span }
  if (right.k === 'name') {
    return { k: 'pipe', input, each, call: { k: 'call', callee: right, args: [], span: right.span }, span }
  }
  if (right.k !== 'error') {
    const first = leftmost(right)
    const isCall = first !== right && (first.k === 'call' || first.k === 'name')
    const rest = { ...right.span, start: first.span.end }
    b.report(say.badPipeStage(right.span, ...(isCall ? [spanText(first.span), spanText(rest).trim()] : [])))
  }
  return missing(span)
}

function leftmost(expr: ast.Expr): ast.Expr {
  let at = expr
  while (at.k === 'binary' || at.k === 'index') at = at.k === 'binary' ? at.left : at.base
  return at
}

/** `operators` or `arithmetic`. */
export function buildOperators(b: Builder, cst: CstNode | undefined, otherwise: Span): ast.Expr {
  const span = spanOfNode(b, cst, otherwise)
  if (!cst) return missing(span)
  const operands = nodesOf(cst, 'operand')
  const infixes = [...tokensOf(cst, 'BinaryOp'), ...tokensOf(cst, 'ArithOp')]
  const items: Item[] = []
  operands.forEach((operand, index) => {
    if (index > 0) {
      const infix = infixes[index - 1]
      if (!infix || !isBinaryOp(infix.image)) return
      items.push({ k: 'infix', op: infix.image, span: spanOfToken(b, infix) })
    }
    for (const prefix of inOrder([...tokensOf(operand, 'Minus'), ...tokensOf(operand, 'Not')])) {
      items.push({ k: 'prefix', op: prefix.image === '-' ? '-' : 'not', span: spanOfToken(b, prefix) })
    }
    items.push({ k: 'value', value: buildOperand(b, operand, span) })
  })
  return rank(b, items, span)
}

const inOrder = (tokens: IToken[]): IToken[] => tokens.sort((x, y) => x.startOffset - y.startOffset)

function buildOperand(b: Builder, cst: CstNode, otherwise: Span): ast.Expr {
  let expr = buildPrimary(b, nodeOf(cst, 'primary'), spanOfNode(b, cst, otherwise))
  const suffixes = [...nodesOf(cst, 'callSuffix'), ...nodesOf(cst, 'indexSuffix')]
  suffixes.sort((x, y) => startOfNode(x) - startOfNode(y))
  if (suffixes.length > deepestTree) b.report(say.tooDeep(expr.span, deepestTree))
  for (const suffix of suffixes.slice(0, deepestTree)) {
    const span = joinSpans(expr.span, spanOfNode(b, suffix, expr.span))
    if (suffix.name === 'callSuffix') {
      const args = nodesOf(suffix, 'argument').map((argument) => buildArg(b, argument, span))
      orderOfArgs(b, args)
      if (expr.k === 'name') expr = { k: 'call', callee: expr, args, span }
      else {
        if (expr.k !== 'error') b.report(say.badCallee(expr.span, `\`${shorten(spanText(expr.span))}\``))
        expr = missing(span)
      }
      continue
    }
    const comprehension = nodeOf(suffix, 'comprehension')
    if (!comprehension) {
      expr = {
        k: 'index',
        base: expr,
        items: nodesOf(suffix, 'indexItem').map((item) => buildIndexItem(b, item, span)),
        span,
      }
    } else if (expr.k === 'name') {
      expr = { ...buildComprehension(b, comprehension, span), reduce: expr }
    } else {
      if (expr.k !== 'error') b.report(say.badReduce(expr.span))
      expr = missing(span)
    }
  }
  return expr
}

const shorten = (text: string): string => {
  const line = text.split('\n', 1)[0] ?? ''
  return line.length > 40 ? `${line.slice(0, 40)}…` : line
}

function buildPrimary(b: Builder, cst: CstNode | undefined, otherwise: Span): ast.Expr {
  const span = spanOfNode(b, cst, otherwise)
  const number = tokenOf(cst, 'Num')
  if (number) {
    const text = number.image
    if (!isNumber(text)) return missing(span)
    return { k: 'number', value: Number(text), integer: /^\d+$/.test(text), text, span }
  }
  const string = tokenOf(cst, 'Str')
  if (string) return buildString(b, string)
  if (tokenOf(cst, 'True')) return { k: 'bool', value: true, span }
  if (tokenOf(cst, 'False')) return { k: 'bool', value: false, span }
  const name = nameOf(b, tokenOf(cst, 'Ident'))
  if (name) return name
  const group = nodeOf(cst, 'group')
  if (group) return buildExpr(b, nodeOf(group, 'expression'), span)
  const list = nodeOf(cst, 'list')
  if (list) {
    const comprehension = nodeOf(list, 'comprehension')
    if (comprehension) return buildComprehension(b, comprehension, span)
    return { k: 'list', items: nodesOf(list, 'expression').map((item) => buildExpr(b, item, span)), span }
  }
  const choice = nodeOf(cst, 'choice')
  if (choice) return buildChoice(b, choice, span)
  const repeat = nodeOf(cst, 'repeat')
  if (repeat) return buildRepeat(b, repeat, span)
  const scan = nodeOf(cst, 'scan')
  if (scan) return buildScan(b, scan, span)
  return missing(span)
}

function buildChoice(b: Builder, cst: CstNode, span: Span): ast.Expr {
  if (b.depth >= deepestTree) {
    b.report(say.tooDeep(span, deepestTree))
    return missing(span)
  }
  b.depth++
  const cond = buildOperators(b, nodeOf(cst, 'cond'), span)
  const yes = buildExpr(b, nodeOf(cst, 'yes'), span)
  const no = buildOperators(b, nodeOf(cst, 'no'), span)
  b.depth--
  return { k: 'ifExpr', cond, then: yes, else: no, span }
}

function buildComprehension(b: Builder, cst: CstNode, span: Span): ast.Comprehension {
  const binders: ast.Binder[] = []
  for (const binder of nodesOf(cst, 'binder')) {
    const name = nameOf(b, tokenOf(binder, 'Ident'))
    const at = spanOfNode(b, binder, span)
    if (name) binders.push({ k: 'binder', name, bound: buildOperators(b, nodeOf(binder, 'arithmetic'), at), span: at })
  }
  return { k: 'comprehension', binders, body: buildExpr(b, nodeOf(cst, 'expression'), span), span }
}

function buildArg(b: Builder, cst: CstNode, otherwise: Span): ast.Arg {
  const span = spanOfNode(b, cst, otherwise)
  const name = nameOf(b, tokenOf(cst, 'Ident'))
  return { k: 'arg', ...(name ? { name } : {}), value: buildExpr(b, nodeOf(cst, 'expression'), span), span }
}

function orderOfArgs(b: Builder, args: readonly ast.Arg[]): void {
  const named = args.findIndex((arg) => arg.name !== undefined)
  if (named < 0) return
  for (const arg of args.slice(named))
    if (!arg.name && arg.value.k !== 'error') b.report(say.positionalAfterNamed(arg.span))
}

function buildIndexItem(b: Builder, cst: CstNode, otherwise: Span): ast.IndexItem {
  const span = spanOfNode(b, cst, otherwise)
  if (tokenOf(cst, 'Ellipsis')) return { k: 'ellipsis', span }
  const from = nodeOf(cst, 'from')
  const to = nodeOf(cst, 'to')
  const step = nodeOf(cst, 'step')
  if (tokenOf(cst, 'Colon')) {
    return {
      k: 'range',
      ...(from ? { from: buildOperators(b, from, span) } : {}),
      ...(to ? { to: buildOperators(b, to, span) } : {}),
      ...(step ? { step: buildOperators(b, step, span) } : {}),
      span,
    }
  }
  return { k: 'at', index: buildOperators(b, from, span), span }
}

export function buildRepeat(b: Builder, cst: CstNode, otherwise: Span): ast.Repeat {
  const span = spanOfNode(b, cst, otherwise)
  const index = nameOf(b, tokenOf(cst, 'Ident'))
  const scope = tokenOf(cst, 'Str')
  return {
    k: 'repeat',
    ...docAbove(b, span.start),
    count: buildOperators(b, nodeOf(cst, 'operators'), span),
    ...(index ? { index } : {}),
    unrolled: tokenOf(cst, 'Unrolled') !== undefined,
    ...(scope ? { scope: buildString(b, scope) } : {}),
    body: buildBody(b, nodeOf(cst, 'body'), spanOf(b.file, span.end, span.end)),
    span,
  }
}

function buildScan(b: Builder, cst: CstNode, span: Span): ast.Expr {
  const index = nameOf(b, tokenOf(cst, 'Ident'))
  if (!index) return missing(span)
  const options: ast.Arg[] = []
  for (const option of nodesOf(cst, 'option')) {
    const name = nameOf(b, tokenOf(option, 'Ident'))
    const at = spanOfNode(b, option, span)
    if (name) options.push({ k: 'arg', name, value: buildOperators(b, nodeOf(option, 'operators'), at), span: at })
  }
  const carries: ast.Carry[] = []
  for (const carry of nodesOf(cst, 'carry')) {
    const name = nameOf(b, tokenOf(carry, 'Ident'))
    const at = spanOfNode(b, carry, span)
    if (name) carries.push({ k: 'carry', name, init: buildOperators(b, nodeOf(carry, 'operators'), at), span: at })
  }
  return {
    k: 'scan',
    index,
    bound: buildOperators(b, nodeOf(cst, 'arithmetic'), span),
    options,
    carries,
    body: buildBody(b, nodeOf(cst, 'body'), spanOf(b.file, span.end, span.end)),
    span,
  }
}
