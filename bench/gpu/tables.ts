/** The report, as Markdown. */
import type { Workload } from '../peers/workloads.ts'
import { rate } from '../../src/cli/flame.ts'
import type { Profile, ProfiledKernel } from '../../src/cli/profile.ts'
import type { Measured } from './measure.ts'
import type { Adapter } from './provide.ts'

export interface Report {
  readonly about: readonly string[]
  readonly adapter: Adapter | undefined
  readonly measured: readonly Measured[]
  /** What `tfmc profile --json` printed. */
  readonly profiles: readonly { readonly title: string; readonly json: unknown }[]
  readonly workloads: readonly Workload[]
  readonly finished: boolean
}

const three = (x: number): string => (Number.isFinite(x) ? String(Number(x.toPrecision(3))) : '–')
const gpu = (m: Measured): number => (m.heard?.dispatches ?? []).reduce((ms, d) => ms + d.milliseconds, 0) || NaN
const percent = (x: number): string => (Number.isFinite(x) ? `${Math.round(100 * x)} %` : '–')
const kilobytes = (n: number): string => (n >= 1e6 ? `${three(n / 1e6)} MB` : `${three(n / 1e3)} kB`)

export function report(r: Report): string {
  const { adapter, measured, workloads, profiles } = r
  const lines = ['# The graphics card: ours, the peers, hand-written WGSL', '']
  lines.push(`${r.about.join('; ')}. Written by \`npm run bench:gpu\`${r.finished ? '' : ', which was interrupted or is still running'}.`, '') // prettier-ignore
  if (adapter) {
    lines.push(`Adapter: ${adapter.driver}. Features: ${adapter.features.join(', ')}.`, '')
    if (adapter.software)
      lines.push('**A software adapter: a processor plays the graphics card. Dispatches, bytes and agreement hold; times say nothing about a graphics card.**', '') // prettier-ignore
  } else lines.push('**No adapter was found.**', '')
  const ceilings = profiles.map((p) => (p.json as Profile).ceilings).find((c) => c)
  if (ceilings)
    lines.push(`Measured at most: copies ${rate(ceilings.copy)}B/s (${kilobytes(ceilings.copied)}, read and written), f32 multiplications and additions ${rate(ceilings.arithmetic)}FLOP/s.`, '') // prettier-ignore

  const rows = barsOf(r)
  if (rows.length > 0) {
    lines.push('## Bars', '', '| what | measured | bar | |', '|---|---|---|---|')
    for (const row of rows) lines.push(`| ${row.what} | ${row.measured} | ${row.bar} | ${adapter?.software ? 'not on software' : row.met ? 'met' : 'missed'} |`) // prettier-ignore
    lines.push('')
  }

  const of = (w: Workload): Measured[] => measured.filter((m) => m.workload === w.id && m.failed === undefined)
  const kernels = workloads.filter((w) => ['matmul', 'add-layernorm'].includes(w.graph) && of(w).length > 0)
  if (kernels.length > 0) {
    lines.push('## Kernels', '', 'Time on the device (timestamps around each dispatch, the best of some calls), what that makes, and the whole call from JavaScript arrays to JavaScript arrays.', '') // prettier-ignore
    lines.push('| case | who | device | GFLOP/s | GB/s | dispatches | call |', '|---|---|---|---|---|---|---|')
    for (const w of kernels)
      for (const m of of(w)) {
        const ms = gpu(m)
        lines.push(`| ${w.title} | ${m.contender} | ${three(1000 * ms)} µs | ${three(w.flops / ms / 1e6)} | ${three(bytesOf(w) / ms / 1e6)} | ${m.heard?.counts.dispatches ?? '–'} | ${three(m.best)} ms |`) // prettier-ignore
      }
    lines.push('')
  }
  const models = workloads.filter((w) => !['matmul', 'add-layernorm'].includes(w.graph) && of(w).length > 0)
  if (models.length > 0) {
    lines.push('## Models', '', 'A call: fastest (median). Counted in one call: dispatches, submissions, buffers made, bytes that JavaScript wrote to the device and read back.', '') // prettier-ignore
    lines.push('| case | who | call | tokens/s | on the device | dispatches | submits | buffers made | bind groups made | written | read back |', '|---|---|---|---|---|---|---|---|---|---|---|') // prettier-ignore
    for (const w of models)
      for (const m of of(w)) {
        const tokens = w.program === 'step' ? 1 : w.inputs.ids.shape[1]
        const c = m.heard?.counts
        lines.push(`| ${w.title} | ${m.contender}${m.note ? ` (${m.note})` : ''} | ${three(m.best)} ms (${three(m.median)}) | ${three((1000 * tokens) / m.best)} | ${three(gpu(m))} ms | ${c ? [c.dispatches, c.submits, c.buffers, c.bindGroups].join(' | ') : '– | – | – | –'} | ${c ? `${kilobytes(c.written)} | ${kilobytes(c.read)}` : '– | –'} |`) // prettier-ignore
      }
    lines.push('')
  }
  for (const { title, json } of profiles) {
    const p = json as Profile
    const program = p.programs[p.programs.length - 1]
    if (program === undefined || program.kernels.length === 0) continue
    const total = program.kernels.reduce((ms, k) => ms + k.milliseconds, 0)
    lines.push(`## Our kernels: ${title}`, '', `${three(total)} ms in ${program.dispatches.length} dispatches; a call takes ${three(program.call.best)} ms.`, '') // prettier-ignore
    lines.push('| kernel | as | times | ms | share | GB/s | of copies | GFLOP/s | of most |', '|---|---|---|---|---|---|---|---|---|') // prettier-ignore
    for (const k of program.kernels)
      lines.push(`| ${k.name} | ${k.entries.join(' ')} | ${k.calls} | ${three(k.milliseconds)} | ${percent(k.milliseconds / total)} | ${three(k.bytes / k.milliseconds / 1e6)} | ${percent((1000 * k.bytes) / k.milliseconds / (p.ceilings?.copy ?? NaN))} | ${three(k.flops / k.milliseconds / 1e6)} | ${percent((1000 * k.flops) / k.milliseconds / (p.ceilings?.arithmetic ?? NaN))} |`) // prettier-ignore
    lines.push('')
  }
  lines.push('## Agreement', '', 'Largest deviation from our WebAssembly target, as a share of the largest value.', '', '| case | deviations |', '|---|---|') // prettier-ignore
  for (const w of workloads) {
    const all = measured.filter((m) => m.workload === w.id && !Number.isNaN(m.deviation))
    if (all.length > 0) lines.push(`| ${w.title} | ${all.map((m) => `${m.contender} ${m.deviation.toExponential(1)}`).join(', ')} |`) // prettier-ignore
  }
  const failed = measured.filter((m) => m.failed !== undefined)
  if (failed.length > 0) lines.push('', '## Not timed', '')
  for (const m of failed) lines.push(`- ${m.workload}, ${m.contender}: ${m.failed!.split('\n')[0].slice(0, 300)}`)
  return `${lines.join('\n')}\n`
}

