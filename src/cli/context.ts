/** What every command gets. */
import type { Diagnostic } from '../diagnostics/index.ts'
import type { Io } from './io.ts'
import type { Paint } from './output.ts'
import type { Progress } from './progress.ts'

export interface Context {
  readonly io: Io
  readonly json: boolean
  readonly paint: Paint
  readonly progress: Progress
  /** To stdout; nothing with `--json`. */
  readonly print: (text: string) => void
  /** To stderr; nothing with `--json`. */
  readonly note: (text: string) => void
  /** Warnings: frames on stderr, or part of the JSON document. */
  readonly warn: (...diagnostics: readonly Diagnostic[]) => void
}

/** What a command gives back: the JSON document of `--json` (text has been printed by then), and whether all was well. */
export interface Outcome {
  readonly data: Readonly<Record<string, unknown>>
  /** False: exit code 1. */
  readonly ok?: boolean
}

export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}
