import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dequantise, groupParts } from '../../targets/runtime/quantised.ts'
import { headerLength, parseHeader, toFloat32, type TensorInfo } from '../../targets/runtime/safetensors.ts'
import {
  errorOf,
  fitsAxis,
  quantise,
  quantisedFormats,
  writeSafetensors,
  type QuantisedTensor,
} from '../../src/weights/index.ts'
import { summedAxes } from '../../src/lower/summed.ts'
import { graphOfFile, graphOfText } from '../support/models.ts'

/** The stored numbers, by the words of docs/quantisation.md. */
function meaning({ shape, axis, bits, levels, scales, zeros }: QuantisedTensor): number[] {
  const strides = (s: readonly number[]) => s.map((_, i) => s.slice(i + 1).reduce((a, b) => a * b, 1))
  const [own, blocks] = [shape, shape.with(axis, Math.ceil(shape[axis] / 32))]
  const stored = shape.with(axis, bits === 8 ? shape[axis] : shape[axis] / 2)
  const widened = toFloat32('F16', new Uint8Array(scales.buffer))!
  const place = (at: readonly number[], s: readonly number[]) => strides(s).reduce((sum, n, i) => sum + n * at[i], 0)
  return Array.from({ length: own.reduce((a, b) => a * b, 1) }, (_, flat) => {
    const at = strides(own).map((n, i) => Math.floor(flat / n) % own[i])
    const block = place(at.with(axis, Math.floor(at[axis] / 32)), blocks)
    const byte = levels[place(bits === 8 ? at : at.with(axis, Math.floor(at[axis] / 2)), stored)]
    const q = bits === 4 ? (at[axis] % 2 === 0 ? byte & 15 : byte >> 4) : zeros ? byte : (byte << 24) >> 24
    return widened[block] * (q - (zeros ? zeros[block] : bits === 4 ? 8 : 0))
  })
}

const tensors = fc
  .record({ before: fc.integer({ min: 1, max: 3 }), extent: fc.integer({ min: 16, max: 50 }), after: fc.integer({ min: 1, max: 4 }), seed: fc.integer() })
  .map(({ before, extent, after, seed }) => {
    const shape = [before, 2 * extent, after]
    const data = Float32Array.from({ length: before * 2 * extent * after }, (_, i) => Math.fround(Math.sin(i * 12.9898 + seed) * Math.exp((i * 7) % 5)))
    return { shape, data }
  }) // prettier-ignore

test.each(quantisedFormats)('%s: what is stored is what is said, no number further off than half a step', (format) => {
  fc.assert(
    fc.property(tensors, ({ shape, data }) => {
      const made = quantise(data, shape, 1, format)
      expect([...made.values]).toEqual(meaning(made).map(Math.fround))
      const { relative } = errorOf(data, made.values)
      expect(relative).toBeLessThan(format.startsWith('int8') ? 0.01 : 0.2)
      // Eight bits cover the block: half a step, and what rounding the scale to 11 bits moves the largest by.
      if (format.startsWith('int8')) {
        const scales = toFloat32('F16', new Uint8Array(made.scales.buffer))!
        const widest = scales.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
        expect(errorOf(data, made.values).max).toBeLessThanOrEqual(widest * (0.5 + 256 * 2 ** -11))
      }
    }),
    { numRuns: 40 },
  )
})

test('blocks of zeros, of one value, of tiny and of huge values', () => {
  const rows = [0, 1, -1, 1e-9, -1e-12, 3e4, -6e4, 1e30].map((x) =>
    Array.from({ length: 33 }, (_, i) => (i === 32 ? x / 2 : x)),
  )
  for (const format of quantisedFormats.filter((f) => fitsAxis(f, 33))) {
    const made = quantise(Float32Array.from(rows.flat()), [rows.length, 33], 1, format)
    expect(made.values.every(Number.isFinite)).toBe(true)
    for (const [r, x] of [0, 1, -1].entries())
      for (let k = 0; k < 33; k++) expect(made.values[r * 33 + k]).toBeCloseTo(k === 32 ? x / 2 : x, 2)
    expect([...made.values]).toEqual(meaning(made).map(Math.fround))
  }
  // Rounding to the nearest level of the sign-flipped scale: the largest magnitude is a level of its own.
  const four = quantise(
    Float32Array.from({ length: 32 }, (_, k) => (k === 7 ? -4 : 0)),
    [32],
    0,
    'int4',
  )
  expect(four.values[7]).toBe(-4)
})

