/**
 * The one look of `.tfm`: two blanks of indentation, lines of 120 columns, at most one empty line. Idempotent; comments stay; the tree stays, but for
 * nested calls of three or more that become pipes (the same by definition). Layout is prettier's document printer.
 */
import { DiagnosticError } from '../src/diagnostics/collector.ts'
import { hasErrors, type Diagnostic } from '../src/diagnostics/diagnostic.ts'
import { sourceFile, type SourceFile } from '../src/diagnostics/span.ts'
import type { File } from './ast.ts'
import { commentsOf } from './format/comments.ts'
import { layout } from './format/doc.ts'
import type { Printer } from './format/expressions.ts'
import { printBody, printFile } from './format/statements.ts'
import { parse } from './parse.ts'

/** Formats a tree that came from a text without syntax errors, or a text; a text with syntax errors throws a `DiagnosticError`. */
export function format(source: File | string, path = 'input.tfm'): string {
  if (typeof source !== 'string') return print(source)
  const { text, diagnostics } = formatFile(sourceFile(path, source))
  if (text === undefined) throw new DiagnosticError(diagnostics)
  return text
}

/** The formatted text, absent if the file has syntax errors. */
export function formatFile(file: SourceFile): { readonly text?: string; readonly diagnostics: Diagnostic[] } {
  const { ast, diagnostics } = parse(file)
  return hasErrors(diagnostics) ? { diagnostics } : { text: print(ast), diagnostics }
}

function print(file: File): string {
  const { text } = file.span.file
  const printer: Printer = {
    text,
    comments: commentsOf(file.comments, text),
    body: (body) => printBody(printer, body),
  }
  return layout(printFile(printer, file)).replace(/[ \t]+$/gm, '')
}
