/**
 * `npm run bench:gpu`: ours, the peers and hand-written kernels on this machine's graphics card, side by side. `--quick` (small sizes, which a software
 * adapter can play), `--only id,…` (beginnings of names), `--without contender,…`, `--out file`, `--minutes n` (no workload begins later; 9 by default),
 * `--add` (only what the last run did not reach, beside what it measured). Writes bench/results/gpu-<adapter>.md after every workload, so that what was
 * measured before an interruption is there. See README.md.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const {
  values: { only, without, quick, out, minutes, add },
} = parseArgs({
  options: {
    only: { type: 'string' },
    without: { type: 'string' },
    quick: { type: 'boolean', default: false },
    out: { type: 'string' },
    minutes: { type: 'string', default: '9' },
    add: { type: 'boolean', default: false },
  },
})
process.env.TFM_BENCH = 'gpu'
if (quick) process.env.TFM_BENCH_SMALL = '1'

// Only now: what is small is decided when they are loaded.
const { here, cache, versionOf } = await import('../peers/places.ts')
const { pastPath, prepareGraphs, prepareModule, prepareWeights, variantsOf, weightsOf } =
  await import('../peers/prepare.ts')
const { before, workloads } = await import('./workloads.ts')
const { contendersFor, reference } = await import('./contenders.ts')
const { measure, resultOf } = await import('./measure.ts')
const { stopAll } = await import('../shared/process.ts')
const { start } = await import('./process.ts')
const { report } = await import('./tables.ts')
const { wgsl } = await import('../../targets/wgsl/index.ts')
const { wasm } = await import('../../targets/wasm/index.ts')
const { packageRoot } = await import('../../src/package-root.ts')
type Workload = (typeof workloads)[number]
type Measured = Awaited<ReturnType<typeof measure>>[number]
type Contender = ReturnType<typeof contendersFor>[number]

const plan = quick ? { rounds: 2, turn: 50, listened: 2, patience: 120 } : { rounds: 6, turn: 200, listened: 10, patience: 60 } // prettier-ignore
const until = performance.now() + 60_000 * Number(minutes)
const say = (text: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
const began = loadavg()[0].toFixed(1)
interface Kept {
  readonly measured: readonly Measured[]
  readonly profiles: readonly { readonly title: string; readonly json: unknown }[]
}
/** What the last run measured, if this one is to go on. */
const last = join(cache, 'last.json')
const earlier: Kept =
  add && existsSync(last) ? (JSON.parse(readFileSync(last, 'utf8')) as Kept) : { measured: [], profiles: [] }
// JSON has no NaN.
const measured: Measured[] = earlier.measured.map((m) => ({
  ...m,
  best: m.best ?? NaN,
  median: m.median ?? NaN,
  deviation: m.deviation ?? NaN,
}))
const profiles = [...earlier.profiles]

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
  let contenders = contendersFor(w).filter(taken).filter((c) => peers || c.kind === 'ours-wgsl' || c.kind === 'yardstick') // prettier-ignore
  const modules = new Map<Contender, string>()
  for (const c of [reference, ...contenders])
    if (c.kind.startsWith('ours'))
      modules.set(c, (await prepareModule(w, c.kind === 'ours-wgsl' ? wgsl : wasm, c.compiled)).path)
  try {
    if (peers) await preparePeers(w)
  } catch (thrown) {
    const failed = `its inputs could not be made: ${(thrown as Error).message}`
    say(`${w.id}: the peers: ${failed}`)
    for (const c of contenders.filter(isPeer)) measured.push({ ...untimed, workload: w.id, contender: c.name, failed })
    contenders = contenders.filter((c) => !isPeer(c))
  }
  const taskOf = (c: Contender) => ({
    variants: Object.keys(variantsOf(w)),
    ...(modules.has(c) ? { module: modules.get(c)! } : {}),
  })
  const expected = await resultOf(w, reference, taskOf, plan.patience)
  measured.push(...(await measure(w, contenders, plan, taskOf, expected, say)))
  if (w.graph === 'gpt2' || w.graph === 'bert') profileOf(w)
}

const untimed = { best: NaN, median: NaN, calls: 0, deviation: NaN }
const isPeer = (c: Contender): boolean => c.kind === 'jax-js' || c.kind === 'ort-web'

/** Graphs, and the caches that steps begin with. */
async function preparePeers(w: Workload): Promise<void> {
  await prepareGraphs(w)
  if (w.past === 0 || existsSync(pastPath(w.past, w.bits))) return
  const prompt = before(w)
  prepareWeights(prompt)
  await prepareGraphs(prompt)
  const child = start(plan.patience)
  try {
    await child.ask<'done'>({ k: 'past', workload: prompt.id, variants: Object.keys(variantsOf(prompt)) })
  } finally {
    child.stop()
  }
}

/** Our kernels one by one, by `tfmc profile`. */
function profileOf(w: Workload): void {
  if (w.program === 'prefill') return
  say(`${w.id}: profile`)
  const cli = join(packageRoot(), 'dist/src/cli/main.js')
  const sizes = w.program === 'step' ? ['--prompt', String(w.past), '--tokens', '2'] : ['--dims', `T=${w.inputs.ids.shape[1]}`] // prettier-ignore
  const set = Object.entries(w.set).flatMap(([name, x]) => ['--set', `${name}=${x}`])
  const argv = ['profile', join(packageRoot(), w.model), '--weights', weightsOf(w), '--no-config', ...set, ...sizes, '--rounds', quick ? '2' : '20', '--device-profile', 'desktop', ...(w.bits === 16 ? ['--arithmetic', 'f16'] : []), '--json'] // prettier-ignore
  try {
    const out = execFileSync(process.execPath, [cli, ...argv], { encoding: 'utf8', maxBuffer: 2 ** 28, timeout: 1000 * plan.patience, stdio: ['ignore', 'pipe', 'inherit'] }) // prettier-ignore
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
  writeFileSync(last, JSON.stringify({ adapter, measured, profiles }, undefined, 1))
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
const missing = workloads.filter(wanted).filter((w) => !measured.some((m) => m.workload === w.id))
let reached = 0
for (const w of missing) {
  if (performance.now() > until) break
  reached++
  try {
    await run(w, peers)
  } catch (thrown) {
    say(`${w.id}: ${(thrown as Error).message}`)
    measured.push({ ...untimed, workload: w.id, contender: 'all', failed: (thrown as Error).message })
  }
  file = save(false)
}
file = save(reached === missing.length)
if (reached < missing.length)
  say(`after ${minutes} minutes ${missing.length - reached} workloads are left; go on with --add`)
say(`written to ${file}`)
const soft = measured.find((m) => m.adapter)?.adapter
if (soft?.software) say(`${soft.description} is a software adapter: a processor plays the graphics card, and these times say nothing about one`) // prettier-ignore
