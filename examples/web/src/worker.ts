/** Loads models and generates. All that takes time is here, so that the page never waits. */
import { kindOf, type Opened } from './models.ts'
import type { Ask, Generated, Job, Kernel, Say, TargetName, Which } from './protocol.ts'
import { countsNow, forgetCounts } from './watch.ts'

const page = self as unknown as { postMessage(message: Say): void; onmessage: ((event: { data: Ask }) => void) | null }
const say = (message: Say): void => page.postMessage(message)

interface Running extends Opened {
  /** What is known of its kernels, by name. */
  readonly kernels: Map<string, Kernel>
}
const opened = new Map<string, Running>()
const keyOf = ({ model, target }: Which): string => `${model} ${target}`
let stop = new AbortController()
/** Requests are answered one after the other. */
let last: Promise<unknown> = Promise.resolve()

page.onmessage = ({ data }) => {
  if (data.k === 'stop') return stop.abort()
  stop = new AbortController()
  const { signal } = stop
  last = last.then(() => (data.k === 'generate' ? generate(data, signal) : selftest(data, signal))).catch(failed)
}
void look()

/** Measurements of graphics cards: workers have no localStorage. */
const addressOf = (key: string): string => `/tuning/${encodeURIComponent(key)}`
const tuning = {
  get: async (key: string) => (await (await caches.open('tuning')).match(addressOf(key)))?.text(),
  set: async (key: string, value: string) => (await caches.open('tuning')).put(addressOf(key), new Response(value)),
}

/** What there is to compute with. */
async function look(): Promise<void> {
  const lacks: string[] = []
  const usable: TargetName[] = ['wasm', 'typescript']
  const gpu = (navigator as { gpu?: GPU }).gpu
  const adapter = await gpu?.requestAdapter().catch(() => null)
  if (adapter) {
    usable.unshift('wgsl')
    const { isFallbackAdapter, architecture } = adapter.info
    if (isFallbackAdapter || architecture === 'swiftshader')
      lacks.push('No graphics card: WebGPU is played by the processor here, so WGSL will be slow.')
  } else
    lacks.push(
      `No WebGPU: ${gpu ? 'the browser found no graphics adapter' : 'this browser does not have it'}. WebAssembly is chosen.`,
    )
  if (!self.crossOriginIsolated)
    lacks.push('One thread: the page is not cross-origin isolated (its server sends no COOP and COEP headers), so WebAssembly cannot share memory.') // prettier-ignore
  say({ k: 'found', usable, lacks })
}

async function open(which: Which, signal: AbortSignal): Promise<Running> {
  const key = keyOf(which)
  const known = opened.get(key)
  if (known) return known
  const { model, target } = which
  const kind = await kindOf(model)
  const made = await kind.open(target, {
    signal,
    tuning,
    onProgress: ({ phase, loaded, total }) => say({ k: 'loading', model, target, phase, loaded, total }),
    // That memory cannot be shared has been said.
    onWarning: () => {},
  })
  const running = { ...made, kernels: new Map() }
  opened.set(key, running)
  return running
}

async function generate(job: Job, signal: AbortSignal): Promise<void> {
  const { model, target, text, maxTokens, temperature, seed } = job
  const start = performance.now()
  const loaded = !opened.has(keyOf(job))
  const kind = await kindOf(model)
  const ids: number[] = []
  let [shown, first, told] = ['', 0, 0]
  const rate = (): number => (ids.length > 1 ? (1000 * (ids.length - 1)) / (performance.now() - start - first) : 0)
  try {
    const running = await open(job, signal)
    forgetCounts()
    for await (const id of running.generate(text, { maxTokens, temperature, seed, stop: kind.stop, signal })) {
      if (ids.length === 0) first = performance.now() - start
      ids.push(id)
      // A character may need several tokens.
      shown = kind.decode(ids).replace(/\uFFFD+$/, '')
      if (performance.now() - told < 30) continue
      told = performance.now()
      say({ k: 'text', model, target, text: shown, tokens: ids.length, rate: rate() })
    }
  } catch (thrown) {
    if (!signal.aborted) throw lost(job, thrown)
  }
  const kernels = opened.get(keyOf(job))?.kernels ?? new Map<string, Kernel>()
  for (const [name, count] of countsNow()) kernels.set(name, { ...kernels.get(name), name, ...count })
  if (kernels.size > 0) say({ k: 'kernels', model, target, kernels: [...kernels.values()], tested: false })
  const result: Generated = {
    ids,
    tokens: ids.map((id) => kind.decode([id])),
    text: shown,
    first,
    loaded,
    rate: rate(),
  }
  say({ k: 'done', model, target, stopped: signal.aborted, result })
}

async function selftest(which: Which, signal: AbortSignal): Promise<void> {
  try {
    const { kernels, selftest } = await open(which, signal)
    for (const { name, error, passes = [] } of (await selftest()).kernels)
      for (const n of [name, ...passes]) kernels.set(n, { ...kernels.get(n), name: n, error })
    say({ k: 'kernels', model: which.model, target: which.target, kernels: [...kernels.values()], tested: true })
  } catch (thrown) {
    throw lost(which, thrown)
  }
}

/** A model whose device or threads have gone is loaded anew by the next request. */
function lost(which: Which, thrown: unknown): unknown {
  if (!/^TFM2(105|106|113)/.test((thrown as { code?: string }).code ?? '')) return thrown
  opened.get(keyOf(which))?.dispose()
  opened.delete(keyOf(which))
  return new Error(`${(thrown as Error).message}. Generate again to load it anew.`)
}
const failed = (thrown: unknown): void =>
  say({ k: 'failed', message: thrown instanceof Error ? thrown.message : String(thrown) })
