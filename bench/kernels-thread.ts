/** A thread of `kernels.ts`: waits for a call, runs its share, answers. */
import { parentPort, workerData } from 'node:worker_threads'

interface Data {
  readonly binary: Uint8Array<ArrayBuffer>
  readonly memory: WebAssembly.Memory
  readonly names: readonly string[]
  readonly thread: number
  readonly threads: number
  readonly scratch: number
}
const { binary, memory, names, thread, threads, scratch } = workerData as Data
const { instance } = await WebAssembly.instantiate(binary, { env: { memory } })
const call = instance.exports as Record<string, (...args: readonly number[]) => void>
call.place(thread, threads, scratch)
const control = new Int32Array(memory.buffer, 0, 128)
parentPort!.postMessage('ready')
for (let seen = 0; ; seen++) {
  while (Atomics.load(control, 0) === seen);
  const n = control[16 + 16 * thread]
  call[names[control[2]]](...control.subarray(17 + 16 * thread, 17 + 16 * thread + n))
  Atomics.add(control, 1, 1)
}
