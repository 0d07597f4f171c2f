/** The type of a tensor, and concrete tensors of the reference interpreter. */
import type { DType } from './dtype.ts'
import type { Ix } from './ix.ts'

export interface TensorType {
  readonly dtype: DType
  readonly shape: readonly Ix[]
}

/** A concrete tensor in float64; i32 and bool (0/1) values are held exactly. Row-major. */
export interface Tensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: Float64Array
}
