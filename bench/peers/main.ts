/**
 * `npm run bench:peers`: ours and the peers side by side. `--only id,…` (beginnings of names), `--quick`, `--without contender,…`, `--check`
 * (agreement only), `--save`
 * (bench/results/peers.md), `--add` (beside the cases that the last run measured and this one does not). What was measured before Ctrl-C is printed.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot } from '../../src/package-root.ts'
import { rowsOf } from './bars.ts'
import { contendersFor, native, targetOf } from './contenders.ts'
import { cold, measure, resultOf } from './measure.ts'
import type { Cold, Measured, TaskOf } from './measure.ts'
import { cache, here, newerNode, versionOf } from './places.ts'
import { pastPath, prepareGraphs, prepareModule, prepareWeights, variantsOf } from './prepare.ts'
import { stopAll } from '../shared/process.ts'
import { start } from './process.ts'
import type { Contender } from './process.ts'
import { tables } from './tables.ts'
import { workload, workloads } from './workloads.ts'
import type { Workload } from './workloads.ts'

const {
  values: { only, without, quick, check, save, add },
} = parseArgs({
  options: {
    only: { type: 'string' },
    without: { type: 'string' },
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    save: { type: 'boolean', default: false },
    add: { type: 'boolean', default: false },
  },
})
const tty = process.stderr.isTTY
const say = (text: string): void =>
  void process.stderr.write(tty ? `\r\x1b[K${text.slice(0, process.stderr.columns - 1)}` : `${text}\n`)

const load = loadavg()[0].toFixed(1)
const measured: Measured[] = []
const colds: Cold[] = []
const sizes = new Map<string, number>()
/** What the runs before this one say of themselves. */
let earlier: readonly string[] = []

function install(): void {
  if (existsSync(join(here, 'node_modules/.package-lock.json'))) return
  say('installing the peers (once, about 1 GB)')
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: here,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

const wanted = (w: Workload): boolean => !only || only.split(',').some((id) => w.id.startsWith(id))
const taken = (c: Contender): boolean => !without?.split(',').some((name) => `${c.name} ${c.threads}`.startsWith(name))

/** Everything but the timing; gives what each contender is told. */
async function prepare(w: Workload): Promise<TaskOf> {
  say(`${w.id}: preparing weights, graphs and modules`)
  prepareWeights(w)
  await prepareGraphs(w)
  const variants = Object.keys(variantsOf(w))
  const modules = new Map<string, string | Error>()
  const keyOf = (c: Contender): string => `${targetOf(c)?.name} ${c.wide ?? false}`
  for (const c of contendersFor(w)) {
    const target = targetOf(c)
    if (target === undefined || modules.has(keyOf(c))) continue
    try {
      const { path, bytes } = await prepareModule(w, target, c.wide ? { wide: true } : {})
      modules.set(keyOf(c), path)
      if (w.bits === undefined && !c.wide) sizes.set(`${w.checkpoint} ${target.name}`, bytes)
    } catch (thrown) {
      modules.set(keyOf(c), thrown as Error)
    }
  }
  return (c) => {
    const module = modules.get(keyOf(c))
    if (module instanceof Error) throw module
    return { variants, ...(module === undefined ? {} : { module }) }
  }
}

/** The cache that a step begins with, from the prefill of as many tokens. */
async function preparePast(w: Workload): Promise<void> {
  if (w.past === 0 || existsSync(pastPath(w.past, w.bits))) return
  const before = workload(w.id.replace('step', 'prefill'))
  await prepareGraphs(before)
  const child = start(native)
  await child.ask<'done'>({ k: 'past', workload: before.id, variants: Object.keys(variantsOf(before)) })
  child.stop()
}

async function timing(w: Workload): Promise<void> {
  const taskOf = await prepare(w)
  await preparePast(w)
  const reference = await resultOf(w, native, () => ({ variants: Object.keys(variantsOf(w)).slice(0, 1) }))
  const plan = { rounds: check ? 0 : quick ? 3 : 8, turn: quick ? 100 : 250 }
  measured.push(...(await measure(w, contendersFor(w).filter(taken), plan, taskOf, reference, say)))
}

/** Loading, first token and memory of GPT-2, each in a fresh process with the graph that was fastest. */
async function starts(): Promise<void> {
  const w = workload('gpt2-prefill-64')
  const taskOf = await prepare(w)
  for (const c of contendersFor(w).filter(taken)) {
    if (c.kind.startsWith('limits')) continue
    say(`start and memory: ${c.name} (${c.threads})`)
    const best = measured.find((m) => m.workload === w.id && m.contender === c.name && m.threads === c.threads)
    if (best?.failed !== undefined) continue
    const task: TaskOf = (each) => ({ ...taskOf(each), variants: [best?.note ?? 'plain'] })
    colds.push(await cold(w, c, task, quick ? 1 : 3).catch((thrown) => ({ contender: c.name, threads: c.threads, load: NaN, first: NaN, peakBytes: NaN, failed: `${thrown}` }))) // prettier-ignore
  }
}

function print(): void {
  if (tty) process.stderr.write('\r\x1b[K')
  const machine = `${cpus()[0].model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`
  const newer = newerNode()
  const newerVersion =
    newer === undefined ? 'none' : execFileSync(newer, ['--version'], { encoding: 'utf8' }).trim().slice(1)
  const names = [
    'onnxruntime-node',
    'onnxruntime-web',
    '@tensorflow/tfjs',
    '@tensorflow/tfjs-backend-wasm',
    '@jax-js/jax',
  ]
  const versions = [
    `Node ${process.versions.node} (--wide: ${newerVersion})`,
    ...names.map((name) => `${name} ${versionOf(name)}`),
  ]
  const about = [
    ...earlier,
    `${new Date().toISOString().slice(0, 16).replace('T', ' ')}; ${machine}, load average ${load} before; ${versions.join(', ')}${only ? `; only ${only}` : ''}.`,
  ]
  const text = tables({ about: about.join('\n\n'), measured, colds, rows: rowsOf({ measured, colds, sizes }) })
  console.log(text)
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'last.json'), JSON.stringify({ about, measured, colds, sizes: [...sizes] }, undefined, 1))
  if (!save) return
  mkdirSync(join(packageRoot(), 'bench/results'), { recursive: true })
  writeFileSync(join(packageRoot(), 'bench/results/peers.md'), text)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    stopAll()
    print()
    process.exit(130)
  })
process.on('exit', stopAll)

/** What the last run measured of cases that are not measured now. */
function keepEarlier(): void {
  const path = join(cache, 'last.json')
  if (!existsSync(path)) return
  const last = JSON.parse(readFileSync(path, 'utf8')) as { about: readonly string[]; measured: readonly Measured[]; colds: readonly Cold[]; sizes: readonly (readonly [string, number])[] } // prettier-ignore
  earlier = last.about
  const again = new Set(workloads.filter(wanted).map((w) => w.id))
  const order = workloads.map((w) => w.id)
  measured.push(...last.measured.filter((m) => order.includes(m.workload) && !again.has(m.workload)))
  if (!startsToo) colds.push(...last.colds)
  for (const [name, bytes] of last.sizes) sizes.set(name, bytes)
}

const startsToo = !check && (!only || only.split(',').includes('start'))
install()
if (add) keepEarlier()
for (const w of workloads.filter(wanted)) await timing(w)
if (startsToo) await starts()
print()
