/** Contenders run in processes of their own: one question at a time, one process busy at a time. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Reply, Request } from './child.ts'

/** A contender at so many threads. */
export interface Contender {
  readonly name: string
  /** Which code runs: see child.ts. */
  readonly kind: string
  readonly threads: number
  /** Another Node. */
  readonly node?: string
  /** Flags of V8. */
  readonly flags?: readonly string[]
  /** Of ours: kernels for wide vectors, which `load` is asked for. */
  readonly wide?: boolean
}

export interface Running {
  readonly ask: <K extends Reply['k']>(request: Request) => Promise<Extract<Reply, { k: K }>>
  readonly stop: () => void
}

const children = new Set<ChildProcess>()

/** Ends all processes that are still there. */
export function stopAll(): void {
  for (const child of children) child.kill('SIGKILL')
}

export function start({ node, flags = [] }: Contender): Running {
  const child = fork(fileURLToPath(import.meta.resolve('./child.js')), {
    ...(node === undefined ? {} : { execPath: node }),
    execArgv: ['--max-old-space-size=8192', ...flags],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  children.add(child)
  let errors = ''
  child.stderr!.on('data', (text) => (errors = `${errors}${text}`.slice(-2000)))
  child.on('exit', () => children.delete(child))
  return {
    ask: <K extends Reply['k']>(request: Request) =>
      new Promise<Extract<Reply, { k: K }>>((resolve, reject) => {
        const done = () => (child.off('message', answered), child.off('exit', ended))
        const answered = (reply: Reply): void => {
          done()
          if (reply.k === 'failed') reject(new Error(reply.message))
          else resolve(reply as Extract<Reply, { k: K }>)
        }
        const ended = (code: number | null, signal: string | null): void => {
          done()
          reject(new Error(`the process ended (${signal ?? code}) ${errors.trim()}`))
        }
        child.on('message', answered)
        child.on('exit', ended)
        child.send(request)
      }),
    stop: () => void child.kill('SIGKILL'),
  }
}
