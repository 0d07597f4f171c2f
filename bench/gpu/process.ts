/** Contenders run in processes of their own, so that one that fails takes nobody with it. */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Reply, Request } from './child.ts'

export interface Running {
  readonly ask: <K extends Reply['k']>(request: Request) => Promise<Extract<Reply, { k: K }>>
  readonly stop: () => void
}

const children = new Set<ChildProcess>()
/** Ends all processes that are still there. */
export function stopAll(): void {
  for (const child of children) child.kill('SIGKILL')
}

/** `patience`: seconds that an answer may take. */
export function start(patience: number): Running {
  const child = fork(fileURLToPath(import.meta.resolve('./child.js')), {
    execArgv: ['--max-old-space-size=16384', '--no-warnings'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  children.add(child)
  let errors = ''
  child.stderr!.on('data', (text) => (errors = `${errors}${text}`.slice(-2000)))
  child.on('exit', () => children.delete(child))
  return {
    ask: <K extends Reply['k']>(request: Request) =>
      new Promise<Extract<Reply, { k: K }>>((resolve, reject) => {
        const late = setTimeout(() => child.kill('SIGKILL'), 1000 * patience)
        const done = () => (child.off('message', answered), child.off('exit', ended), clearTimeout(late))
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
        child.send(request, (error) => error && (done(), reject(error)))
      }),
    stop: () => void child.kill('SIGKILL'),
  }
}
