/** Syntax errors of the parser as diagnostics. What follows from an earlier error in the same statement is left out. */
import { EOF, MismatchedTokenException, tokenMatcher, type IRecognitionException, type IToken } from 'chevrotain'
import type { Diagnostic } from '../src/diagnostics/diagnostic.ts'
import * as say from '../src/diagnostics/catalogue.ts'
import { spanOf, type SourceFile } from '../src/diagnostics/span.ts'
import * as t from './tokens.ts'

export function syntaxErrors(
  file: SourceFile,
  tokens: readonly IToken[],
  errors: readonly IRecognitionException[],
  earlier: readonly Diagnostic[],
): Diagnostic[] {
  const ends = tokens.filter(
    (token) => tokenMatcher(token, t.Sep) || token.tokenType === t.LBrace || token.tokenType === t.RBrace,
  )
  const offsets = ends.map((token) => token.startOffset)
  const statementOf = (offset: number) => countBelow(offsets, offset)
  const faulty = new Set(earlier.map((d) => statementOf(d.span?.start ?? 0)))
  const found: Diagnostic[] = []
  for (const error of errors) {
    const statement = statementOf(offsetOf(file, error))
    if (faulty.has(statement)) continue
    faulty.add(statement)
    found.push(toDiagnostic(file, tokens, error))
  }
  return found
}

/** How many of the ascending numbers are smaller. */
function countBelow(ascending: readonly number[], limit: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ascending[middle] ?? Infinity) < limit) low = middle + 1
    else high = middle
  }
  return low
}

function offsetOf(file: SourceFile, error: IRecognitionException): number {
  if (Number.isFinite(error.token.startOffset)) return error.token.startOffset
  const previous = (error as { previousToken?: IToken }).previousToken
  return endOf(previous) ?? file.text.trimEnd().length
}

const endOf = (token: IToken | undefined): number | undefined =>
  token && Number.isFinite(token.endOffset) ? (token.endOffset ?? 0) + 1 : undefined

function toDiagnostic(file: SourceFile, tokens: readonly IToken[], error: IRecognitionException): Diagnostic {
  const { token } = error
  const expected = error.message
  const index = tokens.indexOf(token)
  const previous = index > 0 ? tokens[index - 1] : index < 0 ? tokens[tokens.length - 1] : undefined
  const atEnd = token.tokenType === EOF || tokenMatcher(token, t.Sep) || token.image === ''
  const end = endOf(previous) ?? 0
  const span = atEnd ? spanOf(file, end, end) : spanOf(file, token.startOffset, token.startOffset + token.image.length)

  if (!atEnd && t.reserved(token.image) && error instanceof MismatchedTokenException && expected === t.Ident.LABEL) {
    return say.keywordAsName(span, token.image)
  }
  const startsLine = previous === undefined || tokenMatcher(previous, t.Sep)
  if (startsLine && tokenMatcher(token, t.BinaryOp)) return say.operatorAtLineStart(span, token.image)
  return say.unexpectedToken(span, expected, describe(token), hint(file, tokens, index, token))
}

function describe(token: IToken): string {
  if (token.tokenType === EOF) return 'the end of the file'
  if (token.tokenType === t.Newline) return 'the end of the line'
  if (token.image === '') return 'the end of the statement'
  if (t.reserved(token.image)) return `the keyword \`${token.image}\``
  return `\`${token.image}\``
}

function hint(file: SourceFile, tokens: readonly IToken[], index: number, token: IToken): string | undefined {
  const lineStart = file.text.lastIndexOf('\n', token.startOffset - 1) + 1
  for (let i = index - 1; i >= 0 && (tokens[i]?.startOffset ?? 0) >= lineStart; i--) {
    if (tokens[i]?.image === '//') {
      return say.commentHint
    }
  }
  if (token.tokenType === t.Eq) return 'to compare, write `==`'
  if (token.tokenType === t.Each) return '`each` stands after a pipe: `x |> each f`'
  if (token.tokenType === t.PipeOp) return 'put brackets around the pipe'
  if (token.tokenType === t.For) return 'a comprehension stands in brackets: `[for i < n: e]`'
  if (token.tokenType === t.Colon) return 'types stand only at `input`, `param` and parameters of blocks'
  return undefined
}
