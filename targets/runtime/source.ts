import { TfmError } from './errors.ts'
import { headerLength, parseHeader, type TensorInfo } from './safetensors.ts'

type WeightFile = string | URL | ArrayBuffer | ArrayBufferView | Blob | ReadableStream<Uint8Array>
/** Safetensors by URL, path (Node), bytes, File or stream; shards as a list or by their `*.index.json`. */
export type WeightSource = WeightFile | readonly WeightFile[]

export interface ReadOptions {
  /** Bytes read; `total` grows as further files are opened. */
  onProgress?: (progress: { phase: 'weights'; loaded: number; total: number; tensor: string }) => void
  signal?: AbortSignal
}

/** A path, a URL, or the name of a File. */
const placeOf = (file: WeightFile): string =>
  typeof file === 'string' || 'href' in file ? `${file}` : 'name' in file ? `${file.name}` : 'weights'

async function* chunksOf(file: WeightFile, signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
  if (ArrayBuffer.isView(file)) return yield new Uint8Array(file.buffer, file.byteOffset, file.byteLength)
  if (typeof file === 'object' && 'byteLength' in file) return yield new Uint8Array(file)
  let response: Response
  if (typeof file === 'string' || 'href' in file) {
    const place = `${file}`
    // Not an import, which bundlers would follow.
    const node = Object(globalThis).process?.getBuiltinModule?.('node:fs')
    if (node && !/^(https?|blob|data):/i.test(place))
      return yield* node.createReadStream(/^file:/i.test(place) ? new URL(place) : place, { highWaterMark: 1 << 20 })
    response = await fetch(place, { signal })
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
    for await (const chunk of chunksOf(files[0], signal)) text += new TextDecoder('latin1').decode(chunk)
    return [...new Set(Object.values(JSON.parse(text).weight_map))].map((name) => {
      if (!/^\w[\w.-]*$/.test(`${name}`)) throw new Error(`it names ${name}, which is not in its folder`)
      return place.slice(0, cut).replace(/[^/\\]*$/, `${name}`) + place.slice(cut + 11)
    })
  } catch (thrown) {
    signal?.throwIfAborted()
    throw new TfmError('TFM1907', `${place} is no index of shards that can be read: ${thrown}`)
  }
}

/** Gives `onTensor`, one by one, the tensors that `pick` chooses of each file; it keeps their order, and knows the last file. */
export async function readTensors(
  source: WeightSource,
  pick: (tensors: TensorInfo[], file: string, last: boolean) => TensorInfo[],
  onTensor: (info: TensorInfo, bytes: Uint8Array) => unknown,
  { onProgress, signal }: ReadOptions = {},
): Promise<void> {
  let [loaded, total] = [0, 0]
  const files = await shardsOf(source, signal)
  if (!files[0]) throw new TfmError('TFM1901', 'no weights were given')
  for (const [i, file] of files.entries()) {
    const place = placeOf(file)
    const chunks = chunksOf(file, signal)
    let rest: Uint8Array = new Uint8Array()
    const take = async (length: number, tensor: string) => {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length;) {
        signal?.throwIfAborted()
        if (!rest.length) {
          const { value } = await chunks.next().catch((thrown) => {
            signal?.throwIfAborted()
            throw new TfmError('TFM1901', `cannot read the weights ${place}: ${thrown}`)
          })
          if (!value) throw new TfmError('TFM1903', `${place} ends within ${tensor}; download it again`)
          rest = value
        }
        const part = rest.subarray(0, length - at)
        bytes.set(part, at)
        rest = rest.subarray(part.length)
        at += part.length
        loaded += part.length
        if (total) onProgress?.({ phase: 'weights', loaded, total: Math.max(loaded, total), tensor })
      }
      return bytes
    }
    try {
      const length = headerLength(await take(8, 'its header'), place)
      const wanted = pick(parseHeader(await take(length, 'its header'), place), place, i === files.length - 1)
      total = loaded + (wanted.at(-1)?.end ?? 0)
      let at = 0
      for (const info of wanted) {
        while (at < info.begin) at += (await take(Math.min(info.begin - at, 65536), info.name)).length
        await onTensor(info, await take(info.end - at, info.name))
        at = info.end
      }
    } finally {
      await chunks.return()
    }
  }
}
