/** A whole module as text: the shared memory it imports, globals of the instance, functions, exports. */
import type { Printer } from './printer.ts'
import { globals } from './printer.ts'
import type { Sx } from './sexp.ts'
import { comment, format, get } from './sexp.ts'

export interface ModuleParts {
  /** Comments at the head of the text. */
  readonly doc?: readonly string[]
  /** Functions as lines, in order (`printKernel`). */
  readonly functions: readonly (readonly string[])[]
  /** Functions to export, by the name they are exported under. */
  readonly exports?: ReadonlyMap<string, string>
}

/** The most memory that 32-bit addresses reach, in pages of 64 KiB. */
export const maxPages = 65536

export function moduleText(p: Printer, { doc = [], functions, exports = new Map() }: ModuleParts): string {
  const global = (name: string, value: number): Sx => ['global', name, ['mut', 'i32'], ['i32.const', String(value)]]
  const parameters = ['$of', '$all', '$at']
  const place: Sx = [
    'func',
    '$place',
    ';; Says which thread of how many this instance is, and where it may work.',
    ['export', '"place"'],
    ...parameters.map((n) => ['param', n, 'i32']),
    ['global.set', globals.thread, get('$of')],
    ['global.set', globals.threads, get('$all')],
    ['global.set', globals.scratch, get('$at')],
  ]
  const body: readonly (readonly string[])[] = [
    [
      ...format(['import', '"env"', '"memory"', ['memory', '$memory', '1', String(maxPages), 'shared']]),
      ...format(global(globals.thread, 0)),
      ...format(global(globals.threads, 1)),
      ...format(global(globals.scratch, 0)),
    ],
    format(place),
    ...functions,
    ...p.support().map((f) => format(f)),
    [...exports].flatMap(([name, f]) => format(['export', `"${name}"`, ['func', f]])),
  ]
  const text = body.filter((lines) => lines.length > 0).map((lines) => lines.map((l) => (l === '' ? l : `  ${l}`)))
  return [...doc.flatMap((l) => comment(l)), '(module', text.map((lines) => lines.join('\n')).join('\n\n'), ')', ''].join('\n') // prettier-ignore
}
