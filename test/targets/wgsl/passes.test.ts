import { describe, expect, test } from 'vitest'
import { check } from '../../../src/check/index.ts'
import { dispatchTimes } from '../../../src/cli/kernel-times.ts'
import { tokenCounts } from '../../../src/cli/limits.ts'
import { compileGraph } from '../../../src/compile.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { prove } from '../../../src/explain/limits.ts'
import { countCalls } from '../../../src/gpu/listen.ts'
import { bin, index } from '../../../src/kernel/expr.ts'
import { verify, webgpuLimits } from '../../../src/kernel/verify.ts'
import { webgpuProfile } from '../../../src/program/profiles.ts'
import type { Target } from '../../../src/target.ts'
import { con, of } from '../../../src/types/ix.ts'
import { typescript } from '../../../targets/typescript/index.ts'
import { wgsl, wgslWith } from '../../../targets/wgsl/index.ts'
import type { Scheduled } from '../../../targets/wgsl/recipes.ts'
import * as K from '../../kernel/kernels.ts'
import { random } from '../../kernel/run.ts'
import type { Emitted } from '../../support/emitted.ts'
import { loadEmitted } from '../../support/emitted.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { testDevice } from '../../support/gpu.ts'
import { safetensors } from '../typescript/safetensors.ts'
import { barriers, withoutBarrier } from './nests.ts'
import { checkPasses, compilePasses } from './run.ts'

const dims = [K.T, K.P]

/** Every nest is proven, and needs each of its barriers. */
function proveNests({ variants, constants = new Map() }: Scheduled): void {
  const given = [...constants].map(([s, n]) => bin('eq', index(of(s)), index(con(n))))
  for (const { nest } of variants) {
    expect(verify(nest, { limits: webgpuLimits, given })).toEqual([])
    for (let n = 0; n < barriers(nest); n++) expect(verify(withoutBarrier(nest, n))).not.toEqual([])
  }
}

describe('rows that a contraction reads, as a pass before it', () => {
  test.each([
    [7, 40],
    [900, 33],
    [2600, 5],
  ])('%i wide, %i columns: equal to the naive nest, and proven', async (width, columns) => {
    const { kernel } = K.normed(width, columns)
    const passes = await compilePasses(kernel, dims, { used: 'one', prologues: 'apart' })
    expect(passes.list.map((c) => [c.kernel.name, c.scheduled.variants.map((v) => v.schedule)])).toEqual([
      ['normed_rows', ['rows']],
      ['normed_products', ['direct', 'direct', 'matvec', 'matvec']],
    ])
    passes.list.forEach((c) => proveNests(c.scheduled))
    for (const T of [1, 5]) await checkPasses(passes, new Map([[K.T, T], [K.P, 0]]), dims) // prettier-ignore
  })
})

/** A model with weights of its own, on each target. */
function gpt2(sizes: Parameters<typeof gpt2Graph>[0]) {
  const graph = check(gpt2Graph(sizes)).graph!
  const next = random(5)
  const weights = safetensors(
    graph.params.map(({ name, shape }) => ({
      name,
      shape,
      data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next() * 0.8 - 0.4),
    })),
  )
  const compiled = (target: Target) => compileGraph(graph, sourceFile('gpt2.tfm', ''), target)
  return { compiled, load: (target: Target) => loadEmitted(target, compiled(target), weights) }
}

