/** What commands print: colour where wanted, tables, numbers that people can read. */
import type { Io, Sink } from './io.ts'

/** Whether to colour what goes to `sink`: NO_COLOR and FORCE_COLOR decide, else whether it is a terminal. */
export function wantsColor(io: Io, sink: Sink): boolean {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: term } = io.env
  if (no !== undefined && no !== '') return false
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false'
  return sink.isTTY === true && term !== 'dumb'
}

const styles = { bold: '1', dim: '2', good: '32', bad: '1;31', warn: '33', head: '1;36' } as const
export type Style = keyof typeof styles
export type Paint = (style: Style, text: string) => string

export const painter = (color: boolean): Paint =>
  color ? (style, text) => (text === '' ? '' : `\u001b[${styles[style]}m${text}\u001b[0m`) : (_style, text) => text

export interface Column {
  readonly head: string
  /** Numbers are right-aligned. */
  readonly right?: boolean
}

/** Rows under their heads, two blanks between columns. Cells may be styled: `[style, text]`. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
  indent = '',
): string {
  const text = (cell: Cell): string => (typeof cell === 'string' ? cell : cell[1])
  const widths = columns.map((c, i) => Math.max(width(c.head), ...rows.map((row) => width(text(row[i] ?? '')))))
  const line = (cells: readonly Cell[], style?: Style): string => {
    const padded = columns.map((column, i) => {
      const cell = cells[i] ?? ''
      const blanks = ' '.repeat(widths[i] - width(text(cell)))
      const shown = style ? paint(style, text(cell)) : typeof cell === 'string' ? cell : paint(cell[0], cell[1])
      if (column.right) return blanks + shown
      return i === columns.length - 1 ? shown : shown + blanks
    })
    return `${indent}${padded.join('  ')}`.trimEnd()
  }
  const heads = columns.some((c) => c.head !== '') ? [line(columns.map((c) => c.head), 'dim')] : [] // prettier-ignore
  return [...heads, ...rows.map((row) => line(row))].map((l) => `${l}\n`).join('')
}
export type Cell = string | readonly [Style, string]

const width = (text: string): number => [...text].length

/** `1.5 MB`; powers of 1,000. */
export function bytes(n: number): string {
  if (n < 1000) return `${n} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  let at = -1
  let x = n
  while (x >= 999.5 && at < units.length - 1) {
    x /= 1000
    at++
  }
  return `${x < 9.95 ? x.toFixed(1) : Math.round(x)} ${units[at]}`
}

/** `12,345,678` */
export const count = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',')

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`

/** A number of the data: six significant digits at most. */
export function value(x: number): string {
  if (!Number.isFinite(x) || Number.isInteger(x)) return String(x)
  const short = Number(x.toPrecision(6))
  return Math.abs(short) >= 1e-4 && Math.abs(short) < 1e7 ? String(short) : short.toExponential().replace('e+', 'e')
}

/** Errors and bounds: two digits are enough. */
export function small(x: number): string {
  if (x === 0 || !Number.isFinite(x)) return String(x)
  return x >= 0.01 && x < 1000 ? String(Number(x.toPrecision(2))) : x.toExponential(1).replace('e+', 'e')
}

export const seconds = (ms: number): string => (ms < 995 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`)
