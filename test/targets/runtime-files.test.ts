/** The runtime in files of its own, for modules of several models: they are well typed and run, and the files are those of any module. */
import { describe, expect, test } from 'vitest'
import type { Compiled } from '../../src/compile.ts'
import { compile } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import type { Json } from '../../src/frontend/index.ts'
import type { Artifact, Target } from '../../src/target.ts'
import { compileFile, loadEmitted, targets } from '../support/emitted.ts'
import { readText } from '../support/models.ts'
import { diagnose } from '../support/diagnose.ts'

const golden = 'test/golden/v06-gpt2-tiny'
const { hyper } = JSON.parse(readText(`${golden}/case.json`)) as { hyper: Json }
const small = 'model small {\n input x: f32[T, 8]\n param w: f32[8, 8] = "w"\n output y = x @ w\n}\n'

async function sources({ lowered }: Compiled, target: Target): Promise<Artifact[]> {
  const files = await target.emit(lowered.module, { language: 'ts', runtime: '../runtime' })
  return files.filter((a) => a.path.endsWith('.ts'))
}

describe.each(targets.map((t) => [t.name, t] as const))('%s', (_, target) => {
  test('a module and its runtime are well typed, name by name; modules share the files', async () => {
    const files = await sources(compileFile(`${golden}/model.tfm`, target, hyper), target)
    expect(files[0].text).not.toMatch(/class TfmError|function loadWeights/)
    const placed = files.map((a) => [a.runtime ? `/runtime/${a.path}` : `/model/${a.path}`, a.text] as const)
    const use = `import { load, TfmError, type Tensor } from '../model/${files[0].path}'
      const model = await load({ weights: 'x' })
      export const row: Tensor = (await model.run({ ids: [[1]] })).logits
      export { TfmError }`
    expect(diagnose(new Map([...placed, ['/use/use.ts', use]]), ['@webgpu/types'])).toEqual([])
    const texts = new Map(files.map((a) => [a.path, a.text]))
    const [, ...shared] = await sources(compile(sourceFile('small.tfm', small), target), target)
    expect(shared.length).toBeGreaterThan(6)
    for (const a of shared) expect(texts.get(a.path)).toBe(a.text)
  })
  test('it runs', async () => {
    const compiled = compileFile(`${golden}/model.tfm`, target, hyper)
    const model = await loadEmitted(target, compiled, `${golden}/weights.safetensors`, { runtime: '.' })
    expect((await model.run({ ids: [[1, 2, 3]] })).logits.shape.slice(0, 2)).toEqual([1, 3])
    model.dispose()
  })
})
