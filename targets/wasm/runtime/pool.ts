// Threads: workers that sit in the module and wait for calls.
import { TfmError } from '../../runtime/errors.ts'

/** A worker of a page or of Node, as far as it is used. */
interface Thread {
  postMessage(message: unknown): void
  terminate(): unknown
  unref?(): void
  on?(event: string, listener: (data: unknown) => void): void
  onmessage?: ((event: { data: unknown }) => void) | null
  onerror?: ((event: { message?: string }) => void) | null
}
export interface Pool {
  /** Whether the thread that calls may sleep. */
  sleeps: boolean
  stop(flag: number): void
}

export const nodeModule = (name: string) => Object(globalThis).process?.getBuiltinModule?.(`node:${name}`)

/** Resolves when all threads are ready; `lost` hears of one that ends later. */
export async function openPool(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  threads: number,
  open: (Kind: new (file: URL, options: { type: 'module'; execArgv: [] }) => object) => object,
  scratch: (thread: number) => number,
  lost: (why: string) => void,
): Promise<Pool> {
  const Kind = nodeModule('worker_threads')?.Worker ?? Object(globalThis).Worker
  const workers: Thread[] = []
  const pool: Pool = {
    // The thread that draws a page may not; its workers may.
    sleeps: !!nodeModule('worker_threads') || 'WorkerGlobalScope' in globalThis,
    stop(flag) {
      const control = new Int32Array(memory.buffer, 0, 64)
      // The program -1, or a failure, ends a thread wherever it waits.
      control[flag / 4] = -1
      Atomics.add(control, 4, 1)
      for (const i of [4, 32]) Atomics.notify(control, i)
      for (const worker of workers) worker.terminate()
      workers.length = 0
    },
  }
  const start = (i: number) => {
    const worker = open(Kind) as Thread
    workers.push(worker)
    return new Promise<void>((resolve, reject) => {
      const end = (why: unknown) => {
        if (!workers.includes(worker)) return
        lost(`thread ${i + 1} ended: ${why}`)
        reject(new TfmError('TFM2112', `thread ${i + 1} cannot start: ${why}`))
      }
      const heard = (data: unknown) => (data === 'ready' ? resolve() : end(data))
      if (worker.on) {
        worker.on('message', heard)
        worker.on('error', end)
        worker.on('exit', (code) => end(`exit code ${code}`))
      } else {
        worker.onmessage = ({ data }) => heard(data)
        worker.onerror = ({ message }) => end(message ?? 'its file cannot be read')
      }
      worker.postMessage({ module, memory, place: [i + 1, threads, scratch(i + 1)] })
    })
  }
  try {
    await Promise.all(Array.from({ length: threads - 1 }, (_, i) => start(i)))
  } catch (thrown) {
    for (const worker of workers.splice(0)) worker.terminate()
    // Pages refuse scripts of other servers at once.
    throw thrown instanceof TfmError ? thrown : new TfmError('TFM2112', `threads cannot start: ${thrown}`)
  }
  for (const worker of workers) worker.unref?.()
  return pool
}
