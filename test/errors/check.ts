import { readFileSync, existsSync } from 'node:fs'
import type { Diagnostic } from '../../src/diagnostics/diagnostic.ts'
import { build } from '../support/models.ts'

/** What is run on each malformed source: all that can be said about a text without weights. Imports are found in this folder. */
export function check(path: string, text: string): Diagnostic[] {
  const resolve = (name: string): string | undefined => {
    const at = new URL(name, import.meta.url)
    return existsSync(at) ? readFileSync(at, 'utf8') : undefined
  }
  return [...build(text, { resolve }, path).diagnostics]
}
