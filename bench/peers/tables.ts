/** The report: times, deviations, bars, as Markdown. */
import type { Row } from './bars.ts'
import { blockedFlops, peakFlops } from './contenders/limits.ts'
import type { Cold, Measured } from './measure.ts'
import { workloads } from './workloads.ts'

export interface Report {
  /** Date, machine, versions. */
  readonly about: string
  readonly measured: readonly Measured[]
  readonly colds: readonly Cold[]
  readonly rows: readonly Row[]
}

const ms = (x: number): string =>
  x < 0.1 ? x.toFixed(3) : x < 10 ? x.toFixed(2) : x < 100 ? x.toFixed(1) : x.toFixed(0)
const limits: Readonly<Record<string, number>> = { '128-bit peak': peakFlops, 'blocked JS loop': blockedFlops }

export function tables({ about, measured, colds, rows }: Report): string {
  const lines = ['# Ours and the peers, side by side', '', `${about} Written by \`npm run bench:peers\`.`, '']
  if (rows.length > 0) {
    lines.push('## Bars', '', '| what | measured | bar | |', '|---|---|---|---|')
    for (const r of rows) lines.push(`| ${r.what} | ${r.measured} | ${r.bar} | ${r.met ? 'met' : 'missed'} |`)
    lines.push('')
  }
  for (const threads of [...new Set(measured.map((m) => m.threads))].sort()) {
    const columns = [
      ...new Set(measured.filter((m) => m.threads === threads && !(m.contender in limits)).map((m) => m.contender)),
    ]
    lines.push(`## ${threads === 1 ? 'One thread' : `${threads} threads`}`, '')
    lines.push('Milliseconds of a call: fastest (median), GFLOP/s of the fastest.', '')
    lines.push(`| case | ${columns.join(' | ')} |`, `|---|${columns.map(() => '---|').join('')}`)
    for (const w of workloads) {
      const cells = columns.map((contender) => {
        const m = measured.find((x) => x.workload === w.id && x.contender === contender && x.threads === threads)
        if (m === undefined) return '–'
        if (m.failed !== undefined) return 'failed'
        if (m.calls === 0) return 'agrees'
        const speed = w.flops / m.best / 1e6
        return `${ms(m.best)} (${ms(m.median)}) ${speed >= 100 ? speed.toFixed(0) : speed.toFixed(1)}`
      })
      if (cells.some((cell) => cell !== '–')) lines.push(`| ${w.title} | ${cells.join(' | ')} |`)
    }
    lines.push('')
  }
  const found = measured.filter((m) => m.contender in limits && m.calls > 0)
  for (const m of found)
    lines.push(
      `${m.contender}, between the turns of ${m.workload}: ${(limits[m.contender] / m.best / 1e6).toFixed(2)} GFLOP/s.`,
    )
  if (found.length > 0) lines.push('')
  if (colds.length > 0) {
    lines.push('## Start and memory: GPT-2 f32, a prompt of 64 tokens, fresh process', '')
    lines.push('| | threads | load, ms | load to first token, ms | peak resident, MB |', '|---|---|---|---|---|')
    for (const c of colds) lines.push(`| ${c.contender} | ${c.threads} | ${c.load.toFixed(0)} | ${c.first.toFixed(0)} | ${(c.peakBytes / 1e6).toFixed(0)} |`) // prettier-ignore
    lines.push('')
  }
  lines.push('## Agreement', '')
  lines.push(
    'Largest deviation from native ONNX Runtime with plain ONNX ops (quantised weights: with sums in f32), as a share of the largest value.',
    '',
  )
  lines.push('| case | deviations | graph of ONNX Runtime that was fastest |', '|---|---|---|')
  for (const w of workloads) {
    const all = measured.filter((m) => m.workload === w.id && !(m.contender in limits))
    if (all.length === 0) continue
    const worst = new Map<string, number>()
    for (const m of all)
      if (!Number.isNaN(m.deviation)) worst.set(m.contender, Math.max(worst.get(m.contender) ?? 0, m.deviation))
    const graphs = all.filter((m) => m.note !== undefined).map((m) => `${m.contender} (${m.threads}): ${m.note}`)
    lines.push(
      `| ${w.title} | ${[...worst].map(([name, x]) => `${name} ${x.toExponential(1)}`).join(', ')} | ${graphs.join('; ')} |`,
    )
  }
  const failed = measured.filter((m) => m.failed !== undefined)
  if (failed.length > 0) lines.push('', '## Not timed', '')
  for (const m of failed)
    lines.push(`- ${m.workload}, ${m.contender} (${m.threads}): ${m.failed!.split('\n')[0].slice(0, 300)}`)
  return `${lines.join('\n')}\n`
}
