/** Compiles the models of the page for each target, as anyone would: with `tfmc compile`, from the project's root. They share the runtime. */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const cwd = fileURLToPath(new URL('../..', import.meta.url))
rmSync(new URL('models', import.meta.url), { recursive: true, force: true })
for (const name of ['shakespeare', 'translate']) {
  const out = ['--target', 'all', '--out', `examples/web/models/${name}`, '--runtime', 'examples/web/models/runtime']
  const tfmc = ['dist/src/cli/main.js', 'compile', `examples/${name}/model.tfm`, ...out]
  execFileSync(process.execPath, tfmc, { cwd, stdio: 'inherit' })
}
