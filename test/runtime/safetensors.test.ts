import fc from 'fast-check'
import { expect, test } from 'vitest'
import { headerLength, parseHeader, toFloat32 } from '../../targets/runtime/safetensors.ts'
import { readTensors } from '../../targets/runtime/source.ts'
import { TfmError } from '../../targets/runtime/errors.ts'
import { writeSafetensors } from '../../src/weights/write.ts'
import { bf16Bits, f16Bits } from '../../src/weights/values.ts'

const header = (entries: unknown) => parseHeader(new TextEncoder().encode(JSON.stringify(entries)), 'a.safetensors')
const entry = (dtype: unknown, shape: unknown, data_offsets: unknown) => ({ dtype, shape, data_offsets })

/** The value of a half by the words of IEEE 754, digit by digit. */
function slowHalf(bits: number): number {
  const text = bits.toString(2).padStart(16, '0')
  const exponent = parseInt(text.slice(1, 6), 2)
  let fraction = 0
  for (let i = 0; i < 10; i++) if (text[6 + i] === '1') fraction += 1 / 2 ** (i + 1)
  const sign = text[0] === '1' ? -1 : 1
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15)
}

function slowBfloat(bits: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint16(0, bits)
  return view.getFloat32(0)
}

const all = Uint16Array.from({ length: 65536 }, (_, i) => i)

test.each([
  ['F16', slowHalf],
  ['BF16', slowBfloat],
] as const)('all 65,536 patterns of %s', (dtype, slow) => {
  const got = toFloat32(dtype, new Uint8Array(all.buffer))!
  for (let bits = 0; bits < 65536; bits++)
    if (!Object.is(got[bits], slow(bits)))
      expect.unreachable(`${dtype} ${bits.toString(16)}: ${got[bits]} not ${slow(bits)}`)
})

test('what is written as F16 and BF16 is read as the nearest value', () => {
  for (let bits = 0; bits < 65536; bits++) {
    if (!Number.isNaN(slowHalf(bits))) expect(f16Bits(slowHalf(bits))).toBe(bits)
    if (!Number.isNaN(slowBfloat(bits))) expect(bf16Bits(slowBfloat(bits))).toBe(bits)
  }
  const nearest = (x: number, read: (bits: number) => number, bits: number) => {
    const gap = Math.abs(read(bits) - x)
    const up = Math.abs(read(bits + 1) - x)
    const down = (bits & 0x7fff) === 0 ? Infinity : Math.abs(read(bits - 1) - x)
    return gap <= up && gap <= down && (gap < Math.min(up, down) || bits % 2 === 0)
  }
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true, min: -65000, max: 65000 }), (x) => {
      expect(nearest(x, slowHalf, f16Bits(x))).toBe(true)
      expect(nearest(x, slowBfloat, bf16Bits(x))).toBe(true)
    }),
  )
  expect([65519.99, 65520, -1e9, NaN].map(f16Bits)).toEqual([0x7bff, 0x7c00, 0xfc00, 0x7e00])
  expect([NaN, 3.4e38, Infinity].map(bf16Bits)).toEqual([0x7fc0, 0x7f80, 0x7f80])
})

test('bytes that lie at an odd address', () => {
  const values = Float32Array.of(1, -2.5, 3e-40, Infinity)
  for (let shift = 0; shift < 9; shift++) {
    const bytes = new Uint8Array(32 + shift)
    bytes.set(new Uint8Array(values.buffer), shift)
    expect(toFloat32('F32', bytes.subarray(shift, shift + 16))).toEqual(values)
  }
})

test('F64 is rounded; other dtypes are refused', () => {
  const doubles = new Uint8Array(Float64Array.of(0.1, 1e300).buffer)
  expect(toFloat32('F64', doubles)).toEqual(Float32Array.of(0.1, Infinity))
  for (const dtype of ['I64', 'I32', 'BOOL', 'F8_E4M3', '', '__proto__'])
    expect(toFloat32(dtype, doubles)).toBeUndefined()
})

test('tensors come in the order of their data, whatever their names', () => {
  const found = header({
    __metadata__: { format: 'pt' },
    b: entry('F32', [2, 2], [8, 24]),
    a: entry('F64', [], [0, 8]),
    constructor: entry('F16', [0, 7], [8, 8]),
    'new.kind': entry('F4', [4], [24, 26]),
    unheard: entry('COMPLEX', [4], [26, 29]),
  })
  expect(found.map((t) => t.name)).toEqual(['a', 'constructor', 'b', 'new.kind', 'unheard'])
})

