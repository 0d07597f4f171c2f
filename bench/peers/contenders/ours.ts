/** The emitted module, through its public interface. */
import { pathToFileURL } from 'node:url'
import { weightsOf } from '../prepare.ts'
import { gpt2, ids } from '../workloads.ts'
import type { Data } from '../workloads.ts'
import type { Open, Opened, Task } from './contender.ts'

type Inputs = Readonly<Record<string, Data>>
type Outputs = Promise<Readonly<Record<string, { readonly data: Float32Array }>>>
interface Model {
  readonly run: (inputs: Inputs) => Outputs
  readonly prefill: (inputs: Inputs) => Outputs
  readonly step: (inputs: Inputs) => Outputs
  readonly reset: () => void
}
interface Emitted {
  readonly load: (options: Readonly<Record<string, unknown>>) => Promise<Model>
}

export const ours: Open = (task) => open(task, {})
/** On a graphics card. */
export const onGpu =
  (gpu: object): Open =>
  (task) =>
    // As on graphics cards, also where a processor plays one.
    open(task, { gpu, alternatives: [] })

const open = async ({ workload: w, threads, module, wide = false }: Task, more: object): Promise<Opened> => {
  const emitted = (await import(pathToFileURL(module!).href)) as Emitted
  const model = await emitted.load({ weights: weightsOf(w), threads, ...(wide ? { wide } : {}), ...more })
  const result = async (outputs: Outputs) => (await outputs)[w.output].data
  if (w.program === 'run') return { run: () => result(model.run(w.inputs)) }
  if (w.program === 'prefill')
    return {
      run: () => {
        model.reset()
        return result(model.prefill(w.inputs))
      },
    }
  return {
    // Each step lengthens the cache; the few of a turn start at `past`.
    before: async () => {
      model.reset()
      await model.prefill({ ids: ids(w.past, gpt2.vocab) })
    },
    run: () => result(model.step(w.inputs)),
    limit: 16,
  }
}
