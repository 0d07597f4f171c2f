/** Text to tree. Never throws; every mistake is a diagnostic, and what could be read is in the tree. */
import type { CstNode } from 'chevrotain'
import { collector } from '../src/diagnostics/collector.ts'
import { emptyHole, misplacedItem, nestedItem, tooDeep, unknownEscape } from '../src/diagnostics/catalogue.ts'
import type { Diagnostic } from '../src/diagnostics/diagnostic.ts'
import { spanOf, type SourceFile } from '../src/diagnostics/span.ts'
import type { Expr, File } from './ast.ts'
import { missing, type Builder } from './build/cst.ts'
import { buildExpr } from './build/expressions.ts'
import { buildItems } from './build/statements.ts'
import { statementsOf, syntaxErrors } from './errors.ts'
import { lex, type Lexed } from './lex.ts'
import { deepest } from './newlines.ts'
import { parser } from './parser.ts'

export interface Parsed<T> {
  readonly ast: T
  readonly diagnostics: Diagnostic[]
}

/** A whole file. A file without an error diagnostic has a tree without `error` nodes. */
export function parse(file: SourceFile): Parsed<File> {
  const span = spanOf(file, 0, file.text.length)
  return tree<File>(
    file,
    'file',
    (b, cst) => ({ k: 'file', items: cst ? buildItems(b, cst) : [], comments: b.comments, span }),
    { k: 'file', items: [], comments: [], span },
  )
}

/** One expression: what `--set` and tests take. */
export function parseExpression(file: SourceFile): Parsed<Expr> {
  const span = spanOf(file, 0, file.text.length)
  return tree<Expr>(file, 'expression', (b, cst) => buildExpr(b, cst, span), missing(span))
}

type Report = (...diagnostics: readonly Diagnostic[]) => void
type Build<T> = (b: Builder, cst: CstNode | undefined) => T

function tree<T>(file: SourceFile, rule: 'file' | 'expression', build: Build<T>, otherwise: T): Parsed<T> {
  const sink = collector()
  try {
    const lexed = lex(file)
    const { cst, diagnostics } = read(file, lexed, rule)
    sink.add(...diagnostics)
    const ast = build(builder(file, lexed, sink.add, unlessConsequence(file, lexed, diagnostics, sink.add)), cst)
    return { ast, diagnostics: sink.all() }
  } catch (error) {
    if (!isOverflow(error)) throw error
    sink.add(tooDeep(spanOf(file, 0, 0), deepest))
    return { ast: otherwise, diagnostics: sink.all() }
  }
}

function read(
  file: SourceFile,
  lexed: Lexed,
  rule: 'file' | 'expression',
): { cst?: CstNode; diagnostics: Diagnostic[] } {
  const { cst, errors } = parser().read(rule, lexed.tokens)
  const diagnostics = [...lexed.diagnostics, ...syntaxErrors(file, lexed.tokens, errors, lexed.diagnostics)]
  // A rule that failed at its first token gives no tree, whatever its type says.
  const known: CstNode | undefined = cst
  return { ...(known ? { cst: known } : {}), diagnostics }
}

function builder(file: SourceFile, { comments }: Lexed, always: Report, report: Report): Builder {
  const b: Builder = {
    file,
    comments,
    report,
    depth: 0,
    hole(start, end) {
      const { cst, diagnostics } = read(file, lex(file, start, end), 'expression')
      always(...diagnostics)
      return buildExpr(b, cst, spanOf(file, start, end))
    },
  }
  return b
}

/** Mistakes in the text of a string stand on their own; all else in a statement with a syntax error is likely to follow from it. */
const independent: ReadonlySet<string> = new Set([unknownEscape.code, emptyHole.code, tooDeep.code])
/** Where a statement stands is not known once a bracket or a statement above was wrong. */
const dependOnAbove: ReadonlySet<string> = new Set([misplacedItem.code, nestedItem.code])

function unlessConsequence(file: SourceFile, lexed: Lexed, earlier: readonly Diagnostic[], report: Report): Report {
  const first = Math.min(...earlier.map((d) => d.span?.start ?? Infinity))
  let statementOf: ((offset: number) => string) | undefined
  let faulty: Set<string> | undefined
  return (...diagnostics) => {
    for (const d of diagnostics) {
      const start = d.span?.start ?? 0
      if (earlier.length > 0 && !independent.has(d.code)) {
        statementOf ??= statementsOf(file, lexed.tokens)
        faulty ??= new Set(earlier.map((one) => statementOf?.(one.span?.start ?? 0) ?? ''))
        if (faulty.has(statementOf(start)) || (dependOnAbove.has(d.code) && first < start)) continue
      }
      report(d)
    }
  }
}

const isOverflow = (error: unknown): boolean => error instanceof RangeError && /call stack/i.test(error.message)
