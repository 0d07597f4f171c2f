/** Source text and places in it. Offsets are UTF-16 code units, `end` is exclusive; lines and columns are counted from 1. */

export interface SourceFile {
  readonly path: string
  readonly text: string
}

export interface Span {
  readonly file: SourceFile
  readonly start: number
  readonly end: number
}

export interface Position {
  readonly line: number
  readonly column: number
}

const lineStartsOf = new WeakMap<SourceFile, readonly number[]>()

export function sourceFile(path: string, text: string): SourceFile {
  return { path, text }
}

/** A span clamped to its file, so that no caller can make one that points outside. */
export function spanOf(file: SourceFile, start: number, end: number): Span {
  const length = file.text.length
  const from = Math.min(Math.max(0, Math.trunc(start) || 0), length)
  return { file, start: from, end: Math.min(Math.max(from, Math.trunc(end) || 0), length) }
}

/** The smallest span that covers both; they must be of one file. */
export function joinSpans(a: Span, b: Span): Span {
  return { file: a.file, start: Math.min(a.start, b.start), end: Math.max(a.end, b.end) }
}

export function spanText(span: Span): string {
  return span.file.text.slice(span.start, span.end)
}

/** Offsets at which lines start; computed once per file. */
function lineStarts(file: SourceFile): readonly number[] {
  const known = lineStartsOf.get(file)
  if (known) return known
  const starts = [0]
  for (let i = file.text.indexOf('\n'); i >= 0; i = file.text.indexOf('\n', i + 1)) starts.push(i + 1)
  lineStartsOf.set(file, starts)
  return starts
}

export function positionAt(file: SourceFile, offset: number): Position {
  const starts = lineStarts(file)
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
}

export const startOf = (span: Span): Position => positionAt(span.file, span.start)
export const endOf = (span: Span): Position => positionAt(span.file, span.end)
export const lineOf = (span: Span): number => startOf(span).line

/** The text of a line (counted from 1), without its line end. */
export function lineText(file: SourceFile, line: number): string {
  const starts = lineStarts(file)
  const from = starts[line - 1]
  if (from === undefined) return ''
  const text = file.text.slice(from, starts[line] ?? file.text.length)
  return text.replace(/\r?\n$/, '')
}

/** `path:line:column`, as editors and terminals link it. */
export function formatPlace(span: Span): string {
  const { line, column } = startOf(span)
  return `${span.file.path}:${line}:${column}`
}
