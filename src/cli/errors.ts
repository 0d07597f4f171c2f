/** Whatever a command threw, as diagnostics and an exit code. */
import { CommanderError } from 'commander'
import { DiagnosticError, renderAll, say, toJSON, type Diagnostic } from '../diagnostics/index.ts'
import { UsageError } from './context.ts'
import type { Io } from './io.ts'
import { wantsColor } from './output.ts'
import { Interrupted, interruptedCode } from './signals.ts'

export interface Failure {
  readonly code: number
  readonly diagnostics: readonly Diagnostic[]
  /** For a bug of ours. */
  readonly text?: string
}

export function failureOf(error: unknown, io: Io): Failure {
  if (io.signal.aborted) {
    const { reason } = io.signal as { reason: unknown }
    return { code: reason instanceof Interrupted ? reason.exitCode : interruptedCode, diagnostics: [] }
  }
  if (error instanceof DiagnosticError) return { code: 1, diagnostics: error.diagnostics }
  if (error instanceof UsageError) return { code: 2, diagnostics: [say.usage(undefined, error.message)] }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { code: 0, diagnostics: [] }
    return { code: 2, diagnostics: [say.usage(undefined, error.message.replace(/^error: /, '').replace(/\n/g, ' '))] }
  }
  const known = diagnosticIn(error)
  if (known) return { code: 1, diagnostics: [known] }
  return { code: 1, diagnostics: [say.bug(undefined, messageOf(error))], text: bugReport(error, io) }
}

/** Errors with a code of ours (of emitted modules and their runtime), of WebGPU, and of the file system. */
function diagnosticIn(error: unknown): Diagnostic | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  const { code, message } = error
  if (/^TFM\d{4}$/.test(code))
    return {
      code,
      severity: 'error',
      message: message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message,
      reasons: [],
    }
  if (error.name === 'GpuUnavailable' && 'what' in error && 'why' in error && 'help' in error) {
    const message = `${String(error.what).replace(/\.$/, '')}: ${String(error.why)}`
    return (code === 'gpu-no-binding' ? say.noWebGpu : say.noAdapter)(undefined, message, String(error.help))
  }
  if (!('syscall' in error)) return undefined
  const path = 'path' in error ? String(error.path) : 'a file'
  return say.fileSystem(undefined, path, systemError(code) ?? message)
}

const systemErrors: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'part of the path is a file, not a folder',
  EEXIST: 'it exists already',
  ENOSPC: 'no space left on the disk',
  EROFS: 'the file system is read-only',
}
export const systemError = (code: unknown): string | undefined =>
  typeof code === 'string' && Object.hasOwn(systemErrors, code) ? systemErrors[code] : undefined

export const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]

function bugReport(error: unknown, io: Io): string {
  const stack = error instanceof Error ? error.stack : undefined
  const more = io.env.TFM_DEBUG ? `${withoutText(stack ?? String(error))}\n` : 'TFM_DEBUG=1 shows where it happened.\n'
  return `tfmc failed: ${messageOf(error)}\nThis is a bug in tfm, not in your model. Please report it with the command and its files.\n${more}`
}

/** Writes what went wrong to stderr. */
export function showFailure(failure: Failure, io: Io): void {
  if (failure.text !== undefined) io.err.write(failure.text)
  else if (failure.diagnostics.length > 0)
    io.err.write(renderAll(failure.diagnostics, { color: wantsColor(io, io.err) }))
  else if (failure.code >= 128) io.err.write('interrupted\n')
}

export const jsonOf = (diagnostics: readonly Diagnostic[]): unknown[] => diagnostics.map(toJSON)

/** Emitted modules are imported from memory: their URL is their text. */
const withoutText = (stack: string): string => stack.replace(/data:text\/javascript;base64,[\w+/=]+/g, 'emitted')
