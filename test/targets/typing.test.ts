/** Emitted modules with all that generates are well typed, and so is their use: sources and declarations, on both targets. */
import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/frontend/index.ts'
import { compileFile, targets } from '../support/emitted.ts'
import { readText } from '../support/models.ts'
import { diagnose } from '../support/diagnose.ts'

/** `given` are inputs besides the ids, `inputs` those of a run, as written in a call. */
const use = (path: string, given: string, inputs: string, lacking: string): string => `
  import { load, type Beam, type Tensor } from './${path}'
  const model = await load({ weights: 'x', onProgress: ({ loaded }) => loaded + 1 })
  const src = [[1, 2]]
  for await (const id of model.generate([1], { ${given} temperature: 0.5, stop: [1, 2] })) id.toFixed()
  for await (const piece of model.generateText([1], { ${given} decode: (ids) => ids.join(), stopStrings: ['.'], repetitionPenalty: 2 })) piece.trim()
  for await (const ids of model.generateBatch([[1], [2]], { ${given} minTokens: 2, numReturnSequences: 2, onToken: (id, row) => id + row })) ids[0]?.toFixed()
  const beams: Beam[] = await model.generateBeams([1], { ${given} numBeams: 3, earlyStopping: 'never', stop: [1] })
  const { logits } = await model.run({ ${inputs} })
  export const row: Tensor = logits
  ${lacking}
  // @ts-expect-error beams draw nothing
  await model.generateBeams([1], { ${given} temperature: 2 })
  // @ts-expect-error one prompt only
  model.generate([[1]], { ${given} })
  export { beams, src }
`
const models: [string, Json | undefined, string, string, string][] = [
  ['translate', undefined, 'src,', 'src, tgt: [[1]]', '// @ts-expect-error the input of the encoder is missing\n  model.generate([1], { echo: true })'],
  ['llama', JSON.parse(readText('test/golden/hf/llama/config.json')) as Json, '', 'ids: [[1]]', ''],
  ['mamba', JSON.parse(readText('test/golden/torch/mamba/config.json')) as Json, '', 'ids: [[1]]', ''],
] // prettier-ignore

describe.each(targets.map((t) => [t.name, t] as const))('%s', (_, target) => {
  test.each(models)('%s', async (name, config, given, inputs, lacking) => {
    const { module } = compileFile(`examples/${name}/model.tfm`, target, config, { reorder: true }).lowered
    const emit = async (language: 'ts' | 'js', generation: 'none' | 'full') =>
      (await target.emit(module, { language, generation })).filter((a) => /\.[jt]s$/.test(a.path))
    const [source] = await emit('ts', 'full')
    const [script, declarations] = await emit('js', 'full')
    const files = new Map([
      ['/full.ts', source.text], ['/use.ts', use('full.ts', given, inputs, lacking)],
      ['/plain.js', script.text], ['/plain.d.ts', declarations.text], ['/use-js.ts', use('plain.js', given, inputs, lacking)],
    ]) // prettier-ignore
    expect(diagnose(files, ['@webgpu/types'])).toEqual([])
    expect((await emit('ts', 'none'))[0].text).not.toMatch(/generate|randomNumbers/)
  })
})
