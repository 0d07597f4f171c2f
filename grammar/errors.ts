/** Syntax errors of the parser as diagnostics. What follows from an earlier error in the same statement is left out. */
import type { IRecognitionException, IToken } from 'chevrotain'
import type { Diagnostic } from '../src/diagnostics/diagnostic.ts'
import * as say from '../src/diagnostics/catalogue.ts'
import { positionAt, spanOf, type SourceFile } from '../src/diagnostics/span.ts'
import { EOF, tokenMatcher } from './chevrotain.ts'
import { tensorName } from './messages.ts'
import * as t from './tokens.ts'

/** Tells which statement an offset belongs to, and on which line: mistakes that share both are taken as one. */
export function statementsOf(file: SourceFile, tokens: readonly IToken[]): (offset: number) => string {
  const ends = tokens.filter(
    (token) => tokenMatcher(token, t.Sep) || token.tokenType === t.LBrace || token.tokenType === t.RBrace,
  )
  const offsets = ends.map((token) => token.startOffset)
  return (offset) => `${countBelow(offsets, offset)}:${positionAt(file, offset).line}`
}

export function syntaxErrors(
  file: SourceFile,
  tokens: readonly IToken[],
  errors: readonly IRecognitionException[],
  earlier: readonly Diagnostic[],
): Diagnostic[] {
  const statementOf = statementsOf(file, tokens)
  const faulty = new Set(earlier.map((d) => statementOf(d.span?.start ?? 0)))
  const found: Diagnostic[] = []
  for (const error of errors) {
    const diagnostic = toDiagnostic(file, tokens, error)
    const statement = statementOf(diagnostic.span?.start ?? 0)
    if (faulty.has(statement)) continue
    faulty.add(statement)
    found.push(diagnostic)
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

const endOf = (token: IToken | undefined): number | undefined =>
  token && Number.isFinite(token.endOffset) ? (token.endOffset ?? 0) + 1 : undefined

function toDiagnostic(file: SourceFile, tokens: readonly IToken[], error: IRecognitionException): Diagnostic {
  const { token } = error
  const expected = error.message
  const index = tokens.indexOf(token)
  const previous = index > 0 ? tokens[index - 1] : index < 0 ? tokens[tokens.length - 1] : undefined
  const end = endOf(previous) ?? 0
  // A line end before `}` is no token, and yet what the reader sees.
  const lastOfBody = token.tokenType === t.RBrace && file.text.slice(end, token.startOffset).includes('\n')
  const atEnd = token.tokenType === EOF || tokenMatcher(token, t.Sep) || token.image === '' || lastOfBody
  const span = atEnd ? spanOf(file, end, end) : spanOf(file, token.startOffset, token.startOffset + token.image.length)

  if (!atEnd && t.reserved(token.image) && expected === t.Ident.LABEL) {
    return say.keywordAsName(span, token.image)
  }
  const startsLine = previous === undefined || tokenMatcher(previous, t.Sep)
  if (startsLine && tokenMatcher(token, t.BinaryOp)) return say.operatorAtLineStart(span, token.image)
  return say.unexpectedToken(
    span,
    expected,
    lastOfBody ? 'the end of the line' : describe(token),
    hint(file, tokens, index, expected),
  )
}

function describe(token: IToken): string {
  if (token.tokenType === EOF) return 'the end of the file'
  if (token.tokenType === t.Newline) return 'the end of the line'
  if (token.image === '') return 'the end of the statement'
  if (t.reserved(token.image)) return `the keyword \`${token.image}\``
  return `\`${token.image}\``
}

/** Words of other languages before a name. */
const declaring = new Set(['let', 'var', 'const', 'def', 'fn', 'function'])

/** Where `=` or `:` can only be a slip. */
const afterCondition = new Set(['`{`', '`then`', '`,` or `)`', '`,` or `]`', 'the end of the statement'])

function hint(file: SourceFile, tokens: readonly IToken[], index: number, expected: string): string | undefined {
  const token = tokens[index]
  if (!token) return undefined
  const previous = tokens[index - 1]
  const lineStart = file.text.lastIndexOf('\n', token.startOffset - 1) + 1
  for (let i = index - 1; i >= 0 && (tokens[i]?.startOffset ?? 0) >= lineStart; i--) {
    if (tokens[i]?.image === '//') return say.commentHint
  }
  const type = token.tokenType
  if (type === t.Eq && previous && tokenMatcher(previous, t.ArithOp) && endOf(previous) === token.startOffset) {
    return `there is no \`${previous.image}=\`; write \`x = x ${previous.image} …\``
  }
  if (type === t.Eq && afterCondition.has(expected)) return 'to compare, write `==`'
  if (type === t.Each) return '`each` stands after a pipe: `x |> each f`'
  if (type === t.PipeOp) return 'put brackets around the pipe'
  if (type === t.For && expected === 'a statement') return 'to run statements n times, write `repeat n as i { … }`'
  if (type === t.For) return 'a comprehension stands in brackets: `[for i < n: e]`'
  if (type === t.Where && expected === 'an expression') return 'to choose by element, write `select(c, a, b)`'
  if (expected === tensorName && type === t.Ident) return `the text of a value is written \`"{${token.image}}"\``
  if (expected === 'the end of the statement' && previous && declaring.has(previous.image)) {
    return 'values are named by `=` alone: `y = …`; blocks by `block f(x) = …`'
  }
  if (type === t.Comma && expected === '`)`') return 'names on the left have no brackets: `a, b = …`'
  if (type === t.Colon && (expected === 'the end of the statement' || expected === '`,` or `)`')) {
    return 'types stand only at `input`, `param` and parameters of blocks'
  }
  return undefined
}
