/** Compiles the models of the page for each target, as anyone would: with `tfmc compile`. */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))
rmSync(at('models'), { recursive: true, force: true })
for (const name of ['shakespeare', 'translate'])
  execFileSync(
    process.execPath,
    [
      at('../../dist/src/cli/main.js'),
      'compile',
      at(`../${name}/model.tfm`),
      '--target',
      'all',
      '--out',
      at(`models/${name}`),
    ],
    { stdio: 'inherit' },
  )
