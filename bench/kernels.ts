/**
 * `npm run bench:kernels`: every kernel of GPT-2 124M and two matmuls on the wasm target, each beside the peaks of this machine measured in the
 * same run: multiply-adds of 128 bits in registers, and reading memory. Kernels take turns; the fastest round of each counts. `--save` keeps the table,
 * `--threads 2` shares the work, `--source model.tfm` takes another model, `--wide` pairs vectors (Node 24, with --experimental-wasm-revectorize).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import v8 from 'node:v8'
import { Worker } from 'node:worker_threads'
import { compile } from '../src/compile.ts'
import { sourceFile } from '../src/diagnostics/index.ts'
import { storageOf } from '../src/kernel/address.ts'
import type { Buffer } from '../src/kernel/buffer.ts'
import { newBuffer } from '../src/kernel/buffer.ts'
import { bin, load } from '../src/kernel/expr.ts'
import { exprsOfStage } from '../src/kernel/rows.ts'
import type { StageKernel } from '../src/kernel/stage.ts'
import { contractionOf } from '../src/kernel/structure.ts'
import { extentOf, loadsOf, loopSymbol } from '../src/kernel/walk.ts'
import { packageRoot } from '../src/package-root.ts'
import type { HostStep } from '../src/program/types.ts'
import type { Sym } from '../src/types/ix.ts'
import { con, evaluate, of, valuesOf } from '../src/types/ix.ts'
import { assemble } from '../targets/wasm/assemble.ts'
import { wasm } from '../targets/wasm/index.ts'
import { panelLayout } from '../targets/wasm/panels.ts'
import { schedule } from '../targets/wasm/recipes.ts'
import { printKernel } from '../targets/wasm/text/kernel.ts'
import { moduleText } from '../targets/wasm/text/module.ts'
import { printer } from '../targets/wasm/text/printer.ts'

const flag = (name: string): boolean => process.argv.includes(`--${name}`)
const option = (name: string, otherwise: string): string => {
  const i = process.argv.indexOf(`--${name}`)
  return i < 0 ? otherwise : process.argv[i + 1]
}
const threads = Number(option('threads', '1'))
const seconds = Number(option('seconds', '10'))
const lengths = option('lengths', '64').split(',').map(Number)
const wide = flag('wide')
const relaxed = !flag('plain')
if (relaxed && process.versions.node.startsWith('20.')) v8.setFlagsFromString('--experimental-wasm-relaxed-simd')

interface Case {
  readonly label: string
  readonly kernel: StageKernel
  readonly dims: Readonly<Record<string, number>>
  /** How often a call of the program runs it. */
  readonly times: number
}

function matmul(M: number, K: number, N: number): Case {
  const w = newBuffer('w', 'f32', 'global', [con(K), con(N)], panelLayout(K, N))
  const [x, y] = [newBuffer('x', 'f32', 'global', [con(M), con(K)]), newBuffer('y', 'f32', 'global', [con(M), con(N)])]
  const [m, n, k] = [loopSymbol('m', M), loopSymbol('n', N), loopSymbol('k', K)]
  const e = bin('mul', load(x, [of(m), of(k)]), load(w, [of(k), of(n)]))
  const kernel: StageKernel = {
    name: `matmul_${M}_${K}_${N}`,
    doc: [],
    params: [],
    stages: [{ name: 'y', out: y, domain: [m, n], body: { k: 'reduce', fold: 'add', axes: [k], e, empty: 0 } }],
    args: [x, w, y].map((buffer) => ({ buffer, access: buffer === y ? 'write' : 'read', role: 'activation' })),
  }
  return { label: `matmul ${M} × ${K} × ${N}`, kernel, dims: {}, times: 0 }
}

function modelCases(): Case[] {
  const path = option('source', join(packageRoot(), 'examples/gpt2/model.tfm'))
  const { module } = compile(sourceFile(path, readFileSync(path, 'utf8')), wasm).lowered
  const cases: Case[] = []
  const program = (name: string, dims: Readonly<Record<string, number>>, label: string): void => {
    const counts = new Map<number, number>()
    const go = (steps: readonly HostStep[], times: number): void => {
      for (const s of steps) {
        if (s.k === 'dispatch') counts.set(s.kernel, (counts.get(s.kernel) ?? 0) + times)
        else if (s.k === 'layers') go(s.body, times * s.count)
      }
    }
    go(module.programs.find((p) => p.name === name)!.steps, 1)
    for (const [i, times] of counts) {
      const kernel = module.kernels[i]
      cases.push({ label: `${label} ${kernel.name}`, kernel, dims, times })
    }
  }
  if (!module.programs.some((p) => p.name === 'step')) {
    program('run', { B: 1 }, 'run')
    return cases
  }
  for (const T of lengths) program('prefill', { B: 1, T, P: 0 }, `prefill ${T}`)
  program('step', { B: 1, T: 1, P: 256 }, 'step')
  return cases
}

