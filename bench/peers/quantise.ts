/**
 * The levels and scales of a file of `tfmc quantize` (docs/quantisation.md) in the layout of ONNX Runtime's MatMulNBits: for each output column
 * blocks of 32 numbers along the input, unsigned with the middle as zero (128 of 8 bits, 8 of 4 bits, two to a byte, the even one low), and
 * one f32 scale for each. So both compute with the same numbers.
 */
import { toFloat32 } from '../../targets/runtime/safetensors.ts'
import type { TensorToWrite } from '../../src/weights/index.ts'
import { bytesOf } from './checkpoint.ts'
import { lookupName, quantisedName, scaleName } from './onnx/transformers.ts'

const block = 32

/** Two tensors, [columns, blocks, bytes] and [columns · blocks], of a matrix that is stored as [rows, columns], or turned. */
export function forPeers(
  path: string,
  name: string,
  bits: 4 | 8,
  { rows, columns, turned = false }: { readonly rows: number; readonly columns: number; readonly turned?: boolean },
): TensorToWrite[] {
  const blocks = rows / block
  /** The place of (k, n) among `count` entries along the rows. */
  const place = (k: number, n: number, count: number): number => (turned ? n * count + k : k * columns + n)
  const codes = (): Uint8Array => {
    const from = bytesOf(path, `${name}:q${bits}`)
    const to = new Uint8Array(from.length)
    const entries = (rows * bits) / 8
    for (let n = 0; n < columns; n++)
      for (let k = 0; k < entries; k++) to[n * entries + k] = from[place(k, n, entries)] ^ (bits === 8 ? 0x80 : 0)
    return to
  }
  const scales = (): Float32Array => {
    const from = toFloat32('F16', bytesOf(path, `${name}:scale`))!
    const to = new Float32Array(from.length)
    for (let n = 0; n < columns; n++) for (let b = 0; b < blocks; b++) to[n * blocks + b] = from[place(b, n, blocks)]
    return to
  }
  return [
    { name: scaleName(name, bits), shape: [columns * blocks], data: scales },
    { name: quantisedName(name, bits), dtype: 'U8', shape: [columns, blocks, (block * bits) / 8], data: codes },
  ]
}

/** The table [rows, width] that the levels of `name` stand for, which have their blocks along the width: what embeddings are looked up in. */
export function lookup(path: string, name: string, bits: 4 | 8, rows: number, width: number): TensorToWrite {
  return {
    name: lookupName, shape: [rows, width],
    data: () => {
      const levels = bytesOf(path, `${name}:q${bits}`)
      const scales = toFloat32('F16', bytesOf(path, `${name}:scale`))!
      const level = (i: number): number =>
        bits === 8 ? (levels[i] << 24) >> 24 : ((levels[i >> 1] >> (4 * (i & 1))) & 15) - 8
      return Float32Array.from({ length: rows * width }, (_, i) => scales[Math.floor(i / block)] * level(i))
    },
  } // prettier-ignore
}
