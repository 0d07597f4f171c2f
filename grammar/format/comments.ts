/**
 * Puts comments back. The printer walks the tree in source order and, at each node that can carry comments (an anchor: a statement, a parameter,
 * an argument, a pipe stage …), takes what stands before it and what trails it on its line. A comment that no anchor took (inside an operator,
 * say) goes in front of its statement: it may move, it is never lost.
 */
import { spanText, type Span } from '../../src/diagnostics/span.ts'
import type { Comment } from '../ast.ts'
import { breakParent, hardline, lineSuffix, type Doc } from './doc.ts'

export interface Comments {
  /** Comments that start before `offset` and are still to be placed. */
  takeBefore(offset: number): Comment[]
  /** Trailing comments on the line on which `offset` lies, with nothing but `,` or `;` between. */
  takeTrailing(offset: number): Comment[]
  /** How many have been taken; a change tells that a part holds comments. */
  taken(): number
}

export function commentsOf(all: readonly Comment[], text: string): Comments {
  let next = 0
  return {
    takeBefore(offset) {
      const from = next
      while (next < all.length && (all[next]?.span.start ?? Infinity) < offset) next++
      return all.slice(from, next)
    },
    takeTrailing(offset) {
      const found: Comment[] = []
      let from = offset
      for (let comment = all[next]; comment?.trailing && comment.span.start >= offset; comment = all[next]) {
        if (!/^[ \t\r,;]*$/.test(text.slice(from, comment.span.start))) break
        from = comment.span.end
        found.push(comment)
        next++
      }
      return found
    },
    taken: () => next,
  }
}

/** Comments on lines of their own; a single empty line between two of them stays. */
export function ownLines(comments: readonly Comment[], text: string): Doc[] {
  const docs: Doc[] = []
  let last: Span | undefined
  for (const comment of comments) {
    if (last && emptyLineBetween(text, last.end, comment.span.start)) docs.push(hardline)
    // What trailed something is no documentation of what comes below.
    docs.push(comment.trailing ? plain(comment) : comment.text, hardline)
    last = comment.span
  }
  return docs
}

export const trailing = (comments: readonly Comment[]): Doc[] =>
  comments.flatMap((comment) => [lineSuffix(`  ${comment.text}`), breakParent])

/** A documentation comment that had to move documents nothing there. */
export const undocumented = (comments: readonly Comment[]): Comment[] =>
  comments.map((comment) => ({ ...comment, text: plain(comment) }))

const plain = (comment: Comment): string => comment.text.replace(/^\/{3,}/, '//')

export function emptyLineBetween(text: string, from: number, to: number): boolean {
  return /\n[ \t\r\f]*\n/.test(text.slice(from, to))
}

export const isOneLine = (span: Span): boolean => !spanText(span).includes('\n')
