import { select as choose } from '../kernel/expr.ts'
import { defineOp } from './define.ts'
import { broadcastShapes, loadStretched, mapStage, sameDtype, stretch, tensor, wantDtype } from './support.ts'

export const select = defineOp({
  doc: 'a where c holds, else b. The three broadcast.',
  params: [
    { name: 'c', kind: 'tensor' },
    { name: 'a', kind: 'tensor' },
    { name: 'b', kind: 'tensor' },
  ],
  infer: (types) => {
    wantDtype('select', 'c', 0, types[0], ['bool'])
    return { dtype: sameDtype(['a', 'b'], types.slice(1), 1), shape: broadcastShapes(['c', 'a', 'b'], types) }
  },
  evaluate: ([c, a, b], _, [shape]) => {
    const out = tensor(a.dtype, shape)
    const [w, x, y] = [stretch(c, shape), stretch(a, shape), stretch(b, shape)]
    for (let i = 0; i < out.data.length; i++) out.data[i] = w[i] !== 0 ? x[i] : y[i]
    return out
  },
  lower: ({ inputs: [c, a, b], out }) => [
    mapStage(out, (at) => choose(loadStretched(c, at), loadStretched(a, at), loadStretched(b, at))),
  ],
})
