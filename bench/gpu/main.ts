/**
 * `npm run bench:gpu`: ours, the peers and hand-written kernels on this machine's graphics card, side by side. `--quick` (small sizes, which a software
 * adapter can play), `--only id,…` (beginnings of names), `--without contender,…`, `--out file`. Writes bench/results/gpu-<adapter>.md after every
 * workload, so that what was measured before an interruption is there. See README.md.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const {
  values: { only, without, quick, out },
} = parseArgs({
  options: {
    only: { type: 'string' },
    without: { type: 'string' },
    quick: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
})
process.env.TFM_BENCH = 'gpu'
if (quick) process.env.TFM_BENCH_SMALL = '1'

// Only now: what is small is decided when they are loaded.
const { here, cache, versionOf } = await import('../peers/places.ts')
const { pastPath, prepareGraphs, prepareModule, prepareWeights, variantsOf, weightsOf } =
  await import('../peers/prepare.ts')
const { workload, workloads } = await import('./workloads.ts')
const { contendersFor, reference } = await import('./contenders.ts')
const { measure, resultOf } = await import('./measure.ts')
const { start, stopAll } = await import('./process.ts')
const { report } = await import('./tables.ts')
const { wgsl } = await import('../../targets/wgsl/index.ts')
const { wasm } = await import('../../targets/wasm/index.ts')
const { packageRoot } = await import('../../src/package-root.ts')
type Workload = (typeof workloads)[number]
type Measured = Awaited<ReturnType<typeof measure>>[number]
type Contender = ReturnType<typeof contendersFor>[number]

const plan = quick ? { rounds: 2, turn: 50, listened: 2, patience: 300 } : { rounds: 8, turn: 300, listened: 10, patience: 600 } // prettier-ignore
const say = (text: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
const began = loadavg()[0].toFixed(1)
const measured: Measured[] = []
const profiles: { readonly title: string; readonly json: unknown }[] = []

/** Without them ours is measured alone. */
function install(): boolean {
  if (existsSync(join(here, 'node_modules/@jax-js/jax'))) return true
  say('installing the peers (once, about 150 MB)')
  try {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    execFileSync(npm, ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: here, stdio: ['ignore', 'ignore', 'inherit'] }) // prettier-ignore
    return true
  } catch (thrown) {
    say(`the peers cannot be installed: ${(thrown as Error).message.split('\n')[0]}`)
    return false
  }
}

const wanted = (w: Workload): boolean => !only || only.split(',').some((id) => w.id.startsWith(id))
const taken = (c: Contender): boolean => !without?.split(',').some((name) => c.name.startsWith(name))

async function run(w: Workload, peers: boolean): Promise<void> {
  say(`${w.id}: preparing weights, graphs and modules`)
  prepareWeights(w)
  const ours = { wgsl: (await prepareModule(w, wgsl)).path, wasm: (await prepareModule(w, wasm)).path }
  if (peers) await prepareGraphs(w)
  const contenders = contendersFor(w).filter(taken).filter((c) => peers || c.kind === 'ours-wgsl' || c.kind === 'yardstick') // prettier-ignore
  if (w.past > 0 && peers && !existsSync(pastPath(w.past, w.bits))) {
    const before = workload(w.id.replace('step', 'prefill'))
    await prepareGraphs(before)
    const child = start(plan.patience)
    await child.ask<'done'>({ k: 'past', workload: before.id, variants: Object.keys(variantsOf(before)) })
    child.stop()
  }
  const taskOf = (c: Contender) => ({
    variants: Object.keys(variantsOf(w)),
    ...(c.kind === 'ours-wgsl' ? { module: ours.wgsl } : c.kind === 'ours-wasm' ? { module: ours.wasm } : {}),
  })
  const expected = await resultOf(w, reference, taskOf, plan.patience)
  measured.push(...(await measure(w, contenders, plan, taskOf, expected, say)))
  if (w.graph === 'gpt2' || w.graph === 'bert') profileOf(w)
}

/** Our kernels one by one, by `tfmc profile`. */
function profileOf(w: Workload): void {
  if (w.program === 'prefill') return
  say(`${w.id}: profile`)
  const cli = join(packageRoot(), 'dist/src/cli/main.js')
  const sizes = w.program === 'step' ? ['--prompt', String(w.past), '--tokens', '2'] : ['--dims', `T=${w.inputs.ids.shape[1]}`] // prettier-ignore
  const set = Object.entries(w.set).flatMap(([name, x]) => ['--set', `${name}=${x}`])
  const argv = ['profile', join(packageRoot(), w.model), '--weights', weightsOf(w), '--no-config', ...set, ...sizes, '--rounds', quick ? '2' : '20', '--json'] // prettier-ignore
  try {
    const out = execFileSync(process.execPath, [cli, ...argv], { encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'inherit'] }) // prettier-ignore
    profiles.push({ title: w.title, json: JSON.parse(out) })
  } catch (thrown) {
    say(`${w.id}: no profile: ${(thrown as Error).message.split('\n')[0]}`)
  }
}

/** What the driver's own tool says, if it is there. */
function driver(): string {
  try {
    const fields = 'name,driver_version,clocks.max.sm,clocks.max.mem,power.limit'
    return execFileSync('nvidia-smi', [`--query-gpu=${fields}`, '--format=csv,noheader'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim().split('\n').join('; ') // prettier-ignore
  } catch {
    return ''
  }
}

function save(finished: boolean): string {
  const adapter = measured.find((m) => m.adapter)?.adapter
  const version = (name: string): string => {
    try {
      return `${name} ${versionOf(name)}`
    } catch {
      return `${name} –`
    }
  }
  const text = report({
    about: [
      new Date().toISOString().slice(0, 10),
      `${cpus()[0].model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, load average ${began} before and ${loadavg()[0].toFixed(1)} now`,
      `Node ${process.versions.node}, ${version('@jax-js/jax')}, ${version('onnxruntime-web')}`,
      driver(),
    ].filter((x) => x !== ''),
    adapter,
    measured,
    profiles,
    workloads,
    finished,
  })
  const name = (adapter?.description ?? 'none').toLowerCase().replace(/\(.*?\)/g, '').replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 40) // prettier-ignore
  const file = resolve(out ?? join(quick ? cache : join(packageRoot(), 'bench/results'), `gpu-${name}.md`))
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'last.json'), JSON.stringify({ adapter, measured, profiles }, undefined, 1))
  return file
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    stopAll()
    say(`written to ${save(false)}`)
    process.exit(130)
  })
process.on('exit', stopAll)

const peers = install()
let file = ''
for (const w of workloads.filter(wanted)) {
  try {
    await run(w, peers)
  } catch (thrown) {
    say(`${w.id}: ${(thrown as Error).message}`)
    measured.push({ workload: w.id, contender: 'all', best: NaN, median: NaN, calls: 0, deviation: NaN, failed: (thrown as Error).message }) // prettier-ignore
  }
  file = save(false)
}
file = save(true)
say(`written to ${file}`)
const soft = measured.find((m) => m.adapter)?.adapter
if (soft?.software) say(`${soft.description} is a software adapter: a processor plays the graphics card, and these times say nothing about one`) // prettier-ignore
