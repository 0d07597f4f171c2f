import type { CstNode } from 'chevrotain'
import * as say from '../../src/diagnostics/catalogue.ts'
import { spanOf, spanText, type Span } from '../../src/diagnostics/span.ts'
import type * as ast from '../ast.ts'
import {
  deepestTree,
  docAbove,
  nameOf,
  namesOf,
  nodeOf,
  nodesOf,
  spanOfNode,
  tokenOf,
  tokensOf,
  type Builder,
} from './cst.ts'
import { buildExpr, buildOperators, buildRepeat } from './expressions.ts'
import { buildString } from './strings.ts'

type Any = ast.Stmt | ast.Item

/** A body; what belongs to the top level of a file is reported and left out. */
export function buildBody(b: Builder, cst: CstNode | undefined, otherwise: Span): ast.Body {
  const span = spanOfNode(b, cst, otherwise)
  const stmts: ast.Stmt[] = []
  if (b.depth >= deepestTree) b.report(say.tooDeep(span, deepestTree))
  else {
    b.depth++
    for (const child of nodesOf(cst, 'statement')) {
      const built = buildStatement(b, child)
      if (!built) continue
      if (built.k === 'import' || built.k === 'model') {
        b.report(say.nestedItem(built.k === 'model' ? built.name.span : built.span, built.k))
      } else stmts.push(built)
    }
    b.depth--
  }
  return { k: 'body', stmts, span }
}

/** The top level; statements that belong into a model are reported and left out. */
export function buildItems(b: Builder, cst: CstNode): ast.Item[] {
  const items: ast.Item[] = []
  for (const child of nodesOf(cst, 'statement')) {
    const built = buildStatement(b, child)
    if (!built) continue
    if (built.k === 'import' || built.k === 'model' || built.k === 'block') items.push(built)
    else
      b.report(
        say.misplacedItem(firstLine(built.span), built.k === 'assign' ? 'an assignment' : `\`${keywordOf(built)}\``),
      )
  }
  return items
}

const keywordOf = (node: Any): string => spanText(node.span).split(/\W/, 1)[0] ?? node.k

function firstLine(span: Span): Span {
  const line = spanText(span).split('\n', 1)[0] ?? ''
  return spanOf(span.file, span.start, span.start + line.trimEnd().length)
}

function buildStatement(b: Builder, cst: CstNode): Any | undefined {
  for (const [rule, build] of Object.entries(builders)) {
    const child = nodeOf(cst, rule)
    if (child) return build(b, child, spanOfNode(b, child, spanOfNode(b, cst)))
  }
  return undefined
}

