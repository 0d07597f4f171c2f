/** Emitted modules run in a page as they are: no bundler, a strict policy, weights from the server; on the page's own thread and in a worker. */
import { readFileSync } from 'node:fs'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { typescript } from '../../targets/typescript/index.ts'
import { wasm } from '../../targets/wasm/index.ts'
import { wgsl } from '../../targets/wgsl/index.ts'
import type { Json } from '../../src/frontend/index.ts'
import { contentsOf } from '../../src/target.ts'
import { compileFile } from '../support/emitted.ts'
import { readText } from '../support/models.ts'
import { openBrowser } from './support/chromium.ts'
import { openPage, type Watched } from './support/page.ts'
import { serve, type Served } from './support/serve.ts'
import { smallModel, weights, type Small } from './support/small.ts'

const ids = [3, 36, 0, 7, 66, 12, 1, 20, 5, 5, 9, 30, 2, 4]

/** What a page does with a module: given as text, since it is the page's. */
const work = `
export async function work({ file, options = {}, ids }) {
  const { load } = await import(file)
  const [warnings, phases] = [[], new Set()]
  const model = await load({
    weights: '/w.safetensors',
    onWarning: ({ code }) => warnings.push(code),
    onProgress: ({ phase }) => phases.add(phase),
    ...options,
  })
  const whole = (await model.run({ ids: { data: ids, shape: [2, ids.length / 2] } })).logits
  const stepped = [...(await model.prefill({ ids: ids.slice(0, 5) })).logits.data]
  for (const id of ids.slice(5, 8)) stepped.push(...(await model.step({ ids: [id] })).logits.data)
  const drawn = []
  for await (const id of model.generate(ids.slice(0, 3), { maxTokens: 6, temperature: 0.9, seed: 4 })) drawn.push(id)
  const { kernels } = await model.selftest()
  const { threads } = model
  model.dispose()
  const after = await model.run({ ids }).catch(({ code }) => code)
  return { whole: [...whole.data], stepped, drawn, kernels, threads, warnings, phases: [...phases], after }
}
`
/** The trained model on the page's own thread: when the first token is there, and for how long the page could not react. */
const first = `
export async function first({ ids }) {
  const tasks = [0]
  const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration)))
  observer.observe({ type: 'longtask' })
  // How long the page could not have painted.
  let [frame, gap] = [0, 0]
  const tick = (now) => {
    if (frame) gap = Math.max(gap, now - frame)
    frame = now
    if (tasks) requestAnimationFrame(tick)
  }
  requestAnimationFrame(tick)
  const start = performance.now()
  const { load } = await import('/shakespeare/shakespeare.js')
  const model = await load({ weights: '/shakespeare/model.safetensors' })
  const times = []
  const drawn = []
  for await (const id of model.generate(ids, { maxTokens: 12 })) {
    drawn.push(id)
    times.push(performance.now() - start)
  }
  await new Promise((resolve) => setTimeout(resolve, 100))
  const short = Math.max(0, ...tasks.splice(1))
  const long = Array.from({ length: 100 }, (_, i) => ids[i % ids.length])
  for await (const id of model.generate(long, { maxTokens: 2 })) drawn.push(id)
  await new Promise((resolve) => setTimeout(resolve, 100))
  model.dispose()
  return { drawn, first: times[0], rest: times.at(-1) - times[0], longest: [short, Math.max(0, ...tasks)], gap }
}
`
const inWorker = `import { work } from './work.js'
onmessage = async ({ data }) => postMessage(await work(data).catch((thrown) => ({ thrown: String(thrown) })))
`
const main = `import { work } from './work.js'
import { first } from './first.js'
Object.assign(globalThis, { work, first })
globalThis.inWorker = (job) => new Promise((resolve, reject) => {
  const worker = new Worker('/in-worker.js', { type: 'module' })
  worker.onmessage = ({ data }) => (worker.terminate(), data.thrown ? reject(new Error(data.thrown)) : resolve(data))
  worker.onerror = reject
  worker.postMessage(job)
})
`
const html =
  '<!doctype html><html lang="en"><title>modules</title><link rel="icon" href="/icon.svg"><script type="module" src="/main.js"></script></html>'

interface Done {
  readonly whole: readonly number[]
  readonly stepped: readonly number[]
  readonly drawn: readonly number[]
  readonly kernels: readonly { readonly name: string; readonly error: number }[]
  readonly threads?: number
  readonly warnings: readonly string[]
  readonly phases: readonly string[]
  readonly after: string
}

let browser: Browser
let models: Readonly<Record<string, Small>>
const servers: Served[] = []
let plain: Served
let isolated: Served
let opened: Watched | undefined

