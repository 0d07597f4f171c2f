/** Fusion keeps every kernel within the storage buffers that any device binds, however many readers a value has. */
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { mostBuffers } from '../../src/lower/buffers.ts'
import { panelLayout } from '../support/lowering.ts'
import { readText } from '../support/models.ts'

const most = (text: string, set: Record<string, number> = {}): number => {
  const { lowered } = compile(sourceFile('m.tfm', text), { panelLayout }, { set })
  return Math.max(...lowered.module.kernels.map((k) => k.args.length))
}

describe('buffers a kernel', () => {
  test('cross-attention of twelve decoder layers, whose projections of the memory are merged', () => {
    expect(most(readText('examples/translate/model.tfm'), { decoders: 12 })).toBeLessThanOrEqual(mostBuffers)
  })
  test('a sum of many tensors', () => {
    const names = Array.from({ length: 14 }, (_, i) => `x${i}`)
    const text = `model m(d = 4) {\n${names.map((n) => `  input ${n}: f32[B, d]`).join('\n')}\n  output y = ${names.join(' + ')}\n}\n`
    expect(most(text)).toBeLessThanOrEqual(mostBuffers)
  })
  test.each(['gpt2', 'shakespeare', 'preln-layer', 'postln-block', 'residual-block'])('%s', (name) => {
    expect(most(readText(`examples/${name}/model.tfm`))).toBeLessThanOrEqual(mostBuffers)
  })
})
