/** Whole runs of a model on every target against the reference, within the simulated bound of rounding errors. */
import { compileGraph, type Compiled } from '../../src/compile.ts'
import { sourceFile } from '../../src/diagnostics/index.ts'
import { makeSimulator } from '../../src/diff/simulate.ts'
import { interpret } from '../../src/interpret/index.ts'
import { evaluate } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'
import { writeSafetensors } from '../../src/weights/write.ts'
import { expectInBounds } from './bounds.ts'
import { loadEmitted, targets } from './emitted.ts'
import { graphOfText } from './models.ts'
import { random } from './nodes.ts'
import { givenAll } from './tensors.ts'

/**
 * Compiles `text` for each target, also without fusion for the first, and runs it with random weights (in ±0.5) and inputs (f32 in ±1, i32 below
 * what they index, else 0 … 3, bool) for each set of dims. Returns what was compiled for the first target.
 */
export async function expectTargetsAgree(
  text: string,
  dimSets: readonly Readonly<Record<string, number>>[],
): Promise<Compiled> {
  const graph = graphOfText(text)
  const next = random(5)
  const weights = new Map(
    graph.params.map(({ name, shape }): [string, Tensor] => {
      const data = new Float64Array(shape.reduce((a, b) => a * b, 1)).map(() => Math.fround(next() - 0.5))
      return [name, { dtype: 'f32', shape, data }]
    }),
  )
  const file = writeSafetensors(
    [...weights].map(([name, { shape, data }]) => ({ name, shape, data: Float32Array.from(data) })),
  )
  const kinds = [...targets.map((target) => ({ target, fuse: true })), { target: targets[0], fuse: false }]
  let first: Compiled | undefined
  for (const { target, fuse } of kinds) {
    const compiled = compileGraph(graph, sourceFile('test.tfm', text), target, { fuse })
    first ??= compiled
    const { module } = compiled.lowered
    const tensor = (name: string) => weights.get(name)!.data
    const model = await loadEmitted(target, compiled, file)
    for (const sizes of dimSets) {
      const dims = new Map(graph.dims.map((s) => [s, sizes[s.name]]))
      const inputs = new Map<string, Tensor>()
      for (const { name, node } of graph.inputs) {
        const { dtype } = node.type
        const shape = node.type.shape.map((d) => evaluate(d, (s) => dims.get(s)!))
        const below = module.programs[0].inputs.find((p) => p.name === name)?.below
        const most = below === undefined ? 4 : evaluate(below, (s) => dims.get(s)!)
        const data = new Float64Array(shape.reduce((a, b) => a * b, 1)).map(() =>
          dtype === 'f32' ? Math.fround(2 * next() - 1) : Math.floor(next() * (dtype === 'bool' ? 2 : most)),
        )
        inputs.set(name, { dtype, shape, data })
      }
      const want = interpret(graph, { inputs, params: weights }).outputs
      const simulator = makeSimulator({ module, rules: target.floats, mode: 'rms', tensor })
      const bounds = simulator.run('run', { inputs: new Map([...inputs].map(([n, t]) => [n, t.data])), dims })
      const got = await model.run(givenAll(inputs))
      for (const [name, value] of want) {
        const what = `${target.name}${fuse ? '' : ' without fusion'}, ${name} at ${JSON.stringify(sizes)}`
        expectInBounds(got[name], value, bounds.get(name)!, target, what)
      }
    }
    model.dispose()
  }
  return first!
}
