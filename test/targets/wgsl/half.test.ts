/** Contractions in f16 with sums in f32: the bound of the model covers what is computed, by an emulation of it and on devices that can. */
import { expect, test } from 'vitest'
import { naiveNest } from '../../../src/kernel/build.ts'
import { newBuffer, type Layout } from '../../../src/kernel/buffer.ts'
import { bin, index, load } from '../../../src/kernel/expr.ts'
import { compileExecutor, type Cells, type ExecuteOptions } from '../../../src/kernel/execute.ts'
import { LARGEST_WEIGHT, withHalfErrors } from '../../../src/kernel/half.ts'
import { deviations, nearestHalf, type ErrorMode } from '../../../src/kernel/pairs.ts'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import type { NestKernel } from '../../../src/kernel/nest.ts'
import { verify, webgpuLimits } from '../../../src/kernel/verify.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import { con, of } from '../../../src/types/ix.ts'
import { nullGpu } from '../../../src/gpu/dawn.ts'
import { halfValue } from '../../../targets/runtime/half-value.ts'
import { halfBits } from '../../../targets/runtime/halves.ts'
import { floats } from '../../../targets/wgsl/floats.ts'
import { codeFor } from '../../../targets/wgsl/kernel.ts'
import { keptLayout } from '../../../targets/wgsl/kept.ts'
import * as K from '../../kernel/kernels.ts'
import { inputsOf, random, type Values } from '../../kernel/run.ts'
import { kept } from '../../support/kept-words.ts'
import { testDevice } from '../../support/gpu.ts'
import { compile, print, runOnDevice } from './run.ts'
import { barriers, withoutBarrier } from './nests.ts'

