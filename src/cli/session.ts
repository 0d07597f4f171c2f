/** A model that is called several times: on a target, or on the reference. */
import { compileGraph, type Compiled } from '../compile.ts'
import type { Context } from './context.ts'
import { bindGiven, type BoundInputs, type Given } from './inputs.ts'
import type { OpenedModel } from './model.ts'
import { targetOf, type TargetName } from './targets.ts'
import type { ThreadOptions } from './load.ts'
import { compiledFor, openWeightsOf, type WeightOptions } from './weights.ts'

export interface Output {
  readonly name: string
  readonly dtype: 'f32' | 'i32' | 'bool'
  readonly shape: readonly number[]
  readonly data: ArrayLike<number>
}

export interface Session {
  readonly compiled: Compiled
  /** Inputs that were not given are made up: `made` of what it returns names them. */
  readonly bind: (given: Given, dims?: Readonly<Record<string, number>>, seed?: number) => Promise<BoundInputs>
  readonly run: (inputs: BoundInputs) => Promise<{ readonly outputs: readonly Output[]; readonly milliseconds: number }>
  readonly close: () => void
}

/** Weights are read when it first runs, so that inputs can be checked before. */
export async function openSession(
  ctx: Context,
  model: OpenedModel,
  name: TargetName | 'reference',
  options: WeightOptions & ThreadOptions,
): Promise<Session> {
  const target = await targetOf(name === 'reference' ? 'typescript' : name)
  const compiled = compileGraph(model.graph, model.file, target)
  let close = (): void => undefined
  const onTarget = async () => {
    const weights = await openWeightsOf(ctx, model, options)
    const loaded = await (
      await import('./load.ts')
    ).loadModel(ctx, target, compiledFor(model, weights, target, compiled), weights, {}, options)
    close = loaded.close
    return async ({ values }: BoundInputs): Promise<Output[]> => {
      const results = await loaded.model.run(values)
      return model.graph.outputs.map((o) => ({ name: o.name, dtype: o.node.type.dtype, ...results[o.name] }))
    }
  }
  const onReference = async () => {
    const { interpret } = await import('../interpret/index.ts')
    const params = await (await openWeightsOf(ctx, model, options)).tensors()
    return ({ tensors }: BoundInputs): Promise<Output[]> => {
      const { outputs } = interpret(model.graph, { inputs: tensors, params })
      return Promise.resolve([...outputs].map(([name, t]) => ({ name, ...t })))
    }
  }
  let evaluate: ((inputs: BoundInputs) => Promise<Output[]>) | undefined
  return {
    compiled,
    bind: (given, dims = {}, seed = 1) => bindGiven(compiled, given, dims, seed),
    async run(inputs) {
      const call = (evaluate ??= await (name === 'reference' ? onReference() : onTarget()))
      const start = performance.now()
      const what = name === 'reference' ? 'evaluating the reference' : `running ${model.graph.name}`
      const outputs = await ctx.progress.blocking(what, () => call(inputs))
      return { outputs, milliseconds: performance.now() - start }
    },
    close: () => close(),
  }
}
