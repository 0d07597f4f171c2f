import { DiagnosticError, type Diagnostic } from '../diagnostics/index.ts'

/**
 * The diagnostic of an error that the runtime throws, be it ours or that of a compiled module (whose class is another one);
 * undefined for any other error.
 */
export function diagnosticOf(thrown: unknown): Diagnostic | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown) || typeof thrown.code !== 'string') return undefined
  const { code, message } = thrown
  if (!/^TFM\d{4}$/.test(code)) return undefined
  const text = message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message
  return { code, severity: 'error', message: text, reasons: [] }
}

/** Runs `work`; errors of the runtime come out as diagnostics. */
export async function withDiagnostics<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    const diagnostic = diagnosticOf(thrown)
    throw diagnostic ? new DiagnosticError([diagnostic]) : thrown
  }
}
