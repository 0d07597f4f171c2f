/** Random access to stored tensors, for `tfmc info`, `diff` and the reference. Compiled modules stream instead. */
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { dequantise, groupParts, readQuantised, type QuantisedInfo } from '../../targets/runtime/quantised.ts'
import { headerLength, parseHeader, type TensorInfo } from '../../targets/runtime/safetensors.ts'
import { shardsOf } from '../../targets/runtime/source.ts'
import { loadWeights, type LoadOptions, type WeightRules, type WeightSpec } from '../../targets/runtime/weights.ts'
import { fail, say } from '../diagnostics/index.ts'
import { isStorageDType, loadedAs } from '../types/dtype.ts'
import type { Tensor } from '../types/tensor.ts'
import { withDiagnostics } from './errors.ts'
import { toFloat64 } from './values.ts'

export interface StoredTensor extends TensorInfo {
  readonly file: string
  /** Where its bytes start in the file; of a quantised one, those of its first part. */
  readonly position: number
  /** In bytes. */
  readonly size: number
  /** Of a tensor that is stored in blocks of small integers: its dtype is F32. */
  readonly quantised?: QuantisedInfo
}

/** What the numbers are stored as, in words: a dtype of safetensors, or how they are quantised. */
export const formatOf = ({ dtype, quantised }: StoredTensor): string =>
  quantised ? `int${quantised.bits}${quantised.parts.has('zero') ? '-asym' : ''} along ${quantised.axis}` : dtype

export interface WeightsFile {
  /** The safetensors files, more than one if sharded. */
  readonly files: readonly string[]
  /** In the order of the files. */
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly metadata: ReadonlyMap<string, string>
  /** Of all files. */
  readonly bytes: number
}

/**
 * Reads the headers of a `.safetensors` file, of the shards of an `.index.json`, or of either in a folder, as `model.safetensors`.
 * @throws DiagnosticError (TFM1901, 1902, 1903, 1905, 1907)
 */
export function openWeights(path: string): Promise<WeightsFile> {
  return withDiagnostics(async () => {
    const files = (await shardsOf(await inFolder(path))).map(String)
    const tensors = new Map<string, StoredTensor>()
    const metadata = new Map<string, string>()
    let bytes = 0
    for (const file of files) {
      const { infos, json, dataStart, size: whole } = await readHeader(file)
      bytes += whole
      for (const info of groupParts(infos, file)) {
        const other = tensors.get(info.name)
        if (other) fail(say.weightsMismatch(undefined, `tensor ${info.name} is in ${other.file} and in ${file}`))
        const quantised = 'parts' in info ? info : undefined
        const parts = quantised ? [...quantised.parts.values()] : [info]
        const size = parts.reduce((sum, part) => sum + part.end - part.begin, 0)
        const { name, dtype, shape, begin, end } = info
        const stored = { name, dtype, shape, begin, end, file, position: dataStart + begin, size }
        tensors.set(name, quantised ? { ...stored, quantised } : stored)
      }
      for (const [key, value] of metadataOf(json)) metadata.set(key, value)
    }
    return { files, tensors, metadata, bytes }
  })
}

/** The file that a folder stands for, or the path itself. */
async function inFolder(path: string): Promise<string> {
  const isFile = (name: string) =>
    stat(name).then(
      (s) => s.isFile(),
      () => false,
    )
  const isFolder = await stat(path).then(
    (s) => s.isDirectory(),
    () => false,
  )
  if (!isFolder) return path
  for (const name of ['model.safetensors', 'model.safetensors.index.json'])
    if (await isFile(join(path, name))) return join(path, name)
  return fail(say.weightsUnreadable(undefined, `${path} is a folder without a model.safetensors`))
}

