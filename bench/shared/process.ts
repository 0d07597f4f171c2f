/** Contenders run in processes of their own, one question at a time, so that one that fails takes nobody with it. */
import { fork, type ChildProcess } from 'node:child_process'

export interface Running<Request, Reply extends { readonly k: string }> {
  /** Rejects with the message of a reply `failed`, and when the process ends. */
  readonly ask: <K extends Reply['k']>(request: Request) => Promise<Extract<Reply, { k: K }>>
  readonly stop: () => void
}
export interface StartOptions {
  /** Megabytes of V8's heap. */
  readonly heap: number
  /** Another Node, and flags of it. */
  readonly node?: string | undefined
  readonly flags?: readonly string[]
  /** Seconds that an answer may take; the process is ended then. Default: any. */
  readonly patience?: number
}

const children = new Set<ChildProcess>()
/** Ends all processes that are still there. */
export function stopAll(): void {
  for (const child of children) child.kill('SIGKILL')
}

export function startProcess<Request extends object, Reply extends { readonly k: string }>(
  file: string,
  { heap, node, flags = [], patience }: StartOptions,
): Running<Request, Reply> {
  const child = fork(file, {
    ...(node === undefined ? {} : { execPath: node }),
    execArgv: [`--max-old-space-size=${heap}`, ...flags],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  children.add(child)
  let errors = ''
  let [ended, late] = ['', false]
  child.stderr!.on('data', (text) => (errors = `${errors}${text}`.slice(-2000)))
  child.on('exit', (code, signal) => {
    children.delete(child)
    ended = late ? `no answer in ${patience} s` : `the process ended (${signal ?? code}) ${errors.trim()}`
  })
  return {
    ask: <K extends Reply['k']>(request: Request) =>
      new Promise<Extract<Reply, { k: K }>>((resolve, reject) => {
        if (ended) return reject(new Error(ended))
        const timer = patience && setTimeout(() => ((late = true), child.kill('SIGKILL')), 1000 * patience)
        const done = () => (child.off('message', answered), child.off('exit', gone), timer && clearTimeout(timer))
        const answered = (reply: Reply & { readonly message?: string }): void => {
          done()
          if (reply.k === 'failed') reject(new Error(reply.message))
          else resolve(reply as Extract<Reply, { k: K }>)
        }
        const gone = (): void => (done(), reject(new Error(ended)))
        child.on('message', answered)
        child.on('exit', gone)
        child.send(request, (error) => error && (done(), reject(error)))
      }),
    stop: () => void child.kill('SIGKILL'),
  }
}
