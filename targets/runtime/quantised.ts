import { TfmError } from './errors.ts'
import { toFloat32, type TensorInfo } from './safetensors.ts'
import { readTensors, type ReadInto, type ReadOptions, type WeightSource } from './source.ts'

/** A tensor stored in blocks of 32 numbers along `axis`: w = scale * (q - zero). Its dtype is F32, its shape that of w. */
export interface QuantisedInfo extends TensorInfo {
  bits: 4 | 8
  axis: number
  /** `q8` or `q4`, `scale`, and `zero` where it is not 0 (int8) or 8 (int4). */
  parts: ReadonlyMap<string, TensorInfo>
}

export const blockSize = 32
const partName = /^(.*):(q8|q4|scale|zero)$/s

/** The tensors of a file as a model knows them: the parts of a quantised one are one tensor, in the place of its first. */
export function groupParts(tensors: readonly TensorInfo[], file: string): (TensorInfo | QuantisedInfo)[] {
  const groups = new Map<string, Map<string, TensorInfo>>()
  const out: (TensorInfo | QuantisedInfo)[] = []
  for (const info of tensors) {
    const [, base, part] = partName.exec(info.name) ?? []
    if (!part) out.push(info)
    else if (groups.has(base)) groups.get(base)!.set(part, info)
    else {
      groups.set(base, new Map([[part, info]]))
      out.push({ ...info, name: base })
    }
  }
  return out.map((info) => {
    const parts = groups.get(info.name)
    return parts && !tensors.includes(info) ? quantisedInfo(info.name, parts, file) : info
  })
}

function quantisedInfo(name: string, parts: Map<string, TensorInfo>, file: string): QuantisedInfo {
  const [eight, four, scale, zero] = ['q8', 'q4', 'scale', 'zero'].map((part) => parts.get(part))
  const q = eight ?? four
  const bits = four ? 4 : 8
  const wanted = four || zero ? 'U8' : 'I8'
  const fits = q && scale && !(eight && four) && q.dtype === wanted && toFloat32(scale.dtype, new Uint8Array())
  if (fits && (!zero || (zero.dtype === 'U8' && `${zero.shape}` === `${scale.shape}`)))
    for (let axis = q.shape.length; axis--;) {
      const shape = q.shape.with(axis, (q.shape[axis] * 8) / bits)
      if (`${scale.shape}` !== `${shape.with(axis, Math.ceil(shape[axis] / blockSize))}`) continue
      const begin = Math.min(...[...parts.values()].map((part) => part.begin))
      return { name, dtype: 'F32', shape, begin, end: begin + q.end - q.begin, bits, axis, parts }
    }
  throw new TfmError(
    'TFM1918',
    `${file}: the parts ${[...parts.keys()].join(', ')} of tensor ${name} do not fit together`,
  )
}

/** The values, each rounded once: scales have 11 bits, so that they are exact unless a scale is stored as F32. */
export function dequantise({ shape, bits, axis, parts }: QuantisedInfo, bytesOf: (part: TensorInfo) => Uint8Array) {
  const [q, scale, zero] = [`q${bits}`, 'scale', 'zero'].map((part) => parts.get(part))
  const stored = bytesOf(q!)
  const values = q!.dtype === 'I8' ? new Int8Array(stored.buffer, stored.byteOffset, stored.length) : stored
  const scales = toFloat32(scale!.dtype, bytesOf(scale!))!
  const zeros = zero && bytesOf(zero)
  const size = (from: number, to?: number) => shape.slice(from, to).reduce((a, b) => a * b, 1)
  const [outer, n, inner] = [size(0, axis), shape[axis], size(axis + 1)]
  const blocks = Math.ceil(n / blockSize)
  const each = 8 / bits
  const out = new Float32Array(outer * n * inner)
  for (let o = 0, at = 0; o < outer; o++)
    for (let k = 0; k < n; k++) {
      const from = ((o * n) / each + Math.floor(k / each)) * inner
      const block = (o * blocks + Math.floor(k / blockSize)) * inner
      for (let i = 0; i < inner; i++, at++) {
        const raw = values[from + i]
        const level = bits === 8 ? raw : k % 2 ? raw >> 4 : raw & 15
        out[at] = scales[block + i] * (level - (zeros ? zeros[block + i] : bits === 8 ? 0 : 8))
      }
    }
  return out
}

/** As `readTensors`; quantised tensors come as F32, as soon as their last part has. */
export async function readQuantised(
  source: WeightSource,
  pick: (tensors: TensorInfo[], file: string, last: boolean) => TensorInfo[],
  onTensor: (info: TensorInfo, bytes: Uint8Array) => unknown,
  options?: ReadOptions,
  direct?: (info: TensorInfo, read: ReadInto) => Promise<unknown> | undefined,
): Promise<void> {
  const owner = new Map<TensorInfo, TensorInfo>()
  const bytesOf = new Map<TensorInfo, Uint8Array>()
  await readTensors(
    source,
    (tensors, file, last) => {
      for (const info of pick(groupParts(tensors, file), file, last))
        for (const part of 'parts' in info ? (info as QuantisedInfo).parts.values() : [info]) owner.set(part, info)
      return tensors.filter((info) => owner.has(info))
    },
    async (part, bytes) => {
      const info = owner.get(part)!
      if (!('parts' in info)) return onTensor(info, bytes)
      const { parts } = info as QuantisedInfo
      bytesOf.set(part, bytes)
      if (![...parts.values()].every((each) => bytesOf.has(each))) return
      const stored = (each: TensorInfo) => bytesOf.get(each)!
      const widen = () => new Uint8Array(dequantise(info as QuantisedInfo, stored).buffer)
      let [values, at] = [undefined as Uint8Array | undefined, 0]
      const next: ReadInto = async (room) => room.set((values ??= widen()).subarray(at, (at += room.length)))
      next.parts = [info, stored]
      await (direct?.(info, next) ?? onTensor(info, widen()))
      for (const each of parts.values()) bytesOf.delete(each)
    },
    options,
    direct && ((part, read) => ('parts' in owner.get(part)! ? undefined : direct(part, read))),
  )
}
