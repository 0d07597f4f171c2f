import { storageBytes, type StorageDType } from '../types/dtype.ts'
import { toBytes } from './values.ts'

export interface TensorToWrite {
  readonly name: string
  readonly shape: readonly number[]
  /** Default F32. */
  readonly dtype?: StorageDType
  /** Row-major; a function is called when the tensor is due, so that not all need to be held at once. */
  readonly data: ArrayLike<number> | (() => ArrayLike<number>)
}

/** The header of a file with these tensors in this order, and where the data of each begin after it. */
export function safetensorsHeader(
  tensors: readonly Pick<TensorToWrite, 'name' | 'shape' | 'dtype'>[],
  metadata: Readonly<Record<string, string>> = {},
): { readonly header: Uint8Array; readonly places: ReadonlyMap<string, number> } {
  const places = new Map<string, number>()
  const header = new Map<string, unknown>()
  if (Object.keys(metadata).length > 0) header.set('__metadata__', metadata)
  let at = 0
  for (const { name, shape, dtype = 'F32' } of tensors) {
    if (header.has(name)) throw new Error(`internal: tensor ${name} is written twice`)
    const end = at + shape.reduce((a, b) => a * b, storageBytes(dtype))
    header.set(name, { dtype, shape, data_offsets: [at, end] })
    places.set(name, at)
    at = end
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)))
  const first = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20)
  new DataView(first.buffer).setBigUint64(0, BigInt(first.length - 8), true)
  first.set(json, 8)
  return { header: first, places }
}

/**
 * A safetensors file in pieces: the header, then each tensor. Data start at a multiple of 8; put wide dtypes first where alignment of
 * all tensors matters.
 * @throws Error (internal) where data do not fill a shape, or a name comes twice.
 */
export function* safetensorsChunks(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array, void> {
  yield safetensorsHeader(tensors, metadata).header
  for (const { name, shape, dtype = 'F32', data } of tensors) {
    const values = typeof data === 'function' ? data() : data
    if (values.length !== shape.reduce((a, b) => a * b, 1))
      throw new Error(`internal: tensor ${name} [${shape}] has ${values.length} elements`)
    yield toBytes(dtype, values)
  }
}

/** A whole safetensors file. */
export function writeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const chunks = [...safetensorsChunks(tensors, metadata)]
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** The same as a stream, made as it is read: a source of weights for compiled modules that needs no memory of its own. */
export function safetensorsStream(tensors: readonly TensorToWrite[]): ReadableStream<Uint8Array> {
  const chunks = safetensorsChunks(tensors)
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const { value, done } = chunks.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel() {
        chunks.return()
      },
    },
    { highWaterMark: 0 },
  )
}
