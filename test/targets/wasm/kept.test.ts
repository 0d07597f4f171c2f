/** Kernels that read weights in few bits. */
import { describe, expect, test } from 'vitest'
import type { KeptAs } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { bin, dataIndex, load } from '../../../src/kernel/expr.ts'
import type { Stage, StageKernel } from '../../../src/kernel/stage.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import { con, evaluate, of } from '../../../src/types/ix.ts'
import { keptBytes, keptLayout } from '../../../targets/wasm/kept.ts'
import { dotContraction } from '../../../targets/wasm/recipes/dots.ts'
import { schedule } from '../../../targets/wasm/recipes.ts'
import { keepBlocks, keepHalves } from '../../../targets/wasm/runtime/keep.ts'
import { T } from '../../kernel/kernels.ts'
import { random } from '../../kernel/run.ts'
import { wasmKernels } from '../../support/wasm-kernels.ts'

const formats: readonly KeptAs[] = ['int8', 'int4', 'f16', 'bf16']

interface Kept {
  readonly bytes: Uint8Array
  /** What they stand for, [k, n]. */
  readonly value: (k: number, n: number) => number
}
const half = (bits: number): number => {
  const exponent = (bits >> 10) & 31
  const size = exponent === 0 ? (bits & 1023) * 2 ** -24 : (1 + (bits & 1023) / 1024) * 2 ** (exponent - 15)
  return bits & 0x8000 ? -size : size
}

/** Packs w[k, n], and reads it back by the words of `kept.ts`. */
function keep(as: KeptAs, K: number, N: number, w: (k: number, n: number) => number): Kept {
  const layout = keptLayout(K, N, as)!
  const { rows } = layout.kept!
  const panels = new Float32Array(evaluate(layout.size, () => 0))
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) panels[(n >> 4) * 16 * rows + 16 * k + (n & 15)] = w(k, n)
  const bytes = new Uint8Array(keptBytes(as, panels.length))
  if (as === 'f16' || as === 'bf16') keepHalves(panels, bytes, as)
  else keepBlocks(panels, bytes, as === 'int8' ? 8 : 4)
  const view = new DataView(bytes.buffer)
  const value = (k: number, n: number): number => {
    const place = (n >> 4) * 16 * rows + 16 * k + (n & 15)
    if (as === 'f16') return half(view.getUint16(2 * place, true))
    if (as === 'bf16') return Math.fround(Float32Array.from(new Float32Array(Uint32Array.of(view.getUint16(2 * place, true) << 16).buffer))[0]) // prettier-ignore
    const [block, size] = [Math.floor(place / 512), as === 'int8' ? 576 : 320]
    const scale = view.getFloat32(block * size + size - 64 + 4 * (n & 15), true)
    const [kk, c] = [k % 32, n & 15]
    if (as === 'int8')
      return Math.fround(scale * (bytes[block * size + (kk >> 2) * 64 + 4 * c + 2 * (kk & 1) + ((kk >> 1) & 1)] - 128))
    const byte = bytes[block * size + (kk >> 2) * 32 + 2 * c + (kk & 1)]
    return Math.fround(scale * ((kk & 2 ? byte >> 4 : byte & 15) - 8))
  }
  return { bytes, value }
}

const f32 = (name: string, ...shape: Parameters<typeof newBuffer>[3][number][]) =>
  newBuffer(name, 'f32', 'global', shape)

/** y = max(x w + b, 0), rows T or a number; w is stored [k, n] or, `turned`, [n, k]. */
function product(as: KeptAs, M: typeof T | number, N: number, K: number, turned = false): StageKernel {
  const rows = typeof M === 'number' ? con(M) : of(M)
  const layout = keptLayout(K, N, as)!
  const own = turned ? { ...layout, axes: [layout.axes[1], layout.axes[0]] } : layout
  const size = (n: number) => con(n)
  const x = f32('x', rows, size(K))
  const w = newBuffer('w', 'f32', 'global', turned ? [size(N), size(K)] : [size(K), size(N)], own)
  const [b, y] = [f32('b', size(N)), f32('y', rows, size(N))]
  const [m, n, k] = [loopSymbol('m', rows), loopSymbol('n', N), loopSymbol('k', K)]
  const dot = newBuffer('dot', 'f32', 'virtual', [rows, size(N)])
  const [m2, n2] = [loopSymbol('m', rows), loopSymbol('n', N)]
  const weight = load(w, turned ? [of(n), of(k)] : [of(k), of(n)])
  const stages: Stage[] = [
    { name: 'dot', out: dot, domain: [m, n], body: { k: 'reduce', fold: 'add', axes: [k], e: bin('mul', load(x, [of(m), of(k)]), weight), empty: 0 } }, // prettier-ignore
    { name: 'y', out: y, domain: [m2, n2], body: { k: 'map', e: bin('add', load(dot, [of(m2), of(n2)]), load(b, [of(n2)])) } }, // prettier-ignore
  ]
  const args = [x, w, b].map((buffer) => ({ buffer, access: 'read' as const, role: 'weight' as const }))
  return { name: 'product', doc: [], stages, args: [...args, { buffer: y, access: 'write', role: 'output' }], params: typeof M === 'number' ? [] : [M] } // prettier-ignore
}

