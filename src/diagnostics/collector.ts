import { hasErrors, sortDiagnostics, type Diagnostic } from './diagnostic.ts'

/** Carries the diagnostics of a run out of code that cannot go on. The CLI renders them; exit code 1. */
export class DiagnosticError extends Error {
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[]) {
    const first = diagnostics[0]
    const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : ''
    super(first ? `${first.code}: ${first.message}${more}` : 'no diagnostics')
    this.name = 'DiagnosticError'
    this.diagnostics = diagnostics
  }
}

/** A sink for diagnostics. A diagnostic with the code, place and message of an earlier one is dropped. */
export interface Collector {
  add(...diagnostics: readonly Diagnostic[]): void
  /** In source order. */
  all(): Diagnostic[]
  hasErrors(): boolean
  /** Throws a `DiagnosticError` with everything gathered if any of it is an error. */
  throwIfErrors(): void
}

export function collector(): Collector {
  const seen = new Set<string>()
  const gathered: Diagnostic[] = []
  const sink: Collector = {
    add(...diagnostics) {
      for (const d of diagnostics) {
        const key = `${d.code}\0${d.span?.file.path ?? ''}\0${d.span?.start ?? -1}\0${d.message}`
        if (seen.has(key)) continue
        seen.add(key)
        gathered.push(d)
      }
    },
    all: () => sortDiagnostics(gathered),
    hasErrors: () => hasErrors(gathered),
    throwIfErrors() {
      if (hasErrors(gathered)) throw new DiagnosticError(sortDiagnostics(gathered))
    },
  }
  return sink
}

/** Throws one diagnostic, where nothing else can be gathered. */
export function fail(diagnostic: Diagnostic): never {
  throw new DiagnosticError([diagnostic])
}
