/**
 * From the lexer's tokens to what the grammar sees: which newlines end a statement, and brackets that pair up.
 *
 * A newline (or `;`) ends the statement, except within `( )` and `[ ]` (a `{ }` inside them starts afresh), after an operator, `,`, `=`, `:`, `->`
 * or a word that needs more, and before `|>`, `else`, `then`, `carry`. Runs of ends become one; none is left at the edges of `{ }` or the file.
 * A trailing comma before a closing bracket is dropped.
 *
 * Brackets without a partner are reported here, once: a stray closing one is dropped, a missing one is put in where the next statement starts.
 * The grammar therefore always sees balanced brackets, and one missing `)` does not swallow the rest of the file.
 */
import type { IToken, TokenType } from 'chevrotain'
import { withReasons, type Diagnostic } from '../src/diagnostics/diagnostic.ts'
import { mismatchedBrackets, strayBracket, tooDeep, unclosedBracket } from '../src/diagnostics/catalogue.ts'
import { spanOf, type SourceFile } from '../src/diagnostics/span.ts'
import { createTokenInstance, tokenMatcher } from './chevrotain.ts'
import * as t from './tokens.ts'

const closerOf = new Map<TokenType, TokenType>([
  [t.LParen, t.RParen],
  [t.LBracket, t.RBracket],
  [t.LBrace, t.RBrace],
])
const closers = new Set<TokenType>(closerOf.values())

/** Nothing is complete after these, so the next line goes on. */
const goesOnAfter = new Set<TokenType>([
  ...[t.Comma, t.Eq, t.Colon, t.Arrow, t.PipeOp, t.LBrace, t.LParen, t.LBracket],
  ...[t.Not, t.Then, t.Else, t.Where, t.From, t.As, t.Carry, t.Each],
])
/** Nothing can start with these, so they belong to the line above. */
const goesOnBefore = new Set<TokenType>([t.PipeOp, t.Else, t.Then, t.Carry])
/** At the start of a line these start a statement whatever is open. */
const startsStatement = new Set<TokenType>([
  ...[t.Import, t.Model, t.Pattern, t.Override, t.Block, t.Sequence, t.Weights, t.Input, t.Output, t.Param],
  ...[t.Scope, t.Share, t.Entry, t.Return, t.Yield],
])
const startsItem = new Set<TokenType>([t.Import, t.Model])

export const deepest = 200

/** Openings without a closing bracket and the reverse, by index. A closing bracket of the wrong kind closes the nearest one of its own kind. */
function unpaired(tokens: readonly IToken[]): {
  open: Set<number>
  stray: Set<number>
  mismatched: Map<number, number>
} {
  const open = new Set<number>()
  const stray = new Set<number>()
  const mismatched = new Map<number, number>()
  const stack: number[] = []
  tokens.forEach((token, index) => {
    const type = token.tokenType
    if (closerOf.has(type)) stack.push(index)
    else if (closers.has(type)) {
      let at = stack.length - 1
      while (at >= 0 && closerOf.get(typeAt(tokens, stack[at])) !== type) {
        // `)` and `]` do not reach out of a block.
        if (type !== t.RBrace && typeAt(tokens, stack[at]) === t.LBrace) at = 0
        at--
      }
      const top = stack[stack.length - 1]
      if (at < 0 && type !== t.RBrace && top !== undefined && typeAt(tokens, top) !== t.LBrace) {
        // The only bracket that this one can be meant for.
        mismatched.set(index, top)
        stack.pop()
      } else if (at < 0) stray.add(index)
      else {
        for (const missed of stack.splice(at).slice(1)) open.add(missed)
      }
    }
  })
  for (const index of stack) open.add(index)
  return { open, stray, mismatched }
}

const typeAt = (tokens: readonly IToken[], index: number | undefined): TokenType =>
  tokens[index ?? -1]?.tokenType ?? t.Newline

