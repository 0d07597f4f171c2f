/** Kernels that read weights in few bits. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { KeptAs } from '../../../src/kernel/buffer.ts'
import { newBuffer } from '../../../src/kernel/buffer.ts'
import { dataIndex, load } from '../../../src/kernel/expr.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import { con, evaluate, of } from '../../../src/types/ix.ts'
import { packageRoot } from '../../../src/package-root.ts'
import { nullGpu } from '../../../src/gpu/dawn.ts'
import { codeFor } from '../../../targets/wgsl/kernel.ts'
import { keptLayout } from '../../../targets/wgsl/kept.ts'
import * as K from '../../kernel/kernels.ts'
import { random } from '../../kernel/run.ts'
import { kept } from '../../support/kept-words.ts'
import { check, compile, print, runOnDevice } from './run.ts'

const formats: readonly KeptAs[] = ['int8', 'int4', 'f16', 'bf16']
/** Columns, rows, whether stored by columns, and what it is used with: sizes that fit nothing, whole blocks (addressed by names). */
const products = [[37, 96, false, 'many'], [64, 128, false, 'both'], [6, 40, true, 'both']] as const // prettier-ignore

/** y = max(x w + b, 0) for T rows; w is stored [k, n] or, `turned`, [n, k]. */
function product(as: KeptAs, N: number, D: number, turned: boolean): StageKernel {
  const layout = keptLayout(D, N, as)!
  const own = turned ? { ...layout, axes: [layout.axes[1], layout.axes[0]] } : layout
  const x = K.global('x', [K.T, D])
  const w = newBuffer('w', 'f32', 'global', (turned ? [N, D] : [D, N]).map(con), own)
  const [b, y] = [K.global('b', [N]), K.global('y', [K.T, N])]
  const [m, n, k] = [loopSymbol('m', of(K.T)), loopSymbol('n', N), loopSymbol('k', D)]
  const dot = K.virtual('dot', [m, n])
  const weight = load(w, turned ? [of(n), of(k)] : [of(k), of(n)])
  const stages = [
    K.reduce(dot, [m, n], 'add', [k], K.times(K.at(x, m, k), weight)),
    K.map(y, [m, n], K.plus(K.at(dot, m, n), K.at(b, n))),
  ]
  return K.kernel('product', stages, [x, w, b], [y])
}

describe.each(formats)('%s', (as) => {
  test.each(products)(
    'a product %i wide, %i deep (stored by columns: %s), used with %s',
    async (N, D, turned, used) => {
      const c = await compile(product(as, N, D, turned), [K.T], { used })
      for (const v of c.printed.entries.keys()) for (const T of [1, 18]) await check(c, v, new Map([[K.T, T]]), [K.T])
      if (process.env.TFM_SHOW) console.log(c.printed.code)
    },
  )

  test('rows of a table are the numbers that it stands for', async () => {
    const [V, D] = [19, 40]
    const layout = keptLayout(D, V, as)!
    const ids = K.global('ids', [K.T], 'i32')
    const table = newBuffer('table', 'f32', 'global', [con(V), con(D)], { ...layout, axes: [layout.axes[1], layout.axes[0]] }) // prettier-ignore
    const y = K.global('y', [K.T, D])
    const [t, c] = [loopSymbol('t', of(K.T)), loopSymbol('c', D)]
    const stage = K.map(y, [t, c], load(table, [dataIndex(load(ids, [of(t)]), 0, V - 1), of(c)]))
    const compiled = await compile(K.kernel('rows', [stage], [ids, table], [y]), [K.T])
    const next = random(3)
    // Magnitudes down to subnormal halves and scales.
    const floats = Float64Array.from({ length: evaluate(layout.size, () => 0) }, (_, i) => (next() * 2 - 1) * 10 ** -(i % 7)) // prettier-ignore
    const rows = [0, 18, 7, 16, 1]
    const cells = (value: ArrayLike<number>) => ({ value: Float64Array.from(value), error: new Float64Array() })
    const [out] = await runOnDevice(compiled, 0, new Map([[K.T, 5]]), [K.T], [cells(rows), cells(floats), cells(new Float64Array(5 * D))]) // prettier-ignore
    const { values } = kept(layout, floats)
    const stride = values.length / layout.kept!.rows
    for (const [i, id] of rows.entries()) for (let k = 0; k < D; k++) expect(out[i * D + k] + 0).toBe(Math.fround(values[k * stride + id]) + 0) // prettier-ignore
  })
})

test('the page shows the load as it is emitted', async () => {
  const page = readFileSync(join(packageRoot(), 'docs/quantisation.md'), 'utf8')
  const flush = (text: string): string => text.replace(/^ +/gm, '')
  const shown = [...page.matchAll(/```wgsl\n([\s\S]*?)```/g)].map((m) => flush(m[1]))
  const { code } = print(product('int4', 64, 128, false), [K.T], { used: 'both' }).printed
  expect(shown.length).toBeGreaterThan(0)
  for (const text of shown) expect(flush(code)).toContain(text)
})

test('f16 has a form for devices with shader-f16', async () => {
  const { adapter } = await nullGpu()
  const device = await adapter.requestDevice({ requiredFeatures: ['shader-f16'] })
  device.pushErrorScope('validation')
  const c = await compile(product('f16', 64, 128, false), [K.T], { used: 'both' }, device, ['shader-f16'])
  expect((await device.popErrorScope())?.message).toBeUndefined()
  const code = codeFor(c.printed, ['shader-f16'])
  expect(code).toMatch(/^enable f16;/)
  expect(code).toContain('return vec4f(bitcast<vec4<f16>>(w));')
  expect(c.printed.code).not.toContain('f16>')
  device.destroy()
})
