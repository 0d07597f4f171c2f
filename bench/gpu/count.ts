/**
 * `npm run bench:gpu:count`: dispatches and bytes of a token, ours and the peers', into bench/results/dispatches.md. Everybody runs in Node on Dawn, whose
 * dispatches are given no workgroups, so that sizes are the true ones and no graphics card is needed; methods laid over the device count. Ours is counted in the same way, and once more in the compiled
 * module.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Totals } from '../../src/explain/totals.ts'
import type { Counts } from '../../src/gpu/listen.ts'

process.env.TFM_BENCH = 'gpu'
process.env.TFM_BENCH_CACHE = 'count'
const { cache, versionOf } = await import('../peers/places.ts')
const { pastPath, prepareGraphs, prepareModule, prepareWeights, variantsOf } = await import('../peers/prepare.ts')
const { bertRun, decoding, gpt2, prefilling } = await import('../peers/workloads.ts')
const { wgsl } = await import('../../targets/wgsl/index.ts')
const { packageRoot } = await import('../../src/package-root.ts')
type Workload = ReturnType<typeof bertRun>

const cases: Readonly<Record<string, Workload>> = {
  step: decoding(64),
  prefill: prefilling(64),
  bert: bertRun(128),
}

interface Counted {
  readonly counts: Counts
  readonly names: readonly string[]
}

/** In a process of its own: one contender, one case, the last of three calls. */
async function child(who: string, what: string, variant: string): Promise<void> {
  const { provideGpu } = await import('./provide.ts')
  const { gpu, heard } = await provideGpu(true)
  let run: () => Promise<unknown>
  let before: (() => Promise<unknown>) | undefined
  if (what.startsWith('llama')) {
    const { jaxStep, ortStep } = await import('./llama.ts')
    run = await (who === 'jax-js' ? jaxStep : ortStep)(Number(what.slice(5)))
  } else {
    const w = cases[what]
    const task = { workload: w, threads: 1, variants: [variant], ...(who === 'ours' ? { module: variant } : {}) }
    const opener =
      who === 'ours'
        ? (await import('../peers/contenders/ours.ts')).onGpu(gpu)
        : who === 'jax-js'
          ? (await import('../peers/contenders/jax.ts')).jaxWebGpu
          : (await import('../peers/contenders/ort.ts')).ortWebGpu
    const opened = await opener(task)
    ;({ run, before } = opened)
  }
  await before?.()
  await run()
  await run()
  const { count } = heard[heard.length - 1]
  count.reset()
  await run()
  process.stdout.write(`\n@@${JSON.stringify({ counts: count.counts, names: count.names })}\n`)
  process.exit(0)
}

/** What was counted before an interruption. */
const keptFile = join(cache, 'counts.json')
const kept = (): Record<string, Counted> =>
  existsSync(keptFile) ? (JSON.parse(readFileSync(keptFile, 'utf8')) as Record<string, Counted>) : {}

function count(who: string, what: string, variant: string): Counted | Error {
  const key = [who, what, who === 'ours' ? '' : variant].join(', ')
  const known = kept()[key]
  if (known) return known
  const found = counted(who, what, variant)
  if (!(found instanceof Error)) writeFileSync(keptFile, JSON.stringify({ ...kept(), [key]: found }))
  return found
}
function counted(who: string, what: string, variant: string): Counted | Error {
  try {
    const argv = [fileURLToPath(import.meta.url), who, what, variant]
    const out = execFileSync(process.execPath, ['--no-warnings', '--max-old-space-size=8192', ...argv], { encoding: 'utf8', maxBuffer: 2 ** 28, timeout: 600_000, stdio: ['ignore', 'pipe', 'pipe'] }) // prettier-ignore
    return JSON.parse(out.slice(out.lastIndexOf('@@') + 2)) as Counted
  } catch (thrown) {
    const { stderr = '', message } = thrown as Error & { readonly stderr?: string }
    return new Error(stderr.split('\n').find((l) => /error/i.test(l)) ?? message.split('\n')[0])
  }
}