const sizes = [[16, 32], [6, 40], [37, 96], [48, 70]] as const // prettier-ignore

describe.each(formats)('%s', (as) => {
  test.each([false, true])('products of many rows (weights transposed: %s)', async (turned) => {
    for (const [N, K] of sizes)
      for (const threads of [1, 3]) {
        const emitted = await wasmKernels([schedule(product(as, T, N, K, turned))], { threads })
        for (const M of [1, 2, 5]) check(emitted, as, M, N, K, [M], false)
      }
  })

  test('products of few rows', async () => {
    for (const [N, K] of sizes)
      for (const threads of [1, 3]) {
        for (const M of [1, 3]) check(await wasmKernels([schedule(product(as, M, N, K), { short: true })], { threads }), as, M, N, K, [], true) // prettier-ignore
        const some = await wasmKernels([schedule(product(as, T, N, K, true), { short: true })], { threads })
        for (const M of [1, 4, 7]) check(some, as, M, N, K, [M], true)
      }
  })

  test('rows of a table', async () => {
    const [V, D] = [19, 40]
    const layout = keptLayout(D, V, as)!
    const size = (n: number) => con(n)
    const ids = newBuffer('ids', 'i32', 'global', [of(T)])
    const table = newBuffer('table', 'f32', 'global', [size(V), size(D)], { ...layout, axes: [layout.axes[1], layout.axes[0]] }) // prettier-ignore
    const y = f32('y', of(T), size(D))
    const [t, c] = [loopSymbol('t', of(T)), loopSymbol('c', D)]
    const stage: Stage = { name: 'y', out: y, domain: [t, c], body: { k: 'map', e: load(table, [dataIndex(load(ids, [of(t)]), 0, V - 1), of(c)]) } } // prettier-ignore
    const args = [ids, table].map((buffer) => ({ buffer, access: 'read' as const, role: 'weight' as const }))
    const kernel: StageKernel = { name: 'rows', doc: [], stages: [stage], args: [...args, { buffer: y, access: 'write', role: 'output' }], params: [T] } // prettier-ignore
    const emitted = await wasmKernels([schedule(kernel)], { threads: 2 })
    const { bytes, value } = keep(as, D, V, (k, n) => Math.sin(k * 31 + n))
    const out = new Float32Array(5 * D)
    emitted.call(0, [Int32Array.of(0, 18, 7, 16, 1), bytes, out], [5])
    for (const [i, id] of [0, 18, 7, 16, 1].entries()) for (let k = 0; k < D; k++) expect(out[i * D + k]).toBe(value(k, id)) // prettier-ignore
  })
})

type Emitted = Awaited<ReturnType<typeof wasmKernels>>

/** Rows of several magnitudes, one of them zeros; within what rounding rows to 16 bits explains, where they are. */
function check(emitted: Emitted, as: KeptAs, M: number, N: number, K: number, dims: number[], few: boolean): void {
  const next = random(M + N + K)
  const { bytes, value } = keep(as, K, N, () => next() * 2 - 1)
  const x = Float32Array.from({ length: M * K }, (_, i) =>
    Math.floor(i / K) === 2 ? 0 : (next() * 2 - 1) * 10 ** (i % 3),
  )
  const b = Float32Array.from({ length: N }, () => next())
  const y = new Float32Array(M * N).fill(NaN)
  emitted.call(0, [x, bytes, b, y], dims)
  for (let m = 0; m < M; m++)
    for (let n = 0; n < N; n++) {
      let [want, size, rounding] = [b[n], Math.abs(b[n]), 0]
      for (let block = 0; block < K; block += 32) {
        let [most, weights] = [0, 0]
        for (let k = block; k < Math.min(K, block + 32); k++) {
          want += x[m * K + k] * value(k, n)
          size += Math.abs(x[m * K + k] * value(k, n))
          most = Math.max(most, Math.abs(x[m * K + k]))
          weights += Math.abs(value(k, n))
        }
        rounding += (most / 65534) * weights * (1 + 2 ** -20)
      }
      const bound = (few && !as.includes('f') ? rounding : 0) + (K + 2) * 2 ** -24 * size
      const got = y[m * N + n]
      if (!(Math.abs(got - want) <= bound))
        expect.fail(`${as} ${M}×${N}×${K} at ${m}, ${n}: ${got}, want ${want} within ${bound}\n${emitted.text}`)
    }
}

test('few rows of quantised weights are sums of integers', () => {
  for (const as of ['int8', 'int4'] as const) expect(dotContraction(product(as, 1, 37, 96))).toBeDefined()
  expect(dotContraction(product('bf16', 1, 37, 96))).toBeUndefined()
})
