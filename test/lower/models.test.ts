/** The golden and example models, lowered and simulated in exact arithmetic: fused, unfused, and step by step equal the reference. */
import { describe, expect, test } from 'vitest'
import { compileGraph } from '../../src/compile.ts'
import type { Compiled } from '../../src/compile.ts'
import { makeSimulator } from '../../src/diff/simulate.ts'
import { interpret } from '../../src/interpret/index.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import type { CheckedGraph } from '../../src/check/index.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import type { Sym } from '../../src/types/ix.ts'
import { exactRules, panelLayout } from '../support/lowering.ts'
import { goldenTensors } from '../support/golden.ts'
import type { Json } from '../../src/frontend/index.ts'
import { graphOfFile, modelOfCase, readText } from '../support/models.ts'

const cases = ['v01-seed-preln-layer', 'v02-preln-layer-standard', 'v03-seed-layernorm', 'v05-seed-postln-block', 'v06-gpt2-tiny', 'v07-transformer-encdec', 'v11-layerscale-residual'] // prettier-ignore

function setUp(name: string, fuse: boolean) {
  const about = JSON.parse(readText(`test/golden/${name}/case.json`)) as { config?: Json }
  const graph = graphOfFile(modelOfCase(name), about.config === undefined ? {} : { config: about.config })
  const compiled = compileGraph(graph, sourceFile('model.tfm', ''), { panelLayout }, { fuse })
  const weights = goldenTensors(name, 'weights.safetensors')
  const io = goldenTensors(name, 'io.safetensors')
  const renamed: Record<string, string> = { ids: 'input_ids' }
  const inputs = new Map<string, Tensor>()
  for (const i of graph.inputs) {
    const t = io.get(`in.${renamed[i.name] ?? i.name}`)
    if (t === undefined) continue
    // v03 takes rows.
    const rank = i.node.type.shape.length
    inputs.set(
      i.name,
      t.shape.length === rank
        ? t
        : { ...t, shape: [t.data.length / t.shape[t.shape.length - 1], t.shape[t.shape.length - 1]] },
    )
  }
  return { graph, compiled, weights, inputs, reference: interpret(graph, { inputs, params: weights }) }
}
const simulator = (c: Compiled, weights: ReadonlyMap<string, Tensor>) =>
  makeSimulator({ module: c.lowered.module, rules: exactRules, mode: 'worst', tensor: (n) => weights.get(n)!.data })

/** Constants and packed products are stored in f32, everything else is exact. */
function expectSame(got: ArrayLike<number>, want: ArrayLike<number>, what: string): void {
  expect(got.length, what).toBe(want.length)
  let worst = 0
  for (let i = 0; i < want.length; i++) worst = Math.max(worst, Math.abs(got[i] - want[i]) / (1 + Math.abs(want[i])))
  expect(worst, what).toBeLessThan(3e-7)
}
const fill = (graph: CheckedGraph, inputs: ReadonlyMap<string, Tensor>, dims: ReadonlyMap<Sym, number>, c: Compiled): Map<string, ArrayLike<number>> =>
  new Map(c.lowered.module.programs[0].inputs.map((p) => {
    const size = p.shape.reduce((n, d) => n * (d.terms.length === 0 ? 0 : d.terms.every((t) => t.atoms.length === 0) ? d.terms[0].coef : dims.get(d.terms[0].atoms[0] as Sym)!), 1)
    return [p.name, inputs.get(p.name)?.data ?? new Float64Array(size).fill(p.fill ?? NaN)]
  })) // prettier-ignore

describe.each(cases)('%s', (name) => {
  test.each([true, false])('run, fuse = %s', (fuse) => {
    const { graph, compiled, weights, inputs, reference } = setUp(name, fuse)
    const got = simulator(compiled, weights).run('run', {
      inputs: fill(graph, inputs, reference.dims, compiled),
      dims: reference.dims,
    })
    for (const o of graph.outputs) expectSame(got.get(o.name)!.value, reference.outputs.get(o.name)!.data, o.name)
  })
})

const column = (t: Tensor, from: number, to: number): Float64Array => {
  const length = t.shape[1]
  return Float64Array.from(
    Array.from({ length: t.shape[0] }, (_, b) => [...t.data.slice(b * length + from, b * length + to)]).flat(),
  )
}

describe.each([
  ['v06-gpt2-tiny', 'ids'],
  ['v07-transformer-encdec', 'tgt'],
])('%s in steps', (name, tokens) => {
  test.each([true, false])('prepare, prefill in chunks, step; fuse = %s', (fuse) => {
    const { compiled, weights, inputs, reference } = setUp(name, fuse)
    const derived = compiled.derived!
    const s = simulator(compiled, weights)
    const dims = new Map(reference.dims)
    const data = new Map([...inputs].map(([n, t]) => [n, t.data] as const))
    if (derived.prepare) s.run('prepare', { inputs: data, dims })
    const all = inputs.get(tokens)!
    const want = reference.outputs.get('logits')!
    const [batch, length, vocab] = want.shape
    let past = 0
    for (const n of [3, 2, ...Array<number>(length - 5).fill(1)]) {
      dims.set(derived.T, n).set(derived.past, past)
      const got = s
        .run(n === 1 ? 'step' : 'prefill', { inputs: new Map([...data, [tokens, column(all, past, past + n)]]), dims })
        .get('logits')!.value
      const rows = Array.from({ length: batch }, (_, b) => [
        ...want.data.slice((b * length + past) * vocab, (b * length + past + n) * vocab),
      ]).flat()
      expectSame(got, rows, `positions ${past} to ${past + n}`)
      past += n
    }
  })
})
