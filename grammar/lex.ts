/** Text to tokens and comments, with what is wrong in them. */
import type { IToken } from 'chevrotain'
import type { Diagnostic } from '../src/diagnostics/diagnostic.ts'
import * as say from '../src/diagnostics/catalogue.ts'
import { spanOf, type SourceFile } from '../src/diagnostics/span.ts'
import { tokenMatcher } from './chevrotain.ts'
import type { Comment } from './ast.ts'
import { settle } from './newlines.ts'
import * as t from './tokens.ts'

export interface Lexed {
  /** Balanced, with the ends of statements settled. */
  readonly tokens: IToken[]
  readonly comments: Comment[]
  readonly diagnostics: Diagnostic[]
}

/** The tokens of a file, or of a part of it (a hole in a string). */
export function lex(file: SourceFile, start = 0, end = file.text.length): Lexed {
  const whole = start === 0 && end === file.text.length
  const result = t.lexer().tokenize(whole ? file.text : file.text.slice(start, end))
  const diagnostics: Diagnostic[] = []
  const span = (offset: number, length: number) => spanOf(file, start + offset, start + offset + length)

  for (const error of result.errors) {
    const characters = file.text.slice(start + error.offset, start + error.offset + Math.max(1, error.length))
    diagnostics.push(
      say.unexpectedCharacter(span(error.offset, Math.max(1, error.length)), characters, advice(characters)),
    )
  }
  for (const token of result.tokens) {
    if (token.tokenType === t.BrokenStr)
      diagnostics.push(say.unclosedString(span(token.startOffset, token.image.length)))
    else if (token.tokenType === t.SingleStr) {
      diagnostics.push(say.unexpectedCharacter(span(token.startOffset, token.image.length), "'", advice("'")))
    } else if (token.tokenType === t.Num && !isNumber(token.image)) {
      diagnostics.push(
        say.badNumber(span(token.startOffset, token.image.length), token.image, numberAdvice(token.image)),
      )
    }
  }

  const comments: Comment[] = []
  let before = 0
  for (const token of result.groups.comments ?? []) {
    const offset = token.startOffset
    while (before < result.tokens.length && (result.tokens[before]?.startOffset ?? Infinity) < offset) before++
    if (token.tokenType === t.BlockComment) {
      diagnostics.push(say.blockComment(span(offset, Math.min(token.image.length, firstLine(token.image).length))))
      continue
    }
    const text = token.image.trimEnd()
    const previous = result.tokens[before - 1]
    const trailing = previous !== undefined && !tokenMatcher(previous, t.Newline)
    const doc = text.startsWith('///') && !trailing
    if (!doc && !text.startsWith('///') && trailing && t.endsValue(previous) && readsAsOperand(text.slice(2))) {
      diagnostics.push(say.commentOrDivision(span(offset, text.length), text.slice(2).trim()))
    }
    comments.push({ k: 'comment', text, doc, trailing, span: span(offset, text.length) })
  }

  for (const token of result.tokens) {
    token.startOffset += start
    token.endOffset = token.startOffset + token.image.length - 1
  }
  const settled = settle(file, result.tokens)
  return { tokens: settled.tokens, comments, diagnostics: [...diagnostics, ...settled.diagnostics] }
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''

/** `2`, `(H / G)`: what could well have been meant as a divisor. */
const readsAsOperand = (text: string): boolean => /^\s*(?:\d+|\([\w\s+*/%-]+\))\s*$/.test(text)

export const isNumber = (text: string): boolean =>
  /^\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) && Number.isFinite(Number(text))

function numberAdvice(text: string): string | undefined {
  if (/^\.\d+$/.test(text)) return `write \`0${text}\``
  if (/^\d+\.$/.test(text)) return `write \`${text}0\``
  if (/^\d+(?:_\d+)+$/.test(text)) return `write \`${text.replaceAll('_', '')}\``
  if (/^0[xX][\da-fA-F]+$/.test(text)) return 'numbers are decimal'
  if (/^\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return 'it is larger than any 64-bit float'
  if (/^\d+(?:\.\d+)?[eE]$/.test(text)) return 'an exponent needs digits: `1e-5`'
  if (/^\d+[A-Za-z_]\w*$/.test(text)) return 'a name does not start with a digit; to multiply, write `*`'
  return undefined
}

function advice(characters: string): string | undefined {
  const first = characters[0] ?? ''
  if (characters.startsWith('&')) return 'write `and`'
  if (characters.startsWith('|')) return 'write `or`, or `|>` for a pipe'
  if (first === '!') return 'write `not`'
  if (first === '?') return 'write `if c then a else b`'
  if (first === '#') return 'comments start with `//`'
  if (first === "'" || first === '`' || first === '\u201c' || first === '\u201d')
    return 'strings stand in double quotes: `"…"`'
  if (first === '^') return 'powers are written `**`'
  if (characters === '..') return 'write `...` for all other axes, `a:b` for a range'
  if (first === '.') return 'there are no fields or methods; write `f(x)` or `x |> f`'
  if (first === '\u00a0') return 'this is a no-break space; write a blank'
  if (/\p{L}/u.test(first)) return 'names are made of a–z, A–Z, 0–9 and _'
  return undefined
}
