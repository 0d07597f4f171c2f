/** Compiles the models of the page for each target, as anyone would: with `tfmc compile`, from the project's root. They share the runtime. */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const cwd = fileURLToPath(new URL('../..', import.meta.url))
rmSync(new URL('models', import.meta.url), { recursive: true, force: true })
for (const name of ['shakespeare', 'translate']) {
  // The page only generates.
  const out = ['--target', 'all', '--no-run', '--out', `examples/web/models/${name}`]
  const runtime = ['--runtime', 'examples/web/models/runtime']
  const tfmc = ['dist/src/cli/main.js', 'compile', `examples/${name}/model.tfm`, ...out, ...runtime]
  execFileSync(process.execPath, tfmc, { cwd, stdio: 'inherit' })
}
