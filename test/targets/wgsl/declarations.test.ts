import { expect, test } from 'vitest'
import { wgsl } from '../../../targets/wgsl/index.ts'
import { diagnose } from '../../support/diagnose.ts'
import { compileFile } from '../../support/emitted.ts'

test('emitted modules and the declarations beside JavaScript are well typed', async () => {
  const { module } = compileFile('examples/translate/model.tfm', wgsl, undefined, { reorder: true }).lowered
  const emit = (language: 'ts' | 'js') => wgsl.emit(module, { language, generation: 'full' })
  const find = async (language: 'ts' | 'js', ending: string) =>
    (await emit(language)).find((a) => a.path.endsWith(ending))!.text
  const use = (path: string): string => `
    import { load, type Beam, type Tensor } from './${path}'
    const model = await load({ weights: 'x', onProgress: ({ loaded }) => loaded + 1 })
    const src = [[1, 2]]
    const { logits } = await model.run({ src, tgt: [[1]] })
    const beams: Beam[] = await model.generateBeams([1], { src, numBeams: 3 })
    export const row: Tensor = logits
    export { beams }
  `
  const files = new Map([
    ['/whole.ts', await find('ts', '.ts')],
    ['/use-ts.ts', use('whole.ts')],
    ['/plain.js', await find('js', '.js')],
    ['/plain.d.ts', await find('js', '.d.ts')],
    ['/use-js.ts', use('plain.js')],
  ])
  expect(diagnose(files, ['@webgpu/types'])).toEqual([])
})