const builders: Record<string, (b: Builder, cst: CstNode, span: Span) => Any | undefined> = {
  importItem: buildImport,
  model: buildModel,
  block: buildBlock,
  sequence(b, cst, span) {
    const name = nameOf(b, tokenOf(cst, 'Ident'))
    return name && { k: 'sequence', ...docAbove(b, span.start), name, span }
  },
  weights: (b, cst, span) => ({
    k: 'weights',
    ...docAbove(b, span.start),
    rules: nodesOf(cst, 'weightsRule')
      .map((rule) => buildRule(b, rule, span))
      .filter((rule) => rule !== undefined),
    span,
  }),
  inputStatement(b, cst, span) {
    const name = nameOf(b, tokenOf(cst, 'Ident'))
    const type = buildType(b, nodeOf(cst, 'type'))
    const value = nodeOf(cst, 'expression')
    return (
      name &&
      type && {
        k: 'input',
        ...docAbove(b, span.start),
        name,
        type,
        ...(value ? { default: buildExpr(b, value, span) } : {}),
        where: buildWhere(b, cst),
        span,
      }
    )
  },
  output(b, cst, span) {
    const names = namesOf(b, tokensOf(nodeOf(cst, 'names'), 'Ident'))
    if (names.length === 0) return undefined
    return {
      k: 'output',
      ...docAbove(b, span.start),
      names,
      value: buildExpr(b, nodeOf(cst, 'expression'), span),
      span,
    }
  },
  param(b, cst, span) {
    const name = nameOf(b, tokenOf(cst, 'Ident'))
    const type = buildType(b, nodeOf(cst, 'type'))
    const path = tokenOf(cst, 'Str')
    const fallback = nodeOf(cst, 'expression')
    return (
      name &&
      type && {
        k: 'param',
        ...docAbove(b, span.start),
        name,
        type,
        ...(path ? { path: buildString(b, path) } : {}),
        ...(fallback ? { fallback: buildExpr(b, fallback, span) } : {}),
        span,
      }
    )
  },
  scope(b, cst, span) {
    const path = tokenOf(cst, 'Str')
    if (!path) return undefined
    return {
      k: 'scope',
      ...docAbove(b, span.start),
      path: buildString(b, path),
      body: buildBody(b, nodeOf(cst, 'body'), span),
      span,
    }
  },
  repeat: (b, cst, span) => buildRepeat(b, cst, span),
  ifStatement: (b, cst, span) => buildIf(b, cst, span),
  share(b, cst, span) {
    const name = nameOf(b, tokenOf(cst, 'Ident'))
    const call = buildExpr(b, nodeOf(cst, 'expression'), span)
    if (call.k === 'call') return name && { k: 'share', ...docAbove(b, span.start), name, call, span }
    if (call.k !== 'error') b.report(say.shareNeedsCall(call.span))
    return undefined
  },
  entry(b, cst, span) {
    const name = nameOf(b, tokenOf(cst, 'Ident'))
    const lists = nodesOf(cst, 'names')
    const arrow = tokenOf(cst, 'Arrow')
    const before = lists.filter((list) => (list.location?.startOffset ?? 0) < (arrow?.startOffset ?? Infinity))
    const after = lists.filter((list) => !before.includes(list))
    const read = (some: CstNode[]) => some.flatMap((list) => namesOf(b, tokensOf(list, 'Ident')))
    return name && { k: 'entry', ...docAbove(b, span.start), name, inputs: read(before), outputs: read(after), span }
  },
  returnStatement: (b, cst, span) => ({
    k: 'return',
    values: nodesOf(cst, 'expression').map((e) => buildExpr(b, e, span)),
    span,
  }),
  yieldStatement: (b, cst, span) => ({
    k: 'yield',
    values: nodesOf(cst, 'expression').map((e) => buildExpr(b, e, span)),
    span,
  }),
  plain(b, cst, span) {
    const exprs = nodesOf(cst, 'expression').map((e) => buildExpr(b, e, span))
    const eq = tokenOf(cst, 'Eq')
    if (!eq) {
      const first = exprs[0]
      if (first && first.k !== 'error' && !cst.recoveredNode) {
        const text = spanText(firstLine(first.span))
        b.report(
          say.uselessExpression(first.span, text.length > 40 || text.length < spanText(first.span).length ? '…' : text),
        )
      }
      return undefined
    }
    const targets: ast.Name[] = []
    const left = exprs.filter((e) => e.span.start < eq.startOffset)
    const value = exprs.find((e) => e.span.start > eq.startOffset) ?? { k: 'error', span }
    for (const target of left) {
      if (target.k === 'name') targets.push(target)
      else if (target.k !== 'error') b.report(say.badTarget(target.span))
    }
    return targets.length > 0 && targets.length === left.length
      ? { k: 'assign', ...docAbove(b, span.start), targets, value, span }
      : undefined
  },
}

function buildIf(b: Builder, cst: CstNode, span: Span): ast.If {
  const bodies = nodesOf(cst, 'body')
  const nested = nodeOf(cst, 'ifStatement')
  const after = bodies[1]
  let otherwise: ast.Body | ast.If | undefined
  if (nested && b.depth < deepestTree) {
    b.depth++
    otherwise = buildIf(b, nested, spanOfNode(b, nested, span))
    b.depth--
  } else if (nested) b.report(say.tooDeep(span, deepestTree))
  else if (after) otherwise = buildBody(b, after, span)
  return {
    k: 'if',
    ...docAbove(b, span.start),
    cond: buildOperators(b, nodeOf(cst, 'operators'), span),
    then: buildBody(b, bodies[0], span),
    ...(otherwise ? { else: otherwise } : {}),
    span,
  }
}

