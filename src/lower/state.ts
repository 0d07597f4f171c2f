/** Storage of state: a cache keeps its positions first, so that appending writes one piece and growing keeps the prefix. */
import type { Node } from '../ir/types.ts'
import type { Layout } from '../kernel/buffer.ts'
import type { Ix } from '../types/ix.ts'
import { of } from '../types/ix.ts'
import { elements, linearise } from '../types/shape.ts'
import { axisSymbol } from './views.ts'

/** The layout of a cache or hoisted value of this shape; `axis` is the positions' axis, if it has one. */
export function cacheLayout(shape: readonly Ix[], axis: number | undefined): Layout {
  const axes = shape.map((extent, i) => axisSymbol(`a${i}`, extent))
  const order =
    axis === undefined ? shape.map((_, i) => i) : [axis, ...shape.map((_, i) => i).filter((i) => i !== axis)]
  const offset = linearise(
    order.map((i) => of(axes[i])),
    order.map((i) => shape[i]),
  )
  return { name: axis === undefined ? 'rows' : `positions${axis}`, axes, offset, size: elements(shape) }
}

/** The layout of a `state` or `append` node, which carry the axis as an attribute. */
export function stateLayout(node: Node): Layout {
  return cacheLayout(node.type.shape, node.attrs.axis as number | undefined)
}
