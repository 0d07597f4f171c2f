/** Ctrl-C: what is under way is aborted, temporary files are removed by those who made them, and the exit code is 130. */
import type { Uninterrupted } from './progress.ts'

export const interruptedCode = 130

export interface Signals {
  readonly signal: AbortSignal
  /** Runs work that blocks: without our handler a signal ends the process at once. There is nothing to clean up then. */
  readonly uninterrupted: Uninterrupted
  readonly stop: () => void
}

/** How long an aborted command may take to end by itself. */
const grace = 2000

export function catchSignals(): Signals {
  const controller = new AbortController()
  const names = ['SIGINT', 'SIGTERM'] as const
  const handler = (name: NodeJS.Signals): void => {
    const code = name === 'SIGTERM' ? 143 : interruptedCode
    if (controller.signal.aborted) process.exit(code)
    controller.abort(new Interrupted(code))
    setTimeout(() => process.exit(code), grace).unref()
  }
  const start = (): void => names.forEach((name) => process.on(name, handler))
  const stop = (): void => names.forEach((name) => process.off(name, handler))
  start()
  return {
    signal: controller.signal,
    stop,
    async uninterrupted(work) {
      stop()
      try {
        return await work()
      } finally {
        start()
      }
    },
  }
}

/** The reason with which the signal of a command is aborted. */
export class Interrupted extends Error {
  readonly exitCode: number
  constructor(exitCode: number) {
    super('interrupted')
    this.name = 'Interrupted'
    this.exitCode = exitCode
  }
}
