/** Tensors of golden cases and checkpoints, read straight from safetensors (8 bytes of length, a JSON header, then data) without the project's own reader. */
import { readFileSync } from 'node:fs'
import type { Tensor } from '../../src/types/tensor.ts'

interface Entry {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data_offsets: readonly [number, number]
}

const readers: Readonly<Record<string, { readonly bytes: number; readonly read: (b: Buffer, at: number) => number }>> =
  {
    F64: { bytes: 8, read: (b, at) => b.readDoubleLE(at) },
    F32: { bytes: 4, read: (b, at) => b.readFloatLE(at) },
    F16: { bytes: 2, read: (b, at) => half(b.readUInt16LE(at)) },
    I64: { bytes: 8, read: (b, at) => Number(b.readBigInt64LE(at)) },
    I32: { bytes: 4, read: (b, at) => b.readInt32LE(at) },
    BOOL: { bytes: 1, read: (b, at) => b.readUInt8(at) },
    U8: { bytes: 1, read: (b, at) => b.readUInt8(at) },
  }

/** A case of test/golden. */
export const goldenTensors = (name: string, file: string): Map<string, Tensor> =>
  tensorsOf(`test/golden/${name}/${file}`)

/** A safetensors file of any place in the project; floats are widened. */
export function tensorsOf(path: string): Map<string, Tensor> {
  const bytes = readFileSync(new URL(`../../${path}`, import.meta.url))
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, Entry>
  const out = new Map<string, Tensor>()
  for (const [key, entry] of Object.entries(header)) {
    if (key === '__metadata__') continue
    const reader = readers[entry.dtype]
    const [from, to] = entry.data_offsets
    const data = new Float64Array((to - from) / reader.bytes)
    for (let i = 0; i < data.length; i++) data[i] = reader.read(bytes, 8 + length + from + i * reader.bytes)
    const dtype = entry.dtype.startsWith('F') ? 'f32' : entry.dtype === 'BOOL' ? 'bool' : 'i32'
    out.set(key, { dtype, shape: entry.shape, data })
  }
  return out
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
