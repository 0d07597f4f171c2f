/** Values of stored tensors, to and from bytes. Little-endian, as the format says. */
import { toFloat32 } from '../../targets/runtime/safetensors.ts'
import type { StorageDType } from '../types/dtype.ts'

type Integers = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array

/**
 * Exact values (of any dtype but 64-bit integers beyond i32).
 * @throws RangeError where an integer does not fit i32; its message says which element.
 */
export function toFloat64(dtype: StorageDType, bytes: Uint8Array): Float64Array {
  const { buffer, byteOffset, length } = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice()
  if (dtype === 'F64') return new Float64Array(buffer.slice(byteOffset, byteOffset + length))
  const floats = toFloat32(dtype, bytes)
  if (floats) return Float64Array.from(floats)
  const out = integers(dtype, buffer, byteOffset, length)
  for (let i = 0; i < out.length; i++)
    if (out[i] !== (out[i] | 0)) throw new RangeError(`holds ${out[i]} at element ${i}, beyond i32`)
  return out
}

function integers(dtype: StorageDType, buffer: ArrayBufferLike, at: number, length: number): Float64Array {
  if (dtype === 'I64') {
    const big = new BigInt64Array(buffer, at, length / 8)
    return Float64Array.from({ length: big.length }, (_, i) => Number(big[i]))
  }
  return Float64Array.from(narrow(dtype, buffer, at, length))
}

function narrow(dtype: StorageDType, buffer: ArrayBufferLike, at: number, length: number): Integers {
  switch (dtype) {
    case 'I32':
      return new Int32Array(buffer, at, length / 4)
    case 'U32':
      return new Uint32Array(buffer, at, length / 4)
    case 'I16':
      return new Int16Array(buffer, at, length / 2)
    case 'U16':
      return new Uint16Array(buffer, at, length / 2)
    case 'I8':
      return new Int8Array(buffer, at, length)
    case 'U8':
    case 'BOOL':
      return new Uint8Array(buffer, at, length)
    default:
      throw new Error(`internal: ${dtype} is not an integer dtype`)
  }
}

/** The bytes of `values` as `dtype`: floats rounded to nearest even, integers truncated as typed arrays do. */
export function toBytes(dtype: StorageDType, values: ArrayLike<number>): Uint8Array {
  const bytesOf = (a: ArrayBufferView) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength)
  switch (dtype) {
    case 'F32':
      return bytesOf(values instanceof Float32Array ? values : Float32Array.from(values))
    case 'F64':
      return bytesOf(Float64Array.from(values))
    case 'F16':
      return bytesOf(Uint16Array.from({ length: values.length }, (_, i) => f16Bits(values[i])))
    case 'BF16':
      return bytesOf(Uint16Array.from({ length: values.length }, (_, i) => bf16Bits(values[i])))
    case 'I64':
      return bytesOf(BigInt64Array.from({ length: values.length }, (_, i) => BigInt(values[i])))
    case 'I32':
      return bytesOf(Int32Array.from(values))
    case 'U32':
      return bytesOf(Uint32Array.from(values))
    case 'I16':
    case 'U16':
      return bytesOf(Uint16Array.from(values))
    case 'I8':
    case 'U8':
    case 'BOOL':
      return Uint8Array.from(values)
  }
}

/** IEEE half precision, rounded to nearest even; NaN is quiet and positive. */
export function f16Bits(x: number): number {
  if (Number.isNaN(x)) return 0x7e00
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0
  const size = Math.abs(x)
  if (size >= 65520) return sign | 0x7c00
  let exponent = Math.max(-14, Math.floor(Math.log2(size)))
  if (exponent > -14 && 2 ** exponent > size) exponent--
  if (2 ** (exponent + 1) <= size) exponent++
  // Subnormals have the exponent of the smallest normals; a carry moves into the exponent by itself.
  return sign | (((exponent + 14) << 10) + roundEven(size * 2 ** (10 - exponent)))
}

function roundEven(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

const word = new Uint32Array(1)
const single = new Float32Array(word.buffer)

/** bfloat16, from f32, rounded to nearest even. */
export function bf16Bits(x: number): number {
  if (Number.isNaN(x)) return 0x7fc0
  single[0] = x
  return (word[0] + 0x7fff + ((word[0] >>> 16) & 1)) >>> 16
}
