/** The parts of a string: text with its escapes resolved, and holes. */
import type { IToken } from 'chevrotain'
import { emptyHole, unknownEscape } from '../../src/diagnostics/catalogue.ts'
import { spanOf } from '../../src/diagnostics/span.ts'
import type { Str, StrPart } from '../ast.ts'
import { BrokenStr, endOfString, Str as StrToken } from '../tokens.ts'
import { missing, spanOfToken, type Builder } from './cst.ts'

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', '"': '"', '\\': '\\', '{': '{', '}': '}' }

export function buildString(b: Builder, token: IToken): Str {
  const start = token.startOffset
  const broken = token.tokenType !== StrToken
  const closed = token.tokenType !== BrokenStr || (token.image.length > 1 && token.image.endsWith('"'))
  const end = start + token.image.length - (closed ? 1 : 0)
  const parts: StrPart[] = []
  const text = b.file.text
  let value = ''
  let from = start + 1
  const flush = (to: number) => {
    if (value !== '') parts.push({ k: 'text', value, span: spanOf(b.file, from, to) })
    value = ''
  }
  let at = start + 1
  while (at < end) {
    const char = text[at] ?? ''
    if (char === '\\' && at + 1 < end) {
      const escaped = text[at + 1] ?? ''
      const resolved = escapes[escaped]
      if (resolved === undefined) b.report(unknownEscape(spanOf(b.file, at, at + 2), `\\${escaped}`))
      value += resolved ?? escaped
      at += 2
    } else if (char === '{' && !broken) {
      flush(at)
      const close = endOfHole(text, at)
      const span = spanOf(b.file, at, close)
      if (text.slice(at + 1, close - 1).trim() === '') {
        b.report(emptyHole(span))
        parts.push({ k: 'hole', expr: missing(span), span })
      } else parts.push({ k: 'hole', expr: b.hole(at + 1, close - 1), span })
      at = close
      from = at
    } else {
      value += char
      at++
    }
  }
  flush(end)
  return { k: 'string', parts, span: spanOfToken(b, token) }
}

/** Offset after the hole that opens at `offset`; the lexer made sure that it closes. */
function endOfHole(text: string, offset: number): number {
  let depth = 0
  for (let i = offset; i < text.length;) {
    const char = text[i]
    if (char === '"') {
      const end = endOfString(text, i)
      i = end < 0 ? text.length : end
      continue
    }
    if (char === '{') depth++
    if (char === '}' && --depth === 0) return i + 1
    i++
  }
  return text.length
}
