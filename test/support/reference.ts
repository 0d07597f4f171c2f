/** The reference behind the calls of an emitted module: `run` on the graph as written, `prefill` and `step` on the derived programs. */
import type { Compiled } from '../../src/compile.ts'
import { interpret } from '../../src/interpret/index.ts'
import type { ProgramName } from '../../src/program/types.ts'
import { of, symbolsOf } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { loadParameters } from '../../src/weights/open.ts'
import type { Emitted } from './emitted.ts'
import type { Result } from './tensors.ts'

type Given = Readonly<Record<string, unknown>>
/** The calls that the reference has too. */
export type Loaded = Pick<Emitted, 'run' | 'prefill' | 'step' | 'reset' | 'dispose'>

/** In float64, from a checkpoint of the project's. */
export async function loadReference(compiled: Compiled, weights: string): Promise<Loaded> {
  const { graph } = compiled
  const path = new URL(`../../${weights}`, import.meta.url).pathname
  const params = await loadParameters(path, graph.params, graph.rules)
  const T = graph.sequence
  let state = new Map<string, Tensor>()
  let past = 0
  /** Sizes that only the first call gives: of the encoder, say. */
  let known: Record<string, number> = {}

  const inputsOf = (given: Given, names: ReadonlySet<string>): Map<string, Tensor> =>
    new Map(
      graph.inputs.flatMap(({ name, node }): [string, Tensor][] => {
        const value = given[name] as { data: ArrayLike<number>; shape: readonly number[] } | undefined
        if (value === undefined || !names.has(name)) return []
        return [[name, { dtype: node.type.dtype, shape: value.shape, data: Float64Array.from(value.data) }]]
      }),
    )
  const resultsOf = (outputs: ReadonlyMap<string, Tensor>): Readonly<Record<string, Result>> =>
    Object.fromEntries([...outputs].map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]))

  /** What the shapes of the inputs say of the dims that stay. */
  const learn = (given: Given): void => {
    for (const { name, node } of graph.inputs) {
      for (const [axis, d] of node.type.shape.entries()) {
        const s = [...symbolsOf(d)].find((s) => of(s) === d && s !== T)
        const n = (given[name] as Result | undefined)?.shape[axis]
        if (s !== undefined && n !== undefined) known[s.name] = n
      }
    }
  }
  const call = (name: ProgramName, given: Given): Map<string, Tensor> => {
    const program = compiled.programs.find((p) => p.name === name)!
    const inputs = inputsOf(given, new Set(program.graph.inputs.map((i) => i.name)))
    const done = interpret(program.graph, { inputs, params, state, dims: { ...known, P: past } })
    for (const [key, value] of done.state) state.set(key, value)
    for (const key of program.keep) if (done.outputs.has(key)) state.set(key, done.outputs.get(key)!)
    return done.outputs
  }
  const steps =
    (name: ProgramName) =>
    async (given: Given): Promise<Readonly<Record<string, Result>>> => {
      learn(given)
      const prepared = compiled.programs.some((p) => p.name === 'prepare') && past === 0 ? call('prepare', given) : []
      const outputs = call(name, given)
      const onSequence = graph.inputs.find((i) => i.node.type.shape.includes(of(T!)))!
      past += (given[onSequence.name] as Result).shape[onSequence.node.type.shape.indexOf(of(T!))]
      return resultsOf(new Map([...prepared, ...outputs]))
    }
  return {
    run: async (given) =>
      resultsOf(
        interpret(graph, { inputs: inputsOf(given, new Set(graph.inputs.map((i) => i.name))), params }).outputs,
      ),
    prefill: steps('prefill'),
    step: steps('step'),
    reset: () => {
      ;[state, past, known] = [new Map(), 0, {}]
    },
    dispose: () => {},
  }
}
