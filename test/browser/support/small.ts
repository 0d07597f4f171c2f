/** A small model as it is emitted for each target, with what a page needs to run it. */
import { compileGraph } from '../../../src/compile.ts'
import { check } from '../../../src/check/index.ts'
import { sourceFile } from '../../../src/diagnostics/span.ts'
import { makeSimulator } from '../../../src/diff/simulate.ts'
import { interpret } from '../../../src/interpret/index.ts'
import { contentsOf, type Target } from '../../../src/target.ts'
import type { Tensor } from '../../../src/types/tensor.ts'
import { writeSafetensors } from '../../../src/weights/write.ts'
import { expectInBounds } from '../../support/bounds.ts'
import { gpt2Graph } from '../../support/gpt2-graph.ts'
import { random } from '../../support/nodes.ts'

const graph = check(gpt2Graph({ vocab: 67, ctx: 100, d: 24, heads: 3, layers: 2 })).graph!
const next = random(3)
const params = new Map(
  graph.params.map(({ name, shape }): [string, Tensor] => {
    const data = new Float64Array(shape.reduce((a, b) => a * b, 1)).map(() => Math.fround(next() - 0.5))
    return [name, { dtype: 'f32', shape, data }]
  }),
)
const tensors = [...params].map(([name, { shape, data }]) => ({ name, shape, data: Float32Array.from(data) }))
export const weights = Uint8Array.from(writeSafetensors(tensors))

export interface Small {
  readonly target: Target
  /** The paths of what was emitted, in a folder of the target's name, and its contents. */
  readonly files: ReadonlyMap<string, string | Uint8Array>
  /** Fails unless `logits` are those of `ids` [rows, length], within the bound of rounding errors. */
  expectLogits(logits: readonly number[], ids: readonly number[], rows: number): void
}

export async function smallModel(target: Target): Promise<Small> {
  const { module } = compileGraph(graph, sourceFile('gpt2.tfm', ''), target).lowered
  const emitted = await target.emit(module, { language: 'js' })
  const simulator = makeSimulator({
    module,
    rules: target.floats,
    mode: 'rms',
    tensor: (name) => params.get(name)!.data,
  })
  return {
    target,
    files: new Map(emitted.map((a) => [`/${target.name}/${a.path}`, contentsOf(a)])),
    expectLogits(logits, ids, rows) {
      const shape = [rows, ids.length / rows]
      const data = Float64Array.from(ids)
      const inputs = new Map([['ids', { dtype: 'i32' as const, shape, data }]])
      const want = interpret(graph, { inputs, params }).outputs.get('logits')!
      const dims = new Map(graph.dims.map((s) => [s, s.name === 'B' ? rows : shape[1]]))
      const bounds = simulator.run('run', { inputs: new Map([['ids', data]]), dims })
      const got = { data: Float32Array.from(logits), shape: want.shape }
      expectInBounds(got, want, bounds.get('logits')!, target, target.name)
    },
  }
}
