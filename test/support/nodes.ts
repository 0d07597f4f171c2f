/** Nodes, graphs and tensors for tests, without source text. */
import { sourceFile, spanOf } from '../../src/diagnostics/span.ts'
import { makeNode } from '../../src/ir/build.ts'
import type { Graph, Node, Origin } from '../../src/ir/types.ts'
import { nodesOf } from '../../src/ir/traverse.ts'
import type { DType } from '../../src/types/dtype.ts'
import type { Ix, IxLike, Sym } from '../../src/types/ix.ts'
import { isConst, of } from '../../src/types/ix.ts'
import type { Tensor } from '../../src/types/tensor.ts'

export const span = spanOf(sourceFile('test.tfm', '\n'.repeat(20)), 3, 3)
export const origin: Origin = { span, frames: [], scope: '' }

export const shapeOf = (dims: readonly IxLike[]): Ix[] => dims.map((d) => of(d))

export function inputNode(name: string, dtype: DType, dims: readonly IxLike[]): Node {
  return makeNode('input', [], { name, dtype, shape: shapeOf(dims) }, { ...origin, name })
}

/** A graph with every input and param node that the outputs reach. */
export function graphOf(
  outputs: Readonly<Record<string, Node>>,
  dims: readonly Sym[],
  more: Partial<Graph> = {},
): Graph {
  const listed = Object.entries(outputs).map(([name, node]) => ({ name, node }))
  const base: Graph = {
    name: 'test',
    inputs: [],
    params: [],
    outputs: listed,
    entries: [],
    dims,
    constraints: [],
    rules: { prefixes: [], ignore: [], rename: [] },
    hyper: {},
  }
  const nodes = nodesOf(base)
  return {
    ...base,
    inputs: nodes.filter((n) => n.op === 'input').map((node) => ({ name: node.attrs.name as string, node })),
    params: nodes
      .filter((n) => n.op === 'param')
      .map((n) => ({ name: n.attrs.name as string, shape: n.type.shape.map((d) => isConst(d) ?? NaN), span })),
    ...more,
  }
}

export function tensorOf(dtype: DType, shape: readonly number[], values: Iterable<number>): Tensor {
  return { dtype, shape, data: Float64Array.from(values) }
}

/** Numbers in [0, 1) that are the same in every run. */
export function random(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
