/** Seeded checkpoints: one safetensors file that ours loads and that the peers' graphs refer to. */
import { closeSync, existsSync, mkdirSync, openSync, readSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { safetensorsChunks } from '../../src/weights/index.ts'
import type { TensorToWrite } from '../../src/weights/index.ts'

export interface Entry {
  readonly shape: readonly number[]
  readonly dtype: string
  /** Bytes from the beginning of the file. */
  readonly offset: number
  readonly length: number
}

/** Writes the file unless it is there; it appears whole or not at all. */
export function writeOnce(path: string, tensors: () => readonly TensorToWrite[]): void {
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true })
  const unfinished = `${path}.${process.pid}`
  const file = openSync(unfinished, 'w')
  for (const chunk of safetensorsChunks(tensors()))
    for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at)
  closeSync(file)
  renameSync(unfinished, path)
}

/** The header of a safetensors file. */
export function entriesOf(path: string): ReadonlyMap<string, Entry> {
  const file = openSync(path, 'r')
  const size = Buffer.alloc(8)
  readSync(file, size, 0, 8, 0)
  const header = Buffer.alloc(Number(size.readBigUInt64LE()))
  readSync(file, header, 0, header.length, 8)
  closeSync(file)
  const json = JSON.parse(header.toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: number[] }
  >
  return new Map(
    Object.entries(json)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => [name, { dtype, shape, offset: 8 + header.length + from, length: to - from }],
      ),
  )
}

/** The bytes of a tensor of a file. */
export function bytesOf(path: string, name: string, entries = entriesOf(path)): Uint8Array<ArrayBuffer> {
  const entry = entries.get(name)
  if (entry === undefined) throw new Error(`internal: ${path} has no tensor ${name}`)
  const bytes = new Uint8Array(entry.length)
  const file = openSync(path, 'r')
  readSync(file, bytes, 0, entry.length, entry.offset)
  closeSync(file)
  return bytes
}

/** The f32 tensors of a file, read when they are asked for. */
export function tensorsOf(
  path: string,
): (name: string) => { readonly data: Float32Array; readonly shape: readonly number[] } {
  const entries = entriesOf(path)
  return (name) => {
    const { buffer } = bytesOf(path, name, entries)
    return { data: new Float32Array(buffer), shape: entries.get(name)!.shape }
  }
}

/** [rows, columns] → [columns, rows]. */
export function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(data.length)
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c]
  return result
}
