/** Views of one tensor: the result is a load at a mapped index, and costs nothing once fused. */
import { load } from '../kernel/expr.ts'
import type { Ix } from '../types/ix.ts'
import { add, con, floorDiv, isConst, mul, print, proveLe, sub } from '../types/ix.ts'
import { delinearise, linearise } from '../types/shape.ts'
import { defineOp, InferError } from './define.ts'
import {
  gatherStrided,
  loadStretched,
  mapStage,
  showShape,
  showType,
  stretch,
  stridesOf,
  tensor,
  typeFact,
  wantAtLeast,
  wantAxis,
  wantBroadcastTo,
} from './support.ts'

export const reshape = defineOp<{ shape: readonly Ix[] }>({
  doc: 'The same elements in row-major order under another shape.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'shape', kind: 'dims' },
  ],
  infer: ([x], { shape }) => {
    const [from, to] = [mul(...x.shape), mul(...shape)]
    if (from !== to) {
      throw new InferError(
        'TFM1408',
        `${showType(x)} has ${print(from)} elements, ${showShape(shape)} has ${print(to)}`,
        [typeFact(0)],
      )
    }
    return { dtype: x.dtype, shape }
  },
  evaluate: ([x], _, [shape]) => tensor(x.dtype, shape, x.data),
  lower: ({ inputs: [x], out }) => [mapStage(out, (at) => load(x, reshapedAt(at, out.shape, x.shape)))],
})

/**
 * Where the element at `at` of shape `to` lies in shape `from`. Runs of axes with equal products are mapped on their own, so that axes which
 * the reshape leaves alone stay plain.
 */
function reshapedAt(at: readonly Ix[], to: readonly Ix[], from: readonly Ix[]): Ix[] {
  const out: Ix[] = new Array<Ix>(from.length).fill(con(0))
  let [i, j] = [0, 0]
  while (i < to.length || j < from.length) {
    const [i0, j0] = [i, j]
    let [a, b] = [con(1), con(1)]
    do {
      // Grow the side that is behind: while a is a multiple of b, b is.
      if (j < from.length && (i >= to.length || behind(b, a, from[j]))) b = mul(b, from[j++])
      else if (i < to.length) a = mul(a, to[i++])
    } while (a !== b && (i < to.length || j < from.length))
    const coords = delinearise(linearise(at.slice(i0, i), to.slice(i0, i)), from.slice(j0, j))
    for (const [n, c] of coords.entries()) out[j0 + n] = c
  }
  return out
}

/** Whether the product `b` should take its next factor before `a` does. */
function behind(b: Ix, a: Ix, next: Ix): boolean {
  if (a === b) return isConst(next) === 1
  return proveLe(b, a) || mul(b, next) === a
}

export const permute = defineOp<{ order: readonly number[] }>({
  doc: 'The axes in another order: axis n of the result is axis order[n] of x.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'order', kind: 'axes' },
  ],
  infer: ([x], { order }) => {
    const rank = x.shape.length
    if (order.length !== rank || new Set(order).size !== rank || order.some((a) => !(a >= 0 && a < rank))) {
      const what = `[${order.join(', ')}] does not name each of the ${rank} axes of ${showType(x)} once`
      throw new InferError('TFM1404', what, [typeFact(0)])
    }
    return { dtype: x.dtype, shape: order.map((a) => x.shape[a]) }
  },
  evaluate: ([x], { order }, [shape]) => {
    const strides = stridesOf(x.shape)
    return tensor(
      x.dtype,
      shape,
      gatherStrided(
        x.data,
        shape,
        order.map((a) => strides[a]),
      ),
    )
  },
  lower: ({ inputs: [x], out, attrs: { order } }) => [
    mapStage(out, (at) =>
      load(
        x,
        order.map((_, axis) => at[order.indexOf(axis)]),
      ),
    ),
  ],
})

export const slice = defineOp<{ axis: number; start: Ix; size: Ix }>({
  doc: 'The positions start … start + size - 1 of an axis.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'axis', kind: 'axis' },
    { name: 'start', kind: 'dim' },
    { name: 'size', kind: 'dim' },
  ],
  infer: ([x], { axis, start, size }) => {
    const extent = x.shape[wantAxis(axis, x.shape.length, x)]
    const end = add(start, size)
    const range = `${print(start)}:${print(end)}`
    if (!proveLe(0, start) || !proveLe(0, size) || !proveLe(end, extent)) {
      throw new InferError(
        'TFM1410',
        `cannot prove that ${range} lies within 0:${print(extent)} on axis ${axis}`,
        [typeFact(0)],
        isConst(extent) !== undefined && isConst(end) === undefined
          ? `where ${print(end)} <= ${print(extent)}`
          : proveLe(end, extent) && !proveLe(0, start)
            ? `take them from \`pad(x, axis = ${axis}, before = …)\`, where they lie further back`
            : undefined,
      )
    }
    return { dtype: x.dtype, shape: x.shape.map((d, a) => (a === axis ? size : d)) }
  },
  evaluate: ([x], { axis, start }, [shape]) => {
    const strides = stridesOf(x.shape)
    return tensor(x.dtype, shape, gatherStrided(x.data, shape, strides, start * strides[axis]))
  },
  lower: ({ inputs: [x], out, attrs: { axis, start } }) => [
    mapStage(out, (at) =>
      load(
        x,
        at.map((c, a) => (a === axis ? add(c, start) : c)),
      ),
    ),
  ],
  advance: (attrs, axis, past, length) =>
    axis === attrs.axis ? { ...attrs, start: add(attrs.start, past), size: length } : attrs,
})

