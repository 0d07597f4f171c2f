// Buffers by name: each tensor its own, made once it is needed, replaced when it must be larger.
import { TfmError } from '../../runtime/errors.ts'
import { fits, roomOf, within } from './limits.ts'

/** GPUBufferUsage, which Node lacks: MAP_READ 1, COPY_SRC 4, COPY_DST 8, UNIFORM 64, STORAGE 128. */
const STORAGE = 4 | 8 | 128

export class Buffers {
  /** Counts replacements: bind groups made before the last one are stale. */
  generation = 0
  private device: GPUDevice
  private byName = new Map<string, GPUBuffer>()
  private made: Promise<GPUError | null>[] = []
  /** What a file is read into on its way to a buffer, while weights are read. */
  private piece?: Uint8Array<ArrayBuffer>
  private gone = false

  constructor(device: GPUDevice) {
    this.device = device
  }

  get(name: string): GPUBuffer {
    const found = this.byName.get(name)
    if (!found) throw new TfmError('TFM2105', `there is no buffer ${name}: the model was disposed`)
    return found
  }

  has(name: string, bytes: number): boolean {
    return (this.byName.get(name)?.size ?? 0) >= bytes
  }

  /** At least `bytes` large; the old buffer where it was replaced (its contents are the caller's to copy, then to destroy). */
  reserve(name: string, bytes: number, usage = STORAGE): GPUBuffer | undefined {
    const old = this.byName.get(name)
    if (old && old.size >= bytes) return undefined
    this.byName.set(name, this.create(name, bytes, usage))
    this.generation++
    return old
  }

  /** A new buffer, mapped. */
  open(name: string, bytes: number, usage = STORAGE): GPUBuffer {
    return this.replace(name, this.create(name, bytes, usage, true))
  }

  /** A new buffer, filled by `fill` before the device sees it. */
  fill(name: string, bytes: number, fill: (to: ArrayBuffer) => void, usage = STORAGE): void {
    const buffer = this.open(name, bytes, usage)
    fill(buffer.getMappedRange())
    buffer.unmap()
  }

  /** A new buffer, given what `read` reads a piece at a time: no more of it lies in JavaScript's memory. */
  async stream(name: string, bytes: number, read: (piece: Uint8Array<ArrayBuffer>) => Promise<unknown>): Promise<void> {
    const buffer = this.replace(name, this.create(name, bytes, STORAGE))
    const { queue } = this.device
    const room = (this.piece ??= new Uint8Array(2 ** 22))
    for (let at = 0; at < bytes; at += room.length) {
      const piece = room.subarray(0, bytes - at)
      await read(piece)
      if (this.gone) return
      queue.writeBuffer(buffer, at, piece)
      // Drivers keep what was written until it is submitted.
      if (at % 2 ** 25 || !at) continue
      queue.submit([])
      await queue.onSubmittedWorkDone()
    }
  }

  private replace(name: string, buffer: GPUBuffer): GPUBuffer {
    this.byName.get(name)?.destroy()
    this.byName.set(name, buffer)
    this.generation++
    return buffer
  }

  create(name: string, bytes: number, usage: number, mappedAtCreation = false): GPUBuffer {
    if (this.gone) throw new TfmError('TFM2105', 'the model was disposed')
    const size = usage & 128 ? roomOf(bytes) : Math.max(16, Math.ceil(bytes / 4) * 4)
    const { limits } = this.device
    if (usage & 128) fits(name.slice(2), size, limits)
    else within(`${name.slice(2)} takes`, size, 'bytes', 'maxBufferSize', limits.maxBufferSize)
    this.device.pushErrorScope('out-of-memory')
    try {
      return this.device.createBuffer({ label: name, size, usage, mappedAtCreation })
    } catch (thrown) {
      // Mapped memory is the page's: where it lacks, the call throws.
      throw new TfmError('TFM2106', `there is too little memory: ${name.slice(2)} takes ${size} bytes: ${thrown}`)
    } finally {
      this.made.push(this.device.popErrorScope())
    }
  }

  /** What the device said about a buffer that it had no memory for, since the last time. */
  async full(): Promise<string | undefined> {
    this.piece = undefined
    return (await Promise.all(this.made.splice(0))).find((e) => e)?.message
  }

  destroy(): void {
    this.gone = true
    for (const buffer of this.byName.values()) buffer.destroy()
    this.byName.clear()
  }
}