const cases = [...(flag('model') ? [] : [matmul(128, 768, 3072), matmul(512, 512, 512)]), ...modelCases()]

/** Twelve chains of multiply-adds in registers; the sum of a range of memory. */
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const chain = (c: number): string => {
  const [acc, x] = [`(local.get $c${c})`, `(local.get $${c % 2 ? 'x' : 'y'})`]
  const sum = relaxed ? `(f32x4.relaxed_madd ${x} (local.get $y) ${acc})` : `(f32x4.add ${acc} (f32x4.mul ${x} (local.get $y)))` // prettier-ignore
  return `(local.set $c${c} ${sum})`
}
const peaks = [
  `(func $peak (export "peak") (param $n i32) (param $at i32) (local $x v128) (local $y v128) ${range(12).map((c) => `(local $c${c} v128)`).join(' ')}`, // prettier-ignore
  '(local.set $x (v128.load (local.get $at))) (local.set $y (v128.load offset=16 (local.get $at)))',
  `(loop $l ${range(12).map(chain).join('\n')} (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))`,
  `${range(12).map((c) => `(v128.store offset=${16 * c} (local.get $at) (local.get $c${c}))`).join('\n')})`,
  `(func $read (export "read") (param $p i32) (param $end i32) (param $out i32) ${range(8).map((c) => `(local $c${c} v128)`).join(' ')}`, // prettier-ignore
  `(loop $l ${range(8).map((c) => `(local.set $c${c} (f32x4.add (local.get $c${c}) (v128.load offset=${16 * c} (local.get $p))))`).join('\n')}`, // prettier-ignore
  '(br_if $l (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 128))) (local.get $end))))',
  `(v128.store (local.get $out) ${range(8).map((c) => `(local.get $c${c})`).reduce((a, b) => `(f32x4.add ${a} ${b})`)}))`,
] // prettier-ignore

const p = printer({ relaxed, taken: ['$peak', '$read'] })
const printed = new Map<StageKernel, string>()
const functions: (readonly string[])[] = [peaks]
for (const { kernel } of cases) {
  if (printed.has(kernel)) continue
  const made = printKernel(schedule(kernel, { wide }), p)
  printed.set(kernel, made.name)
  functions.push(made.lines)
}
const exports = new Map([...printed.values()].map((n) => [n.slice(1), n]))
const text = moduleText(p, { functions, exports })
if (flag('text')) writeFileSync(option('text', 'kernels.wat'), text)
const binary = await assemble(text)
const memory = new WebAssembly.Memory({ initial: 12288, maximum: 65536, shared: true })
const instance = (await WebAssembly.instantiate(binary, { env: { memory } })).instance
const call = instance.exports as Record<string, (...args: readonly number[]) => void>

/** Control words: which function, how many arguments, the arguments; a count of calls and of answers. */
const SCRATCH = 4096
const scratchBytes = Math.ceil(p.scratchBytes() / 64) * 64 + 4096
const control = new Int32Array(memory.buffer, 0, 128)
const names = [...Object.keys(call)]
const workers = range(threads - 1).map(
  (i) => new Worker(new URL('./kernels-thread.js', import.meta.url), { workerData: { binary, memory, names, thread: i + 1, threads, scratch: SCRATCH + (i + 1) * scratchBytes } }), // prettier-ignore
)
call.place(0, threads, SCRATCH)
for (const w of workers) await new Promise((done) => w.once('message', done))

/** Runs a function on all threads. `own` gives each thread's arguments. */
function together(name: string, own: (thread: number) => readonly number[]): void {
  if (threads === 1) return call[name](...own(0))
  control[2] = names.indexOf(name)
  for (let t = 1; t < threads; t++) {
    const args = own(t)
    control[16 + 16 * t] = args.length
    args.forEach((x, i) => (control[17 + 16 * t + i] = x))
  }
  Atomics.store(control, 1, 0)
  Atomics.add(control, 0, 1)
  call[name](...own(0))
  while (Atomics.load(control, 1) < threads - 1);
}

const start = SCRATCH + threads * scratchBytes + 4096
const megabytes = 256
new Float32Array(memory.buffer, start, megabytes * 2 ** 18).forEach(
  (_, i, x) => (x[i] = ((i * 7919) % 1000) / 1000 - 0.5),
)

/** Whether single rows of a buffer are loaded, by numbers that are data: then its size says nothing of what is read. */
const gathered = (kernel: StageKernel, b: Buffer): boolean =>
  kernel.stages
    .flatMap(exprsOfStage)
    .flatMap(loadsOf)
    .some((l) => l.buf === b && l.at.some((x) => valuesOf(x).size > 0))

