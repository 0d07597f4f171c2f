import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { packageRoot } from '../../src/package-root.ts'
import { runtimeText } from '../support/runtime-text.ts'

test('the text of the runtimes is that of their files', async () => {
  const files = ['runtime', 'typescript/runtime', 'wasm/runtime', 'wgsl/runtime'].flatMap((folder) => {
    try {
      return readdirSync(join(packageRoot(), 'targets', folder))
        .filter((f) => f.endsWith('.ts'))
        .map((f) => `${folder}/${f}`)
    } catch {
      return []
    }
  })
  await expect(runtimeText(files.sort())).toMatchFileSnapshot('../../targets/runtime.generated.ts')
})
