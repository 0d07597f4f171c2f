import { spanText, type Span } from '../../src/diagnostics/span.ts'
import type * as ast from '../ast.ts'
import { pipedChain } from './chain.ts'
import { emptyLineBetween, isOneLine, ownLines, trailing, undocumented } from './comments.ts'
import {
  printArgs,
  printChain,
  printExpr,
  printList,
  printOperators,
  printRepeat,
  type Printer,
} from './expressions.ts'
import { flat, group, hardline, ifBreak, indent, join, line, type Doc } from './doc.ts'

interface Entry {
  readonly span: Span
  readonly print: () => Doc
  /** Empty lines around it whatever the source has. */
  readonly apart?: boolean
}

/**
 * Statements, rules or items one below the other with their comments; single empty lines of the source stay. `end` is where the list ends, `start`
 * where it begins. Separators are the caller's: each element comes with what must stand before it.
 */
function printEntries(p: Printer, entries: readonly Entry[], end: number): { doc: Doc; empty: boolean }[] {
  const out: { doc: Doc; empty: boolean }[] = []
  let last: number | undefined
  let apart = false
  for (const entry of entries) {
    const leading = p.comments.takeBefore(entry.span.start)
    const printed = entry.print()
    const inside = undocumented(p.comments.takeBefore(entry.span.end))
    const start = (leading[0] ?? entry).span.start
    const empty = last !== undefined && (emptyLineBetween(p.text, last, start) || apart || entry.apart === true)
    const above = leading[leading.length - 1]
    const gap = above && emptyLineBetween(p.text, above.span.end, entry.span.start) ? hardline : ''
    const after = trailing(p.comments.takeTrailing(entry.span.end))
    out.push({ doc: [...ownLines(inside, p.text), ...ownLines(leading, p.text), gap, printed, ...after], empty })
    last = entry.span.end
    apart = entry.apart === true
  }
  const rest = p.comments.takeBefore(end)
  if (rest.length > 0) {
    const docs = ownLines(rest, p.text)
    docs.pop()
    const empty = last !== undefined && emptyLineBetween(p.text, last, rest[0]?.span.start ?? 0)
    out.push({ doc: docs, empty })
  }
  return out
}

/** `{ … }`: on one line where the source has it so and it fits. */
function printBraces(p: Printer, span: Span, open: number, entries: readonly Entry[]): Doc {
  const before = p.comments.taken()
  const atOpening = trailing(p.comments.takeTrailing(open))
  const docs = printEntries(p, entries, span.end - 1)
  if (docs.length === 0 && atOpening.length === 0) return '{ }'
  if (isOneLine(span) && p.comments.taken() === before) {
    return group([
      '{',
      indent([
        line,
        join(
          [ifBreak('', ';'), line],
          docs.map((entry) => entry.doc),
        ),
      ]),
      line,
      '}',
    ])
  }
  const lines = docs.map((entry, index): Doc => [index > 0 && entry.empty ? hardline : '', hardline, entry.doc])
  return ['{', ...atOpening, indent(lines), hardline, '}']
}

export function printBody(p: Printer, body: ast.Body): Doc {
  const entries = body.stmts.map((stmt): Entry => ({ span: stmt.span, print: () => printStmt(p, stmt) }))
  return printBraces(p, body.span, body.span.start + 1, entries)
}

export function printFile(p: Printer, file: ast.File): Doc {
  const entries = file.items.map((item): Entry => ({
    span: item.span,
    print: () => printItem(p, item),
    apart: item.k === 'model',
  }))
  const docs = printEntries(p, entries, Infinity)
  return docs.map((entry, index): Doc => [index > 0 && entry.empty ? hardline : '', entry.doc, hardline])
}

function printItem(p: Printer, item: ast.Item): Doc {
  if (item.k === 'import') return printImport(p, item)
  return item.k === 'model' ? printModel(p, item) : printBlock(p, item)
}

function printImport(p: Printer, item: ast.Import): Doc {
  const names = item.names.map(({ name, as }): Doc => (as ? `${name.name} as ${as.name}` : name.name))
  return [group(['import {', indent([line, join([',', line], names)]), line, '} from ']), spanText(item.from.span)]
}

function printModel(p: Printer, model: ast.Model): Doc {
  const params = model.params.map((hyper) => ({
    span: hyper.span,
    print: (): Doc => [
      hyper.name.name,
      hyper.default ? [' = ', printExpr(p, hyper.default)] : '',
      hyper.from.length > 0 ? ` from ${hyper.from.map((key) => spanText(key.span)).join(' or ')}` : '',
    ],
  }))
  const end = model.where[0]?.span.start ?? model.body.span.start
  const list = params.length === 0 ? '' : printList(p, '(', params, ')', endOfList(p, model.params, end), true)
  return ['model ', model.name.name, list, printWhere(p, model.where), ' ', printBody(p, model.body)]
}

/** The closing bracket after the last parameter: comments up to it belong to the list. */
function endOfList(p: Printer, params: readonly ast.Node[], limit: number): number {
  const last = params[params.length - 1]
  let at = last?.span.end ?? limit
  while (at < limit && p.text[at] !== ')') {
    const slashes = p.text.startsWith('//', at)
    at = slashes ? Math.max(at + 1, p.text.indexOf('\n', at)) : at + 1
  }
  return at
}

