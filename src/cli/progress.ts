/**
 * Progress on stderr of whatever takes over a second. On a terminal one line is redrawn and disappears; elsewhere a line is written now and then.
 */
import type { Io } from './io.ts'
import { seconds } from './output.ts'

export type Report = (done: number, total: number, note?: string) => void

export interface Progress {
  /** Runs `work`, which may report how far it has come. */
  task<T>(label: string, work: (report: Report) => Promise<T>): Promise<T>
  /** Runs `work`, which blocks: nothing can be drawn meanwhile, and Ctrl-C ends the process at once. */
  blocking<T>(label: string, work: () => T): Promise<T>
}

/** `uninterrupted` takes signal handlers away while it runs, see `signals.ts`. */
export type Uninterrupted = <T>(work: () => T) => T

const patience = 1000

export function makeProgress(io: Io, uninterrupted: Uninterrupted = (work) => work()): Progress {
  return io.err.isTTY ? redrawn(io, uninterrupted) : sparse(io, uninterrupted)
}

const percent = (done: number, total: number): string => `${Math.floor((100 * done) / Math.max(1, total))} %`
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function redrawn(io: Io, uninterrupted: Uninterrupted): Progress {
  const draw = (text: string): void => {
    const room = (io.err.columns ?? 80) - 1
    io.err.write(`\r\u001b[2K${[...text].slice(0, room).join('')}`)
  }
  const clear = (): void => void io.err.write('\r\u001b[2K')
  return {
    async task(label, work) {
      const start = performance.now()
      let [state, shown] = ['', false]
      const show = (): void => {
        if (!shown && performance.now() - start < 150) return
        shown = true
        draw(`${label} ${state}`)
      }
      const timer = setInterval(show, 100)
      let last = 0
      try {
        return await work((done, total, note = '') => {
          state = `${percent(done, total)} ${note}`
          if (performance.now() - last < 50) return
          last = performance.now()
          show()
        })
      } finally {
        clearInterval(timer)
        if (shown) clear()
      }
    },
    async blocking(label, work) {
      draw(`${label} …`)
      await turn()
      try {
        return uninterrupted(work)
      } finally {
        clear()
      }
    },
  }
}

function sparse(io: Io, uninterrupted: Uninterrupted): Progress {
  const say = (text: string): void => void io.err.write(`${text}\n`)
  return {
    async task(label, work) {
      const start = performance.now()
      let next = patience
      let state = ''
      const show = (): void => {
        const past = performance.now() - start
        if (past < next) return
        next = 2 * past + patience
        say(`${label} … ${state}`.trimEnd())
      }
      const timer = setInterval(show, 250)
      try {
        return await work((done, total) => {
          state = percent(done, total)
          show()
        })
      } finally {
        clearInterval(timer)
      }
    },
    async blocking(label, work) {
      const start = performance.now()
      await turn()
      const result = uninterrupted(work)
      const past = performance.now() - start
      if (past > patience) say(`${label}: ${seconds(past)}`)
      return result
    },
  }
}
