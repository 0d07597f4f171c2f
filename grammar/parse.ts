/** Text to tree. Never throws; every mistake is a diagnostic, and what could be read is in the tree. */
import type { CstNode, IToken } from 'chevrotain'
import { collector } from '../src/diagnostics/collector.ts'
import { tooDeep } from '../src/diagnostics/catalogue.ts'
import type { Diagnostic } from '../src/diagnostics/diagnostic.ts'
import { spanOf, type SourceFile } from '../src/diagnostics/span.ts'
import type { Comment, Expr, File } from './ast.ts'
import { missing, type Builder } from './build/cst.ts'
import { buildExpr } from './build/expressions.ts'
import { buildItems } from './build/statements.ts'
import { syntaxErrors } from './errors.ts'
import { lex, type Lexed } from './lex.ts'
import { deepest } from './newlines.ts'
import { parser } from './parser.ts'

export interface Parsed<T> {
  readonly ast: T
  readonly diagnostics: Diagnostic[]
}

/** A whole file. A file without an error diagnostic has a tree without `error` nodes. */
export function parse(file: SourceFile): Parsed<File> {
  const sink = collector()
  const span = spanOf(file, 0, file.text.length)
  try {
    const lexed = lex(file)
    const cst = read(file, lexed, 'file', sink.add)
    const b = builder(file, lexed.comments, sink.add)
    const items = cst ? buildItems(b, cst) : []
    return { ast: { k: 'file', items, comments: lexed.comments, span }, diagnostics: sink.all() }
  } catch (error) {
    if (!isOverflow(error)) throw error
    sink.add(tooDeep(spanOf(file, 0, 0), deepest))
    return { ast: { k: 'file', items: [], comments: [], span }, diagnostics: sink.all() }
  }
}

/** One expression: what `--set` and tests take. */
export function parseExpression(file: SourceFile): Parsed<Expr> {
  const sink = collector()
  const span = spanOf(file, 0, file.text.length)
  try {
    const lexed = lex(file)
    const cst = read(file, lexed, 'expression', sink.add)
    return { ast: buildExpr(builder(file, lexed.comments, sink.add), cst, span), diagnostics: sink.all() }
  } catch (error) {
    if (!isOverflow(error)) throw error
    sink.add(tooDeep(spanOf(file, 0, 0), deepest))
    return { ast: missing(span), diagnostics: sink.all() }
  }
}

type Report = (...diagnostics: readonly Diagnostic[]) => void

function read(file: SourceFile, lexed: Lexed, rule: 'file' | 'expression', report: Report): CstNode | undefined {
  report(...lexed.diagnostics)
  const tokens: IToken[] = lexed.tokens
  const { cst, errors } = parser().read(rule, tokens)
  report(...syntaxErrors(file, tokens, errors, lexed.diagnostics))
  // A rule that failed at its first token gives no tree.
  return (cst as CstNode | undefined) ?? undefined
}

function builder(file: SourceFile, comments: readonly Comment[], report: Report): Builder {
  const b: Builder = {
    file,
    comments,
    report,
    depth: 0,
    hole(start, end) {
      const span = spanOf(file, start, end)
      const lexed = lex(file, start, end)
      return buildExpr(b, read(file, lexed, 'expression', report), span)
    },
  }
  return b
}

const isOverflow = (error: unknown): boolean => error instanceof RangeError && /call stack/i.test(error.message)
