/** Made-up weights of self-tests that are kept in fewer bits: the numbers that `sampleInput` gives become when they are kept. */
import type { Layout } from '../../src/kernel/buffer.ts'
import { halfValue } from '../runtime/half-value.ts'
import { sampleInput } from '../runtime/sample.ts'
import type { KeptSamples } from '../shared/selftest.ts'
import { BLOCK, hasScales } from './kept.ts'
import { keepMatrix, keptSizes } from './runtime/keep.ts'
import type { Keep } from './runtime/load.ts'

export const keepText = ({ as, k, n, turned, cut, most }: Keep): string =>
  `{ as: '${as}', k: ${k}, n: ${n}${turned ? ', turned: true' : ''}${cut ? `, cut: ${cut}` : ''}${most ? `, most: ${most}` : ''} }`

/** So many elements of a layout's storage as a matrix: with its padding. */
function storageOf({ kept }: Layout, elements: number): Keep {
  const { as, rows } = kept!
  return { as, k: rows, n: elements / rows }
}

export function keptSamples(): KeptSamples {
  const known = new Map<string, Float32Array>()
  return {
    text: (layout, elements) => keepText(storageOf(layout, elements)),
    value: (layout, elements, seed, flat) => {
      const { as, n } = storageOf(layout, elements)
      const column = flat % n
      const block = Math.floor(flat / n / BLOCK)
      const key = [as, n, seed, block, column].join()
      let values = known.get(key)
      if (values === undefined) {
        const first = block * BLOCK * n + column
        const floats = Float32Array.from({ length: BLOCK }, (_, i) => sampleInput(seed, first + i * n, false))
        known.set(key, (values = keptColumn(as, floats)))
      }
      return values[Math.floor(flat / n) % BLOCK]
    },
  }
}

/** What becomes of a column of one block. */
function keptColumn(as: Keep['as'], floats: Float32Array): Float32Array {
  const keep: Keep = { as, k: BLOCK, n: 1 }
  const memory = new ArrayBuffer(keptSizes(keep)[1])
  keepMatrix(keep, [memory], floats)
  const [bytes, halves] = [new Uint8Array(memory), new Uint16Array(memory)]
  const scale = hasScales(as) ? halfValue(halves[as === 'int8' ? 64 : 32]) : 1
  return floats.map((_, k) => {
    if (as === 'int8') return scale * (bytes[4 * k] - 128)
    if (as === 'int4') return scale * ((bytes[(k >> 1) * 4 + (k & 1) * 2] & 15) - 8)
    const half = halves[(k >> 1) * 8 + (k & 1) * 4]
    return as === 'f16' ? halfValue(half) : new Float32Array(Uint32Array.of(half << 16).buffer)[0]
  })
}
