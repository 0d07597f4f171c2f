/** `tfmc bench` and `tfmc doctor`: what they say, never how long anything took. */
import { describe, expect, test } from 'vitest'
import { typescript } from '../../targets/typescript/index.ts'
import { compile } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { at } from '../../src/explain/bytes.ts'
import { flopsOf } from '../../src/explain/work.ts'
import { checkpoint, folder, json, tfmc, tiny } from './support.ts'

interface Kernel {
  readonly name: string
  readonly calls: number
  readonly milliseconds: number
  readonly flops: number
  readonly bytes: number
}
interface Measured {
  readonly target: string
  readonly load: number
  readonly memory: number
  readonly prefill?: { readonly best: number; readonly median: number }
  readonly step?: object
  readonly run?: object
  readonly kernels: readonly { readonly program: string; readonly kernels: readonly Kernel[] }[]
}
const quick = ['--rounds', '2', '--tokens', '2']
const plain = 'model plain {\n  input x: f32[B, 4]\n  output y = matmul(x, ones([4, 3]))\n}\n'

describe('bench', () => {
  test('a prompt and steps, target beside target, with random weights', async () => {
    const cwd = folder({ 'tiny.tfm': tiny })
    const { code, data } = await json(['bench', 'tiny.tfm', ...quick, '--threads', '1'], { cwd })
    expect(code).toBe(0)
    expect(data).toMatchObject({
      model: 'tiny', dims: { B: 1, T: 10 }, weights: 'random weights (seed 1)', numbers: 11 * 8 + 2 * 8 + 4 * (64 + 8),
      machine: { node: process.versions.node, tfm: expect.stringMatching(/^\d+\./) },
    }) // prettier-ignore
    const measured = data.measured as Measured[]
    expect(measured.map((m) => m.target)).toEqual(['typescript', 'wasm'])
    for (const m of measured) {
      expect(m.prefill!.best).toBeGreaterThan(0)
      expect(m.prefill!.median).toBeGreaterThanOrEqual(m.prefill!.best)
      expect(m.step).toBeDefined()
      expect(m.run).toBeUndefined()
      expect(m.load).toBeGreaterThan(0)
    }
    const programs = measured[0].kernels
    expect(programs.map((p) => p.program)).toEqual(['prefill', 'step'])
    for (const { kernels } of programs) {
      expect(kernels.length).toBeGreaterThan(2)
      for (const k of kernels) expect([k.calls, k.flops, k.bytes].every((n) => Number.isInteger(n) && n > 0)).toBe(true)
    }
    expect(programs[0].kernels.find((k) => k.name === 'logits')).toMatchObject({ calls: 1, flops: 2 * 10 * 8 * 11 })
    expect(programs[1].kernels.find((k) => k.name.startsWith('logits'))).toMatchObject({ flops: 2 * 8 * 11 })
  })
  test('a table for people; weights of a file', async () => {
    const cwd = folder({ 'tiny.tfm': tiny, 'w.safetensors': checkpoint() })
    const argv = ['bench', 'tiny.tfm', '-w', 'w.safetensors', ...quick, '--target', 'typescript', '--prompt', '5']
    const { code, out } = await tfmc(argv, { cwd })
    expect(code).toBe(0)
    expect(out).toMatch(/^tiny {2}392 numbers, w\.safetensors\n/)
    expect(out).toContain('T = 5, B = 1, then 2 tokens; the best of 2 rounds in turns')
    expect(out).toMatch(/^target +load +memory +prefill, tokens\/s +ms +decode, tokens\/s +ms +on$/m)
    expect(out).toMatch(/^step on typescript\n +kernel +times +ms +share +GFLOP\/s +GB\/s$/m)
    expect((await tfmc([...argv, '--no-kernels'], { cwd })).out).not.toContain('kernel')
  })
  test('a model without a sequence is run', async () => {
    const cwd = folder({ 'plain.tfm': plain })
    const { data } = await json(['bench', 'plain.tfm', ...quick, '--target', 'typescript', '--dims', 'B=3'], { cwd })
    const [m] = data.measured as Measured[]
    expect(m.run).toBeDefined()
    expect(m.kernels).toMatchObject([{ program: 'run', kernels: [{ calls: 1, flops: 2 * 3 * 4 * 3 }] }])
  })
  const bad: [string, string[], number, RegExp][] = [
    ['no such target', ['--target', 'cuda'], 2, /no target 'cuda'/],
    ['nothing to repeat', ['--rounds', '0'], 2, /--rounds/],
    ['a prompt that is too long', ['--prompt', '13', '--target', 'typescript'], 1, /TFM2004/],
  ]
  test.each(bad)('%s', async (_, more, code, message) => {
    const ran = await tfmc(['bench', 'tiny.tfm', ...more], { cwd: folder({ 'tiny.tfm': tiny }) })
    expect(ran.code).toBe(code)
    expect(ran.err).toMatch(message)
  })
})

test('attention is counted over all pairs, by hand: two contractions and a softmax', () => {
  const text =
    'model a {\n  input q: f32[1, 1, T, 4]\n  input k: f32[1, 1, T, 4]\n  input v: f32[1, 1, T, 4]\n  output y = attention(q, k, v)\n}\n'
  const { lowered, graph } = compile(sourceFile('a.tfm', text), typescript)
  const work = (T: number): number =>
    lowered.module.kernels.reduce((n, k) => n + at(flopsOf(k), new Map(graph.dims.map((d) => [d, T]))), 0)
  const [two, four] = [work(2), work(4)]
  // 2 × 4 for the scores, 2 × 4 for the sum of values, and some for scale and softmax, of each pair.
  expect(four).toBeGreaterThan(16 * 16)
  expect(four).toBeLessThan(2 * 16 * 16)
  expect(four / two).toBeGreaterThan(3)
})

test('doctor says what there is and what to do', async () => {
  const { code, out } = await tfmc(['doctor'])
  expect(code).toBe(0)
  expect(out).toContain(process.versions.node)
  for (const what of ['WebAssembly SIMD', 'Relaxed SIMD', 'Threads', '--wide', 'WebGPU']) expect(out).toContain(what)
  const { data } = await json(['doctor'])
  const findings = data.findings as { what: string; ok: boolean; advice?: string }[]
  for (const f of findings) expect(f.ok, f.what).toBe(f.advice === undefined)
})
