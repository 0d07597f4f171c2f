// The module at work: its memory, the addresses in it, and its threads.
import { TfmError } from '../../runtime/errors.ts'
import { openPool, type Pool } from './pool.ts'

/** What the compiler says of the module (bytes, and numbers of entries in the table). */
export interface Layout {
  /** Names of dims in the order of the control block. */
  dims: string[]
  weights: number
  /** The entry of the first port of every program, and how many entries there are. */
  ports: number
  entries: number
  /** Pairs of an entry and the one that it repeats. */
  repeats: number[]
  /** Working storage of a thread. */
  scratch: number
}
/** Bytes of the control block, as the module reads them. */
export const at = { program: 20, failed: 24, sleeps: 32, epoch: 16, phase: 128, dims: 256, table: 1024 }
export const aligned = (bytes: number) => Math.ceil(bytes / 64) * 64

interface Exports {
  place(thread: number, threads: number, scratch: number): void
  call(program: number): void
  strange(from: number, end: number): number
}
export interface Files {
  wasm(): URL
  relaxed?(): URL
  /** Flags of this process (`--input-type`, say) are not for a thread of Node. */
  worker(Kind: new (file: URL, options: { type: 'module'; execArgv: [] }) => object): object
}

export class Machine {
  memory: WebAssembly.Memory
  layout: Layout
  threads = 1
  /** Where weights begin. */
  readonly start: number
  private exports: Exports
  private pool?: Pool
  private gone = ''
  private table: Int32Array = new Int32Array()

  constructor(module: WebAssembly.Module, layout: Layout, threads: number, shared: boolean) {
    this.layout = layout
    this.memory = newMemory(shared)
    this.exports = new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports as unknown as Exports
    this.start = this.scratch(threads)
    this.reach(this.start)
    this.exports.place(0, 1, this.scratch(0))
  }
  private scratch = (thread: number) =>
    aligned(at.table + 4 * this.layout.entries) + thread * aligned(this.layout.scratch)

  /** Starts the other threads, which take part in calls from then on. */
  async share(module: WebAssembly.Module, threads: number, worker: Files['worker']): Promise<void> {
    if (threads < 2) return
    const { memory } = this
    this.pool = await openPool(module, memory, threads, worker, this.scratch, (why) => {
      this.gone ||= why
      // The others may wait for it.
      Atomics.store(new Int32Array(memory.buffer), at.failed / 4, 1)
    })
    if (this.gone) throw new TfmError('TFM2113', this.gone)
    new Int32Array(this.memory.buffer)[at.sleeps / 4] = Number(this.pool.sleeps)
    this.threads = threads
    this.exports.place(0, threads, this.scratch(0))
  }

  /** At least so many bytes of memory. */
  reach(bytes: number): void {
    const missing = Math.ceil((bytes + 64 - this.memory.buffer.byteLength) / 65536)
    if (missing <= 0) return
    try {
      this.memory.grow(missing)
    } catch {
      const [need, most] = [bytes, 2 ** 32].map((n) => `${Math.ceil(n / 2 ** 20)} MiB`)
      throw new TfmError(
        'TFM2110',
        `the call needs ${need} of memory; WebAssembly gives at most ${most}, and may give less`,
      )
    }
  }
  f32 = (from: number, length: number) => new Float32Array(this.memory.buffer, from, length)
  i32 = (from: number, length: number) => new Int32Array(this.memory.buffer, from, length)

  /** Says where the tensor of an entry lies. */
  point(entry: number, address: number): void {
    if (this.table.buffer !== this.memory.buffer) this.table = this.i32(at.table, this.layout.entries)
    const { table } = this
    table[entry] = address
    const { repeats } = this.layout
    for (let i = 0; i < repeats.length; i += 2) if (repeats[i + 1] === entry) table[repeats[i]] = address
  }
  call(program: number, dims: Readonly<Record<string, number>>): void {
    this.alive()
    const block = this.i32(at.dims, this.layout.dims.length)
    this.layout.dims.forEach((name, i) => (block[i] = dims[name] ?? 0))
    try {
      this.exports.call(program)
    } catch (thrown) {
      this.fail(`a kernel failed: ${thrown}`)
    }
    this.alive()
  }
  /** How many numbers are NaN or infinite. */
  strange = (from: number, length: number) => this.exports.strange(from, from + 4 * length)

  alive(): void {
    if (this.gone) throw new TfmError('TFM2113', `${this.gone}; load the model again`)
  }
  private fail(why: string): void {
    this.gone ||= why
    this.pool?.stop(at.failed)
  }
  dispose(): void {
    this.gone ||= 'the model was disposed'
    this.pool?.stop(at.program)
    this.memory = { buffer: new ArrayBuffer(0) } as WebAssembly.Memory
  }
}

/** As large a reservation as this place allows. */
function newMemory(shared: boolean): WebAssembly.Memory {
  for (let maximum = 65536; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared })
    } catch (thrown) {
      if (maximum <= 1024) throw new TfmError('TFM2110', `there is no memory for the module: ${thrown}`)
    }
  }
}
