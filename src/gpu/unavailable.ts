/** Why no WebGPU was found: its package is missing or does not load; no driver could be prepared; no adapter answered. */
export type GpuUnavailableCode = 'gpu-no-binding' | 'gpu-no-driver' | 'gpu-no-adapter'

/** There is no WebGPU here. Its parts are those of a diagnostic, into which the command line turns it. */
export class GpuUnavailable extends Error {
  override readonly name = 'GpuUnavailable'
  readonly code: GpuUnavailableCode
  /** What happened, in one sentence. */
  readonly what: string
  /** What caused it, as far as is known. */
  readonly why: string
  /** What the user can do about it. */
  readonly help: string

  constructor(
    code: GpuUnavailableCode,
    parts: { readonly what: string; readonly why: string; readonly help: string },
    options?: ErrorOptions,
  ) {
    super(`${parts.what} ${parts.why} ${parts.help}`, options)
    this.code = code
    this.what = parts.what
    this.why = parts.why
    this.help = parts.help
  }
}

/** The message of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!.trim()
}
