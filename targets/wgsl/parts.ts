/**
 * Weights that are too large for one binding lie in several buffers, their parts: all of one size but the last, cut at multiples of 256 bytes, so
 * that no vector lies across a cut. Kernels read them through a function of the element's place.
 */
import { storageOf } from '../../src/kernel/address.ts'
import type { Buffer } from '../../src/kernel/buffer.ts'
import type { KernelArg } from '../../src/kernel/stage.ts'
import { isConst } from '../../src/types/ix.ts'

const ALIGN = 256
const BYTES = 4

/** Bytes of each part but the last, where a binding holds `most` bytes. */
export const partBytes = (most: number): number => Math.max(ALIGN, Math.floor(most / ALIGN) * ALIGN)

/** Elements of each part; undefined for what one binding holds, and for what is no weight: only weights are split. */
export function partsOf({ buffer, role, access }: KernelArg, most: number): readonly number[] | undefined {
  const size = isConst(storageOf(buffer))
  if (buffer.layout?.kept || role !== 'weight' || access !== 'read' || size === undefined || size * BYTES <= most)
    return undefined
  const each = partBytes(most) / BYTES
  return Array.from({ length: Math.ceil(size / each) }, (_, i) => Math.min(each, size - i * each))
}

/** The function that reads an element of a weight in parts by its place. */
export function readerLines(
  of: Buffer['of'],
  { names, each, read }: { readonly names: readonly string[]; readonly each: number; readonly read: string },
): string[] {
  const type = of === 'f32' || of === 'f64' ? 'f32' : 'i32'
  const last = names.length - 1
  if (last === 0) return [`fn ${read}(i: i32) -> ${type} { return ${names[0]}[i]; }`]
  return [
    `fn ${read}(i: i32) -> ${type} {`,
    ...names.map((name, n) => {
      const value = `return ${name}[${n === 0 ? 'i' : `i - ${n * each}`}];`
      return n === last ? `  ${value}` : `  if (i < ${(n + 1) * each}) { ${value} }`
    }),
    '}',
  ]
}
