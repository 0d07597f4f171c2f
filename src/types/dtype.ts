/** Element types of values, and of tensors as files store them. */

/** What a value in a program is made of. */
export type DType = 'f32' | 'i32' | 'bool'

export const DTYPES: readonly DType[] = ['f32', 'i32', 'bool']

export function isDType(x: string): x is DType {
  return (DTYPES as readonly string[]).includes(x)
}

/** What a checkpoint may store; the names are those of safetensors. */
export type StorageDType = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U32' | 'U16' | 'U8' | 'BOOL'

const STORAGE_BYTES: Readonly<Record<StorageDType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
}

export function isStorageDType(x: string): x is StorageDType {
  return Object.hasOwn(STORAGE_BYTES, x)
}

/** Bytes of one element in a file. */
export function storageBytes(d: StorageDType): number {
  return STORAGE_BYTES[d]
}

/** Bytes of one element in memory: a bool takes a word too, as WGSL cannot store it otherwise. */
export function dtypeBytes(_d: DType): number {
  return 4
}

/** What the elements of a stored tensor become: floats f32, integers i32. */
export function loadedAs(d: StorageDType): DType {
  return d === 'BOOL' ? 'bool' : d === 'BF16' || d.startsWith('F') ? 'f32' : 'i32'
}
