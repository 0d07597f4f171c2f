import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'

test('GPT-2 with its kernels is at most 60 KB, and has at most 40 pipelines', () => {
  const graph = check(gpt2Graph({ vocab: 50257, ctx: 1024, d: 768, heads: 12, layers: 12 })).graph
  const { module } = compileGraph(graph!, sourceFile('gpt2.tfm', ''), wgsl).lowered
  for (const language of ['ts', 'js'] as const) {
    const files = wgsl.emit(module, { language })
    const kernels = files.filter((f) => f.path.endsWith('.wgsl'))
    if (process.env.TFM_SHOW) for (const f of files) writeFileSync(`${process.env.TFM_SHOW}/${language}_${f.path.replace('/', '_')}`, f.text)
    console.log(language, files[0].text.length, 'of which kernels', kernels.reduce((n, f) => n + f.text.length, 0), kernels.map((k) => `${k.path} ${k.text.length}`).join('\n'))
    if (!process.env.TFM_SHOW) expect(files[0].text.length).toBeLessThan(60_000)
    expect(files[0].text.match(/\bimport\b[^'\n]*from/g)).toBeNull()
  }
})