export function settle(file: SourceFile, tokens: readonly IToken[]): { tokens: IToken[]; diagnostics: Diagnostic[] } {
  const { open, stray, mismatched } = unpaired(tokens)
  const out: IToken[] = []
  const diagnostics: Diagnostic[] = []
  const stack: { readonly index: number; readonly token: IToken; holdsBody: boolean }[] = []
  const place = (token: IToken) => spanOf(file, token.startOffset, (token.endOffset ?? token.startOffset) + 1)
  const last = () => out[out.length - 1]
  const top = () => stack[stack.length - 1]

  /** Drops a statement end, where one is not wanted. */
  const dropSep = () => {
    const before = last()
    if (before && tokenMatcher(before, t.Sep)) out.pop()
  }
  /** Drops a trailing comma; one without an element before it stays and is reported. */
  const dropComma = () => {
    const element = out[out.length - 2]?.tokenType
    if (last()?.tokenType === t.Comma && element && element !== t.Comma && !closerOf.has(element)) out.pop()
  }
  const closeOpen = () => {
    const opened = stack.pop()
    if (!opened) return
    const close = closerOf.get(opened.token.tokenType) ?? t.RParen
    const after = last()
    const at = after ? (after.endOffset ?? after.startOffset) : -1
    if (close === t.RBrace) dropSep()
    else dropComma()
    const text = close === t.RParen ? ')' : close === t.RBracket ? ']' : '}'
    diagnostics.push(unclosedBracket(place(opened.token), opened.token.image, text))
    // Empty: it ends before it starts.
    out.push(createTokenInstance(close, '', at + 1, at, NaN, NaN, NaN, NaN))
  }
  const isOpen = () => {
    const opened = top()
    return opened !== undefined && open.has(opened.index)
  }
  /** Does a statement start at `index`, after a line end? */
  const statementAt = (index: number) => {
    const type = typeAt(tokens, index)
    if (startsStatement.has(type)) return true
    const before = last()
    const complete = before !== undefined && !goesOnAfter.has(before.tokenType) && !tokenMatcher(before, t.BinaryOp)
    return complete && (type === t.If || type === t.Repeat || (type === t.Ident && typeAt(tokens, index + 1) === t.Eq))
  }

  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index]
    if (!token) break
    const type = token.tokenType

    if (tokenMatcher(token, t.Sep)) {
      let next = index + 1
      while (tokens[next] && tokenMatcher(tokens[next] as IToken, t.Sep)) next++
      const following = typeAt(tokens, next)
      while (isOpen() && top()?.token.tokenType !== t.LBrace && statementAt(next)) closeOpen()
      while (isOpen() && top()?.token.tokenType === t.LBrace && startsItem.has(following)) closeOpen()
      const inside = top()?.token.tokenType
      const before = last()
      index = next - 1
      if (!before || tokenMatcher(before, t.Sep)) continue
      if (type === t.Newline) {
        if (inside === t.LParen || inside === t.LBracket) continue
        if (goesOnAfter.has(before.tokenType) || tokenMatcher(before, t.BinaryOp)) continue
        if (goesOnBefore.has(following)) continue
      }
      if (before.tokenType === t.LBrace || next >= tokens.length) continue
      out.push(token)
      continue
    }

    if (closers.has(type)) {
      if (stray.has(index)) {
        diagnostics.push(strayBracket(place(token), token.image))
        continue
      }
      while (isOpen()) closeOpen()
      const opened = stack.pop()
      if (opened && mismatched.get(index) === opened.index) {
        const close = closerOf.get(opened.token.tokenType) ?? t.RParen
        const text = close === t.RParen ? ')' : ']'
        const reason = { message: 'it is opened here', span: place(opened.token) }
        diagnostics.push(withReasons(mismatchedBrackets(place(token), opened.token.image, token.image, text), reason))
        dropComma()
        out.push(createTokenInstance(close, token.image, token.startOffset, token.startOffset, NaN, NaN, NaN, NaN))
        continue
      }
      if (type === t.RBrace) dropSep()
      else dropComma()
    } else if (closerOf.has(type)) {
      if (type === t.LBrace) {
        // Only `repeat` and `scan` put braces into brackets.
        for (
          let opened = top();
          opened && isOpen() && opened.token.tokenType !== t.LBrace && !opened.holdsBody;
          opened = top()
        )
          closeOpen()
      }
      stack.push({ index, token, holdsBody: false })
      if (stack.length > deepest) {
        // What is deeper is not read at all.
        return { tokens: [], diagnostics: [tooDeep(place(token), deepest)] }
      }
    }
    const holder = top()
    if (holder && (type === t.Repeat || type === t.Scan)) holder.holdsBody = true
    out.push(token)
  }
  while (stack.length > 0) closeOpen()
  dropSep()
  return { tokens: out, diagnostics }
}
