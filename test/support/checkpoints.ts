/** Checkpoints of the examples, read without the project's own reader. */
import { readFileSync } from 'node:fs'
import type { Tensor } from '../../src/types/tensor.ts'

/** A safetensors file of any place in the project; F16 is widened. */
export function tensorsOf(path: string): Map<string, Tensor> {
  const bytes = readFileSync(new URL(`../../${path}`, import.meta.url))
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >
  const out = new Map<string, Tensor>()
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const { dtype, shape } = entry
    const [from, to] = entry.data_offsets
    const size = dtype === 'F16' ? 2 : 4
    const data = Float64Array.from({ length: (to - from) / size }, (_, i) => {
      const at = 8 + length + from + i * size
      if (dtype === 'F16') return half(bytes.readUInt16LE(at))
      return dtype === 'F32' ? bytes.readFloatLE(at) : bytes.readInt32LE(at)
    })
    out.set(name, { dtype: dtype.startsWith('F') ? 'f32' : 'i32', shape, data })
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