describe('a model with passes', () => {
  const target = wgslWith({ prologues: 'apart' })
  const { compiled, load } = gpt2({ vocab: 67, ctx: 100, d: 24, heads: 2, layers: 2 })
  const made = compiled(target)
  const steps = async (model: Emitted): Promise<number[]> => {
    const out: number[] = []
    for await (const id of model.generate([3, 36, 0], { maxTokens: 12, topK: 9, seed: 4 })) out.push(id)
    return out
  }

  test('draws the tokens of the other form, and tests itself', async () => {
    const [model, other] = [await load(target), await load(wgsl)]
    expect(await steps(model)).toEqual(await steps(other))
    const { kernels } = (await model.selftest()) as { kernels: readonly { name: string; error: number }[] }
    expect(kernels.length).toBe(
      ((await other.selftest()) as typeof model.selftest & { kernels: unknown[] }).kernels.length,
    )
    model.dispose()
    other.dispose()
  })
  test('memory, dispatches and their times are what is proven and counted', async () => {
    const device = await testDevice()
    const counter = countCalls(device)
    const model = await load(target)
    try {
      await model.step({ ids: [1] })
      const given = await target.needs!(made.lowered.module, webgpuProfile)
      const proof = prove(given, webgpuProfile, { P: 0 }).programs.find((p) => p.name === 'step')!
      expect(proof.memory.total).toBe(counter.counts.bufferBytes)
      const dispatches = proof.kernels.reduce((n, k) => n + k.dispatches, 0)
      // Seven a layer, where a layer with prologues has five, and one more at the end.
      expect(dispatches).toBe(2 * 7 + 3)
      counter.reset()
      await model.step({ ids: [1] })
      expect(counter.counts).toMatchObject({ dispatches, bindGroups: 0, submits: 1 })
      expect(tokenCounts(given, {})!.kernels.reduce((n, k) => n + k.dispatches, 0)).toBe(dispatches)
      const passes = new Map(given.kernels.flatMap((k) => k.passes?.list.map((x, i) => [x.name, { of: k.name, last: i === 1 }] as const) ?? [])) // prettier-ignore
      const heard = counter.names.map((name) => ({ name, milliseconds: 1 }))
      const times = dispatchTimes(given.module, ['step'], { T: 1, P: 1 }, heard, passes)!
      expect(times.every((t) => t.kernel)).toBe(true)
      expect(times.reduce((n, t) => n + t.flops, 0)).toBe(
        tokenCounts(given, { P: 1 })!.kernels.reduce((n, k) => n + k.flops, 0),
      )
    } finally {
      counter.stop()
      model.dispose()
    }
  })
})

test('a model whose keys become many: the same tokens, and its passes from then on', async () => {
  const { compiled, load } = gpt2({ vocab: 67, ctx: 700, d: 16, heads: 2, layers: 1 })
  const device = await testDevice()
  const [model, other] = [await load(wgsl), await load(typescript)]
  const needs = await wgsl.needs!(compiled(wgsl).lowered.module, webgpuProfile)
  const counter = countCalls(device)
  try {
    const prompt = Array.from({ length: 509 }, (_, i) => (i * 7) % 67)
    const passes = new Set<number>()
    for (const m of [model, other]) await m.prefill({ ids: prompt })
    for (let i = 0; i < 6; i++) {
      counter.reset()
      const ids = [(i * 5) % 67]
      const [got, want] = [await model.step({ ids }), await other.step({ ids })]
      const off = want.logits.data.map((x, k) => Math.abs(x - got.logits.data[k]))
      expect(Math.max(...off)).toBeLessThan(1e-4)
      if (counter.names.some((n) => n.endsWith('_parts'))) passes.add(model.past)
      if (i % 3 > 0) continue
      const { kernels } = prove(needs, webgpuProfile, { P: model.past - 1 }).programs.find((p) => p.name === 'step')!
      expect(kernels.reduce((n, k) => n + k.dispatches, 0)).toBe(counter.counts.dispatches)
    }
    // 513 keys and more.
    expect([...passes]).toEqual([513, 514, 515])
    // Several positions at a time, too.
    const ids = [1, 2, 3, 4, 5]
    counter.reset()
    const [got, want] = [await model.prefill({ ids }), await other.prefill({ ids })]
    expect(Math.max(...want.logits.data.map((x, k) => Math.abs(x - got.logits.data[k])))).toBeLessThan(1e-4)
    expect(counter.names.filter((n) => n.endsWith('_parts') || n.endsWith('_merge')).length).toBe(2)
    await model.selftest()
  } finally {
    counter.stop()
    model.dispose()
    other.dispose()
  }
})
