import { expect, test } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'

test('GPT-2 with its kernels is at most 165 KB as JavaScript, and a device makes at most 40 pipelines of it', async () => {
  const graph = check(gpt2Graph({ vocab: 50257, ctx: 1024, d: 768, heads: 12, layers: 12 })).graph
  const { module } = compileGraph(graph!, sourceFile('gpt2.tfm', ''), wgsl).lowered
  const size = async (language: 'ts' | 'js') => (await wgsl.emit(module, { language }))[0].text.length
  const [host, ...kernels] = await wgsl.emit(module, { language: 'js' })
  // Where they come from: bench/results/notes.md. What was reached is held, and 2 % more; 8 KB are keys spread over workgroups.
  expect(host.text.length).toBeLessThan(164_500)
  expect((await wgsl.emit(module, { language: 'js' }))[0].text).toBe(host.text)
  // Types and their comments come on top: the bar is 60 KB for both, and they are held where they are (bench/results/notes.md).
  expect(await size('ts')).toBeLessThan(183_500)
  expect(host.text).not.toMatch(/^import |\bimport\(|\brequire\(/m)
  expect(
    kernels.filter((f) => f.path.endsWith('.wgsl')).flatMap((f) => f.text.match(/^fn main(?!_direct)/gm) ?? []).length,
  ).toBeLessThanOrEqual(40)
})
