import { TfmError } from './errors.ts'

/** `begin` and `end` are offsets in the data after the header. */
export interface TensorInfo {
  name: string
  dtype: string
  shape: readonly number[]
  begin: number
  end: number
}

const invalid = (file: string, what: string) =>
  new TfmError('TFM1902', `${file} is not a valid safetensors file: ${what}; download or export it again`)

/** The length of the JSON header, from the first 8 bytes. */
export function headerLength(first: Uint8Array, file: string): number {
  const view = new DataView(first.buffer, first.byteOffset, 8)
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32
  if (length > 1 && length <= 2 ** 25) return length
  throw invalid(file, `it starts with ${JSON.stringify(new TextDecoder().decode(first))}`)
}

/** The tensors in the order of their data; nothing in `json` is trusted. */
export function parseHeader(json: Uint8Array, file: string): TensorInfo[] {
  const tensors: TensorInfo[] = []
  const count = (x: unknown) => Number.isSafeInteger(x) && (x as number) >= 0
  let header: Record<string, unknown> | null
  try {
    header = JSON.parse(new TextDecoder().decode(json))
  } catch {
    throw invalid(file, 'its header is not JSON')
  }
  for (const [name, entry] of Object.entries(header ?? {})) {
    if (name === '__metadata__') continue
    const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>
    const [begin, end] = Array.isArray(offsets) ? offsets : []
    const known = typeof dtype === 'string' && Array.isArray(shape) && shape.every(count)
    if (!known || !count(begin) || !count(end) || end < begin)
      throw invalid(file, `tensor ${name} has no valid dtype, shape and data_offsets`)
    const bits = dtype === 'BOOL' ? 8 : Number(/\d+/.exec(dtype)?.[0])
    const bytes = shape.reduce((a, b) => a * b, bits / 8)
    if (bits && bytes !== end - begin)
      throw invalid(file, `tensor ${name}, ${dtype} [${shape}], takes ${bytes} bytes, not ${end - begin}`)
    tensors.push({ name, dtype, shape, begin, end })
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let at = 0
  for (const { name, begin, end } of tensors) {
    if (begin !== at) throw invalid(file, `tensor ${name} starts at byte ${begin} of the data, not at ${at}`)
    at = end
  }
  return tensors
}

/** The values: a view of `bytes` for F32, exact for F16 and BF16, rounded for F64; undefined for other dtypes. */
export function toFloat32(dtype: string, bytes: Uint8Array): Float32Array | undefined {
  const { buffer, byteOffset, length } = bytes.byteOffset % 8 ? bytes.slice() : bytes
  if (dtype === 'F32') return new Float32Array(buffer, byteOffset, length / 4)
  if (dtype === 'F64') return new Float32Array(new Float64Array(buffer, byteOffset, length / 8))
  if (dtype !== 'F16' && dtype !== 'BF16') return undefined
  const stored = new Uint16Array(buffer, byteOffset, length / 2)
  const values = new Float32Array(stored.length)
  const bits = new Uint32Array(values.buffer)
  if (dtype === 'BF16') {
    for (let i = 0; i < bits.length; i++) bits[i] = stored[i] << 16
    return values
  }
  for (let i = 0; i < values.length; i++) {
    const half = stored[i]
    const special = (half & 0x7c00) === 0x7c00 ? 0x7f800000 : 0
    // The exponent is off by 112, which a product puts right, for subnormal numbers too.
    bits[i] = ((half & 0x7fff) << 13) | special
    if (!special) values[i] *= 2 ** 112
    bits[i] |= (half & 0x8000) << 16
  }
  return values
}