async function readHeader(file: string) {
  const handle = await open(file).catch((thrown: unknown) =>
    fail(say.weightsUnreadable(undefined, `cannot read the weights ${file}: ${String(thrown)}`)),
  )
  try {
    const { size } = await handle.stat()
    const first = new Uint8Array(8)
    if ((await handle.read(first, 0, 8, 0)).bytesRead < 8) fail(say.weightsTruncated(undefined, file, 'its header'))
    const length = headerLength(first, file)
    if (8 + length > size) fail(say.weightsTruncated(undefined, file, 'its header'))
    const json = new Uint8Array(length)
    await handle.read(json, 0, length, 8)
    const infos = parseHeader(json, file)
    const end = 8 + length + (infos.at(-1)?.end ?? 0)
    if (end > size)
      fail(say.weightsTruncated(undefined, file, infos.find((i) => 8 + length + i.end > size)?.name ?? ''))
    if (end < size) fail(say.weightsMalformed(undefined, file, `${size - end} bytes belong to no tensor`))
    return { infos, json, dataStart: 8 + length, size }
  } finally {
    await handle.close()
  }
}

function metadataOf(json: Uint8Array): [string, string][] {
  const { __metadata__: found } = JSON.parse(new TextDecoder().decode(json)) as { __metadata__?: unknown }
  if (typeof found !== 'object' || found === null) return []
  return Object.entries(found).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
}

/**
 * One tensor's values, exact.
 * @throws DiagnosticError (TFM1904) for dtypes without a meaning here and integers beyond i32.
 */
export async function readTensor(weights: WeightsFile, name: string): Promise<Tensor> {
  const info = weights.tensors.get(name)
  if (!info) throw new Error(`internal: no tensor ${name}`)
  return readStored(info)
}

/** The same, of a tensor of any file. */
export async function readStored(info: StoredTensor): Promise<Tensor> {
  const { name } = info
  if (!isStorageDType(info.dtype)) return fail(say.weightsDtype(undefined, name, `has dtype ${info.dtype}`))
  const { quantised } = info
  if (quantised) {
    const bytesOf = new Map<TensorInfo, Uint8Array>()
    for (const part of quantised.parts.values()) bytesOf.set(part, await readBytes(info, part))
    return { dtype: 'f32', shape: info.shape, data: Float64Array.from(dequantise(quantised, (p) => bytesOf.get(p)!)) }
  }
  const bytes = await readBytes(info)
  try {
    return { dtype: loadedAs(info.dtype), shape: info.shape, data: toFloat64(info.dtype, bytes) }
  } catch (thrown) {
    if (thrown instanceof RangeError) return fail(say.weightsDtype(undefined, name, thrown.message))
    throw thrown
  }
}

/** The bytes of a stored tensor as they are, or of one part of it. */
export async function readBytes(tensor: StoredTensor, part: TensorInfo = tensor): Promise<Uint8Array> {
  const bytes = new Uint8Array(part.end - part.begin)
  const start = tensor.position - tensor.begin + part.begin
  const handle = await open(tensor.file)
  try {
    for (let at = 0; at < bytes.length;) {
      const { bytesRead } = await handle.read(bytes, at, Math.min(bytes.length - at, 1 << 30), start + at)
      if (bytesRead === 0) fail(say.weightsTruncated(undefined, tensor.file, part.name))
      at += bytesRead
    }
  } finally {
    await handle.close()
  }
  return bytes
}

/** Every tensor of a file; for files that fit in memory eight bytes an element. */
export async function readAllTensors(path: string): Promise<Map<string, Tensor>> {
  const weights = await openWeights(path)
  const all = new Map<string, Tensor>()
  for (const name of weights.tensors.keys()) all.set(name, await readTensor(weights, name))
  return all
}

/**
 * The model's parameters by the model's names, as the reference takes them: rounded to f32 as the targets see them, quantised ones as what they
 * stand for; tied ones included.
 * @throws DiagnosticError with everything that does not fit.
 */
export function loadParameters(
  path: string,
  specs: readonly WeightSpec[],
  rules: WeightRules,
  options: LoadOptions = {},
): Promise<Map<string, Tensor>> {
  return withDiagnostics(async () => {
    const params = new Map<string, Tensor>()
    const store = ({ name, shape }: WeightSpec, data: Float32Array) =>
      params.set(name, { dtype: 'f32', shape, data: Float64Array.from(data) })
    const tied = await loadWeights(await inFolder(path), specs, rules, store, options, readQuantised)
    for (const [name, other] of tied) params.set(name, params.get(other)!)
    return params
  })
}
