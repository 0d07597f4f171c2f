/** The hand-built GPT-2 graph, lowered for the TypeScript target. */
import type { Graph } from '../../src/ir/types.ts'
import { lowerModule } from '../../src/lower/module.ts'
import { runPasses } from '../../src/passes/pass.ts'
import { pipeline } from '../../src/passes/pipeline.ts'
import type { Module } from '../../src/program/types.ts'
import { derive, isRefusal } from '../../src/sequence/derive.ts'
import { typescript } from '../../targets/typescript/index.ts'

export function gpt2Module(graph: Graph, max = 24): Module {
  const optimised = runPasses(graph, pipeline)
  const derived = derive(optimised)
  if (derived === undefined || isRefusal(derived)) throw new Error('the model can be stepped')
  const programs = [
    { name: 'run' as const, graph: optimised, keep: new Set<string>() },
    { name: 'prefill' as const, graph: derived.prefill, keep: new Set<string>() },
    { name: 'step' as const, graph: derived.step, keep: new Set<string>() },
  ]
  const sequence = { T: graph.dims[1], past: derived.past, max }
  return lowerModule(
    { graph, source: 'gpt2.tfm', state: derived.state, programs, sequence },
    { panelLayout: (k, n) => typescript.panelLayout(k, n) },
  ).module
}