const printWhere = (p: Printer, where: readonly ast.Expr[]): Doc =>
  where.length === 0 ? '' : ` where ${where.map((cond) => flat(printOperators(p, cond))).join(', ')}`

function printBlock(p: Printer, block: ast.Block): Doc {
  const params = block.params.map((param) => ({
    span: param.span,
    print: (): Doc => [
      param.auto ? 'auto ' : '',
      param.name.name,
      param.type ? [': ', printType(p, param.type)] : '',
      param.default ? [' = ', printExpr(p, param.default)] : '',
    ],
  }))
  const list =
    params.length === 0 ? '()' : printList(p, '(', params, ')', endOfList(p, block.params, block.body.span.start), true)
  const head: Doc = [
    block.override ? 'override ' : '',
    block.pattern ? 'pattern ' : '',
    'block ',
    block.name.name,
    list,
    block.results.length > 0
      ? [
          ' -> ',
          join(
            ', ',
            block.results.map((type) => printType(p, type)),
          ),
        ]
      : '',
    printWhere(p, block.where),
  ]
  if (block.body.k === 'body') return [head, ' ', printBody(p, block.body)]
  return [head, ' =', printAfterEquals(p, block.body)]
}

function printType(p: Printer, type: ast.Type): Doc {
  if (type.dims.length === 0) return type.dtype.name
  const dims = type.dims.map((dim): Doc => (dim.k === 'ellipsis' ? '...' : printOperators(p, dim)))
  return [type.dtype.name, group(['[', indent(join([',', line], dims)), ']'])]
}

/** The value of a statement: the place where long chains of nested calls become pipes. */
function printValue(p: Printer, value: ast.Expr): Doc {
  const chain = pipedChain(value)
  return chain ? printChain(p, chain) : printExpr(p, value)
}

/** The expression of a block: on the line of the `=`, else below it. */
function printAfterEquals(p: Printer, value: ast.Expr): Doc {
  if (value.k === 'repeat' || value.k === 'scan') return [' ', printExpr(p, value)]
  return group(indent([line, printValue(p, value)]))
}

const namesDoc = (names: readonly ast.Name[]): string => names.map(({ name }) => name).join(', ')

function printStmt(p: Printer, stmt: ast.Stmt): Doc {
  switch (stmt.k) {
    case 'sequence':
      return ['sequence ', stmt.name.name]
    case 'weights': {
      const entries = stmt.rules.map((rule): Entry => ({ span: rule.span, print: () => printRule(rule) }))
      return ['weights ', printBraces(p, stmt.span, p.text.indexOf('{', stmt.span.start) + 1, entries)]
    }
    case 'block':
      return printBlock(p, stmt)
    case 'input':
      return [
        `input ${stmt.name.name}: `,
        printType(p, stmt.type),
        stmt.default ? [' = ', printValue(p, stmt.default)] : '',
        printWhere(p, stmt.where),
      ]
    case 'output':
      return [`output ${namesDoc(stmt.names)} = `, printValue(p, stmt.value)]
    case 'param':
      return [
        `param ${stmt.name.name}: `,
        printType(p, stmt.type),
        stmt.path ? ` = ${spanText(stmt.path.span)}` : '',
        stmt.fallback ? [' or ', printExpr(p, stmt.fallback)] : '',
      ]
    case 'scope':
      return ['scope ', spanText(stmt.path.span), ' ', printBody(p, stmt.body)]
    case 'repeat':
      return printRepeat(p, stmt)
    case 'if':
      return printIf(p, stmt)
    case 'assign':
      return [`${namesDoc(stmt.targets)} = `, printValue(p, stmt.value)]
    case 'share':
      return [`share ${stmt.name.name} = ${stmt.call.callee.name}`, printArgs(p, stmt.call)]
    case 'entry':
      return `entry ${stmt.name.name}: ${namesDoc(stmt.inputs)}${stmt.inputs.length > 0 ? ' ' : ''}-> ${namesDoc(stmt.outputs)}`
    case 'return':
    case 'yield': {
      const [only, ...more] = stmt.values
      const values =
        only && more.length === 0
          ? printValue(p, only)
          : group(
              indent(
                join(
                  [',', line],
                  stmt.values.map((e) => printExpr(p, e)),
                ),
              ),
            )
      return [stmt.k, ' ', values]
    }
  }
}

function printIf(p: Printer, stmt: ast.If): Doc {
  const cond = printOperators(p, stmt.cond)
  const then = printBody(p, stmt.then)
  const rest: Doc = !stmt.else ? '' : [' else ', stmt.else.k === 'if' ? printIf(p, stmt.else) : printBody(p, stmt.else)]
  return group(['if ', cond, ' ', then, rest])
}

function printRule(rule: ast.WeightsRule): Doc {
  switch (rule.k) {
    case 'prefix':
      return `prefix ${spanText(rule.prefix.span)}${rule.optional ? ' optional' : ''}`
    case 'ignore':
      return `ignore ${rule.patterns.map((pattern) => spanText(pattern.span)).join(', ')}`
    case 'rename':
      return `rename ${spanText(rule.from.span)} to ${spanText(rule.to.span)}`
  }
}