function buildImport(b: Builder, cst: CstNode, span: Span): ast.Import | undefined {
  const from = tokenOf(cst, 'Str')
  if (!from) return undefined
  const names: ast.ImportName[] = []
  for (const child of nodesOf(cst, 'importName')) {
    const [name, as] = namesOf(b, tokensOf(child, 'Ident'))
    if (name) names.push({ k: 'importName', name, ...(as ? { as } : {}), span: spanOfNode(b, child, span) })
  }
  return { k: 'import', ...docAbove(b, span.start), names, from: buildString(b, from), span }
}

function buildModel(b: Builder, cst: CstNode, span: Span): ast.Model | undefined {
  const name = nameOf(b, tokenOf(cst, 'Ident'))
  if (!name) return undefined
  const params: ast.Hyper[] = []
  for (const child of nodesOf(cst, 'hyper')) {
    const hyper = nameOf(b, tokenOf(child, 'Ident'))
    const at = spanOfNode(b, child, span)
    const value = nodeOf(child, 'expression')
    const from = tokensOf(child, 'Str')
    if (!hyper) continue
    params.push({
      k: 'hyper',
      ...docAbove(b, at.start),
      name: hyper,
      ...(value ? { default: buildExpr(b, value, at) } : {}),
      from: from.map((key) => buildString(b, key)),
      span: at,
    })
  }
  const body = buildBody(b, nodeOf(cst, 'body'), spanOf(b.file, span.end, span.end))
  return { k: 'model', ...docAbove(b, span.start), name, params, where: buildWhere(b, cst), body, span }
}

function buildBlock(b: Builder, cst: CstNode, span: Span): ast.Block | undefined {
  const name = nameOf(b, tokenOf(cst, 'Ident'))
  if (!name) return undefined
  const params: ast.BlockParam[] = []
  for (const child of nodesOf(cst, 'blockParam')) {
    const param = nameOf(b, tokenOf(child, 'Ident'))
    const at = spanOfNode(b, child, span)
    const type = buildType(b, nodeOf(child, 'type'))
    const value = nodeOf(child, 'expression')
    if (!param) continue
    params.push({
      k: 'blockParam',
      ...docAbove(b, at.start),
      auto: tokenOf(child, 'Auto') !== undefined,
      name: param,
      ...(type ? { type } : {}),
      ...(value ? { default: buildExpr(b, value, at) } : {}),
      span: at,
    })
  }
  const end = spanOf(b.file, span.end, span.end)
  const body = nodeOf(cst, 'body')
  return {
    k: 'block',
    ...docAbove(b, span.start),
    pattern: tokenOf(cst, 'Pattern') !== undefined,
    override: tokenOf(cst, 'Override') !== undefined,
    name,
    params,
    results: nodesOf(cst, 'type')
      .map((type) => buildType(b, type))
      .filter((type) => type !== undefined),
    where: buildWhere(b, cst),
    body: body ? buildBody(b, body, end) : buildExpr(b, nodeOf(cst, 'expression'), end),
    span,
  }
}

function buildWhere(b: Builder, cst: CstNode): ast.Expr[] {
  const where = nodeOf(cst, 'where')
  return nodesOf(where, 'operators').map((e) => buildOperators(b, e, spanOfNode(b, where)))
}

function buildType(b: Builder, cst: CstNode | undefined): ast.Type | undefined {
  const dtype = nameOf(b, tokenOf(cst, 'Ident'))
  if (!dtype) return undefined
  const span = spanOfNode(b, cst, dtype.span)
  const dims = nodesOf(cst, 'dim').map((dim): ast.Expr | ast.Ellipsis => {
    const at = spanOfNode(b, dim, span)
    return tokenOf(dim, 'Ellipsis') ? { k: 'ellipsis', span: at } : buildOperators(b, nodeOf(dim, 'operators'), at)
  })
  return { k: 'type', dtype, dims, span }
}

function buildRule(b: Builder, cst: CstNode, otherwise: Span): ast.WeightsRule | undefined {
  const span = spanOfNode(b, cst, otherwise)
  const strings = tokensOf(cst, 'Str').map((token) => buildString(b, token))
  const [first, second] = strings
  if (!first) return undefined
  if (tokenOf(cst, 'Prefix'))
    return { k: 'prefix', prefix: first, optional: tokenOf(cst, 'Optional') !== undefined, span }
  if (tokenOf(cst, 'Ignore')) return { k: 'ignore', patterns: strings, span }
  return second && { k: 'rename', from: first, to: second, span }
}
