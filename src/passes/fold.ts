/** Constant folding: scalars and small tensors that depend on nothing are evaluated in float64 by the op's own record. */
import type { Builder } from '../ir/build.ts'
import type { Node } from '../ir/types.ts'
import { opOf } from '../ops/table.ts'
import type { Attrs, Resolved } from '../ops/define.ts'
import { isConst } from '../types/ix.ts'
import type { Tensor } from '../types/tensor.ts'
import type { Pass } from './pass.ts'
import { rebuild } from './rewrite.ts'

const valueOf = (n: Node): Tensor | undefined =>
  n.op === 'full' && n.type.shape.length === 0
    ? { dtype: n.type.dtype, shape: [], data: Float64Array.of(n.attrs.value as number) }
    : undefined

/** Only scalars: tables stay expressions, which the load program evaluates once in float64. */
function foldScalar(n: Node, build: Builder): Node | undefined {
  if (n.inputs.length === 0 || n.type.shape.length !== 0 || n.results !== undefined) return undefined
  const { evaluate, lower } = opOf(n.op)
  if (lower === undefined) return undefined
  const inputs = n.inputs.map(valueOf)
  if (inputs.some((x) => x === undefined)) return undefined
  if (
    Object.values(n.attrs).some(
      (a) => typeof a === 'object' && !Array.isArray(a) && isConst(a as Parameters<typeof isConst>[0]) === undefined,
    )
  )
    return undefined
  const out = evaluate(inputs as Tensor[], n.attrs as Resolved<Attrs>, [[]])
  const value = (Array.isArray(out) ? (out as Tensor[])[0] : (out as Tensor)).data[0]
  return Number.isFinite(value)
    ? build.node('full', [], { value, dtype: n.type.dtype, shape: [] }, n.origin)
    : undefined
}

export const fold: Pass = {
  name: 'fold',
  description: 'evaluate scalars that depend on nothing',
  run: (graph) => rebuild(graph, [{ law: 'an op on constants is its value', apply: foldScalar }]),
}
