/** `npm run bench`: the bars of the compiler, measured side by side in one run; `--save` keeps the table in bench/results. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { compile } from '../src/compile.ts'
import type { Compiled } from '../src/compile.ts'
import { sourceFile } from '../src/diagnostics/index.ts'
import { report } from '../src/explain/report.ts'
import { packageRoot } from '../src/package-root.ts'
import { typescript } from '../targets/typescript/index.ts'
import { wgsl } from '../targets/wgsl/index.ts'
import type { Target } from '../src/target.ts'

interface Row {
  readonly what: string
  readonly measured: string
  readonly bar: string
  readonly met: boolean
}
const rows: Row[] = []
const add = (what: string, measured: string, bar: string, met: boolean): void => {
  rows.push({ what, measured, bar, met })
  console.log(`${met ? 'met   ' : 'MISSED'}  ${what}: ${measured} (bar: ${bar})`)
}
const root = packageRoot()
const path = 'examples/gpt2/model.tfm'
const text = readFileSync(join(root, path), 'utf8')
const source = () => sourceFile(path, text)
const median = (xs: readonly number[]): number => [...xs].sort((a, b) => a - b)[xs.length >> 1]

async function compileTime(target: Target): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < 25; i++) {
    const from = performance.now()
    const compiled = compile(source(), target)
    await target.emit(compiled.lowered.module, { language: 'ts' })
    times.push(performance.now() - from)
  }
  return median(times.slice(5))
}

const version = (name: string): string =>
  (JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }).version
const machine = `${cpus()[0].model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB; Node ${process.versions.node}; chevrotain ${version('chevrotain')}, webgpu ${version('webgpu')}`
console.log(machine)

for (const target of [typescript, wgsl]) {
  const ms = await compileTime(target)
  add(`compile GPT-2 124M in process, ${target.name}, median of 20`, `${ms.toFixed(0)} ms`, '100 ms', ms <= 100)
}

const folder = mkdtempSync(join(tmpdir(), 'tfm-bench-'))
const cold = median(
  Array.from({ length: 5 }, (_, i) => {
    const from = performance.now()
    execFileSync(process.execPath, [
      join(root, 'dist/src/cli/main.js'),
      'compile',
      join(root, path),
      '-o',
      join(folder, String(i)),
    ])
    return performance.now() - from
  }),
)
rmSync(folder, { recursive: true })
add('tfmc compile examples/gpt2/model.tfm, cold, median of 5', `${(cold / 1000).toFixed(2)} s`, '1.5 s', cold <= 1500)

for (const [target, bar] of [
  [typescript, 40],
  [wgsl, 60],
] as const) {
  const compiled: Compiled = compile(source(), target)
  const files = await target.emit(compiled.lowered.module, { language: 'ts' })
  const size = (files.find((f) => f.path.endsWith('.ts'))?.text.length ?? 0) / 1024
  add(`emitted GPT-2, ${target.name}`, `${size.toFixed(1)} KB`, `${bar} KB`, size <= bar)
  if (target !== typescript) continue
  const told = report(compiled, compile(source(), target, { fuse: false }))
  for (const p of told.programs) {
    const layer = (p.dispatches - 2) / 12
    add(`kernels a layer, ${p.name}`, `${layer} (${p.dispatches} dispatches, ${p.unfused.dispatches} unfused; ${(p.bytes / 1e6).toFixed(0)} MB a call, ${(p.unfused.bytes / 1e6).toFixed(0)} unfused)`, '7', layer <= 7) // prettier-ignore
  }
}

const child = execFileSync(process.execPath, ['--max-old-space-size=4096', join(root, 'dist/bench/gpt2.js'), '10'], {
  encoding: 'utf8',
})
const gpt2 = JSON.parse(child) as Record<
  'loading' | 'prefill' | 'step' | 'rate' | 'bestRate' | 'weightBytes' | 'peakBytes',
  number
>
const share = gpt2.rate / gpt2.bestRate
add('GPT-2 prefill of 64 tokens, TypeScript, one thread', `${(gpt2.prefill / 1000).toFixed(2)} s, ${gpt2.rate.toFixed(2)} GFLOP/s = ${(100 * share).toFixed(0)} % of the hand-written matmul's ${gpt2.bestRate.toFixed(2)}`, '90 %', share >= 0.9) // prettier-ignore
const allowed = gpt2.weightBytes * 1.3 + 150e6
add('peak memory of that process', `${(gpt2.peakBytes / 1e6).toFixed(0)} MB with ${(gpt2.weightBytes / 1e6).toFixed(0)} MB of weights`, `${(allowed / 1e6).toFixed(0)} MB`, gpt2.peakBytes <= allowed) // prettier-ignore
console.log(
  `loading ${(gpt2.loading / 1000).toFixed(1)} s (weights are drawn at random as they stream), a step ${gpt2.step.toFixed(0)} ms`,
)

if (process.argv.includes('--save')) {
  const lines = [`# Bars of the compiler`, '', `${new Date().toISOString().slice(0, 10)}; ${machine}. Written by \`npm run bench -- --save\`.`, '', '| what | measured | bar | |', '|---|---|---|---|'] // prettier-ignore
  for (const r of rows) lines.push(`| ${r.what} | ${r.measured} | ${r.bar} | ${r.met ? 'met' : 'missed'} |`)
  mkdirSync(join(root, 'bench/results'), { recursive: true })
  writeFileSync(join(root, 'bench/results/bars.md'), `${lines.join('\n')}\n`)
}
