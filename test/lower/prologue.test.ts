import { expect, test } from 'vitest'
import { check } from '../../src/check/index.ts'
import { compileGraph } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/span.ts'
import { mostBuffers } from '../../src/lower/buffers.ts'
import type { Compiled } from '../../src/compile.ts'
import { gpt2Graph } from '../support/gpt2-graph.ts'
import { panelLayout } from '../support/lowering.ts'

const target = { panelLayout, prologues: true }
const step = (c: Compiled) => c.lowered.programs.find((p) => p.program.name === 'step')!
const gpt2 = (layers: number, d = 768): Compiled =>
  compileGraph(check(gpt2Graph({ vocab: 50257, ctx: 1024, d, heads: 12, layers })).graph!, sourceFile('', ''), target)

test('GPT-2: five dispatches a layer of a step, and two more', () => {
  const made = gpt2(12)
  expect(step(made).dispatches.length).toBe(2 + 5 * 12)
  for (const k of made.lowered.module.kernels) expect(k.args.length).toBeLessThanOrEqual(mostBuffers)
  for (const p of made.lowered.programs)
    if (p.program.name !== 'step') expect(p.dispatches.length).toBe(2 + 7 * 12)
  const receipts = step(made).receipts.filter((r) => r.law === 'prologue' || r.law === 'buffers')
  expect(receipts.map((r) => [r.law, r.taken])).toEqual(Array.from({ length: 25 }, () => ['prologue', true]))
})
