/** Law 7: norms in the projection that follows, for targets that ask for it. */
import { describe, expect, test } from 'vitest'
import { check } from '../../src/check/index.ts'
import type { Compiled } from '../../src/compile.ts'
import { compile, compileGraph } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/span.ts'
import { splitPrologue } from '../../src/kernel/prologue.ts'
import { mostBuffers } from '../../src/lower/buffers.ts'
import { wgsl } from '../../targets/wgsl/index.ts'
import { gpt2Graph } from '../support/gpt2-graph.ts'
import { panelLayout } from '../support/lowering.ts'
import { readText } from '../support/models.ts'

const step = (c: Compiled) => c.lowered.programs.find((p) => p.program.name === 'step')!
const example = (name: string, hyper: Readonly<Record<string, number>>): Compiled =>
  compile(sourceFile(`${name}.tfm`, readText(`examples/${name}/model.tfm`)), wgsl, { set: hyper })
const prologues = (c: Compiled) =>
  step(c).receipts.filter((r) => r.law === 'prologue' || (r.law === 'buffers' && r.from.origin.name === 'y'))

describe('GPT-2', () => {
  const graph = check(gpt2Graph({ vocab: 50257, ctx: 1024, d: 768, heads: 12, layers: 12 })).graph!
  const made = compileGraph(graph, sourceFile('', ''), { panelLayout, prologues: true })
  test('a step has five dispatches a layer, one for the embedding and one for the head', () => {
    expect(step(made).dispatches.length).toBe(2 + 5 * 12)
    for (const p of made.lowered.programs) if (p.program.name !== 'step') expect(p.dispatches.length).toBe(2 + 7 * 12)
    expect(prologues(made).map((r) => r.taken)).toEqual(Array.from({ length: 25 }, () => true))
  })
  test('no kernel binds more than any device offers, or writes what its other workgroups read', () => {
    const { kernels } = made.lowered.module
    for (const k of kernels) expect(k.args.length).toBeLessThanOrEqual(mostBuffers)
    for (const d of step(made).dispatches) {
      const slots = (access: string) =>
        d.args.filter((a, i) => a.k === 'activation' && kernels[d.kernel].args[i].access === access)
      for (const w of slots('write')) expect(slots('read')).not.toContainEqual(w)
    }
  })
  test('the kernels come apart again: the norm, and the projection of it', () => {
    const { kernels } = made.lowered.module
    const used = [...new Set(step(made).dispatches.map((d) => d.kernel))]
    const split = used.flatMap((k) => splitPrologue(kernels[k]) ?? [])
    expect(split.length).toBe(3)
    for (const { rows, operand, rest } of split) {
      expect(rows.stages.filter((s) => s.body.k === 'reduce').length).toBe(2)
      expect(rows.stages.some((s) => s.out === operand)).toBe(true)
      expect(rest.stages.filter((s) => s.body.k === 'reduce').length).toBe(1)
    }
  })
  test('a target that does not ask for it keeps seven', () => {
    const plain = compileGraph(graph, sourceFile('', ''), { panelLayout })
    expect(step(plain).dispatches.length).toBe(2 + 7 * 12)
    expect(prologues(plain)).toEqual([])
  })
})

test('OPT: five dispatches a layer', () => {
  expect(step(example('opt', { layers: 3 })).dispatches.length).toBe(2 + 5 * 3)
})

test('Llama: RMS norms, before merged projections too', () => {
  const made = example('llama', { layers: 2, d: 64, heads: 4, ff: 96 })
  expect(prologues(made).map((r) => r.taken)).toEqual([true, true, true, true, true])
})

test('rows that do not fit into workgroup memory stay apart, with a receipt', () => {
  const reasons = new Set(prologues(example('llama', { layers: 1 })).map((r) => r.reason))
  expect([...reasons]).toEqual(['a row of 4096 does not fit into workgroup memory (2560)'])
})

test('post-norm: the normalised row is a result too; too many buffers keep a norm apart', () => {
  const made = example('translate', {})
  const [taken, refused] = [true, false].map((t) => prologues(made).filter((r) => r.taken === t))
  const layer = ['multihead_attn', 'linear1'].map((name) => `transformer.decoder.layers.{i}.${name}`)
  expect(taken.map((r) => r.into.origin.scope)).toEqual([...layer, ...layer, 'generator'])
  expect(refused.map((r) => r.reason)).toEqual([expect.stringMatching(/^together they would bind \d+ buffers/)])
  const { kernels } = made.lowered.module
  const written = step(made).dispatches.map((d) => kernels[d.kernel]).filter((k) => splitPrologue(k)).map((k) => k.args.filter((a) => a.access === 'write').length) // prettier-ignore
  expect(Math.max(...written)).toBe(2)
})
