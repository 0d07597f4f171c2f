import { describe, expect, test } from 'vitest'
import type { StageKernel } from '../../../src/kernel/stage.ts'
import { loopSymbol } from '../../../src/kernel/walk.ts'
import { of } from '../../../src/types/ix.ts'
import { assemble } from '../../../targets/wasm/assemble.ts'
import { f32Text, format } from '../../../targets/wasm/text/sexp.ts'
import * as examples from '../../kernel/kernels.ts'
import { at, global, kernel, map, plus, T } from '../../kernel/kernels.ts'
import { kernelsText, wasmKernels } from '../../support/wasm-kernels.ts'

describe('emitted text', () => {
  test('residual and layer norm', () => {
    expect(kernelsText([examples.layernorm(768).kernel]).text).toMatchSnapshot()
  })
  test('softmax', () => {
    expect(kernelsText([examples.softmax().kernel]).text).toMatchSnapshot()
  })
})

test('names and comments from hostile text', async () => {
  const names = [
    'a")(data',
    ';; x',
    '(;',
    ';)',
    'ünï',
    '',
    '$',
    '0',
    'a\nb',
    'local.get',
    'T',
    'thread',
    'x'.repeat(300),
  ]
  const kernels = names.map((name): StageKernel => {
    const [x, y, z] = [global(name, [T]), global(name, [T]), global(`${name}_at`, [T])]
    const t = loopSymbol(name, of(T))
    const made = kernel(name, [map(z, [t], plus(at(x, t), at(y, t)))], [x, y], [z])
    return { ...made, doc: [`${name} ;) (;`, 'line\n(unreachable)\r\u2028(unreachable)\u202e'] }
  })
  const emitted = await wasmKernels(kernels)
  expect(emitted.text.split('\n').filter((l) => l.includes('unreachable') && !l.trim().startsWith(';;'))).toEqual([])
  names.forEach((_, i) => {
    const sum = new Float32Array(3)
    emitted.call(i, [Float32Array.of(1, 2, 3), Float32Array.of(10, 20, 30), sum], [3])
    expect([...sum]).toEqual([11, 22, 33])
  })
})

test('numbers of f32 are as short as they can be, and exact', () => {
  expect([0.1, 1e-5, 12582912, -0, 1, 3.4e38, 1e39, 2 ** -149, 1 / 3].map(f32Text)).toEqual(
    ['0.1', '1e-5', '12582912', '-0', '1', '3.4e38', '3.4028235e38', '1e-45', '0.33333334'],
  ) // prettier-ignore
  for (let i = 0; i < 2000; i++) {
    const x = Math.fround(Math.sin(i) * 10 ** ((i % 76) - 38))
    expect(Math.fround(Number(f32Text(x)))).toBe(x)
  }
})

test('long lines are folded', () => {
  const long = (n: number): readonly string[] | ReturnType<typeof Array> =>
    Array.from({ length: n }, (_, i) => `$name_${i}`)
  expect(format(['i32.add', ['call', '$f', ...(long(12) as string[])], ['local.get', '$y']])).toEqual([
    '(i32.add',
    `  (call $f ${long(12).join(' ')})`,
    '  (local.get $y))',
  ])
})

test('text that is wrong is an internal error with its line', async () => {
  await expect(assemble('(module\n  (func $f (result i32) (i32.wrong))\n)')).rejects.toThrow(/internal[^]*i32\.wrong/)
})

test('binaries name functions, not locals', async () => {
  const { binary } = await wasmKernels([examples.layernorm(8).kernel])
  const text = new TextDecoder('latin1').decode(binary)
  expect(text).toContain('layernorm')
  expect(text).not.toContain('x_at')
  expect(text).not.toContain('s_at')
})