/** What the kernels of a program move and compute at given sizes, from the compiled module. */
async function planned(path: string, set: Workload['set'], program: string, sizes: Readonly<Record<string, number>>) {
  const { compile } = await import('../../src/compile.ts')
  const { sourceFile } = await import('../../src/diagnostics/index.ts')
  const { moduleOf } = await import('../../targets/wgsl/host.ts')
  const { dispatchTotals } = await import('../../src/explain/totals.ts')
  const source = sourceFile(path, readFileSync(join(packageRoot(), path), 'utf8'))
  return dispatchTotals(moduleOf(compile(source, wgsl, { set }).lowered.module), program, sizes)
}

const size = (n: number): string =>
  n >= 1e9 ? `${(n / 1e9).toFixed(2)} GB` : n >= 1e6 ? `${(n / 1e6).toFixed(n >= 1e8 ? 0 : 1)} MB` : n >= 1e3 ? `${(n / 1e3).toFixed(1)} kB` : `${n} B` // prettier-ignore

function planRow(title: string, { dispatches, kernels, read, written, flops }: Totals): string {
  const cells = [title, dispatches, kernels, size(read), size(written), `${(flops / 1e9).toFixed(2)} G`]
  return `| ${[...cells, ((read + written) / flops).toFixed(2)].join(' | ')} |`
}