/** How many windows fit: floor((n - dilation · (size - 1) - 1) / stride) + 1, exactly n - dilation · (size - 1) for stride 1. */
function windows(n: Ix, size: Ix, stride: Ix, dilation: Ix): Ix {
  const last = sub(n, add(mul(dilation, sub(size, 1)), 1))
  return add(floorDiv(last, stride), 1)
}

export const unfold = defineOp<{ axis: number; size: Ix; stride: Ix; dilation: Ix }>({
  doc: 'Windows of an axis, side by side along a new last axis: y[.., m, .., r] = x[.., m · stride + r · dilation, ..]. What lies behind the last whole window is left out.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'axis', kind: 'axis' },
    { name: 'size', kind: 'dim' },
    { name: 'stride', kind: 'dim', default: 1 },
    { name: 'dilation', kind: 'dim', default: 1 },
  ],
  infer: ([x], { axis, size, stride, dilation }) => {
    const extent = x.shape[wantAxis(axis, x.shape.length, x)]
    wantAtLeast('the size of the windows', size, 1)
    wantAtLeast('the stride', stride, 1)
    wantAtLeast('the dilation', dilation, 1)
    const span = add(mul(dilation, sub(size, 1)), 1)
    if (!proveLe(span, extent)) {
      throw new InferError(
        'TFM1410',
        `a window spans ${print(span)} positions, and axis ${axis} has ${print(extent)}, which is not provably as many`,
        [typeFact(0)],
        isConst(extent) === undefined ? `where ${print(extent)} >= ${print(span)}` : undefined,
      )
    }
    const count = windows(extent, size, stride, dilation)
    return { dtype: x.dtype, shape: [...x.shape.map((d, a) => (a === axis ? count : d)), size] }
  },
  evaluate: ([x], { axis, stride, dilation }, [shape]) => {
    const strides = stridesOf(x.shape)
    const steps = [...strides.map((s, a) => (a === axis ? s * stride : s)), strides[axis] * dilation]
    return tensor(x.dtype, shape, gatherStrided(x.data, shape, steps))
  },
  lower: ({ inputs: [x], out, attrs: { axis, stride, dilation } }) => [
    mapStage(out, (at) => {
      const within = mul(dilation, at[at.length - 1])
      return load(
        x,
        x.shape.map((_, a) => (a === axis ? add(mul(stride, at[a]), within) : at[a])),
      )
    }),
  ],
})

export const broadcast = defineOp<{ shape: readonly Ix[] }>({
  doc: 'x repeated along missing axes and axes of extent 1 to fill `shape`.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'shape', kind: 'dims' },
  ],
  infer: ([x], { shape }) => {
    wantBroadcastTo('x', 0, x, shape)
    return { dtype: x.dtype, shape }
  },
  evaluate: ([x], _, [shape]) => tensor(x.dtype, shape, stretch(x, shape)),
  lower: ({ inputs: [x], out }) => [mapStage(out, (at) => loadStretched(x, at))],
})

export const flip = defineOp<{ axis: number }>({
  doc: 'An axis from back to front.',
  params: [
    { name: 'x', kind: 'tensor' },
    { name: 'axis', kind: 'axis', default: -1 },
  ],
  infer: ([x], { axis }) => {
    wantAxis(axis, x.shape.length, x)
    return x
  },
  evaluate: ([x], { axis }, [shape]) => {
    const strides = stridesOf(shape)
    const reversed = strides.map((s, a) => (a === axis ? -s : s))
    return tensor(x.dtype, shape, gatherStrided(x.data, shape, reversed, (shape[axis] - 1) * strides[axis]))
  },
  lower: ({ inputs: [x], out, attrs: { axis } }) => [
    mapStage(out, (at) =>
      load(
        x,
        at.map((c, a) => (a === axis ? sub(sub(x.shape[a], 1), c) : c)),
      ),
    ),
  ],
})