beforeAll(async () => {
  const [t, g, w] = await Promise.all([smallModel(typescript), smallModel(wgsl), smallModel(wasm)])
  const config = JSON.parse(readText('examples/shakespeare/config.json')) as Json
  const { module } = compileFile('examples/shakespeare/model.tfm', wgsl, config).lowered
  const shakespeare = await wgsl.emit(module, { language: 'js' })
  models = { typescript: t, wgsl: g, wasm: w }
  const files = new Map<string, string | Uint8Array>([
    ...[t, g, w].flatMap(({ files }) => [...files]),
    ['/index.html', html],
    ['/icon.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>'],
    ['/main.js', main],
    ['/work.js', work],
    ['/first.js', first],
    ...shakespeare.map((a) => [`/shakespeare/${a.path}`, contentsOf(a)] as const),
    [
      '/shakespeare/model.safetensors',
      readFileSync(new URL('../../examples/shakespeare/model.safetensors', import.meta.url)),
    ],
    ['/in-worker.js', inWorker],
    ['/w.safetensors', weights],
  ])
  plain = await serve(files, { isolated: false })
  isolated = await serve(files, { isolated: true })
  servers.push(plain, isolated)
  browser = await openBrowser()
})
afterEach(async () => {
  const said = opened?.complaints ?? []
  await opened?.close()
  opened = undefined
  expect(said).toEqual([])
})
afterAll(async () => {
  await browser?.close()
  for (const server of servers) server.close()
})

async function inPage<T>(on: Served, call: string): Promise<T> {
  opened ??= await openPage(browser, `${on.url}/`)
  await opened.page.waitForFunction('globalThis.work')
  return opened.page.evaluate<T>(call)
}
const call = (where: string, target: string, options: object = {}): string =>
  `${where}(${JSON.stringify({ file: `/${target}/gpt2.js`, options, ids })})`

/** Seeds are the same everywhere, and no two of these logits are close. */
let drawn: readonly number[] | undefined

describe.each([
  ['typescript', 'work', false, {}],
  ['wgsl', 'work', false, {}],
  ['wgsl', 'inWorker', false, {}],
  ['wasm', 'work', false, { threads: 1 }],
  ['wasm', 'work', true, { threads: 2 }],
  ['wasm', 'inWorker', true, { threads: 2 }],
] as const)('%s in %s, isolated: %s, %o', (target, where, alone, options) => {
  test('runs, prefills, steps, generates and tests itself', async () => {
    const done = await inPage<Done>(alone ? isolated : plain, call(where, target, options))
    models[target].expectLogits(done.whole, ids, 2)
    models[target].expectLogits(done.stepped, ids.slice(0, 8), 1)
    drawn ??= done.drawn
    expect(done.drawn).toEqual(drawn)
    expect(done.drawn.length).toBe(6)
    expect(done.kernels.length).toBeGreaterThan(5)
    for (const { name, error } of done.kernels) expect(error, name).toBeLessThanOrEqual(1)
    expect(done.warnings).toEqual([])
    expect(done.phases).toContain('weights')
    expect(done.after).toMatch(/TFM2(105|007)/)
    if (target === 'wasm') expect(done.threads).toBe(options.threads)
  })
})

test('WebAssembly without isolation computes on one thread, and says so', async () => {
  const done = await inPage<Done>(plain, call('work', 'wasm', { threads: 2 }))
  expect([done.threads, done.warnings]).toEqual([1, ['TFM2114']])
  models.wasm.expectLogits(done.whole, ids, 2)
})

test('a lost device is an error of the call, and the model loads again', async () => {
  const job = JSON.stringify({ file: '/wgsl/gpt2.js', ids })
  const lost = await inPage<string[]>(
    plain,
    `(async () => {
      const { load } = await import('/wgsl/gpt2.js')
      const adapter = await navigator.gpu.requestAdapter()
      const device = await adapter.requestDevice()
      const model = await load({ weights: '/w.safetensors', device })
      await model.run({ ids: [1, 2] })
      const said = []
      const during = model.run({ ids: [1, 2, 3] }).catch(({ code }) => said.push(code))
      device.destroy()
      await during
      await model.run({ ids: [1, 2] }).catch(({ code }) => said.push(code))
      model.dispose()
      return said
    })()`,
  )
  expect(lost).toEqual(['TFM2105', 'TFM2105'])
  models.wgsl.expectLogits((await inPage<Done>(plain, `work(${job})`)).whole, ids, 2)
})

test('without an adapter the error says so', async () => {
  const none = await openBrowser({ gpu: false })
  try {
    const { page, close } = await openPage(none, `${plain.url}/`)
    const said = await page.evaluate<string>(
      `import('/wgsl/gpt2.js').then(({ load }) => load({ weights: '/w.safetensors' })).then(() => 'loaded', (thrown) => thrown.code)`,
    )
    expect(said).toMatch(/TFM210[12]/)
    await close()
  } finally {
    await none.close()
  }
})

test("Shakespeare, on the page's own thread: as recorded; load to first token and the longest tasks (figures)", async () => {
  const { greedy } = JSON.parse(readText('test/models/shakespeare/io.json')) as {
    greedy: readonly { readonly ids: readonly number[]; readonly greedy_ids: readonly number[] }[]
  }
  const [{ ids, greedy_ids: want }] = greedy
  interface First {
    readonly drawn: readonly number[]
    readonly first: number
    readonly rest: number
    readonly longest: readonly number[]
    readonly gap: number
  }
  const got = await inPage<First>(plain, `first(${JSON.stringify({ ids })})`)
  expect(got.drawn.slice(0, 12)).toEqual(want.slice(0, 12))
  const [short, long] = got.longest.map((ms) => ms.toFixed(0))
  console.log(
    `shakespeare on WGSL, on the page's own thread: first of ${ids.length} ids' tokens ${got.first.toFixed(0)} ms after load began, ` +
      `${(11000 / got.rest).toFixed(1)} tokens/s; longest task ${short} ms, ${long} ms with 100 ids; longest time between frames ${got.gap.toFixed(0)} ms`,
  )
})