test.each([
  ['no object', { a: null }],
  ['a list', { a: [] }],
  ['no dtype', { a: entry(undefined, [1], [0, 4]) }],
  ['a dtype that is a number', { a: entry(4, [1], [0, 4]) }],
  ['a shape that is no list', { a: entry('F32', { length: 1, 0: 1 }, [0, 4]) }],
  ['a negative extent', { a: entry('F32', [-1, -1], [0, 4]) }],
  ['a fractional extent', { a: entry('F32', [0.5, 2], [0, 4]) }],
  ['an extent beyond safe integers', { a: entry('F32', [2 ** 53, 0], [0, 0]) }],
  ['an extent as text', { a: entry('F32', ['1'], [0, 4]) }],
  ['one offset', { a: entry('F32', [1], [0]) }],
  ['offsets that are text', { a: entry('F32', [1], ['0', '4']) }],
  ['offsets in reverse', { a: entry('F32', [1], [4, 0]) }],
  ['negative offsets', { a: entry('F32', [1], [-4, 0]) }],
  ['fewer bytes than the shape', { a: entry('F32', [2], [0, 4]) }],
  ['more bytes than the shape', { a: entry('F32', [1], [0, 8]) }],
  ['a product that overflows', { a: entry('F32', [2 ** 40, 2 ** 40], [0, 4]) }],
  ['overlapping tensors', { a: entry('F32', [2], [0, 8]), b: entry('F32', [1], [4, 8]) }],
  [
    'one tensor inside another',
    { a: entry('F32', [4], [0, 16]), b: entry('F32', [1], [4, 8]), c: entry('F32', [2], [8, 16]) },
  ],
  ['a gap', { a: entry('F32', [1], [0, 4]), b: entry('F32', [1], [8, 12]) }],
  ['a gap at the start', { a: entry('F32', [1], [4, 8]) }],
])('a header with %s is refused, naming the tensor', (_, entries) => {
  expect(() => header(entries)).toThrow(/TFM1902: a\.safetensors is not a valid safetensors file: tensor [abc]/)
})

test('names of Object.prototype are names like others', () => {
  const json =
    '{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"toString":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'
  const found = parseHeader(new TextEncoder().encode(json), 'a')
  expect(found.map((t) => t.name)).toEqual(['__proto__', 'toString'])
  expect(Object.getPrototypeOf({})).toBe(Object.prototype)
  // An entry cannot inherit what it lacks.
  const bare = '{"a":{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}'
  expect(() => parseHeader(new TextEncoder().encode(bare), 'a')).toThrow('TFM1902')
})

test('what is no safetensors file is said', () => {
  const start = (text: string) => () => headerLength(new TextEncoder().encode(text), 'f')
  expect(start('<!DOCTYP')).toThrow('TFM1902: f is not a valid safetensors file: it starts with "<!DOCTYP"')
  expect(start('version ')).toThrow('it starts with "version "')
  expect(start('\x01\0\0\0\0\0\0\0')).toThrow('TFM1902')
  expect(start('\0\0\0\0\0\x01\0\0')).toThrow('TFM1902')
  for (const text of ['', '{', 'nul', '{"a":}', '\xff'])
    expect(() =>
      parseHeader(
        Uint8Array.from(text, (c) => c.charCodeAt(0)),
        'f',
      ),
    ).toThrow('TFM1902: f is not a valid safetensors')
  for (const text of ['null', '{}', '[]', '7', '{"__metadata__":{}}'])
    expect(parseHeader(new TextEncoder().encode(text), 'f')).toEqual([])
})

test('mutated files give a TfmError or tensors of the right size, and take no memory that they do not fill', async () => {
  const good = writeSafetensors(
    [
      { name: 'wte.weight', shape: [3, 2], data: [1, 2, 3, 4, 5, 6], dtype: 'F16' },
      { name: 'ln.bias', shape: [2], data: [7, 8] },
      { name: 'ids', shape: [2, 1], data: [9, 10], dtype: 'I64' },
    ],
    { format: 'pt' },
  )
  const Native = Uint8Array
  const mutation = fc.record({
    cut: fc.nat(good.length),
    edits: fc.array(fc.tuple(fc.oneof(fc.nat(7), fc.nat(good.length - 1)), fc.nat(255)), { maxLength: 4 }),
    digits: fc.array(fc.tuple(fc.nat(good.length - 1), fc.constantFrom(...'0123456789[]{}",:-e')), { maxLength: 3 }),
    whole: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(mutation, async ({ cut, edits, digits, whole }) => {
      const bytes = good.slice(0, whole ? good.length : cut)
      for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value
      for (const [at, letter] of digits) if (at >= 8 && at < bytes.length) bytes[at] = letter.charCodeAt(0)
      let largest = 0
      const counting = new Proxy(Native, {
        construct(target, args: readonly unknown[]) {
          if (typeof args[0] === 'number') largest = Math.max(largest, args[0])
          return Reflect.construct(target, args) as object
        },
      })
      const source = bytes.buffer
      try {
        let sum = 0
        globalThis.Uint8Array = counting
        await readTensors(
          source,
          (tensors) => tensors.filter((t) => t.end <= bytes.length),
          (info, data) => (sum += data.length - (info.end - info.begin)),
        )
        expect(sum).toBe(0)
      } catch (thrown) {
        globalThis.Uint8Array = Native
        expect(thrown).toBeInstanceOf(TfmError)
      } finally {
        globalThis.Uint8Array = Native
      }
      // A header may claim up to 32 MiB; data are only taken for tensors that were asked for.
      expect(largest).toBeLessThanOrEqual(2 ** 25)
    }),
    { numRuns: 2000 },
  )
})
