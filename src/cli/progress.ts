/**
 * Progress on stderr of whatever takes over a second. On a terminal one line is redrawn and disappears; elsewhere a line is written now and then.
 */
import type { Io } from './io.ts'
import { seconds } from './output.ts'

export type Report = (done: number, total: number, note?: string) => void

export interface Progress {
  /** Runs `work`, which may report how far it has come. */
  task<T>(label: string, work: (report: Report) => Promise<T>): Promise<T>
  /** Runs `work`, which blocks the process and has nothing to clean up: Ctrl-C ends it at once. */
  blocking<T>(label: string, work: (report: Report) => T | Promise<T>): Promise<T>
}

/** `uninterrupted` takes signal handlers away while it runs, see `signals.ts`. */
export type Uninterrupted = <T>(work: () => T | Promise<T>) => Promise<T>

const patience = 1000

export function makeProgress(io: Io, uninterrupted: Uninterrupted = async (work) => work()): Progress {
  return io.err.isTTY ? redrawn(io, uninterrupted) : sparse(io, uninterrupted)
}

const percent = (done: number, total: number): string => `${Math.floor((100 * done) / Math.max(1, total))} %`
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function redrawn(io: Io, uninterrupted: Uninterrupted): Progress {
  const clear = (): void => void io.err.write('\r\u001b[2K')
  const line = (label: string) => {
    let [state, last] = ['…', 0]
    const draw = (): void => {
      const room = (io.err.columns ?? 80) - 1
      io.err.write(`\r\u001b[2K${[...`${label} ${state}`].slice(0, room).join('')}`)
    }
    const report: Report = (done, total, note = '') => {
      state = `${percent(done, total)} ${note}`
      if (performance.now() - last < 50) return
      last = performance.now()
      draw()
    }
    draw()
    return report
  }
  return {
    async task(label, work) {
      try {
        return await work(line(label))
      } finally {
        clear()
      }
    },
    async blocking(label, work) {
      const report = line(label)
      await turn()
      try {
        return await uninterrupted(() => work(report))
      } finally {
        clear()
      }
    },
  }
}

/** A line after a second, then ever more rarely. */
function sparse(io: Io, uninterrupted: Uninterrupted): Progress {
  const watch = (label: string) => {
    const start = performance.now()
    let [next, state, said] = [patience, '', false]
    const show = (): void => {
      const past = performance.now() - start
      if (past < next) return
      next = 2 * past + patience
      said = true
      io.err.write(`${label} … ${state}`.trimEnd() + '\n')
    }
    const report: Report = (done, total) => {
      state = percent(done, total)
      show()
    }
    const end = (): void => {
      const past = performance.now() - start
      if (past > patience && !said) io.err.write(`${label}: ${seconds(past)}\n`)
    }
    return { show, report, end }
  }
  return {
    async task(label, work) {
      const { show, report } = watch(label)
      const timer = setInterval(show, 250)
      try {
        return await work(report)
      } finally {
        clearInterval(timer)
      }
    },
    async blocking(label, work) {
      const { report, end } = watch(label)
      await turn()
      const result = await uninterrupted(() => work(report))
      end()
      return result
    },
  }
}