/** Bytes of operands and results, each once. */
function bytesOf(w: Workload): number {
  const x = w.inputs.x.shape.reduce((a, b) => a * b, 1)
  if (w.graph !== 'matmul') return 4 * 3 * x
  const [k, n] = [Number(w.set.k), Number(w.set.n)]
  return 4 * (x + k * n + (x / k) * n)
}

interface Row {
  readonly what: string
  readonly measured: string
  readonly bar: string
  readonly met: boolean
}
function barsOf({ measured, workloads, profiles }: Report): Row[] {
  const rows: Row[] = []
  const find = (w: Workload, who: string): Measured | undefined =>
    measured.find((m) => m.workload === w.id && m.contender === who && m.failed === undefined)
  const others = (w: Workload): Measured[] =>
    measured.filter((m) => m.workload === w.id && !m.contender.startsWith('ours') && m.failed === undefined)
  const copy = profiles.map((p) => (p.json as Profile).ceilings?.copy).find((c) => c)
  for (const w of workloads) {
    const own = find(w, 'ours')
    if (own === undefined) continue
    if (w.graph === 'matmul' && w.inputs.x.shape[0] > 1) {
      const best = others(w).filter((m) => gpu(m) > 0).sort((a, b) => gpu(a) - gpu(b))[0] // prettier-ignore
      if (best === undefined) continue
      const part = gpu(best) / gpu(own)
      rows.push({ what: w.title, measured: `${percent(part)} of the rate of ${best.contender}`, bar: '≥ 60 % of the best other WGSL', met: part >= 0.6 }) // prettier-ignore
    } else if (w.graph === 'add-layernorm' && copy !== undefined) {
      const part = (1000 * bytesOf(w)) / gpu(own) / copy
      rows.push({ what: w.title, measured: `${percent(part)} of copies`, bar: '≥ 70 %', met: part >= 0.7 })
    } else if (w.program === 'step') {
      const peers = others(w).filter((m) => m.best > 0).sort((a, b) => a.best - b.best) // prettier-ignore
      const ratio = peers.length > 0 ? peers[0].best / own.best : NaN
      if (peers.length > 0) rows.push({ what: w.title, measured: `${three(ratio)}× ${peers[0].contender}`, bar: '≥ 2× the best peer', met: ratio >= 2 }) // prettier-ignore
    }
  }
  for (const { title, json } of profiles) {
    const p = json as Profile
    const step = p.programs.find((x) => x.program === 'step')
    if (!step || !p.ceilings) continue
    // Products of a matrix and a vector: they read far more than anything else does.
    const reading = step.kernels.filter((k) => k.kind === 'contraction' && k.bytes / k.calls > 2 ** 20)
    const sum = (f: (k: ProfiledKernel) => number): number => reading.reduce((n, k) => n + f(k), 0)
    const part = (1000 * sum((k) => k.bytes)) / sum((k) => k.milliseconds) / p.ceilings.copy
    if (reading.length > 0) rows.push({ what: `${title}: products of a matrix and a vector`, measured: `${percent(part)} of copies`, bar: '≥ 50 %', met: part >= 0.5 }) // prettier-ignore
  }
  return rows
}
