/**
 * Diagnostics as frames for people:
 *
 *     error TFM1401: unknown dim `dd`
 *       --> model.tfm:4:22
 *        |
 *      4 |   input x: f32[B, T, dd]
 *        |                      ^^
 *        = because …
 *        = fix: did you mean d?
 */
import type { Diagnostic } from './diagnostic.ts'
import { lineText, startOf, endOf, type Span } from './span.ts'
import { visible, visibleChar, visibleMessage, widthOf } from './visible.ts'

export interface RenderOptions {
  /** ANSI colours; default false. */
  readonly color?: boolean
  /** Columns of source shown of one line; longer lines are cut around the caret. Default 120. */
  readonly width?: number
  /** How many diagnostics `renderAll` shows; the rest is counted. Default 100. */
  readonly most?: number
}

type Paint = (style: keyof typeof styles, text: string) => string
const styles = { error: '1;31', warning: '1;33', note: '1;36', fix: '1;32', frame: '34', strong: '1' } as const

const plain: Paint = (_style, text) => text
const ansi: Paint = (style, text) => (text === '' ? '' : `\u001b[${styles[style]}m${text}\u001b[0m`)

/** One diagnostic, without a line end at its end. */
export function render(diagnostic: Diagnostic, options: RenderOptions = {}): string {
  const paint = options.color ? ansi : plain
  const width = Math.max(20, options.width ?? 120)
  const spans = [diagnostic.span, ...diagnostic.reasons.map((reason) => reason.span)].filter(
    (span) => span !== undefined,
  )
  const digits = Math.max(1, ...spans.map((span) => String(endOf(span).line).length))
  const gutter = ' '.repeat(digits + 2)
  const lines: string[] = []
  const say = (style: keyof typeof styles, label: string, text: string) => {
    const [first = '', ...more] = visibleMessage(text).split('\n')
    lines.push(`${gutter}${paint('frame', '=')} ${paint(style, label)}${first}`)
    for (const line of more) lines.push(`${gutter}  ${' '.repeat(label.length)}${line}`)
  }

  const [head = '', ...rest] = visibleMessage(diagnostic.message).split('\n')
  lines.push(
    `${paint(diagnostic.severity, `${diagnostic.severity} ${diagnostic.code}`)}${paint('strong', `: ${head}`)}`,
  )
  lines.push(...rest)
  if (diagnostic.span)
    lines.push(...frame(diagnostic.span, { digits, width, paint, style: diagnostic.severity, arrow: '-->' }))
  for (const reason of diagnostic.reasons) {
    say('note', 'because: ', reason.message)
    if (reason.span) lines.push(...frame(reason.span, { digits, width, paint, style: 'note', arrow: '::>' }))
  }
  if (diagnostic.help !== undefined) say('note', 'help: ', diagnostic.help)
  if (diagnostic.fix !== undefined) say('fix', 'fix: ', diagnostic.fix)
  return lines.join('\n')
}

/** All of them, a blank line between two, a count at the end when there are several. */
export function renderAll(diagnostics: readonly Diagnostic[], options: RenderOptions = {}): string {
  const shown = diagnostics.slice(0, options.most ?? 100)
  const frames = shown.map((diagnostic) => render(diagnostic, options))
  const hidden = diagnostics.length - shown.length
  if (diagnostics.length > 1) frames.push(summary(diagnostics) + (hidden > 0 ? ` (${hidden} not shown)` : ''))
  return frames.join('\n\n') + (frames.length > 0 ? '\n' : '')
}

/** `2 errors, 1 warning` */
export function summary(diagnostics: readonly Diagnostic[]): string {
  const count = (severity: string) => diagnostics.filter((d) => d.severity === severity).length
  return (['error', 'warning'] as const)
    .filter((severity) => count(severity) > 0)
    .map((severity) => `${count(severity)} ${severity}${count(severity) === 1 ? '' : 's'}`)
    .join(', ')
}

interface Frame {
  readonly digits: number
  readonly width: number
  readonly paint: Paint
  readonly style: keyof typeof styles
  readonly arrow: string
}

/** Lines shown of a span of several lines: all up to this many, else the first two and the last. */
const mostLines = 4

function frame(span: Span, { digits, width, paint, style, arrow }: Frame): string[] {
  const start = startOf(span)
  const end = endOf(span)
  const bar = (number = '') => paint('frame', ` ${number.padStart(digits)} |`)
  const lines = [
    `${' '.repeat(digits + 1)}${paint('frame', arrow)} ${visible(span.file.path)}:${start.line}:${start.column}`,
    bar(),
  ]
  // A span that ends at the very start of a line (its line end included) marks nothing there.
  const lastLine = end.line > start.line && end.column === 1 ? end.line - 1 : end.line
  for (let line = start.line; line <= lastLine; line++) {
    if (lastLine - start.line + 1 > mostLines && line === start.line + 2) {
      lines.push(paint('frame', ` ${'.'.repeat(Math.min(3, digits))}`))
      line = lastLine - 1
      continue
    }
    const text = lineText(span.file, line)
    const indent = text.length - text.trimStart().length
    const from = line === start.line ? start.column - 1 : Math.min(indent, text.length)
    const to = line === end.line ? end.column - 1 : text.length
    const { shown, before, marked } = cut(
      text,
      Math.min(from, text.length),
      Math.min(Math.max(from, to), text.length),
      width,
    )
    lines.push(`${bar(String(line))} ${shown}`.trimEnd())
    lines.push(`${bar()} ${' '.repeat(before)}${paint(style, '^'.repeat(Math.max(1, marked)))}`)
  }
  return lines
}

/** The part of a line around what is marked, with tabs as two blanks and hidden characters shown, and the columns of the mark in it. */
function cut(text: string, from: number, to: number, width: number): { shown: string; before: number; marked: number } {
  // Twice the width is more than is kept; the line may be megabytes long.
  const most = 2 * width
  let left = expand(text.slice(Math.max(0, from - most), from))
  let middle = expand(text.slice(from, Math.min(to, from + most)))
  let right = expand(text.slice(to, to + most))
  if (widthOf(left) + widthOf(middle) + widthOf(right) > width) {
    middle = keepStart(middle, Math.floor(width * 0.6))
    const room = width - widthOf(middle)
    left = keepEnd(left, Math.max(Math.floor(room / 2), room - widthOf(right)))
    right = keepStart(right, Math.max(0, width - widthOf(left) - widthOf(middle)))
  }
  return { shown: left + middle + right, before: widthOf(left), marked: widthOf(middle) }
}

function expand(text: string): string {
  let out = ''
  for (const char of text) out += char === '\t' ? '  ' : visibleChar(char)
  return out
}

function keepStart(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let out = ''
  for (const char of text) {
    if (widthOf(out) + 2 > width) break
    out += char
  }
  return `${out}…`
}

function keepEnd(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  const chars = [...text]
  let out = ''
  while (chars.length > 0 && widthOf(out) + 2 <= width) out = (chars.pop() ?? '') + out
  return `…${out}`
}
