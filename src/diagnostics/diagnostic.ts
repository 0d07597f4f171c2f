import type { Span } from './span.ts'

export type Severity = 'error' | 'warning'

/** One fact in the chain that led to a diagnostic, with the place that states it. */
export interface Reason {
  readonly message: string
  readonly span?: Span
}

export interface Diagnostic {
  /** `TFM` and four digits; the catalogue holds each once. */
  readonly code: string
  readonly severity: Severity
  readonly message: string
  /** Absent where no source is at fault (a weights file, a flag, a device). */
  readonly span?: Span
  /** Facts in the order in which they lead to the error. */
  readonly reasons: readonly Reason[]
  /** What to write instead, as source text or an imperative sentence. */
  readonly fix?: string
  /** Background that helps, where no single fix is likely. */
  readonly help?: string
}

export function withReasons(diagnostic: Diagnostic, ...reasons: readonly Reason[]): Diagnostic {
  return { ...diagnostic, reasons: [...diagnostic.reasons, ...reasons] }
}

export const withFix = (diagnostic: Diagnostic, fix: string): Diagnostic => ({ ...diagnostic, fix })
export const withHelp = (diagnostic: Diagnostic, help: string): Diagnostic => ({ ...diagnostic, help })

export const isError = (diagnostic: Diagnostic): boolean => diagnostic.severity === 'error'
export const hasErrors = (diagnostics: readonly Diagnostic[]): boolean => diagnostics.some(isError)

/** File, then place, then code; diagnostics without a place last. Stable. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const key = (d: Diagnostic) => (d.span ? d.span.start : Infinity)
  const path = (d: Diagnostic) => d.span?.file.path ?? '\uffff'
  return [...diagnostics].sort((a, b) => {
    if (path(a) !== path(b)) return path(a) < path(b) ? -1 : 1
    if (key(a) !== key(b)) return key(a) - key(b)
    return a.code < b.code ? -1 : a.code > b.code ? 1 : 0
  })
}
