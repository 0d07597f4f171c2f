import { TfmError } from './errors.ts'
import { headerLength, parseHeader, type TensorInfo } from './safetensors.ts'

type WeightFile = string | URL | ArrayBuffer | ArrayBufferView | Blob | ReadableStream<Uint8Array>
/** Safetensors by URL, path (Node), bytes, File or stream; shards as a list or by their `*.index.json`. */
export type WeightSource = WeightFile | readonly WeightFile[]

/** How far it has come: bytes read, tensors packed, pipelines compiled, alternatives measured. `total` may grow. */
export interface LoadProgress {
  phase: 'weights' | 'packing' | 'pipelines' | 'tuning'
  loaded: number
  total: number
  /** The tensor, or the kernel. */
  tensor: string
}
export interface ReadOptions {
  onProgress?: (progress: LoadProgress) => void
  signal?: AbortSignal
}

/** A path, a URL, or the name of a File. */
const placeOf = (file: WeightFile): string =>
  typeof file === 'string' || 'href' in file ? `${file}` : 'name' in file ? `${file.name}` : 'weights'

/** Bytes in order: a chunk, which lies at the start of `room` where the source can read into it; undefined at the end. */
interface Reader {
  next(room: Uint8Array): Promise<Uint8Array | undefined>
  close(): Promise<void>
}

function readerOf(file: WeightFile, signal?: AbortSignal): Reader {
  // Not an import, which bundlers would follow.
  const node = Object(globalThis).process?.getBuiltinModule?.('node:fs')
  if (node && (typeof file === 'string' || 'href' in file) && !/^(https?|blob|data):/i.test(`${file}`)) {
    const opening = () => node.promises.open(/^file:/i.test(`${file}`) ? new URL(`${file}`) : `${file}`)
    let handle: ReturnType<typeof opening>
    return {
      async next(room) {
        const { bytesRead } = await (handle ??= await opening()).read(room, 0, Math.min(room.length, 1 << 22))
        return bytesRead ? room.subarray(0, bytesRead) : undefined
      },
      close: async () => handle?.close(),
    }
  }
  const chunks = chunksOf(file, signal)
  return {
    next: async () => (await chunks.next()).value || undefined,
    close: async () => void (await chunks.return()),
  }
}

async function* chunksOf(file: WeightFile, signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
  if (ArrayBuffer.isView(file)) return yield new Uint8Array(file.buffer, file.byteOffset, file.byteLength)
  if (typeof file === 'object' && 'byteLength' in file) return yield new Uint8Array(file)
  let response: Response
  if (typeof file === 'string' || 'href' in file) {
    response = await fetch(`${file}`, { signal })
  } else response = new Response(file)
  if (!response.ok || !response.body) throw new Error(`status ${response.status}`)
  const reader = response.body.getReader()
  try {
    for (let step; !(step = await reader.read()).done;) yield step.value
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** The files of a list, those that an index names, or the one. */
export async function shardsOf(source: WeightSource, signal?: AbortSignal): Promise<readonly WeightFile[]> {
  const index = /\.index\.json(?=$|[?#])/
  const files = [source].flat() as WeightFile[]
  const place = files.length === 1 ? placeOf(files[0]) : ''
  const cut = place.search(index)
  if (cut < 0) return files.filter((file) => !index.test(placeOf(file)))
  try {
    let text = ''
    const reader = readerOf(files[0], signal)
    for (let chunk; (chunk = await reader.next(new Uint8Array(1 << 16)));)
      text += new TextDecoder('latin1').decode(chunk)
    await reader.close()
    return [...new Set(Object.values(JSON.parse(text).weight_map))].map((name) => {
      if (!/^\w[\w.-]*$/.test(`${name}`)) throw new Error(`it names ${name}, which is not in its folder`)
      return place.slice(0, cut).replace(/[^/\\]*$/, `${name}`) + place.slice(cut + 11)
    })
  } catch (thrown) {
    signal?.throwIfAborted()
    throw new TfmError('TFM1907', `${place} is no index of shards that can be read: ${thrown}`)
  }
}

/** Reads the next bytes of a tensor, as many as there is room for. */
export interface ReadInto {
  (room: Uint8Array): Promise<unknown>
  /** Of a quantised tensor, whose numbers are read as F32: the tensor, and the bytes of its parts. */
  parts?: [info: TensorInfo, bytesOf: (part: TensorInfo) => Uint8Array]
}

/**
 * Gives `onTensor`, one by one, the tensors that `pick` chooses of each file; it keeps their order, and knows the last file. `direct` may
 * read all of a tensor to where it belongs instead.
 */
export async function readTensors(
  source: WeightSource,
  pick: (tensors: TensorInfo[], file: string, last: boolean) => TensorInfo[],
  onTensor: (info: TensorInfo, bytes: Uint8Array) => unknown,
  { onProgress, signal }: ReadOptions = {},
  direct?: (info: TensorInfo, read: ReadInto) => Promise<unknown> | undefined,
): Promise<void> {
  let [loaded, total] = [0, 0]
  const files = await shardsOf(source, signal)
  if (!files[0]) throw new TfmError('TFM1901', 'no weights were given')
  for (const [i, file] of files.entries()) {
    const place = placeOf(file)
    const reader = readerOf(file, signal)
    let rest: Uint8Array = new Uint8Array()
    const fill = async (room: Uint8Array, tensor: string) => {
      const { length } = room
      for (let at = 0; at < length;) {
        signal?.throwIfAborted()
        if (!rest.length) {
          const value = await reader.next(room.subarray(at)).catch((thrown) => {
            signal?.throwIfAborted()
            throw new TfmError('TFM1901', `cannot read the weights ${place}: ${thrown}`)
          })
          if (!value) throw new TfmError('TFM1903', `${place} ends within ${tensor}; download it again`)
          rest = value
        }
        const part = rest.subarray(0, length - at)
        if (part.buffer !== room.buffer) room.set(part, at)
        rest = rest.subarray(part.length)
        at += part.length
        loaded += part.length
        if (total) onProgress?.({ phase: 'weights', loaded, total: Math.max(loaded, total), tensor })
      }
      return room
    }
    const take = (length: number, tensor: string) => fill(new Uint8Array(length), tensor)
    try {
      const length = headerLength(await take(8, 'its header'), place)
      const tensors = parseHeader(await take(length, 'its header'), place)
      const wanted = pick(tensors, place, i === files.length - 1)
      total = loaded + (wanted.at(-1)?.end ?? 0)
      let at = 0
      for (const info of wanted) {
        while (at < info.begin) at += (await take(Math.min(info.begin - at, 65536), info.name)).length
        const reading = direct?.(info, (room) => fill(room, info.name))
        await (reading ?? onTensor(info, await take(info.end - at, info.name)))
        at = info.end
      }
      // Browsers keep what was read to its end for the next time.
      if (at === tensors.at(-1)?.end) await reader.next(new Uint8Array(1))
    } finally {
      await reader.close()
    }
  }
}
