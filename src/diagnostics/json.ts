import type { Diagnostic } from './diagnostic.ts'
import { endOf, startOf, type Position, type Span } from './span.ts'

export interface JsonPlace {
  readonly file: string
  readonly start: Position & { readonly offset: number }
  readonly end: Position & { readonly offset: number }
}

export interface JsonDiagnostic {
  readonly code: string
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly place?: JsonPlace
  readonly reasons: readonly { readonly message: string; readonly place?: JsonPlace }[]
  readonly fix?: string
  readonly help?: string
}

function place(span: Span): JsonPlace {
  return {
    file: span.file.path,
    start: { ...startOf(span), offset: span.start },
    end: { ...endOf(span), offset: span.end },
  }
}

/** A diagnostic as plain data, for `--json` and editors. */
export function toJSON(diagnostic: Diagnostic): JsonDiagnostic {
  return {
    code: diagnostic.code,
    severity: diagnostic.severity,
    message: diagnostic.message,
    ...(diagnostic.span ? { place: place(diagnostic.span) } : {}),
    reasons: diagnostic.reasons.map((r) => ({ message: r.message, ...(r.span ? { place: place(r.span) } : {}) })),
    ...(diagnostic.fix === undefined ? {} : { fix: diagnostic.fix }),
    ...(diagnostic.help === undefined ? {} : { help: diagnostic.help }),
  }
}