const parse = (bytes: Uint8Array) => {
  const length = headerLength(bytes.subarray(0, 8), 'a.safetensors')
  return { infos: parseHeader(bytes.subarray(8, 8 + length), 'a.safetensors'), data: bytes.subarray(8 + length) }
}
const partsOf = (name: string, { shape, axis, bits, levels, scales, zeros }: QuantisedTensor) => [
  { name: `${name}:scale`, dtype: 'F32' as const, shape: shape.with(axis, Math.ceil(shape[axis] / 32)), data: toFloat32('F16', new Uint8Array(scales.buffer))! },
  ...(zeros ? [{ name: `${name}:zero`, dtype: 'U8' as const, shape: shape.with(axis, Math.ceil(shape[axis] / 32)), data: zeros }] : []),
  { name: `${name}:q${bits}`, dtype: zeros || bits === 4 ? ('U8' as const) : ('I8' as const), shape: shape.with(axis, (shape[axis] * bits) / 8), data: zeros || bits === 4 ? levels : new Int8Array(levels.buffer) },
] // prettier-ignore

test.each(quantisedFormats)('%s is read back from a file, whichever axis is in blocks', (format) => {
  for (const axis of [0, 1, 2]) {
    const shape = [2, 3, 2].with(axis, 70)
    const data = Float32Array.from({ length: 2 * 2 * 3 * 70 }, (_, i) => Math.cos(i * i)).subarray(0, shape.reduce((a, b) => a * b, 1)) // prettier-ignore
    const made = quantise(data, shape, axis, format)
    const { infos, data: bytes } = parse(writeSafetensors([...partsOf('a.b', made), { name: 'plain', shape: [1], data: [7] }])) // prettier-ignore
    const [info, plain] = groupParts(infos, 'a.safetensors')
    expect([info.name, info.dtype, info.shape, plain.name]).toEqual(['a.b', 'F32', shape, 'plain'])
    if (!('parts' in info)) return expect.unreachable()
    expect(info.axis).toBe(axis)
    const got = dequantise(info, (part) => bytes.subarray(part.begin, part.end))
    expect([...got]).toEqual([...made.values])
  }
})

type Part = [name: string, dtype: string, shape: number[]]
test.each([
  ['no scale', ['x:q8', 'I8', [2, 64]]],
  ['no levels', ['x:scale', 'F16', [2, 2]]],
  ['unsigned levels without a zero point', ['x:q8', 'U8', [2, 64]], ['x:scale', 'F16', [2, 2]]],
  ['signed levels with one', ['x:q8', 'I8', [2, 64]], ['x:scale', 'F16', [2, 2]], ['x:zero', 'U8', [2, 2]]],
  ['both widths', ['x:q8', 'I8', [2, 64]], ['x:q4', 'U8', [2, 32]], ['x:scale', 'F16', [2, 2]]],
  ['scales of another shape', ['x:q8', 'I8', [2, 64]], ['x:scale', 'F16', [2, 3]]],
  ['scales of another rank', ['x:q8', 'I8', [2, 64]], ['x:scale', 'F16', [2]]],
  ['integer scales', ['x:q8', 'I8', [2, 64]], ['x:scale', 'I16', [2, 2]]],
  ['zero points of another shape', ['x:q4', 'U8', [2, 32]], ['x:scale', 'F16', [2, 2]], ['x:zero', 'U8', [2, 1]]],
] satisfies [string, ...Part[]][])('parts that do not fit: %s', (_, ...parts) => {
  const infos = (parts as Part[]).map(([name, dtype, shape]): TensorInfo => ({ name, dtype, shape, begin: 0, end: 0 }))
  expect(() => groupParts(infos, 'a.safetensors')).toThrow(/TFM1918: a\.safetensors: the parts .* of tensor x do not fit together/) // prettier-ignore
})

test('the axis that is summed over, through views, and of tied tables', () => {
  const gpt2 = summedAxes(graphOfFile('examples/shakespeare/model.tfm'))
  expect(Object.fromEntries([...gpt2].filter(([name]) => /^(h\.0|w)/.test(name)))).toEqual({
    'h.0.attn.c_attn.weight': 0,
    'h.0.attn.c_proj.weight': 0,
    'h.0.mlp.c_fc.weight': 0,
    'h.0.mlp.c_proj.weight': 0,
    'wte.weight': 1,
  })
  const llama = summedAxes(graphOfFile('examples/llama/model.tfm', { set: { layers: 1 } }))
  expect([...llama].filter(([name]) => /q_proj|down_proj/.test(name)).map(([, axis]) => axis)).toEqual([1, 1])
  const none = graphOfText(
    'model m() { input x: f32[N, 4]\n param g: f32[4]\n param t: f32[5, 4]\n output y = x * g + t[0:1] }',
  )
  expect([...summedAxes(none)]).toEqual([])
})