/** y = x w + b for T rows, to be computed in f16; w is stored [k, n] or, `turned`, [n, k]. */
function product(N: number, D: number, turned = false): StageKernel {
  const plain = keptLayout(D, N, 'f16')!
  const half: Layout = { ...plain, kept: { ...plain.kept!, arithmetic: 'f16' } }
  const x = K.global('x', [K.T, D])
  const axes = turned ? [half.axes[1], half.axes[0]] : half.axes
  const w = newBuffer('w', 'f32', 'global', (turned ? [N, D] : [D, N]).map(con), { ...half, axes })
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
const formOf = (kernel: StageKernel, used: 'both' | 'many' = 'both') => {
  const made = print(kernel, [K.T], { used })
  return { ...made, form: made.scheduled.variants.at(-1)!.form! }
}

const cells = (value: Float64Array): Cells => ({ value, error: new Float64Array(value.length) })
function execute(nest: NestKernel, inputs: readonly Cells[], params: Values, mode: ErrorMode, options: ExecuteOptions = {}): Cells {
  const own = inputs.map((x) => cells(x.value.slice()))
  compileExecutor(nest, floats, mode, { checked: true, ...options })(new Map(nest.args.map((a, i) => [a.buffer, own[i]])), params)
  return own[3]
} // prettier-ignore

/** Rows and weights of all magnitudes: those that f16 has not got, that are lost beside others, that cancel, and none. */
function extremes(kernel: StageKernel, D: number, params: Values): readonly Cells[] {
  const inputs = inputsOf(kernel.args, params, 5)
  const [x, w] = inputs
  const next = random(11)
  for (let i = 0; i < x.value.length; i++) {
    const row = Math.floor(i / D)
    if (row % 7 === 1) x.value[i] *= 1e30
    if (row % 7 === 2) x.value[i] *= 1e-30
    if (row % 7 === 3) x.value[i] *= 10 ** Math.floor(next() * 12 - 8)
    if (row % 7 === 4) x.value[i] = i % 3 === 0 ? 0 : (i % 2 === 0 ? 1 : -1) * 65505
    if (row % 7 === 5) x.value[i] = 0
    if (row % 7 === 6) x.value[i] = 2 - 2 ** -12
    x.value[i] = Math.fround(x.value[i])
  }
  for (let i = 0; i < w.value.length; i++) w.value[i] *= i % 5 === 0 ? LARGEST_WEIGHT : 10 ** -(i % 7)
  w.value.forEach((_, i) => i % 11 === 0 && (w.value[i] = LARGEST_WEIGHT))
  w.value.set(kept(kernel.args[1].buffer.layout!, w.value).values)
  return inputs
}

const cases = [[37, 40, true, 9], [64, 96, false, 70], [68, 128, false, 64], [12, 16, false, 1]] as const // prettier-ignore
test.each(cases)('%i columns, %i deep (stored by columns: %s), %i rows', async (N, D, turned, T) => {
  const kernel = product(N, D, turned)
  const { scheduled, form } = formOf(kernel)
  const params = new Map([[K.T, T]])
  const named = new Map([...params, ...(scheduled.constants ?? [])])
  const inputs = extremes(kernel, D, params)
  const model = execute(naiveNest(withHalfErrors(kernel)), inputs, params, 'worst')
  const rms = execute(naiveNest(withHalfErrors(kernel)), inputs, params, 'rms')
  const exact = execute(naiveNest(kernel), inputs, params, 'worst')
  const scheduledBound = execute(form.nest, inputs, named, 'worst')
  const emulated = execute(form.nest, inputs, named, 'worst', { rounds: true })
  const results: [who: string, got: Float64Array][] = [['emulated', emulated.value]]
  const device = await testDevice()
  if (device.features.has('shader-f16')) {
    const c = await compile(kernel, [K.T], { used: 'both' }, device, ['shader-f16'])
    const variant = scheduled.variants.length - 1
    results.push(['device', (await runOnDevice(c, variant, params, [K.T], inputs))[0]])
  }
  expect(model.value).toEqual(exact.value)
  let [used, coarse] = [0, 0]
  const wrong: string[] = []
  for (let i = 0; i < model.value.length; i++) {
    // What all schedules are held to covers what is derived from this one.
    if (!(scheduledBound.error[i] <= model.error[i])) wrong.push(`bounds of element ${i}`)
    for (const [who, got] of results) {
      const off = Math.abs(got[i] - exact.value[i])
      const most = Math.min(scheduledBound.error[i], deviations * rms.error[i])
      if (!(off <= most)) wrong.push(`${who}, element ${i}: ${off} off, at most ${most}`)
      used = Math.max(used, off / model.error[i])
      coarse = Math.max(coarse, off / exact.error[i])
    }
  }
  expect(wrong).toEqual([])
  // It is f16 that computes: f32 would be closer. And the bound is no more than it needs to be.
  expect(coarse).toBeGreaterThan(1)
  expect(used).toBeGreaterThan(0.005)
})

test('is within limits and free of races, and has no barrier to spare', () => {
  for (const [N, D, T] of [[37, 40, undefined], [64, 96, undefined], [1024, 64, 4096]] as const) {
    const { scheduled, form } = formOf(product(N, D))
    const given = [...(scheduled.constants ?? []), ...(T ? [[K.T, T] as const] : [])].map(([s, n]) => bin('eq', index(of(s)), index(con(n))))
    expect(verify(form.nest, { limits: webgpuLimits, given }).map((i) => `${i.rule}: ${i.message}`)).toEqual([])
    expect(barriers(form.nest)).toBe(2)
    for (const n of [0, 1]) expect(verify(withoutBarrier(form.nest, n)).map((i) => i.rule)).not.toEqual([])
  }
}) // prettier-ignore

test('a nest whose blocks are not scaled overflows, and is seen to', () => {
  const kernel = product(64, 32)
  const { scheduled, form } = formOf(kernel)
  const params = new Map([[K.T, 2]])
  const named = new Map([...params, ...(scheduled.constants ?? [])])
  const inputs = inputsOf(kernel.args, params)
  inputs[0].value.fill(65504)
  inputs[1].value.fill(LARGEST_WEIGHT)
  expect(execute(form.nest, inputs, named, 'worst', { rounds: true }).value.every(Number.isFinite)).toBe(true)
  inputs[1].value.fill(4 * LARGEST_WEIGHT)
  expect(execute(form.nest, inputs, named, 'worst', { rounds: true }).value.some(Number.isFinite)).toBe(false)
})

test('has its form for shader-f16 only, which Tint accepts; steps have none', async () => {
  const { adapter } = await nullGpu()
  const device = await adapter.requestDevice({ requiredFeatures: ['shader-f16'] })
  device.pushErrorScope('validation')
  for (const [N, D, turned] of [
    [64, 128, false],
    [37, 40, true],
  ] as const) {
    const c = await compile(product(N, D, turned), [K.T], { used: 'both' }, device, ['shader-f16'])
    const code = codeFor(c.printed, ['shader-f16'])
    expect(code).toContain('tile_b')
    expect(code).toMatch(/short0 \+= a_\w+\.x \* b_\w+;/)
    expect(c.printed.code).not.toMatch(/f16>|enable f16|short/)
    if (process.env.TFM_SHOW) console.log(code)
  }
  expect((await device.popErrorScope())?.message).toBeUndefined()
  device.destroy()
  const { scheduled } = print(product(64, 128), [K.T], { used: 'one' })
  expect(scheduled.variants.every((v) => v.form === undefined)).toBe(true)
})

test('f16 is rounded as the runtime rounds it', () => {
  const next = random(3)
  for (let i = 0; i < 20000; i++) {
    const x = Math.fround((next() * 2 - 1) * 2 ** Math.floor(next() * 44 - 28))
    if (Math.abs(x) < 65504) expect(nearestHalf(x) + 0).toBe(halfValue(halfBits(x, 'f16')) + 0)
  }
  expect([65504, 65519.9, 65520, -1e30, 2 ** -25, 2 ** -25 * 1.01].map(nearestHalf)).toEqual([65504, 65504, Infinity, -Infinity, 0, 2 ** -24]) // prettier-ignore
})
