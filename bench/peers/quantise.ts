/**
 * Weights in the layout of ONNX Runtime's MatMulNBits: for each output column blocks of 32 numbers along the input, unsigned with the middle
 * as zero (128 of 8 bits, 8 of 4 bits, two to a byte, the earlier in the low half), and one f32 scale each, the largest magnitude over 127 or 7.
 */
import type { TensorToWrite } from '../../src/weights/index.ts'
import { quantisedName, scaleName } from './onnx/transformers.ts'

const block = 32

/** Two tensors of `columns` × `rows / 32` blocks from a matrix [rows, columns], or [columns, rows] where it is transposed. */
export function quantised(
  name: string,
  bits: 4 | 8,
  rows: number,
  columns: number,
  isTransposed: boolean,
  read: () => Float32Array,
): TensorToWrite[] {
  const blocks = rows / block
  let made: { codes: Uint8Array; scales: Float32Array } | undefined
  const make = () => {
    if (made) return made
    const data = read()
    const codes = new Uint8Array((columns * rows * bits) / 8)
    const scales = new Float32Array(columns * blocks)
    const values = new Float32Array(block)
    const [middle, most] = bits === 8 ? [128, 127] : [8, 7]
    for (let n = 0; n < columns; n++)
      for (let b = 0; b < blocks; b++) {
        let largest = 0
        for (let i = 0; i < block; i++) {
          const k = b * block + i
          values[i] = isTransposed ? data[n * rows + k] : data[k * columns + n]
          largest = Math.max(largest, Math.abs(values[i]))
        }
        const scale = Math.fround(largest / most)
        scales[n * blocks + b] = scale
        const at = (n * blocks + b) * block
        for (let i = 0; i < block; i++) {
          const code = scale === 0 ? middle : Math.round(values[i] / scale) + middle
          if (bits === 8) codes[at + i] = code
          else codes[(at + i) >> 1] |= code << (4 * (i & 1))
        }
      }
    return (made = { codes, scales })
  }
  return [
    {
      name: quantisedName(name, bits), dtype: 'U8', shape: [columns, blocks, (block * bits) / 8],
      data: () => make().codes,
    },
    {
      name: scaleName(name, bits), shape: [columns * blocks],
      data: () => {
        const { scales } = make()
        made = undefined
        return scales
      },
    },
  ] // prettier-ignore
}
