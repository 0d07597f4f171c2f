import { parse } from '../../grammar/parse.ts'
import type { Diagnostic } from '../../src/diagnostics/diagnostic.ts'
import { sourceFile } from '../../src/diagnostics/span.ts'

/** What is run on each malformed source: all that can be said about a text without weights. */
export function check(path: string, text: string): Diagnostic[] {
  return parse(sourceFile(path, text)).diagnostics
}
