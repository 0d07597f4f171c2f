/** The bars, each as a ratio of two measurements of one run. */
import { blockedFlops, peakFlops } from './contenders/limits.ts'
import type { Cold, Measured } from './measure.ts'
import { gpt2, workload } from './workloads.ts'

export interface Results {
  readonly measured: readonly Measured[]
  readonly colds: readonly Cold[]
  /** Bytes of what is emitted, by `checkpoint target`. */
  readonly sizes: ReadonlyMap<string, number>
}
export interface Row {
  readonly what: string
  readonly measured: string
  readonly bar: string
  readonly met: boolean
}

const matmuls = ['matmul-128x768x3072', 'matmul-512x512x512']
const prefills = ['gpt2-prefill-64', 'gpt2-prefill-256']
const steps = ['gpt2-step-64', 'gpt2-step-256']
const norms = ['layernorm', 'add-layernorm']
const gelus = ['gelu-tanh', 'gelu-erf']

/** [workloads, ours, theirs, threads, least ratio of their time to ours]; a peer that need not be beaten has a ratio below 1. */
const ratios: readonly (readonly [readonly string[], string, string, readonly number[], number])[] = [
  [matmuls, 'ours wasm', 'ORT web', [1], 1.6],
  [matmuls, 'ours wasm relaxed', 'ORT web', [1], 1.6],
  [matmuls, 'ours wasm --wide', 'ORT web Node 24', [1], 3],
  [prefills, 'ours wasm', 'ORT web', [1, 2], 1.7],
  [prefills, 'ours wasm relaxed', 'ORT web', [1, 2], 1.7],
  [prefills, 'ours wasm', 'jax-js', [1], 2.3],
  [prefills, 'ours wasm --wide', 'ORT web Node 24', [1], 2.7],
  [steps, 'ours wasm', 'ORT web', [1, 2], 1.25],
  [steps, 'ours wasm', 'ORT native', [1, 2], 1 / 1.1],
  [['gpt2-int8-step-64'], 'ours wasm', 'ORT web', [1, 2], 3.5],
  [['gpt2-int8-step-64'], 'ours wasm', 'ORT native', [1, 2], 1 / 1.4],
  [norms, 'ours wasm', 'ORT web', [1], 10],
  [norms, 'ours wasm', 'tfjs wasm', [1], 5],
  [norms, 'ours wasm', 'ORT native', [1], 1],
  [['softmax', ...gelus], 'ours wasm', 'ORT web', [1], 1.6],
  [gelus, 'ours wasm', 'tfjs wasm', [1], 3],
  [['bert', 'encoder'], 'ours wasm', 'ORT web', [1, 2], 1.7],
  [['bert', 'encoder'], 'ours wasm relaxed', 'ORT web', [1, 2], 1.7],
  [['encoder'], 'ours TypeScript', 'tfjs cpu', [1], 5],
]

const times = (x: number): string => `${x.toPrecision(3)}×`
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`

/** The bars whose measurements are there. */
export function rowsOf({ measured, colds, sizes }: Results): Row[] {
  const rows: Row[] = []
  const add = (what: string, value: string, bar: string, met: boolean): void => void rows.push({ what, measured: value, bar, met }) // prettier-ignore
  const of = (id: string, contender: string, threads = 1): Measured | undefined =>
    measured.find((m) => m.workload === id && m.contender === contender && m.threads === threads && m.calls > 0)
  const rate = (m: Measured, flops = workload(m.workload).flops): number => flops / m.best / 1e6

  for (const [ids, ours, theirs, threads, least] of ratios)
    for (const id of ids)
      for (const n of threads) {
        const [a, b] = [of(id, ours, n), of(id, theirs, n)]
        if (a === undefined || b === undefined) continue
        const ratio = b.best / a.best
        const title = `${workload(id).title}, ${n === 1 ? 'one thread' : `${n} threads`}: ${ours} against ${theirs}`
        add(title, times(ratio), `≥ ${times(least)}`, ratio >= least)
      }
  for (const [id, ours] of matmuls.flatMap((id) =>
    ['ours wasm', 'ours wasm relaxed'].map((ours) => [id, ours] as const),
  )) {
    const [a, limit] = [of(id, ours), of(id, '128-bit peak')]
    if (a === undefined || limit === undefined) continue
    const share = rate(a) / rate(limit, peakFlops)
    add(`${workload(id).title}, ${ours}: share of the 128-bit peak`, `${(100 * share).toFixed(0)} % (${rate(a).toFixed(1)} of ${rate(limit, peakFlops).toFixed(1)} GFLOP/s)`, '≥ 90 %', share >= 0.9) // prettier-ignore
  }
  const [int8, int4] = [of('gpt2-int8-step-64', 'ours wasm'), of('gpt2-int4-step-64', 'ours wasm')]
  if (int8 && int4) add('int4 decode against int8', times(int8.best / int4.best), '≥ 1×', int4.best <= int8.best)
  for (const id of prefills) {
    const [a, loop] = [of(id, 'ours TypeScript'), of(id, 'blocked JS loop')]
    if (a === undefined || loop === undefined) continue
    const share = rate(a) / rate(loop, blockedFlops)
    add(`${workload(id).title}: TypeScript, share of the blocked loop`, `${(100 * share).toFixed(0)} % (${rate(a).toFixed(2)} of ${rate(loop, blockedFlops).toFixed(2)} GFLOP/s)`, '≥ 90 %', share >= 0.9) // prettier-ignore
  }
  const start = (contender: string): Cold | undefined => colds.find((c) => c.contender === contender && c.threads === 1 && c.load > 0) // prettier-ignore
  const [ours, web] = [start('ours wasm'), start('ORT web')]
  if (ours) {
    const weights =
      4 * (gpt2.vocab * gpt2.d + 1024 * gpt2.d + gpt2.layers * (12 * gpt2.d ** 2 + 13 * gpt2.d) + 2 * gpt2.d)
    add('peak memory, GPT-2 f32, one thread', megabytes(ours.peakBytes), `≤ ${megabytes(weights + 150e6)} (weights + 150 MB)`, ours.peakBytes <= weights + 150e6) // prettier-ignore
    if (web) add('load to first token (64 read), GPT-2 f32', `${ours.first.toFixed(0)} ms; ORT web ${web.first.toFixed(0)} ms, of which ${web.load.toFixed(0)} ms loading`, '≤ 0.5 × ORT web', ours.first <= web.first / 2) // prettier-ignore
  }
  const bytes = sizes.get('gpt2 wasm')
  if (bytes !== undefined)
    add('size: emitted wasm + host of GPT-2', `${(bytes / 1024).toFixed(1)} KB`, '≤ 96 KB', bytes <= 96 * 1024)
  const [short, long] = [of(prefills[0], 'ours wasm'), of('gpt2-prefill-1024', 'ours wasm')]
  if (short && long) {
    // Time by the arithmetic there is, so that attention counts what it costs.
    const change = rate(short) / rate(long)
    add('scaling: time for the arithmetic of a token, T = 1,024 against 64', times(change), '0.85× to 1.15×', change <= 1.15 && change >= 0.85) // prettier-ignore
  }
  for (const id of prefills) {
    const [one, two] = [of(id, 'ours wasm'), of(id, 'ours wasm', 2)]
    if (one && two) add(`${workload(id).title}: two threads against one`, times(one.best / two.best), '≥ 1.7×', one.best >= 1.7 * two.best) // prettier-ignore
  }
  return rows
}
