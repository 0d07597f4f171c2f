/** What the command line touches of its process, so that tests can put in their own. */

export interface Sink {
  readonly write: (text: string) => unknown
  /** Whether a person watches: lines may be redrawn. */
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

export interface Io {
  readonly out: Sink
  /** What is piped in. */
  readonly in?: () => AsyncIterable<Uint8Array>
  readonly err: Sink
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted on Ctrl-C. */
  readonly signal: AbortSignal
}

/** The real process. */
export const processIo = (signal: AbortSignal): Io => ({
  out: process.stdout,
  err: process.stderr,
  in: () => process.stdin,
  cwd: process.cwd(),
  env: process.env,
  signal,
})
