/** Guarded access to the concrete tree: after recovery any child may be missing, inserted or without a place. */
import type { CstNode, IToken } from 'chevrotain'
import type { Diagnostic } from '../../src/diagnostics/diagnostic.ts'
import { spanOf, type SourceFile, type Span } from '../../src/diagnostics/span.ts'
import type { Comment, Expr, Missing, Name } from '../ast.ts'

export interface Builder {
  readonly file: SourceFile
  readonly comments: readonly Comment[]
  report(diagnostic: Diagnostic): void
  /** Reads the text between two offsets as an expression (a hole in a string). */
  hole(start: number, end: number): Expr
  /** How deep the tree is where it is being built. */
  depth: number
}

/** Deeper trees are refused, so that no later recursion overflows. */
export const deepestTree = 400

export function tokensOf(cst: CstNode | undefined, name: string): IToken[] {
  const found: IToken[] = []
  for (const child of cst?.children[name] ?? []) {
    if ('image' in child && !child.isInsertedInRecovery && Number.isFinite(child.startOffset)) found.push(child)
  }
  return found
}

export const tokenOf = (cst: CstNode | undefined, name: string): IToken | undefined => tokensOf(cst, name)[0]

export function nodesOf(cst: CstNode | undefined, name: string): CstNode[] {
  const found: CstNode[] = []
  for (const child of cst?.children[name] ?? []) if ('children' in child) found.push(child)
  return found
}

export const nodeOf = (cst: CstNode | undefined, name: string): CstNode | undefined => nodesOf(cst, name)[0]

export function spanOfToken(b: Builder, token: IToken): Span {
  return spanOf(b.file, token.startOffset, token.startOffset + token.image.length)
}

export function spanOfNode(b: Builder, cst: CstNode | undefined, otherwise?: Span): Span {
  const start = cst?.location?.startOffset ?? NaN
  if (!Number.isFinite(start)) return otherwise ?? spanOf(b.file, 0, 0)
  return spanOf(b.file, start, (cst?.location?.endOffset ?? start) + 1)
}

export const startOfNode = (cst: CstNode): number => {
  const start = cst.location?.startOffset ?? NaN
  return Number.isFinite(start) ? start : Infinity
}

export function nameOf(b: Builder, token: IToken | undefined): Name | undefined {
  return token && { k: 'name', name: token.image, span: spanOfToken(b, token) }
}

export const namesOf = (b: Builder, tokens: readonly IToken[]): Name[] =>
  tokens.map((token) => ({ k: 'name', name: token.image, span: spanOfToken(b, token) }))

export const missing = (span: Span): Missing => ({ k: 'error', span })

/** The `///` lines directly above what starts at `start`. */
export function docAbove(b: Builder, start: number): { doc?: string } {
  if (b.comments.length === 0) return {}
  let low = 0
  let high = b.comments.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((b.comments[middle]?.span.start ?? Infinity) < start) low = middle + 1
    else high = middle
  }
  const lines: string[] = []
  let below = start
  for (let i = low - 1; i >= 0; i--) {
    const comment = b.comments[i]
    if (!comment?.doc || !isBlank(b.file.text, comment.span.end, below)) break
    lines.unshift(comment.text.replace(/^\/\/\/ ?/, ''))
    below = comment.span.start
  }
  return lines.length === 0 ? {} : { doc: lines.join('\n') }
}

/** Nothing but blanks (and `;`, which then ends nothing) and at most the end of the line between two offsets: an empty line separates. */
function isBlank(text: string, from: number, to: number): boolean {
  let newlines = 0
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    if (code === 10) newlines++
    else if (code > 32 && code !== 0xfeff && code !== 59) return false
  }
  return newlines <= 1
}