async function main(): Promise<void> {
  const say = (text: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
  const failures: string[] = []
  const lines: string[] = []
  // prettier-ignore
  const head = '| model | who | dispatches | a layer | submits | bind groups made | buffers made | bound to dispatches | written to the device | read back |' // prettier-ignore
  lines.push(head, '|---|---|---|---|---|---|---|---|---|---|')
  const row = (
    model: string,
    who: string,
    c: Partial<Counts> & { dispatches: number },
    layers: number,
    outside: number | undefined,
    more = '',
  ): void => {
    // prettier-ignore
    const perLayer = outside === undefined ? '' : String(Number(((c.dispatches - outside) / layers).toFixed(1)))
    const cells = [c.submits, c.bindGroups, c.buffers].map((n) => (n === undefined ? '–' : String(n)))
    const bytes = [c.bound, c.written, c.read].map((n) => (n === undefined ? '–' : size(n)))
    lines.push(
      `| ${model} | ${who}${more} | ${c.dispatches} | ${perLayer} | ${cells.join(' | ')} | ${bytes.join(' | ')} |`,
    )
  }
  /** Dispatches that are in no layer, as their names tell. */
  const outside = (names: readonly string[]): number => names.filter((n) => !/^(h|encoder|model_layers|layer)_/.test(n)).length // prettier-ignore
  const titles = { step: 'GPT-2 124M, a token after 64', prefill: 'GPT-2 124M, a prompt of 64', bert: 'BERT-base, 128 tokens' } // prettier-ignore
  const plans: string[] = []
  for (const [what, title] of Object.entries(titles)) {
    const w = cases[what]
    say(`${title}: preparing`)
    prepareWeights(w)
    await prepareGraphs(w)
    // What a cache holds is not looked at.
    if (w.past > 0) writeFileSync(pastPath(w.past, undefined), new Uint8Array(8 * gpt2.layers * gpt2.d * w.past))
    const variants: [string, string][] = [['ours', (await prepareModule(w, wgsl)).path]]
    if (what !== 'bert') variants.push(['jax-js', ''])
    // Graphs with ops that ONNX Runtime contributes; of those for prompts one, since all have the same number of nodes.
    const graphs = Object.keys(variantsOf(w)).filter(
      (v) => v !== 'plain' && (what !== 'prefill' || v.startsWith('Multi')),
    )
    variants.push(...graphs.map((v): [string, string] => ['ORT web', v]))
    for (const [who, variant] of variants) {
      say(`${title}: ${who} ${who === 'ORT web' ? variant : ''}`)
      const found = count(who, what, variant)
      const more = who === 'ORT web' ? `, ${variant}` : ''
      if (found instanceof Error) failures.push(`${title}, ${who}${more}: ${found.message}`)
      else row(title, who, found.counts, gpt2.layers, who === 'ours' ? outside(found.names) : undefined, more)
    }
    const T = w.inputs.ids.shape[1]
    const program = what === 'bert' ? 'run' : what
    for (const P of what === 'step' ? [64, 256] : [0]) {
      const p = await planned(w.model, w.set, program, { B: 1, T, P })
      plans.push(planRow(`${title}${P === 256 ? ', but 256' : ''}`, p))
    }
  }
  const llama = { vocab: 32000, d: 2048, ff: 5632, layers: 22, heads: 32, kv: 4, ctx: 2048 }
  const path = 'examples/llama/model.tfm'
  for (const P of [64, 256]) {
    const p = await planned(path, llama, 'step', { B: 1, T: 1, P })
    plans.push(planRow(`TinyLlama 1.1B, a token after ${P}`, p))
    if (P === 64)
      row('TinyLlama 1.1B, a token after 64', 'ours', { dispatches: p.dispatches, submits: 1 }, 22, p.outside)
  }
  for (const who of ['jax-js', 'ORT web']) {
    say(`llama: ${who}`)
    const [two, three] = ['llama2', 'llama3'].map((what) => count(who, what, ''))
    if (two instanceof Error || three instanceof Error) {
      failures.push(`Llama, ${who}: ${(two instanceof Error ? two : (three as Error)).message}`)
      continue
    }
    const at = (key: 'dispatches' | 'submits' | 'bindGroups' | 'buffers'): number =>
      two.counts[key] + 20 * (three.counts[key] - two.counts[key])
    const perLayer = three.counts.dispatches - two.counts.dispatches
    row('TinyLlama 1.1B, a token after 64', who, { dispatches: at('dispatches'), submits: at('submits'), bindGroups: at('bindGroups'), buffers: at('buffers') }, 22, at('dispatches') - 22 * perLayer, who === 'ORT web' ? ', GroupQueryAttention' : '') // prettier-ignore
  }
  const text = [
    '# Dispatches and bytes, ours and the peers\'', '',
    `${new Date().toISOString().slice(0, 10)}; @jax-js/jax ${versionOf('@jax-js/jax')}, onnxruntime-web ${versionOf('onnxruntime-web')} (WebGPU provider), f32. Written by \`npm run bench:gpu:count\`.`, '',
    'Everybody runs in Node on Dawn, at true sizes; methods laid over the device object count one call after two others, and leave dispatches without workgroups, so that no graphics',
    'card is needed (`src/gpu/listen.ts`). *Bound* is the sum of what is bound to each dispatch: what it can read and write, caches with the room that they have. ONNX Runtime reads back what it',
    'computes on the processor; its graphs are those of `bench/peers/onnx`, keys and values stay on the card. jax-js runs under `jit`. The peers\' Llama is the step of `bench/gpu/llama.ts`',
    'with two and three layers, of which 22 follow; ours is the compiled module.', '',
    ...lines, '',
    '## Ours, from the compiled module', '',
    'Bytes count each argument of each kernel once (of a table that rows are gathered from, the rows; of a cache, what is visible). Operations are those of the model, a multiply-add being',
    'two: the peers\' graphs compute the same products. A token reads two bytes for each of them, so it waits for memory.', '',
    '| model | dispatches | kernels | read | written | operations | bytes an operation |', '|---|---|---|---|---|---|---|', ...plans,
    ...(failures.length > 0 ? ['', '## Not counted', '', ...failures.map((f) => `- ${f}`)] : []), '',
  ].join('\n') // prettier-ignore
  const file = join(packageRoot(), 'bench/results/dispatches.md')
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  // Checkpoints of a gigabyte, made in a minute.
  rmSync(cache, { recursive: true, force: true })
  say(`written to ${file}`)
}

const [who, what, variant = ''] = process.argv.slice(2)
if (who !== undefined && what !== undefined) await child(who, what, variant)
else await main()
