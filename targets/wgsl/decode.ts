/** Functions that make floats of weights kept in few bits: four neighbouring columns of one row at a time. */

export type DecodeHelper = 'halves' | 'bhalves' | 'bytes' | 'nibbles' | 'scales'

const decode = (name: string, params: string, doc: string, body: readonly string[]) =>
  ({ name, doc, needs: [], params, result: 'vec4f', body }) as const

interface Form {
  readonly form?: { readonly feature: 'shader-f16'; readonly body: readonly string[] }
}
export const decodeHelpers: Readonly<Record<DecodeHelper, ReturnType<typeof decode> & Form>> = {
  halves: {
    ...decode('halves', 'w: vec2u', 'Four f16.', ['return vec4f(unpack2x16float(w.x), unpack2x16float(w.y));']),
    form: { feature: 'shader-f16', body: ['return vec4f(bitcast<vec4<f16>>(w));'] },
  },
  bhalves: decode('bhalves', 'w: vec2u', 'Four bf16: the upper halves of f32.', [
    'return bitcast<vec4f>(vec4u(w.x << 16, w.x & 0xffff0000, w.y << 16, w.y & 0xffff0000));',
  ]),
  // The bits of a level as the upper ones of a mantissa: 1 + q / 256, and 1 + q / 16. No product or sum below needs more than 24 bits.
  bytes: decode('bytes', 'w: u32, s: vec4f', 'Four levels of 8 bits, 128 for 0, times their scales: exact.', [
    'let v = bitcast<vec4f>((((vec4u(w) << vec4u(15, 7, 0, 0)) >> vec4u(0, 0, 1, 9)) & vec4u(0x7f8000)) | vec4u(0x3f800000));',
    'return fma(v, s * 256.0, s * -384.0);',
  ]),
  nibbles: decode('nibbles', 'w: u32, s: vec4f', 'Four levels of 4 bits in the lower half of w, 8 for 0, times their scales: exact.', [
    'let v = bitcast<vec4f>(((vec4u(w) << vec4u(19, 15, 11, 7)) & vec4u(0x780000)) | vec4u(0x3f800000));',
    'return fma(v, s * 16.0, s * -24.0);',
  ]),
  // `unpack2x16float` may take subnormal numbers for 0 (WGSL 15.7.2): for a scale that would be 32 weights.
  scales: decode('scales', 'w: vec2u', 'Four f16, subnormal ones too: exponent and mantissa as those of f32, 112 higher.', [
    'let h = vec4u(w.x & 0xffff, w.x >> 16, w.y & 0xffff, w.y >> 16);',
    'let m = h & vec4u(0x7fff);',
    'let x = select(vec4f(m) * 5.9604645e-8, bitcast<vec4f>((m << vec4u(13)) + vec4u(0x38000000)), m >= vec4u(0x400));',
    'return select(x, -x, h >= vec4u(0x8000));',
  ]),
} // prettier-ignore
