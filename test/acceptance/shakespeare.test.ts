/** The trained GPT-2: logits and greedy continuations as recorded, steps equal to the whole, and perplexity where the held-out text is at hand. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { deviations } from '../../src/kernel/pairs.ts'
import { makeSimulator } from '../../src/diff/simulate.ts'
import type { Json } from '../../src/frontend/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import type { Sym } from '../../src/types/ix.ts'
import { compileFile, loadEmitted, targets, type Emitted } from '../support/emitted.ts'
import { tensorsOf } from '../support/golden.ts'
import { readText } from '../support/models.ts'
import { deviationOf, given } from '../support/tensors.ts'

const config = JSON.parse(readText('examples/shakespeare/config.json')) as Json
const weights = 'examples/shakespeare/model.safetensors'
const about = JSON.parse(readText('test/models/shakespeare/io.json')) as {
  greedy: readonly { readonly ids: readonly number[]; readonly greedy_ids: readonly number[] }[]
  rtol: number
  atol: number
}
/** The held-out text may be read for checking but not shipped, so it lies beside the project, if anywhere. */
const heldOut = join(packageRoot(), '..', 'shared', 'models', 'shakespeare-gpt2', 'heldout.json')
const ints = (ids: ArrayLike<number>) => ({ data: Int32Array.from(ids), shape: [1, ids.length] })

/** Each target's model, compiled and loaded once. */
const opened = targets.map((target) => {
  const compiled = compileFile('examples/shakespeare/model.tfm', target, config)
  let loaded: Promise<Emitted> | undefined
  return { target, compiled, load: () => (loaded ??= loadEmitted(target, compiled, weights)) }
})
/** The target that the whole of the held-out text costs least. */
const quickest = opened.find(({ target }) => (target.name as string) === 'wasm') ?? opened[0]
afterAll(async () => {
  for (const { load } of opened) (await load()).dispose()
})

describe.each(opened.map((o) => [o.target.name, o] as const))('%s', { timeout: 240_000 }, (name, each) => {
  const { target, compiled, load } = each

  test('logits as PyTorch gives them', async () => {
    const io = tensorsOf('test/models/shakespeare/io.safetensors')
    const model = await load()
    const [ids, want] = [io.get('in.ids')!, io.get('out.logits')!]
    const { logits } = await model.run({ ids: given(ids) })
    expect(deviationOf(logits.data, want.data, about).share).toBeLessThanOrEqual(1)
  })

  test('greedy continuations as recorded', async () => {
    const model = await load()
    const cases = name === 'typescript' ? about.greedy : about.greedy.slice(0, 1)
    for (const { ids, greedy_ids: want } of cases) {
      const length = name === 'typescript' ? want.length : 12
      const got: number[] = []
      for await (const id of model.generate(ids, { maxTokens: length, temperature: 0 })) got.push(id)
      expect(got).toEqual(want.slice(0, length))
    }
  })

  test('steps equal the whole within the derived bound', async () => {
    const ids = about.greedy[0].ids.concat(about.greedy[0].greedy_ids).slice(0, 9)
    const checkpoint = tensorsOf(weights)
    const simulator = makeSimulator({
      module: compiled.lowered.module,
      rules: target.floats,
      mode: 'rms',
      tensor: (n) => checkpoint.get(n)!.data,
    })
    const [B, T] = ['B', 'T'].map((n) => compiled.graph.dims.find((d) => d.name === n)!)
    const past = compiled.derived!.past
    const bound = (program: 'run' | 'prefill' | 'step', part: readonly number[], p: number): Float64Array =>
      simulator.run(program, { inputs: new Map([['ids', part]]), dims: new Map<Sym, number>([[B, 1], [T, part.length], [past, p]]) }).get('logits')!.error // prettier-ignore
    const whole = bound('run', ids, 0)
    const model = await load()
    model.reset()
    const want = (await model.run({ ids: ints(ids) })).logits
    const width = want.shape[2]
    let [at, worst] = [0, 0]
    for (const length of [4, 1, 1, 2, 1]) {
      const part = ids.slice(at, at + length)
      const own = bound(length === 1 ? 'step' : 'prefill', part, at)
      const { logits } = await (length === 1 ? model.step({ ids: ints(part) }) : model.prefill({ ids: ints(part) }))
      for (let i = 0; i < logits.data.length; i++) {
        const j = at * width + i
        const allowed = deviations * (own[i] + whole[j]) + 2 * target.floats.roundoff * Math.abs(want.data[j])
        worst = Math.max(worst, Math.abs(logits.data[i] - want.data[j]) / allowed)
      }
      at += length
    }
    expect(worst).toBeLessThanOrEqual(1)
  })

  test('perplexity of the held-out text, where it is at hand', async () => {
    if (!existsSync(heldOut)) return console.log('the held-out text is not beside the project: perplexity not measured')
    const { windows, perplexity } = JSON.parse(readFileSync(heldOut, 'utf8')) as {
      windows: readonly (readonly number[])[]
      perplexity: number
    }
    const model = await load()
    // The others on one window, cut where a tile of none ends, beside the one that is held against PyTorch on all of them.
    const chosen = each === quickest ? windows : [windows[0].slice(0, 130)]
    const got = await perplexityOf(model, chosen)
    const want = each === quickest ? perplexity : await perplexityOf(await quickest.load(), chosen)
    console.log(
      `shakespeare perplexity on ${name}: ${got.toFixed(4)} over ${chosen.length} windows, expected ${want.toFixed(4)}`,
    )
    expect(Math.abs(got / want - 1)).toBeLessThan(1e-3)
  })
})

async function perplexityOf(
  model: Awaited<ReturnType<typeof loadEmitted>>,
  windows: readonly (readonly number[])[],
): Promise<number> {
  let [sum, count] = [0, 0]
  for (const ids of windows) {
    const { logits } = await model.run({ ids: ints(ids.slice(0, -1)) })
    const width = logits.shape[2]
    for (let t = 0; t + 1 < ids.length; t++) {
      const row = logits.data.subarray(t * width, (t + 1) * width)
      const top = row.reduce((a, b) => Math.max(a, b))
      const total = row.reduce((s, x) => s + Math.exp(x - top), 0)
      sum += Math.log(total) + top - row[ids[t + 1]]
      count++
    }
  }
  return Math.exp(sum / count)
}
