import { describe, expect, test } from 'vitest'
import { makeSimulator } from '../../src/diff/simulate.ts'
import { interpret } from '../../src/interpret/index.ts'
import { lowerModule } from '../../src/lower/module.ts'
import { runPasses } from '../../src/passes/pass.ts'
import { pipeline } from '../../src/passes/pipeline.ts'
import { derive, isRefusal } from '../../src/sequence/derive.ts'
import type { Graph } from '../../src/ir/types.ts'
import type { Sym } from '../../src/types/ix.ts'
import { gpt2Graph } from '../support/gpt2-graph.ts'
import { exactRules, panelLayout } from '../support/lowering.ts'

function lowered(graph: Graph, fuse: boolean) {
  const optimised = runPasses(graph, fuse ? pipeline : [])
  const derived = derive(optimised)
  if (derived === undefined || isRefusal(derived)) throw new Error('the model can be stepped')
  const programs = [
    { name: 'run' as const, graph: optimised, keep: new Set<string>() },
    { name: 'prefill' as const, graph: derived.prefill, keep: new Set<string>() },
    { name: 'step' as const, graph: derived.step, keep: new Set<string>() },
  ]
  return { derived, ...lowerModule({ graph, source: '', state: derived.state, programs }, { panelLayout }, fuse) }
}

function noise(seed: number): () => number {
  let x = seed
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return Math.fround((x / 2 ** 32 - 0.5) * 0.4)
  }
}

describe.each([true, false])('GPT-2 lowered, fuse = %s', (fuse) => {
  const graph = gpt2Graph({ vocab: 37, ctx: 16, d: 12, heads: 3, layers: 2 })
  const { module, derived } = lowered(graph, fuse)
  const random = noise(1)
  const tensors = new Map(
    graph.params.map((p) => [p.name, Float64Array.from({ length: p.shape.reduce((a, b) => a * b, 1) }, random)]),
  )
  const ids = Float64Array.from([3, 36, 0, 7, 7, 12, 1, 20, 5, 5, 9, 30, 2, 4])
  const [B, T] = graph.dims
  const reference = interpret(graph, {
    inputs: new Map([['ids', { dtype: 'i32' as const, shape: [2, 7], data: ids }]]),
    params: new Map(
      graph.params.map((p) => [p.name, { dtype: 'f32' as const, shape: [...p.shape], data: tensors.get(p.name)! }]),
    ),
  }).outputs.get('logits')!
  const simulate = () =>
    makeSimulator({ module, rules: exactRules, mode: 'worst', tensor: (name) => tensors.get(name)! })
  const close = (got: ArrayLike<number>, want: ArrayLike<number>): void => {
    expect(got.length).toBe(want.length)
    for (let i = 0; i < want.length; i++) expect(Math.abs(got[i] - want[i])).toBeLessThan(1e-9)
  }

  test('run equals the reference in float64', () => {
    const dims = new Map<Sym, number>([[B, 2], [T, 7]]) // prettier-ignore
    close(
      simulate()
        .run('run', { inputs: new Map([['ids', ids]]), dims })
        .get('logits')!.value,
      reference.data,
    )
  })
  test('prefill in chunks and steps equal the reference', () => {
    const s = simulate()
    let past = 0
    for (const length of [3, 2, 1, 1]) {
      const part = Float64Array.from([...ids.slice(past, past + length), ...ids.slice(7 + past, 7 + past + length)])
      const dims = new Map<Sym, number>([[B, 2], [T, length], [derived.past, past]]) // prettier-ignore
      const got = s
        .run(length === 1 ? 'step' : 'prefill', { inputs: new Map([['ids', part]]), dims })
        .get('logits')!.value
      const want = [0, 1].flatMap((b) => [...reference.data.slice((b * 7 + past) * 37, (b * 7 + past + length) * 37)])
      close(got, want)
      past += length
    }
  })
})

test('seven kernels a layer, and no tensor over T × T', () => {
  const { programs } = lowered(gpt2Graph({ vocab: 50257, ctx: 1024, d: 768, heads: 12, layers: 12 }), true)
  for (const p of programs) expect(p.dispatches.length).toBe(2 + 7 * 12)
})
