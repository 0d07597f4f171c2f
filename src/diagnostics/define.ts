import type { Diagnostic, Reason, Severity } from './diagnostic.ts'
import type { Span } from './span.ts'

/** What the error index prints about a code. */
export interface Entry {
  readonly code: string
  readonly title: string
  /** One line: when it is reported and why that is an error. */
  readonly explain: string
  /** Source (or a command) that provokes it. */
  readonly example: string
  readonly severity: Severity
}

/** What a message builder may say besides the message. */
export interface Said {
  readonly message: string
  readonly reasons?: readonly Reason[]
  readonly fix?: string
  readonly help?: string
}

export interface Coded<Args extends readonly unknown[]> {
  (span: Span | undefined, ...args: Args): Diagnostic
  readonly code: string
}

const entries = new Map<string, Entry>()

/**
 * Adds a code to the catalogue and returns the function that builds its diagnostics: `unknownName(span, 'dd', ['d'])`.
 * `say` turns facts into the message (and, where likely, a fix). Each code may be defined once.
 */
export function define<Args extends readonly unknown[]>(
  code: string,
  about: { title: string; explain: string; example: string; severity?: Severity },
  say: (...args: Args) => string | Said,
): Coded<Args> {
  if (entries.has(code)) throw new Error(`internal: ${code} is defined twice`)
  if (!/^TFM\d{4}$/.test(code)) throw new Error(`internal: ${code} is not a code`)
  const severity = about.severity ?? 'error'
  entries.set(code, { code, title: about.title, explain: about.explain, example: about.example, severity })
  const build = (span: Span | undefined, ...args: Args): Diagnostic => {
    const answer = say(...args)
    const said: Said = typeof answer === 'string' ? { message: answer } : answer
    return {
      code,
      severity,
      message: said.message,
      ...(span ? { span } : {}),
      reasons: said.reasons ?? [],
      ...(said.fix === undefined ? {} : { fix: said.fix }),
      ...(said.help === undefined ? {} : { help: said.help }),
    }
  }
  return Object.assign(build, { code })
}

/** All entries by code; complete once `catalogue.ts` has been imported. */
export function definedEntries(): Entry[] {
  return [...entries.values()].sort((a, b) => (a.code < b.code ? -1 : 1))
}