interface Timed {
  readonly label: string
  readonly run: () => void
  readonly flops: number
  readonly bytes: number
  readonly times: number
  best: number
}
let next = start
const timed: Timed[] = cases.map(({ label, kernel, dims, times }) => {
  const value = (s: Sym): number => dims[s.name] ?? 1
  let bytes = 0
  const places = kernel.args.map((a) => {
    const size = evaluate(storageOf(a.buffer), value) * 4
    if (!gathered(kernel, a.buffer)) bytes += size
    if (next + size > start + megabytes * 2 ** 20) next = start
    const at = next
    next = Math.ceil((at + size + 64) / 64) * 64
    if (a.buffer.of === 'i32') new Int32Array(memory.buffer, at, size / 4).fill(1)
    return at
  })
  const args = [...places, ...kernel.params.map(value)]
  const main = kernel.stages.map(contractionOf).find((c) => c !== undefined)
  const points = main && [...main.stage.domain, ...main.sum].map((s) => evaluate(extentOf(s), value))
  const name = printed.get(kernel)!.slice(1)
  return {
    label, times, bytes, best: Infinity,
    flops: points === undefined ? 0 : 2 * points.reduce((a, b) => a * b, 1),
    run: () => together(name, () => args),
  } // prettier-ignore
})
const rounds = 2000
const part = Math.floor((megabytes * 2 ** 20) / threads / 128) * 128
const limits: Timed[] = [
  { label: 'peak', times: 0, bytes: 0, best: Infinity, flops: threads * rounds * 12 * 8, run: () => together('peak', (t) => [rounds, SCRATCH + t * scratchBytes]) },
  { label: 'read', times: 0, bytes: part * threads, best: Infinity, flops: 0, run: () => together('read', (t) => [start + t * part, start + (t + 1) * part, SCRATCH + t * scratchBytes]) },
] // prettier-ignore

/** Time of the processor where one thread works: other work on the machine does not count. ms */
const clock = (): number => {
  if (threads > 1) return performance.now()
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const all = [...limits, ...timed]
const until = performance.now() + seconds * 1000
for (let round = 0; round < 4 || performance.now() < until; round++) {
  for (const c of all) {
    // Short kernels several times in a row.
    const repeats = Math.max(1, Math.min(100, Math.floor(1 / c.best)))
    for (let i = 0; i < (c.best < 0.5 ? 4 : 1); i++) {
      const from = clock()
      for (let k = 0; k < repeats; k++) c.run()
      c.best = Math.min(c.best, (clock() - from) / repeats)
    }
  }
}

const [peak, read] = [limits[0].flops / limits[0].best / 1e6, limits[1].bytes / limits[1].best / 1e6]
const lines = [
  `${cpus()[0].model.trim()}; Node ${process.versions.node}; ${threads} thread${threads === 1 ? '' : 's'}${wide ? '; wide' : ''}${relaxed ? '; relaxed' : ''}. Peak ${peak.toFixed(1)} GFLOP/s (128-bit multiply-adds), memory ${read.toFixed(1)} GB/s.`,
  '',
  '| kernel | ms | times a call | GFLOP/s | of the peak | GB/s | of memory |',
  '|---|---|---|---|---|---|---|',
  ...timed.map((c) => {
    const [rate, band] = [c.flops / c.best / 1e6, c.bytes / c.best / 1e6]
    const flops = c.flops === 0 ? '| ' : `${rate.toFixed(1)} | ${((100 * rate) / peak).toFixed(0)} %`
    return `| ${c.label} | ${c.best.toFixed(3)} | ${c.times || ''} | ${flops} | ${band.toFixed(1)} | ${((100 * band) / read).toFixed(0)} % |`
  }),
]
const sum = (prefix: string): number => timed.filter((c) => c.label.startsWith(prefix)).reduce((n, c) => n + c.times * c.best, 0) // prettier-ignore
for (const prefix of [...lengths.map((T) => `prefill ${T} `), 'step ', 'run ']) if (sum(prefix) > 0) lines.push('', `${prefix}all kernels: ${sum(prefix).toFixed(1)} ms`) // prettier-ignore
console.log(lines.join('\n'))
if (flag('save')) {
  const folder = join(packageRoot(), 'bench/results')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `kernels${threads === 1 ? '' : `-${threads}`}${wide ? '-wide' : ''}.md`), `# Kernels of the wasm target\n\nWritten by \`npm run bench:kernels -- --save\`. ${lines.join('\n')}\n`) // prettier-ignore
}
for (const w of workers) await w.terminate()
